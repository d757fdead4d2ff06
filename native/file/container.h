// A file as its header and section table describe it, checked: every section lies inside the file, and none over
// another.
#pragma once
#include <cstddef>
#include <cstdint>

#include "base/buffer.h"
#include "file/format.h"

namespace annex {

class Container {
 public:
  static constexpr size_t npos = SIZE_MAX;

  /// The first 64 bytes. `known` is the length of the file, or 0 where it is not known yet.
  Status read_header(const uint8_t* bytes, uint64_t known);
  /// Bytes of the table that follows the header.
  size_t table_bytes() const { return header_.sections * sizeof(FileEntry); }
  Status read_table(const uint8_t* bytes);
  /// The list of checksums that ends the file.
  Status read_checksums(const uint8_t* bytes);

  uint64_t length() const { return header_.length; }
  uint64_t checksums_offset() const { return header_.checksums; }
  size_t size() const { return table_.size(); }
  const FileEntry& operator[](size_t i) const { return table_[i]; }
  uint32_t checksum_of(size_t i) const { return checksums_[i]; }
  /// npos when there is none.
  size_t find(Tag tag) const;

 private:
  FileHeader header_{};
  Buffer<FileEntry> table_;  // by offset
  Buffer<uint32_t> checksums_;
};

}  // namespace annex
