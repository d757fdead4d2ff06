#include "quant/eigen.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "quant/training.h"

namespace annex {
namespace {

constexpr double kRotationWork = 8;  // multiply-adds that an element costs in scalar code
constexpr size_t kMostIterations = 60;
constexpr double kEpsilon = 0x1p-44;

// Correctly rounded everywhere, as std::hypot is not; squares of floats neither overflow nor vanish.
double length(double a, double b) { return std::sqrt(a * a + b * b); }

}  // namespace

Status SymmetricEigen::begin(const float* a, size_t dim) {
  dim_ = dim;
  position_ = 0;
  phase_ = Phase::reduce;
  if (!a_.resize(dim * dim) || !diagonal_.resize(dim) || !beside_.resize(dim) || !factors_.resize(dim) ||
      !w_.resize(dim) || !vectors_.resize(dim * dim)) {
    return out_of_memory(dim * dim * 12);
  }
  for (size_t i = 0; i < dim; ++i) {
    for (size_t j = 0; j <= i; ++j) a_[i * dim + j] = a_[j * dim + i] = a[i * dim + j];
  }
  return Status::ok;
}

// Reflects rows and columns behind k so that row k ends at k + 1. The reflection 1 - f v vᵀ stays in row k.
void SymmetricEigen::reduce_column(size_t k) {
  const size_t n = dim_, rest = n - k - 1;
  double* row = a_.data() + k * n + k + 1;
  double square = 0;
  for (size_t j = 0; j < rest; ++j) square += row[j] * row[j];
  diagonal_[k] = a_[k * n + k];
  const double length = std::sqrt(square), head = row[0] > 0 ? -length : length;
  beside_[k] = length > 0 ? head : 0;
  factors_[k] = 0;
  if (rest < 2 || !(square - row[0] * row[0] > 0)) {
    beside_[k] = row[0];
    return;
  }
  row[0] -= head;
  double norm = 0;
  for (size_t j = 0; j < rest; ++j) norm += row[j] * row[j];
  const double f = 2 / norm;
  factors_[k] = f;
  double product = 0;
  for (size_t i = 0; i < rest; ++i) {
    const double* other = a_.data() + (k + 1 + i) * n + k + 1;
    double sum[4] = {0, 0, 0, 0};
    size_t j = 0;
    for (; j + 4 <= rest; j += 4) {
      for (size_t lane = 0; lane < 4; ++lane) sum[lane] += other[j + lane] * row[j + lane];
    }
    for (; j < rest; ++j) sum[0] += other[j] * row[j];
    w_[i] = f * ((sum[0] + sum[1]) + (sum[2] + sum[3]));
    product += w_[i] * row[i];
  }
  for (size_t i = 0; i < rest; ++i) w_[i] -= f / 2 * product * row[i];
  for (size_t i = 0; i < rest; ++i) {
    double* other = a_.data() + (k + 1 + i) * n + k + 1;
    const double vi = row[i], wi = w_[i];
    for (size_t j = 0; j < rest; ++j) other[j] -= vi * w_[j] + wi * row[j];
  }
}

// vectors_ holds the transposed product of the reflections after k: applies that of k.
void SymmetricEigen::gather_column(size_t k) {
  const size_t n = dim_, rest = n - k - 1;
  const double *v = a_.data() + k * n + k + 1, f = factors_[k];
  if (f == 0) return;
  for (size_t r = k + 1; r < n; ++r) {
    float* row = vectors_.data() + r * n + k + 1;
    double sum = 0;
    for (size_t j = 0; j < rest; ++j) sum += row[j] * v[j];
    for (size_t j = 0; j < rest; ++j) row[j] = static_cast<float>(row[j] - f * sum * v[j]);
  }
}

// One eigenvalue at l.
void SymmetricEigen::iterate(size_t l, double* work) {
  const size_t n = dim_;
  double *d = diagonal_.data(), *e = beside_.data();
  for (size_t iteration = 0; iteration < kMostIterations; ++iteration) {
    size_t m = l;
    while (m + 1 < n && std::abs(e[m]) > kEpsilon * (std::abs(d[m]) + std::abs(d[m + 1]))) ++m;
    if (m == l) return;
    double g = (d[l + 1] - d[l]) / (2 * e[l]), r = length(g, 1.0);
    g = d[m] - d[l] + e[l] / (g + std::copysign(r, g));
    double s = 1, c = 1, p = 0;
    size_t i = m;
    while (i-- > l) {
      const double f = s * e[i], b = c * e[i];
      r = length(f, g);
      e[i + 1] = r;
      if (r == 0) {
        d[i + 1] -= p;
        e[m] = 0;
        break;
      }
      s = f / r;
      c = g / r;
      g = d[i + 1] - p;
      r = (d[i] - g) * s + 2 * c * b;
      p = s * r;
      d[i + 1] = g + p;
      g = c * r - b;
      float *low = vectors_.data() + i * n, *high = low + n;
      const float sine = static_cast<float>(s), cosine = static_cast<float>(c);
      for (size_t j = 0; j < n; ++j) {
        const float x = high[j];
        high[j] = sine * low[j] + cosine * x;
        low[j] = cosine * low[j] - sine * x;
      }
      *work += kRotationWork * static_cast<double>(n);
    }
    if (r == 0 && i + 1 > l) continue;
    d[l] -= p;
    e[l] = g;
    e[m] = 0;
  }
}

bool SymmetricEigen::order(Buffer<uint32_t>* out) const {
  if (!out->resize(dim_)) return false;
  for (size_t i = 0; i < dim_; ++i) (*out)[i] = static_cast<uint32_t>(i);
  std::sort(out->data(), out->data() + dim_,
            [&](uint32_t a, uint32_t b) { return value(a) != value(b) ? value(a) > value(b) : a < b; });
  return true;
}

Status SymmetricEigen::step(const int32_t* cancel, double* work) {
  const size_t n = dim_;
  while (phase_ != Phase::finished && *work < kStepWork) {
    if (position_ % 16 == 0 && cancelled(cancel)) return aborted();
    const double rest = static_cast<double>(n - std::min(n, position_));
    switch (phase_) {
      case Phase::reduce:
        if (position_ + 1 < n) {
          reduce_column(position_++);
          *work += 3 * kRotationWork * rest * rest;
          break;
        }
        diagonal_[n - 1] = a_[n * n - 1];
        beside_[n - 1] = 0;
        std::memset(vectors_.data(), 0, n * n * sizeof(float));
        for (size_t i = 0; i < n; ++i) vectors_[i * n + i] = 1;
        position_ = 0;
        phase_ = Phase::gather;
        break;
      case Phase::gather:
        if (position_ + 1 < n) {
          const size_t k = n - 2 - position_++;
          gather_column(k);
          const double size = static_cast<double>(n - k);
          *work += 2 * kRotationWork * size * size;
          break;
        }
        position_ = 0;
        phase_ = Phase::iterate;
        break;
      case Phase::iterate:
        if (position_ < n) {
          iterate(position_++, work);
          break;
        }
        a_ = Buffer<double>();
        phase_ = Phase::finished;
        break;
      case Phase::finished: break;
    }
  }
  return Status::ok;
}

}  // namespace annex
