// A small generator of random numbers: the same on every platform (splitmix64: Steele, Lea, Flood 2014).
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace annex {

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next() {
    uint64_t z = (state_ += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }
  /// In [0, n), n ≥ 1; the bias of 2⁻⁶⁴ · n does not matter here.
  size_t below(size_t n) { return static_cast<size_t>(next() % n); }
  /// In [0, 1).
  double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }

 private:
  uint64_t state_;
};

/// A number that is random for a seed and a position, the same in any order.
inline uint64_t hash(uint64_t seed, uint64_t position) {
  uint64_t z = seed * 0xD1342543DE82EF95u + (position + 1) * 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

}  // namespace annex
