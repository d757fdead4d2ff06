#include "quant/anisotropic.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>

#include "base/parallel.h"
#include "quant/training.h"

namespace annex {
namespace {

constexpr size_t kRounds = 4;
constexpr size_t kTaskRows = 256;
constexpr double kScalarWork = 8;  // multiply-adds that one costs in scalar code

// Solves a p = b for a symmetric positive definite a (dim × dim, row-major), by Cholesky in place. False where a is
// not.
bool solve(double* a, double* b, size_t dim) {
  for (size_t i = 0; i < dim; ++i) {
    for (size_t j = 0; j <= i; ++j) {
      double sum = a[i * dim + j];
      for (size_t l = 0; l < j; ++l) sum -= a[i * dim + l] * a[j * dim + l];
      if (i == j && !(sum > 0)) return false;
      a[i * dim + j] = i == j ? std::sqrt(sum) : sum / a[j * dim + j];
    }
  }
  for (size_t i = 0; i < dim; ++i) {
    for (size_t l = 0; l < i; ++l) b[i] -= a[i * dim + l] * b[l];
    b[i] /= a[i * dim + i];
  }
  for (size_t i = dim; i-- > 0;) {
    for (size_t l = i + 1; l < dim; ++l) b[i] -= a[l * dim + i] * b[l];
    b[i] /= a[i * dim + i];
  }
  return true;
}

}  // namespace

Status Anisotropic::begin(const PqShape& shape, Buffer<float>&& codebooks, Buffer<float>&& rows,
                          Buffer<float>&& directions, size_t n, float weight, size_t threads) {
  shape_ = shape;
  codebooks_ = static_cast<Buffer<float>&&>(codebooks);
  rows_ = static_cast<Buffer<float>&&>(rows);
  directions_ = static_cast<Buffer<float>&&>(directions);
  n_ = n;
  weight_ = weight;
  threads_ = threads;
  round_ = position_ = 0;
  coding_ = true;
  finished_ = shape.part() > kMostPart;
  if (!left_.resize(n) || !codes_.resize(n * shape.m)) return out_of_memory(n * (shape.m + sizeof(double)));
  // Directions of length 1; those without a length weigh nothing.
  for (size_t i = 0; i < n; ++i) {
    float* u = directions_.data() + i * shape.dim;
    double square = 0;
    for (size_t d = 0; d < shape.dim; ++d) square += static_cast<double>(u[d]) * u[d];
    const double factor = square > 0 && std::isfinite(square) ? 1 / std::sqrt(square) : 0;
    for (size_t d = 0; d < shape.dim; ++d) u[d] = static_cast<float>(u[d] * factor);
  }
  return Status::ok;
}

double Anisotropic::done() const {
  if (finished_) return 1;
  const double within = coding_ ? static_cast<double>(position_) / static_cast<double>(n_)
                                : 1 + static_cast<double>(position_) / static_cast<double>(shape_.m);
  return (static_cast<double>(round_) + within / 2) / kRounds;
}

Status Anisotropic::step(const int32_t* cancel, double* work) {
  if (finished_) return Status::ok;
  if (coding_) return code_slice(cancel, work);
  const Status status = improve_part(position_);
  *work += kScalarWork * static_cast<double>(n_ * shape_.part() * (shape_.part() + 4));
  if (status != Status::ok || ++position_ < shape_.m) return status;
  position_ = 0;
  coding_ = true;
  finished_ = ++round_ == kRounds;
  return Status::ok;
}

// Codes of the next rows, one byte for each part, and what their errors leave along the directions.
Status Anisotropic::code_slice(const int32_t* cancel, double* work) {
  const size_t dim = shape_.dim, bytes = shape_.code_bytes();
  if (position_ == 0) {
    Buffer<float> copy;
    if (!copy.resize(codebooks_.size())) return out_of_memory(codebooks_.size() * sizeof(float));
    std::memcpy(copy.data(), codebooks_.data(), codebooks_.size() * sizeof(float));
    const Status status = quantizer_.set(shape_, static_cast<Buffer<float>&&>(copy));
    if (status != Status::ok) return status;
  }
  const double cost = static_cast<double>(shape_.codewords() * (dim + kScalarWork * shape_.m));
  const size_t wanted = static_cast<size_t>(std::max(kStepWork - *work, 0.0) / cost) / kTaskRows * kTaskRows;
  const size_t begin = position_, end = std::min(n_, begin + std::max(kTaskRows, wanted));
  std::atomic<bool> starved{false};
  parallel_for((end - begin + kTaskRows - 1) / kTaskRows, threads_, [&](size_t task) {
    if (cancelled(cancel)) return;
    const size_t first = begin + task * kTaskRows, last = std::min(end, first + kTaskRows);
    Buffer<uint8_t> scratch, code;
    Buffer<float> row;
    if (!scratch.resize(quantizer_.encode_scratch_bytes()) || !code.resize(bytes) || !row.resize(dim)) {
      starved.store(true, std::memory_order_relaxed);
      return;
    }
    for (size_t i = first; i < last; ++i) {
      const float *x = rows_.data() + i * dim, *u = directions_.data() + i * dim;
      quantizer_.encode_anisotropic(x, dim, u, dim, 1, weight_, code.data(), scratch.data());
      quantizer_.decode(code.data(), row.data());
      double left = 0;
      for (size_t d = 0; d < dim; ++d) left += (static_cast<double>(x[d]) - row[d]) * u[d];
      left_[i] = left;
      for (size_t j = 0; j < shape_.m; ++j) {
        codes_[i * shape_.m + j] = shape_.bits == 8 ? code[j] : static_cast<uint8_t>(code[j / 2] >> 4 * (j % 2) & 15);
      }
    }
  });
  if (starved.load()) return out_of_memory(quantizer_.encode_scratch_bytes());
  if (cancelled(cancel)) return aborted();
  *work += cost * static_cast<double>(end - begin);
  position_ = end;
  if (position_ < n_) return Status::ok;
  position_ = 0;
  coding_ = false;
  return Status::ok;
}

// The codewords of one part that make the loss least while all else stays: with e = weight - 1 and u the part of a
// row's direction, (count + e Σ u uᵀ) p = Σ x + e Σ (left + ⟨u, old p⟩) u.
Status Anisotropic::improve_part(size_t part) {
  const size_t size = shape_.part(), k = shape_.codewords(), each = size * size + size;
  Buffer<double> systems;
  if (!systems.resize_zeroed(k * each)) return out_of_memory(k * each * sizeof(double));
  float* words = codebooks_.data() + part * k * size;
  const double extra = static_cast<double>(weight_) - 1;
  const auto row_part = [&](const Buffer<float>& all, size_t i) { return all.data() + i * shape_.dim + part * size; };
  for (size_t i = 0; i < n_; ++i) {
    const size_t c = codes_[i * shape_.m + part];
    const float *x = row_part(rows_, i), *u = row_part(directions_, i), *old = words + c * size;
    double *a = systems.data() + c * each, *b = a + size * size, along = left_[i];
    for (size_t d = 0; d < size; ++d) along += static_cast<double>(u[d]) * old[d];
    left_[i] = along;
    for (size_t d = 0; d < size; ++d) {
      b[d] += x[d] + extra * along * u[d];
      a[d * size + d] += 1;
      for (size_t s = 0; s <= d; ++s) a[d * size + s] += extra * u[d] * u[s];
    }
  }
  for (size_t c = 0; c < k; ++c) {
    double *a = systems.data() + c * each, *b = a + size * size;
    if (!(a[0] > 0) || !solve(a, b, size)) continue;  // without rows
    bool finite = true;
    for (size_t d = 0; d < size; ++d) finite = finite && std::abs(b[d]) < 3e38;
    for (size_t d = 0; d < size && finite; ++d) words[c * size + d] = static_cast<float>(b[d]);
  }
  for (size_t i = 0; i < n_; ++i) {
    const float *u = row_part(directions_, i), *word = words + codes_[i * shape_.m + part] * size;
    for (size_t d = 0; d < size; ++d) left_[i] -= static_cast<double>(u[d]) * word[d];
  }
  return Status::ok;
}

}  // namespace annex
