// OPQ (Ge, He, Ke, Sun 2013, non-parametric solution): codebooks and a rotation by turns, in steps. One turn is an
// iteration of k-means in the rotated space and then the rotation that brings the points nearest to their codewords:
// the orthogonal polar factor of the sum of codeword · pointᵀ. The start is their parametric solution: principal
// directions, shared out so that the products of the variances of all parts are about the same.
#pragma once
#include "quant/codebooks.h"
#include "quant/eigen.h"
#include "quant/polar.h"
#include "quant/training.h"

namespace annex {

class Opq {
 public:
  /// `points`: n × in, in random order; they stay where they are. in ≥ shape.dim.
  Status begin(const PqShape& shape, size_t in, const float* points, size_t n, size_t turns, uint64_t seed,
               size_t threads);
  Status step(const int32_t* cancel, double* work);
  bool finished() const { return phase_ == Phase::finished; }
  double done() const { return turns_ == 0 ? 1.0 : static_cast<double>(turn_) / static_cast<double>(turns_); }
  Buffer<float>& matrix() { return matrix_; }  // shape.dim × in
  Codebooks& codebooks() { return books_; }

 private:
  enum class Phase : uint8_t { moments, eigen, rotate, codes, correlate, turn, polar, finished };

  Status moments_slice(const int32_t* cancel, double* work);
  Status start();
  Status rotate_slice(const int32_t* cancel, double* work);
  Status codes_slice(const int32_t* cancel, double* work);
  Status correlate_slice(const int32_t* cancel, double* work);
  Status turn();
  Status polar_slice(const int32_t* cancel, double* work);
  size_t batch_points(size_t turn) const;

  PqShape shape_;
  size_t in_ = 0, n_ = 0, turns_ = 0, turn_ = 0, threads_ = 0;
  uint64_t seed_ = 0;
  const float* points_ = nullptr;
  const float* batch_ = nullptr;  // of this turn: points_ or a part of them
  size_t batch_n_ = 0, position_ = 0;
  bool started_ = false, prolonged_ = false;
  Phase phase_ = Phase::moments;
  Buffer<float> matrix_, sum_;
  Buffer<uint8_t> codes_;  // [m][batch]
  Lines lines_;            // the batch rotated, then its codewords
  Codebooks books_;
  SymmetricEigen eigen_;
  PolarFactor polar_;
};

/// Rotates rows first … first + count of `points` into lines. Scratch of its own.
Status rotate_into(Lines& lines, const float* matrix, size_t in, const float* points, size_t first, size_t count,
                   size_t threads);

}  // namespace annex
