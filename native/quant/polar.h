// The orthogonal polar factor of a matrix, in steps.
#pragma once
#include <cstddef>
#include <cstdint>

#include "base/buffer.h"
#include "base/status.h"

namespace annex {

/// Turns a matrix into the nearest one of orthonormal rows. Where it lacks rank, directions orthogonal to the others
/// are chosen.
class PolarFactor {
 public:
  /// `a` (rows × dim, rows ≤ dim; row-major) stays where it is and is overwritten, step by step.
  Status begin(float* a, size_t rows, size_t dim, size_t threads);
  /// The next part, until `work` (multiply-adds) reaches kStepWork. The same parts for any number of threads.
  Status step(const int32_t* cancel, double* work);
  bool finished() const { return phase_ == Phase::finished; }

 private:
  enum class Phase : uint8_t { gram, product, gram_schmidt, finished };

  Status gram_slice(const int32_t* cancel, double* work);
  void weigh();
  Status product_slice(const int32_t* cancel, double* work);
  void orthogonalize_row();

  float* a_ = nullptr;
  size_t rows_ = 0, dim_ = 0, width_ = 0, threads_ = 0;
  Phase phase_ = Phase::finished;
  size_t iteration_ = 0, position_ = 0, axis_ = 0;
  double least_ = 0;            // singular value that the scaling reckons with
  double own_ = 0, cubed_ = 0;  // factors of X and X Xᵀ X
  bool last_ = false;
  Buffer<float> panels_, gram_, next_;
  Buffer<double> powers_;
};

}  // namespace annex
