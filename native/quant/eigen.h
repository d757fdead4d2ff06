// Eigenvectors of a symmetric matrix, in steps.
#pragma once
#include <cstddef>
#include <cstdint>

#include "base/buffer.h"
#include "base/status.h"

namespace annex {

/// Householder's reduction to a tridiagonal matrix, then implicit QL (Golub, Van Loan: Matrix Computations, 8.3).
class SymmetricEigen {
 public:
  /// Copies the lower triangle of a (dim × dim, row-major).
  Status begin(const float* a, size_t dim);
  /// The next part, until `work` (multiply-adds) reaches kStepWork.
  Status step(const int32_t* cancel, double* work);
  bool finished() const { return phase_ == Phase::finished; }

  /// In no order; vector(i) belongs to value(i). Values that did not converge are near ones.
  double value(size_t i) const { return diagonal_[i]; }
  const float* vector(size_t i) const { return vectors_.data() + i * dim_; }
  /// All of them, the greatest value first. False: out of memory.
  [[nodiscard]] bool order(Buffer<uint32_t>* out) const;

 private:
  enum class Phase : uint8_t { reduce, gather, iterate, finished };

  void reduce_column(size_t k);
  void gather_column(size_t k);
  void iterate(size_t l, double* work);

  size_t dim_ = 0, position_ = 0;
  Phase phase_ = Phase::finished;
  Buffer<double> a_, diagonal_, beside_, factors_, w_;
  Buffer<float> vectors_;  // rows
};

}  // namespace annex
