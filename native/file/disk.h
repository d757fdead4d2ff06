// Files of the operating system, for the native core; on WebAssembly, which has none, everything is UNSUPPORTED. Paths
// are UTF-8. Failures are IO with the path and the system's reason.
#pragma once
#include <cstddef>
#include <cstdint>

#include "base/status.h"

namespace annex {

/// The bytes of a whole file in memory, aligned to a page, until destroyed.
class Image {
 public:
  Image() = default;
  ~Image() { release(); }
  Image(Image&& other) noexcept { swap(other); }
  Image& operator=(Image&& other) noexcept {
    swap(other);
    return *this;
  }
  Image(const Image&) = delete;
  Image& operator=(const Image&) = delete;

  /// Room for `bytes` bytes, unset, instead of what there was. False: no memory.
  [[nodiscard]] bool allocate(uint64_t bytes);
  uint8_t* data() const { return data_; }
  uint64_t bytes() const { return bytes_; }
  bool mapped() const { return mapped_; }
  /// Tells the system that these bytes of a mapped file will be read soon.
  void will_read(uint64_t offset, uint64_t bytes) const;
  void swap(Image& other) noexcept;

 private:
  friend class InFile;
  void release();

  uint8_t* data_ = nullptr;
  uint64_t bytes_ = 0;
  bool mapped_ = false;
};

/// A file to read.
class InFile {
 public:
  InFile() = default;
  ~InFile();
  InFile(const InFile&) = delete;
  InFile& operator=(const InFile&) = delete;

  Status open(const char* path);
  uint64_t size() const { return size_; }
  /// Exactly `bytes` bytes from `offset` on, from any thread.
  Status read(uint64_t offset, void* out, size_t bytes) const;
  /// The whole file; its pages are shared with other processes until they are written to. Writing, where it is allowed,
  /// changes this process's copy of a page and never the file.
  Status map(bool writable, Image* out) const;

 private:
  intptr_t handle_ = -1;
  uint64_t size_ = 0;
};

/// A file that comes into being at `path` at once and whole, or not at all: it is written beside it under another name,
/// made durable, and then takes the place of what was there. What a process that was killed meanwhile has left, the
/// next file at that path removes (not on Windows).
class OutFile {
 public:
  OutFile() = default;
  /// Removes what was not committed.
  ~OutFile();
  OutFile(const OutFile&) = delete;
  OutFile& operator=(const OutFile&) = delete;

  Status create(const char* path);
  Status write(const void* data, size_t bytes);
  /// What was written so far may go to the disk while more is written.
  void flush_soon();
  Status commit();

 private:
  Status fail_io(const char* what) const;
  void discard();

  intptr_t handle_ = -1;
  char* target_ = nullptr;
  char* temporary_ = nullptr;
  uint64_t written_ = 0, flushed_ = 0;
};

}  // namespace annex
