// A seeded random rotation in O(d log d): a few rounds of random signs, a Hadamard transform, and a Kac step between
// the halves. Signs and Hadamard transforms: Ailon & Chazelle, "The Fast Johnson-Lindenstrauss Transform", SIAM J.
// Comput. 2009; for dimensions that are no power of two the transform takes the first and the last 2^i elements in
// turns, as RaBitQ's authors do.
//
// Only additions, subtractions and multiplications, each rounded once in a fixed order: the same bytes everywhere.
#pragma once
#include <cstddef>
#include <cstdint>

#include "base/buffer.h"
#include "base/status.h"

namespace annex {

class FastRotation {
 public:
  /// Vectors are padded with zeros to a multiple of 16 before they are rotated: small enough to cost little, and what
  /// codes of one bit come in.
  static constexpr size_t padded(size_t dim) { return (dim + 15) / 16 * 16; }

  Status create(size_t dim, uint64_t seed);

  size_t dim() const { return dim_; }
  size_t padded_dim() const { return padded(dim_); }
  size_t bytes() const { return signs_.bytes(); }

  /// y[0 … padded_dim) ← R x. x has dim elements and may be y.
  void apply(const float* x, float* y) const;
  /// x[0 … dim) ← Rᵀ y; y is overwritten.
  void undo(float* y, float* x) const;

 private:
  bool whole() const { return block_ == padded_dim(); }
  size_t transforms() const { return whole() ? 3 : 4; }
  size_t start_of(size_t transform) const { return transform % 2 == 0 ? 0 : padded_dim() - block_; }
  void mix_halves(float* y) const;

  size_t dim_ = 0;
  size_t block_ = 0;     // the largest power of two that is not above padded_dim
  Buffer<float> signs_;  // per transform and element: ±1, over √block_ where the transform is
};

}  // namespace annex
