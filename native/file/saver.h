// An index on its way into a file: the bytes in order, as pieces of the index's own memory. Checksums are made as the
// bytes pass, and end the file.
#pragma once
#include "base/buffer.h"
#include "base/sections.h"
#include "file/format.h"
#include "index/index.h"

namespace annex {

class Saver {
 public:
  /// The index takes no writer until the saver is gone. `creator` has at most 23 characters; `metadata` may be null.
  static Status open(Index& index, const char* creator, const void* metadata, size_t metadata_bytes, Saver** out);
  ~Saver();
  Saver(const Saver&) = delete;
  Saver& operator=(const Saver&) = delete;

  uint64_t size() const { return size_; }
  uint64_t position() const { return position_; }
  /// The next bytes, at most `most` of them; none at the end. They stay as they are until the saver is gone.
  Span next(size_t most);
  /// Copies the next bytes; returns how many: `room`, or less at the end.
  size_t read(uint8_t* buffer, size_t room);

 private:
  struct Piece {
    const uint8_t* data;
    uint64_t bytes;
    size_t section;  // whose checksum it counts towards, or SIZE_MAX
  };

  explicit Saver(Index& index) : index_(index) {}
  Status prepare(const char* creator, const void* metadata, size_t metadata_bytes);
  Status plan(const char* creator);
  bool pad(uint64_t to);
  const Sections::Section& section(size_t i) const { return i < head_.size() ? head_[i] : body_[i - head_.size()]; }
  const Span& span(size_t section, size_t i) const;
  void seal();

  Index& index_;
  bool saving_ = false;
  Sections head_, body_;  // what every file has; what the index adds
  Buffer<FileEntry> table_;
  FileHeader header_{};
  Buffer<uint32_t> checksums_;
  Buffer<Piece> pieces_;
  uint64_t size_ = 0;
  uint64_t position_ = 0;
  size_t piece_ = 0;
  uint64_t within_ = 0;  // bytes of the piece that have passed
};

}  // namespace annex
