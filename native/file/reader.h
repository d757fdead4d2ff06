// The sections of a file in memory, as an index loads them.
#pragma once
#include "file/container.h"
#include "file/disk.h"

namespace annex {

class FileReader final : public SectionReader {
 public:
  FileReader(const Container& container, const Image& image, bool thorough)
      : container_(container), image_(image), thorough_(thorough) {}
  FileReader(const FileReader&) = delete;
  FileReader& operator=(const FileReader&) = delete;

  /// What every file has. `verified` tells whether all sections have been compared with their checksums.
  Status prepare(bool verified);
  uint64_t rows() const override { return info_.rows; }
  int64_t next_id() const override { return info_.next_id; }
  bool thorough() const override { return thorough_; }
  bool has(Tag tag) const override;
  bool finite(Tag tag) const override;
  Status get(Tag tag, uint16_t version, Content content, void** data, size_t* bytes) const override;

  /// UNSUPPORTED naming a critical section that nobody has asked for.
  Status finish() const;
  /// Whether somebody has asked for section i.
  bool known(size_t i) const { return state_[i].known; }
  void found_finite(size_t i) { state_[i].finite = true; }

 private:
  struct State {
    bool known, verified, finite;
  };
  Status sweep_parts(Tag tag, PartCheck check, void* context) const override;
  /// `check` may be null.
  Status verify(size_t i, PartCheck check, void* context) const;

  const Container& container_;
  const Image& image_;
  const bool thorough_;
  FileInfo info_{};
  mutable Buffer<State> state_;
};

}  // namespace annex
