// Items of one size in blocks of about 2 MiB, so that growing never moves more than one block and each block can have
// huge pages. Only the last block may be smaller; it grows by a quarter at most.
#pragma once
#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/buffer.h"
#include "base/round.h"

namespace annex {

/// How many items a block of at most `most` has room for when it holds so many: by a quarter more at most, and a
/// function of that number alone, so that memory does not depend on the pieces in which they came.
inline size_t block_room(size_t items, size_t most) {
  constexpr size_t kLeast = 16;
  return std::min(round_up(items, std::max(std::bit_floor(items) / 4, kLeast)), most);
}

class Blocks {
 public:
  /// `stride` bytes an item; items start at multiples of it from an address aligned to a cache line.
  explicit Blocks(size_t stride) : stride_(stride), shift_(shift_for(stride)) {}
  ~Blocks() { truncate(0); }
  Blocks(const Blocks&) = delete;
  Blocks& operator=(const Blocks&) = delete;

  size_t stride() const { return stride_; }
  size_t capacity() const { return capacity_; }
  size_t block_items() const { return size_t{1} << shift_; }
  size_t blocks() const { return blocks_.size(); }
  uint8_t* item(size_t i) { return blocks_[i >> shift_] + (i & (block_items() - 1)) * stride_; }
  const uint8_t* item(size_t i) const { return blocks_[i >> shift_] + (i & (block_items() - 1)) * stride_; }
  size_t bytes() const { return capacity_ * stride_ + blocks_.bytes(); }

  /// Where items are, for loops over many of them: a copy of it stays in registers.
  struct View {
    uint8_t* const* blocks;
    size_t shift, mask, stride;
    const uint8_t* item(size_t i) const { return blocks[i >> shift] + (i & mask) * stride; }
  };
  View view() const { return {blocks_.data(), shift_, block_items() - 1, stride_}; }

  /// Room for `count` items; those that are there keep their contents. False: out of memory; there is room for those.
  [[nodiscard]] bool reserve(size_t count) {
    while (capacity_ < count) {
      const size_t last = capacity_ & (block_items() - 1), before_last = capacity_ - last;
      const size_t room = block_room(std::min(count - before_last, block_items()), block_items());
      auto* grown = static_cast<uint8_t*>(aligned_allocate(room * stride_));
      if (grown == nullptr || (last == 0 && !blocks_.push(nullptr))) {
        aligned_release(grown);
        return false;
      }
      uint8_t*& block = blocks_[blocks_.size() - 1];
      if (last != 0) std::memcpy(grown, block, last * stride_);
      aligned_release(block);
      block = grown;
      capacity_ = before_last + room;
    }
    return true;
  }

  /// Gives back blocks that hold nothing of the first `count` items.
  void truncate(size_t count) {
    const size_t needed = (count + block_items() - 1) >> shift_;
    while (blocks_.size() > needed) {
      if (blocks_.size() > borrowed_) aligned_release(blocks_[blocks_.size() - 1]);
      blocks_.pop();
      borrowed_ = std::min(borrowed_, blocks_.size());
      capacity_ = blocks_.size() << shift_;
    }
  }

  /// Stands on `count` items that outlive it, one behind another, where they fill blocks; the rest is copied. False:
  /// out of memory. The object is empty before.
  [[nodiscard]] bool borrow(uint8_t* items, size_t count) {
    const size_t whole = count >> shift_, rest = count & (block_items() - 1);
    if (!blocks_.reserve(whole + 1)) return false;
    for (size_t b = 0; b < whole; ++b) (void)blocks_.push(items + (b << shift_) * stride_);
    borrowed_ = whole;
    capacity_ = whole << shift_;
    if (rest == 0) return true;
    if (!reserve(count)) return false;
    std::memcpy(item(whole << shift_), items + (whole << shift_) * stride_, rest * stride_);
    return true;
  }
  /// Calls fn(pointer, bytes) for the first `count` items, block by block.
  template <class F>
  void each(size_t count, F&& fn) const {
    for (size_t first = 0; first < count; first += block_items()) {
      fn(item(first), std::min(count - first, block_items()) * stride_);
    }
  }

  void swap(Blocks& other) noexcept {
    blocks_.swap(other.blocks_);
    std::swap(borrowed_, other.borrowed_);
    std::swap(stride_, other.stride_);
    std::swap(shift_, other.shift_);
    std::swap(capacity_, other.capacity_);
  }

 private:
  static unsigned shift_for(size_t stride) {
    unsigned shift = 4;
    while (shift < 20 && (stride << (shift + 1)) <= kHugePage) ++shift;
    return shift;
  }

  Buffer<uint8_t*> blocks_;
  size_t stride_;
  unsigned shift_;
  size_t capacity_ = 0;  // items
  size_t borrowed_ = 0;  // of the blocks, the first so many belong to somebody else
};

}  // namespace annex
