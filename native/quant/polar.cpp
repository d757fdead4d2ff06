#include "quant/polar.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>

#include "base/parallel.h"
#include "base/random.h"
#include "kernels/dispatch.h"
#include "quant/products.h"
#include "quant/training.h"

namespace annex {
namespace {

constexpr double kLeastValue = 1e-4;  // singular values, relative to the largest, that the scaling reckons with
constexpr double kNear = 0.98;        // squares of singular values no farther from 1: then they can be estimated
constexpr double kNearlyOrthonormal = 1e-4;
constexpr double kOrthonormal = 8e-6;
constexpr size_t kMostIterations = 40;
constexpr double kScalarWork = 8;  // multiply-adds that one costs in scalar code

// About the greatest eigenvalue of 1 - gram / scale, by a few powers.
double distance_from_one(const float* gram, size_t rows, size_t width, double scale, double* v, double* w) {
  constexpr int kPowers = 6;
  double length = 0;
  Random random(rows);
  for (size_t r = 0; r < rows; ++r) v[r] = random.uniform() - 0.5;
  for (int power = 0; power < kPowers; ++power) {
    double square = 0;
    for (size_t r = 0; r < rows; ++r) square += v[r] * v[r];
    if (!(square > 0)) return 0;
    const double factor = 1 / std::sqrt(square);
    for (size_t r = 0; r < rows; ++r) v[r] *= factor;
    length = 0;
    for (size_t r = 0; r < rows; ++r) {
      double sum = 0;
      for (size_t s = 0; s < rows; ++s) sum += static_cast<double>(gram[r * width + s]) * v[s];
      w[r] = v[r] - sum / scale;
      length += w[r] * w[r];
    }
    for (size_t r = 0; r < rows; ++r) v[r] = w[r];
  }
  return std::sqrt(length);
}

// As many blocks of kProductRows rows as there is work left for, each at `cost`.
size_t blocks_for(double work, double cost, size_t left) {
  const double wanted = std::max(kStepWork - work, 0.0) / cost;
  return wanted < static_cast<double>(left) ? std::max<size_t>(1, static_cast<size_t>(wanted)) : left;
}

size_t blocks_of(size_t rows) { return (rows + kProductRows - 1) / kProductRows; }

}  // namespace

Status PolarFactor::begin(float* a, size_t rows, size_t dim, size_t threads) {
  a_ = a;
  rows_ = rows;
  dim_ = dim;
  threads_ = threads;
  width_ = (rows + kPanelRows - 1) / kPanelRows * kPanelRows;
  iteration_ = position_ = axis_ = 0;
  least_ = kLeastValue;
  last_ = false;
  phase_ = Phase::gram;
  if (!panels_.resize(std::max(panel_floats(rows, dim), panel_floats(dim, rows))) || !gram_.resize(rows * width_) ||
      !next_.resize(rows * dim) || !powers_.resize(2 * rows)) {
    return out_of_memory(3 * rows * dim * sizeof(float));
  }
  double largest = 0;
  for (size_t i = 0; i < rows * dim; ++i) largest = std::max(largest, std::abs(static_cast<double>(a[i])));
  if (!(largest > 0) || !std::isfinite(largest)) {
    std::memset(a, 0, rows * dim * sizeof(float));
    phase_ = Phase::gram_schmidt;
    return Status::ok;
  }
  for (size_t i = 0; i < rows * dim; ++i) a[i] = static_cast<float>(a[i] / largest);
  return Status::ok;
}

// Newton-Schulz with the scaling of Chen and Chow (2014): X ← ρ X (3 - ρ² Xᵀ X) / 2, where ρ makes the most of the
// least singular value that is reckoned with. No singular value may exceed 1: the first Gram matrix bounds them. A lack
// of rank shows in rows that do not become orthonormal.
Status PolarFactor::step(const int32_t* cancel, double* work) {
  do {
    if (cancelled(cancel)) return aborted();
    Status status = Status::ok;
    switch (phase_) {
      case Phase::gram: status = gram_slice(cancel, work); break;
      case Phase::product: status = product_slice(cancel, work); break;
      case Phase::gram_schmidt:
        *work += kScalarWork * 4 * static_cast<double>((position_ + 1) * dim_);
        orthogonalize_row();
        break;
      case Phase::finished: return Status::ok;
    }
    if (status != Status::ok) return status;
  } while (*work < kStepWork && phase_ != Phase::finished);
  return Status::ok;
}

// The next rows of X Xᵀ, of which half is computed.
Status PolarFactor::gram_slice(const int32_t* cancel, double* work) {
  if (position_ == 0) {
    kernels().pack[static_cast<size_t>(Scalar::f32)](a_, dim_ * sizeof(float), rows_, dim_, panels_.data());
  }
  const double cost = static_cast<double>(kProductRows * dim_ * rows_) / 2;
  const size_t count = blocks_for(*work, cost, blocks_of(rows_) - position_);
  std::atomic<bool> starved{false};
  parallel_for(count, threads_, [&](size_t task) {
    if (cancelled(cancel)) return;
    const size_t first = (position_ + task) * kProductRows, here = std::min(kProductRows, rows_ - first);
    Buffer<float> scratch;
    if (!scratch.resize(product_scratch_floats(first + here, dim_))) {
      starved.store(true, std::memory_order_relaxed);
      return;
    }
    product(a_ + first * dim_, dim_, here, panels_.data(), first + here, dim_, gram_.data() + first * width_, width_,
            scratch.data());
  });
  if (starved.load()) return out_of_memory(product_scratch_floats(rows_, dim_) * sizeof(float));
  if (cancelled(cancel)) return aborted();
  *work += cost * static_cast<double>(count);
  position_ += count;
  if (position_ < blocks_of(rows_)) return Status::ok;
  position_ = 0;
  for (size_t r = 0; r < rows_; ++r) {
    for (size_t s = r + 1; s < rows_; ++s) gram_[r * width_ + s] = gram_[s * width_ + r];
  }
  *work += 2 * kScalarWork * static_cast<double>(rows_ * rows_);
  weigh();
  return Status::ok;
}

// Whether X is there, or how the next one is made of X and X Xᵀ X.
void PolarFactor::weigh() {
  double most_row = 0, square = 0, miss = 0;
  for (size_t r = 0; r < rows_; ++r) {
    double sum = 0;
    for (size_t s = 0; s < rows_; ++s) {
      const double value = gram_[r * width_ + s];
      sum += std::abs(value);
      square += value * value;
      const double from = std::abs(value - (r == s ? 1 : 0));
      if (!(from <= miss)) miss = from;
    }
    most_row = std::max(most_row, sum);
  }
  if (last_ || iteration_ == kMostIterations) {
    phase_ = miss < kOrthonormal ? Phase::finished : Phase::gram_schmidt;
    return;
  }
  // Singular values of X over √scale are at most 1.
  const double scale = iteration_ == 0 ? std::min(most_row, std::sqrt(square)) : 1;
  if (iteration_ == 0 && !(scale > 0)) {
    phase_ = Phase::gram_schmidt;
    return;
  }
  // An estimate may be too large: that costs iterations, no more.
  const double far = distance_from_one(gram_.data(), rows_, width_, scale, powers_.data(), powers_.data() + rows_);
  if (far < kNear) least_ = std::max(least_, std::sqrt(1 - far));
  const double rho2 = 3 / (1 + least_ + least_ * least_), rho = std::sqrt(rho2);
  least_ = std::min(1.0, 0.5 * rho * least_ * (3 - rho2 * least_ * least_));
  own_ = 1.5 * rho / std::sqrt(scale);
  cubed_ = 0.5 * rho * rho2 / (scale * std::sqrt(scale));
  last_ = miss < kNearlyOrthonormal;  // which this iteration squares
  pack_transposed(a_, rows_, dim_, panels_.data());
  phase_ = Phase::product;
}

Status PolarFactor::product_slice(const int32_t* cancel, double* work) {
  const double cost = static_cast<double>(kProductRows * dim_ * rows_);
  const size_t count = blocks_for(*work, cost, blocks_of(rows_) - position_);
  const size_t first = position_ * kProductRows, here = std::min(rows_ - first, count * kProductRows);
  const Status status = product_all(gram_.data() + first * width_, width_, here, panels_.data(), dim_, rows_,
                                    next_.data() + first * dim_, dim_, threads_);
  if (status != Status::ok) return status;
  if (cancelled(cancel)) return aborted();
  *work += cost * static_cast<double>(count);
  position_ += count;
  if (position_ < blocks_of(rows_)) return Status::ok;
  position_ = 0;
  const float own = static_cast<float>(own_), cubed = static_cast<float>(cubed_);
  for (size_t i = 0; i < rows_ * dim_; ++i) a_[i] = own * a_[i] - cubed * next_[i];
  ++iteration_;
  phase_ = Phase::gram;
  return Status::ok;
}

// Makes the next row orthonormal to those before; one that depends on them becomes a unit vector that does not.
void PolarFactor::orthogonalize_row() {
  float* row = a_ + position_ * dim_;
  for (bool done = false; !done;) {
    double before = 0, after = 0;
    for (size_t d = 0; d < dim_; ++d) before += static_cast<double>(row[d]) * row[d];
    for (int pass = 0; pass < 2; ++pass) {  // twice is enough (Kahan, Parlett)
      for (size_t s = 0; s < position_; ++s) {
        const float* other = a_ + s * dim_;
        double product = 0;
        for (size_t d = 0; d < dim_; ++d) product += static_cast<double>(row[d]) * other[d];
        for (size_t d = 0; d < dim_; ++d) row[d] = static_cast<float>(row[d] - product * other[d]);
      }
    }
    for (size_t d = 0; d < dim_; ++d) after += static_cast<double>(row[d]) * row[d];
    done = after > 1e-6 * before && after > 1e-30 && std::isfinite(after);
    if (done) {
      const double factor = 1 / std::sqrt(after);
      for (size_t d = 0; d < dim_; ++d) row[d] = static_cast<float>(row[d] * factor);
    } else {
      for (size_t d = 0; d < dim_; ++d) row[d] = d == axis_ ? 1.0f : 0.0f;
      ++axis_;
    }
  }
  if (++position_ == rows_) phase_ = Phase::finished;
}

}  // namespace annex
