// A file on its way in: from bytes that arrive in order, or from a path. The work goes in steps of some 50 ms of one
// thread.
#pragma once
#include "base/buffer.h"
#include "file/container.h"
#include "file/disk.h"
#include "file/opened_index.h"

namespace annex {

struct OpenOptions {
  bool map;        // a path only
  bool lazy;       // rows and codes are not compared with their checksums
  bool read_only;  // the index takes no writers
};

class Opener {
 public:
  explicit Opener(const OpenOptions& options) : options_(options) {}
  ~Opener() { delete index_; }
  Opener(const Opener&) = delete;
  Opener& operator=(const Opener&) = delete;

  /// From a file: instead of append().
  Status open(const char* path);
  /// From bytes: how many will come, 0 where that is not known; before the first append().
  void expect(uint64_t bytes) { known_ = bytes; }
  Status append(const void* data, size_t bytes);
  /// The next part of the work; after the last append() where bytes are given.
  Status step(const int32_t* cancel, Progress* progress);
  /// What the file keeps for the user, once the steps are finished.
  const void* metadata() const { return metadata_; }
  size_t metadata_bytes() const { return metadata_bytes_; }
  /// Hands the index out, once the steps are finished.
  Status finish(Index** out);

 private:
  /// A stretch of the file: part of a section, or what lies between sections (section npos), which must be zero.
  struct Stretch {
    uint64_t offset, bytes;
    size_t section;
    uint32_t sum;
    bool finite;  // as floats, so far
  };

  Status begin(const uint8_t* header, uint64_t known);
  Status table_read();
  Status plan();
  Status look(size_t first, size_t count, const int32_t* cancel);
  Status compare() const;
  void tell_finite() const;
  Status build();

  const OpenOptions options_;
  InFile file_;
  bool from_file_ = false;
  bool begun_ = false;   // the header is known
  bool listed_ = false;  // the table and the checksums are known
  bool failed_ = false;
  Container container_;
  Image image_;
  uint8_t head_[sizeof(FileHeader)] = {};
  uint64_t known_ = 0;
  uint64_t received_ = 0;
  Buffer<Stretch> stretches_;
  size_t done_ = 0;  // stretches
  OpenedIndex* index_ = nullptr;
  const void* metadata_ = nullptr;
  size_t metadata_bytes_ = 0;
};

}  // namespace annex
