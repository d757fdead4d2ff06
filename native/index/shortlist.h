// The best of many candidates, where their order does not matter.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "kernels/dispatch.h"
#include "kernels/walk.h"

namespace annex {

/// Keeps the least keys (pool_key) of all that are offered. To keep them in order, as the pool of a walk must, takes
/// some 300 cycles for each key that comes in; here they pile up until there are twice as many as are wanted.
class Shortlist {
 public:
  static constexpr size_t kOffered = 64;
  static constexpr size_t room(size_t most) { return 2 * most; }

  Shortlist() = default;
  /// `keys` has room for room(most) of them; most is not 0.
  Shortlist(uint64_t* keys, size_t most) : keys_(keys), most_(most) {}

  /// n ≤ kOffered candidates. Without a branch on each of them, which would be hard to predict.
  void offer(const float* distances, const uint32_t* slots, size_t n) {
    uint32_t within[kOffered];
    const size_t count = kernels().select_le(distances, n, limit_, within);
    for (size_t i = 0; i < count; ++i) {
      keys_[size_++] = pool_key(distances[within[i]], slots[within[i]]);
      if (size_ == room(most_)) shrink();
    }
  }
  /// The best, in any order; says how many.
  size_t finish() {
    if (size_ > most_) shrink_to_most();
    return size_;
  }
  const uint64_t* keys() const { return keys_; }

 private:
  static constexpr size_t kSamples = 16;

  // Drops keys of which none is wanted, most often about a third, by comparing all with one of a few samples. To find
  // the last key that is wanted would take ten times as long.
  void shrink() {
    uint64_t samples[kSamples];
    for (size_t i = 0; i < kSamples; ++i) samples[i] = keys_[(2 * i + 1) * size_ / (2 * kSamples)];
    std::sort(samples, samples + kSamples);
    for (size_t at = kSamples * 9 / 16; at < kSamples * 3 / 4; ++at) {
      size_t within = 0;
      for (size_t i = 0; i < size_; ++i) within += keys_[i] <= samples[at];
      if (within < most_) continue;
      size_t kept = 0;
      for (size_t i = 0; i < size_; ++i) {
        const uint64_t key = keys_[i];
        keys_[kept] = key;
        kept += key <= samples[at];
      }
      if (kept == size_) break;
      size_ = kept;
      limit_ = key_distance(samples[at]);
      return;
    }
    shrink_to_most();
  }
  void shrink_to_most() {
    std::nth_element(keys_, keys_ + most_ - 1, keys_ + size_);
    size_ = most_;
    limit_ = key_distance(keys_[most_ - 1]);
  }

  uint64_t* keys_ = nullptr;
  size_t most_ = 0, size_ = 0;
  float limit_ = std::numeric_limits<float>::infinity();  // what is beyond is not among the best
};

}  // namespace annex
