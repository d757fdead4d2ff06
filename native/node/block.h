// One allocation for all the arrays of a task: parts are planned, then allocated at once, each 64-byte aligned.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#include "api/annex.h"

namespace annex::node {

class Block {
 public:
  Block() = default;
  Block(Block&& other) noexcept : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  Block& operator=(Block&&) = delete;
  ~Block() { annex_free(data_); }

  /// Where a part of so many bytes will lie. The parts mirror arrays that exist, so their sum cannot overflow.
  size_t plan(size_t bytes) {
    const size_t at = bytes_;
    bytes_ += (bytes + 63) / 64 * 64;
    return at;
  }
  /// Nothing may be planned any more.
  bool allocate() {
    if (bytes_ == 0) bytes_ = 64;
    data_ = static_cast<uint8_t*>(annex_alloc(bytes_));
    return data_ != nullptr;
  }
  void fill(size_t at, const void* source, size_t bytes) {
    if (bytes != 0) std::memcpy(data_ + at, source, bytes);
  }
  template <class T>
  T* at(size_t offset) const {
    return reinterpret_cast<T*>(data_ + offset);
  }

 private:
  uint8_t* data_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace annex::node
