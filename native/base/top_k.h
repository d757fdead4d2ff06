// The k best of a stream of (distance, id): a binary heap with the worst at the root. Equal distances are ordered
// by the smaller id, so the outcome does not depend on the order of arrival.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace annex {

struct Neighbor {
  float distance;
  int64_t id;
};

inline bool better(const Neighbor& a, const Neighbor& b) {
  return a.distance < b.distance || (a.distance == b.distance && a.id < b.id);
}

/// A view on `k` (≥ 1) neighbors that the caller owns.
class TopK {
 public:
  TopK() = default;
  TopK(Neighbor* items, size_t k) : items_(items), k_(k) {}

  /// A candidate above this distance cannot enter; +Infinity until k are there. At this distance it may, by its id.
  float threshold() const { return size_ < k_ ? std::numeric_limits<float>::infinity() : items_[0].distance; }

  /// NaN (an overflowed difference of infinities) counts as +Infinity.
  void push(float distance, int64_t id) {
    const Neighbor candidate{std::isnan(distance) ? std::numeric_limits<float>::infinity() : distance, id};
    if (size_ < k_) {
      size_t hole = size_++;
      while (hole > 0 && better(items_[(hole - 1) / 2], candidate)) {
        items_[hole] = items_[(hole - 1) / 2];
        hole = (hole - 1) / 2;
      }
      items_[hole] = candidate;
    } else if (better(candidate, items_[0])) {
      sift_down(candidate, k_);
    }
  }

  size_t size() const { return size_; }
  /// How many more there may be before the worst has to go.
  size_t room() const { return k_ - size_; }
  const Neighbor& operator[](size_t i) const { return items_[i]; }

  /// Best first. The heap is spent afterwards.
  void sort() {
    for (size_t n = size_; n > 1; --n) {
      const Neighbor worst = items_[0];
      sift_down(items_[n - 1], n - 1);
      items_[n - 1] = worst;
    }
  }

 private:
  // Puts `item` in place of the root of the heap's first n items.
  void sift_down(const Neighbor& item, size_t n) {
    const Neighbor moving = item;
    size_t hole = 0;
    for (size_t child = 1; child < n; child = 2 * hole + 1) {
      if (child + 1 < n && better(items_[child], items_[child + 1])) ++child;
      if (!better(moving, items_[child])) break;
      items_[hole] = items_[child];
      hole = child;
    }
    items_[hole] = moving;
  }

  Neighbor* items_ = nullptr;
  size_t k_ = 0;
  size_t size_ = 0;
};

}  // namespace annex
