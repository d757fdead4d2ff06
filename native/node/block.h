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
  Block(Block&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)),
        capacity_(std::exchange(other.capacity_, 0)),
        bytes_(std::exchange(other.bytes_, 0)) {}
  Block& operator=(Block&&) = delete;
  ~Block() { annex_free(data_); }

  /// Where a part of so many bytes will lie. The parts mirror arrays that exist, so their sum cannot overflow.
  size_t plan(size_t bytes) {
    const size_t at = bytes_;
    bytes_ += (bytes + 63) / 64 * 64;
    return at;
  }
  /// Nothing may be planned any more. Takes the memory of `spare` when that fits.
  bool allocate(Block& spare) {
    if (bytes_ <= spare.capacity_ && bytes_ >= spare.capacity_ / 2) {
      std::swap(data_, spare.data_);
      std::swap(capacity_, spare.capacity_);
      return data_ != nullptr || allocate();
    }
    return allocate();
  }
  void fill(size_t at, const void* source, size_t bytes) {
    if (bytes != 0) std::memcpy(data_ + at, source, bytes);
  }
  template <class T>
  T* at(size_t offset) const {
    return reinterpret_cast<T*>(data_ + offset);
  }

  /// Leaves the memory to a later block when it is worth keeping: fresh pages cost more than the copy into them.
  void recycle(Block& spare) {
    if (capacity_ < kWorthKeeping || capacity_ > kTooMuch || capacity_ <= spare.capacity_) return;
    std::swap(data_, spare.data_);
    std::swap(capacity_, spare.capacity_);
  }

 private:
  static constexpr size_t kWorthKeeping = 128 << 10;
  static constexpr size_t kTooMuch = 8 << 20;

  bool allocate() {
    capacity_ = bytes_ == 0 ? 64 : bytes_;
    data_ = static_cast<uint8_t*>(annex_alloc(capacity_));
    return data_ != nullptr;
  }

  uint8_t* data_ = nullptr;
  size_t capacity_ = 0;
  size_t bytes_ = 0;  // planned
};

}  // namespace annex::node
