// Dense rotations: an orthogonal matrix before a quantizer, random or trained with it (pq_train.h). Fewer rows than
// columns reduce the dimension.
#pragma once
#include <cstddef>
#include <cstdint>

#include "base/buffer.h"
#include "base/status.h"

namespace annex {

class Rotation {
 public:
  /// Takes a matrix of `out` ≤ `in` orthonormal rows of `in` floats. INVALID_ARGUMENT where they are not (to 1e-3).
  Status set(size_t in, size_t out, Buffer<float>&& matrix);
  /// A random rotation: the same for the same seed and sizes.
  Status random(size_t in, size_t out, uint64_t seed);

  bool empty() const { return out_ == 0; }
  size_t in() const { return in_; }
  size_t out() const { return out_; }
  const Buffer<float>& matrix() const { return matrix_; }  // out × in, row-major: all that a file keeps
  size_t bytes() const { return matrix_.bytes() + forward_.bytes() + backward_.bytes(); }

  /// y (n × out, rows `y_stride` floats apart) = x (n × in) times the transposed matrix. One thread; any number of them
  /// may call. A row's result is the same wherever it stands. Scratch: scratch_bytes(), aligned to 64.
  void apply(const float* x, size_t x_stride, size_t n, float* y, size_t y_stride, uint8_t* scratch) const;
  /// One row, faster than apply, and not to the bit the same.
  void apply_query(const float* x, float* y, uint8_t* scratch) const;
  /// x (n × in) = y (n × out) times the matrix: the way back.
  void apply_back(const float* y, size_t y_stride, size_t n, float* x, size_t x_stride, uint8_t* scratch) const;
  size_t scratch_bytes() const;

  /// Greatest |(matrix · matrixᵀ - 1)ᵢⱼ|.
  double error() const;

 private:
  Status pack();

  size_t in_ = 0, out_ = 0;
  Buffer<float> matrix_;
  Buffer<float> forward_, backward_;  // the matrix and its transpose in float panels
};

}  // namespace annex
