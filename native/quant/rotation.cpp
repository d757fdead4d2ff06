#include "quant/rotation.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>

#include "base/parallel.h"
#include "base/random.h"
#include "kernels/dispatch.h"
#include "quant/products.h"

namespace annex {
namespace {

constexpr double kOrthogonal = 1e-3;  // what a file may bring
constexpr double kLeastValue = 1e-4;  // singular values, relative to the largest, that the scaling reckons with
constexpr double kNear = 0.98;        // squares of singular values no farther from 1: then they can be estimated
constexpr double kNearlyOrthonormal = 1e-4;
constexpr double kOrthonormal = 8e-6;
constexpr size_t kMostIterations = 40;
constexpr double kPi = 3.14159265358979323846;

// Makes the rows orthonormal one after the other; a row that depends on those before becomes a unit vector that does
// not.
void gram_schmidt(float* a, size_t rows, size_t dim) {
  size_t axis = 0;
  for (size_t r = 0; r < rows; ++r) {
    float* row = a + r * dim;
    for (bool done = false; !done;) {
      double before = 0, after = 0;
      for (size_t d = 0; d < dim; ++d) before += static_cast<double>(row[d]) * row[d];
      for (int pass = 0; pass < 2; ++pass) {  // twice is enough (Kahan, Parlett)
        for (size_t s = 0; s < r; ++s) {
          const float* other = a + s * dim;
          double product = 0;
          for (size_t d = 0; d < dim; ++d) product += static_cast<double>(row[d]) * other[d];
          for (size_t d = 0; d < dim; ++d) row[d] = static_cast<float>(row[d] - product * other[d]);
        }
      }
      for (size_t d = 0; d < dim; ++d) after += static_cast<double>(row[d]) * row[d];
      done = after > 1e-6 * before && after > 1e-30 && std::isfinite(after);
      if (done) {
        const double factor = 1 / std::sqrt(after);
        for (size_t d = 0; d < dim; ++d) row[d] = static_cast<float>(row[d] * factor);
      } else {
        for (size_t d = 0; d < dim; ++d) row[d] = d == axis ? 1.0f : 0.0f;
        ++axis;
      }
    }
  }
}

// a · aᵀ, of which half is computed.
Status gram_matrix(const float* a, size_t rows, size_t dim, const float* panels, float* gram, size_t width,
                   size_t threads) {
  std::atomic<bool> starved{false};
  parallel_for((rows + kProductRows - 1) / kProductRows, threads, [&](size_t task) {
    const size_t first = task * kProductRows, count = std::min(kProductRows, rows - first);
    Buffer<float> scratch;
    if (!scratch.resize(product_scratch_floats(first + count, dim))) {
      starved.store(true, std::memory_order_relaxed);
      return;
    }
    product(a + first * dim, dim, count, panels, first + count, dim, gram + first * width, width, scratch.data());
  });
  if (starved.load()) return out_of_memory(product_scratch_floats(rows, dim) * sizeof(float));
  for (size_t r = 0; r < rows; ++r) {
    for (size_t s = r + 1; s < rows; ++s) gram[r * width + s] = gram[s * width + r];
  }
  return Status::ok;
}

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

}  // namespace

// Newton-Schulz with the scaling of Chen and Chow (2014): X ← ρ X (3 - ρ² Xᵀ X) / 2, where ρ makes the most of the
// least singular value that is reckoned with. No singular value may exceed 1: the first Gram matrix bounds them. A lack
// of rank shows in rows that do not become orthonormal.
Status orthonormalize(float* a, size_t rows, size_t dim, size_t threads) {
  Buffer<float> panels, gram, next;
  Buffer<double> powers;
  const size_t width = (rows + kPanelRows - 1) / kPanelRows * kPanelRows;
  if (!panels.resize(std::max(panel_floats(rows, dim), panel_floats(dim, rows))) || !gram.resize(rows * width) ||
      !next.resize(rows * dim) || !powers.resize(2 * rows)) {
    return out_of_memory(3 * rows * dim * sizeof(float));
  }
  double largest = 0;
  for (size_t i = 0; i < rows * dim; ++i) largest = std::max(largest, std::abs(static_cast<double>(a[i])));
  if (!(largest > 0) || !std::isfinite(largest)) {
    std::memset(a, 0, rows * dim * sizeof(float));
    gram_schmidt(a, rows, dim);
    return Status::ok;
  }
  for (size_t i = 0; i < rows * dim; ++i) a[i] = static_cast<float>(a[i] / largest);
  double least = kLeastValue;
  bool last = false;
  for (size_t iteration = 0;; ++iteration) {
    kernels().pack[static_cast<size_t>(Scalar::f32)](a, dim * sizeof(float), rows, dim, panels.data());
    Status status = gram_matrix(a, rows, dim, panels.data(), gram.data(), width, threads);
    if (status != Status::ok) return status;
    double most_row = 0, square = 0, miss = 0;
    for (size_t r = 0; r < rows; ++r) {
      double sum = 0;
      for (size_t s = 0; s < rows; ++s) {
        const double value = gram[r * width + s];
        sum += std::abs(value);
        square += value * value;
        const double from = std::abs(value - (r == s ? 1 : 0));
        if (!(from <= miss)) miss = from;
      }
      most_row = std::max(most_row, sum);
    }
    if (last || iteration == kMostIterations) {
      if (!(miss < kOrthonormal)) gram_schmidt(a, rows, dim);
      return Status::ok;
    }
    // Singular values of X over √scale are at most 1.
    const double scale = iteration == 0 ? std::min(most_row, std::sqrt(square)) : 1;
    if (iteration == 0 && !(scale > 0)) {
      gram_schmidt(a, rows, dim);
      return Status::ok;
    }
    // An estimate may be too large: that costs iterations, no more.
    const double far = distance_from_one(gram.data(), rows, width, scale, powers.data(), powers.data() + rows);
    if (far < kNear) least = std::max(least, std::sqrt(1 - far));
    const double rho2 = 3 / (1 + least + least * least), rho = std::sqrt(rho2);
    least = std::min(1.0, 0.5 * rho * least * (3 - rho2 * least * least));
    pack_transposed(a, rows, dim, panels.data());
    status = product_all(gram.data(), width, rows, panels.data(), dim, rows, next.data(), dim, threads);
    if (status != Status::ok) return status;
    const float own = static_cast<float>(1.5 * rho / std::sqrt(scale));
    const float cubed = static_cast<float>(0.5 * rho * rho2 / (scale * std::sqrt(scale)));
    for (size_t i = 0; i < rows * dim; ++i) a[i] = own * a[i] - cubed * next[i];
    last = miss < kNearlyOrthonormal;  // which this iteration has squared
  }
}

Status Rotation::pack() {
  if (!forward_.resize(panel_floats(out_, in_)) || !backward_.resize(panel_floats(in_, out_))) {
    return out_of_memory(2 * out_ * in_ * sizeof(float));
  }
  kernels().pack[static_cast<size_t>(Scalar::f32)](matrix_.data(), in_ * sizeof(float), out_, in_, forward_.data());
  pack_transposed(matrix_.data(), out_, in_, backward_.data());
  return Status::ok;
}

double Rotation::error() const {
  double most = 0;
  for (size_t r = 0; r < out_; ++r) {
    for (size_t s = 0; s <= r; ++s) {
      double sum = r == s ? -1 : 0;
      const float *a = matrix_.data() + r * in_, *b = matrix_.data() + s * in_;
      for (size_t d = 0; d < in_; ++d) sum += static_cast<double>(a[d]) * b[d];
      if (!(std::abs(sum) <= most)) most = std::abs(sum);
    }
  }
  return most;
}

Status Rotation::set(size_t in, size_t out, Buffer<float>&& matrix) {
  if (out == 0 || out > in || in > kMaxDim || matrix.size() != in * out) {
    return fail(Status::invalid_argument,
                "a rotation takes 1 … %zu rows of as many floats as dimensions, got %zu of %zu", in, out, in);
  }
  // The Gram matrix by products: the check takes no longer than packing.
  Buffer<float> panels, gram;
  const size_t width = (out + kPanelRows - 1) / kPanelRows * kPanelRows;
  if (!panels.resize(panel_floats(out, in)) || !gram.resize(out * width)) return out_of_memory(out * in * 8);
  kernels().pack[static_cast<size_t>(Scalar::f32)](matrix.data(), in * sizeof(float), out, in, panels.data());
  const Status status = product_all(matrix.data(), in, out, panels.data(), out, in, gram.data(), width, 0);
  if (status != Status::ok) return status;
  for (size_t r = 0; r < out; ++r) {
    for (size_t s = 0; s < out; ++s) {
      const double miss = std::abs(gram[r * width + s] - (r == s ? 1.0 : 0.0));
      if (miss <= kOrthogonal) continue;
      return fail(Status::invalid_argument,
                  "the rows of a rotation must be orthonormal: rows %zu and %zu miss it by %g", r, s, miss);
    }
  }
  in_ = in;
  out_ = out;
  matrix_ = static_cast<Buffer<float>&&>(matrix);
  return pack();
}

// C D C E with the matrix C of the cosine transform and random signs D, E: orthogonal by construction, and each row
// depends on all signs.
Status Rotation::random(size_t in, size_t out, uint64_t seed) {
  Buffer<float> cosines, right, panels, matrix;
  if (!cosines.resize(in * in) || !right.resize(in * in) || !panels.resize(panel_floats(in, in)) ||
      !matrix.resize(out * in)) {
    return out_of_memory(4 * in * in * sizeof(float));
  }
  Buffer<float> wave;  // one period
  if (!wave.resize(4 * in)) return out_of_memory(4 * in * sizeof(float));
  const double n = static_cast<double>(in), factor = std::sqrt(2 / n);
  for (size_t i = 0; i < 4 * in; ++i)
    wave[i] = static_cast<float>(factor * std::cos(kPi * static_cast<double>(i) / (2 * n)));
  Random random(seed ^ 0x726f74617465u);
  for (size_t r = 0; r < in; ++r) {
    for (size_t d = 0; d < in; ++d) {
      cosines[r * in + d] = r == 0 ? static_cast<float>(1 / std::sqrt(n)) : wave[(2 * d + 1) * r % (4 * in)];
    }
  }
  for (size_t r = 0; r < in; ++r) {
    const float sign = random.next() >> 63 ? 1.0f : -1.0f;
    for (size_t d = 0; d < in; ++d) right[r * in + d] = sign * cosines[r * in + d];
  }
  pack_transposed(right.data(), in, in, panels.data());
  // Rows of the left factor in random order, so that few rows are as good as any.
  Buffer<uint32_t> order;
  if (!order.resize(in)) return out_of_memory(in * sizeof(uint32_t));
  for (size_t r = 0; r < in; ++r) order[r] = static_cast<uint32_t>(r);
  for (size_t r = 0; r < out; ++r) {
    std::swap(order[r], order[r + random.below(in - r)]);
    std::memcpy(right.data() + r * in, cosines.data() + order[r] * in, in * sizeof(float));
  }
  const Status status = product_all(right.data(), in, out, panels.data(), in, in, matrix.data(), in, 0);
  if (status != Status::ok) return status;
  for (size_t d = 0; d < in; ++d) {
    if (random.next() >> 63) continue;
    for (size_t r = 0; r < out; ++r) matrix[r * in + d] = -matrix[r * in + d];
  }
  return set(in, out, static_cast<Buffer<float>&&>(matrix));
}

size_t Rotation::scratch_bytes() const {
  return std::max(product_scratch_floats(out_, in_), product_scratch_floats(in_, out_)) * sizeof(float);
}

void Rotation::apply(const float* x, size_t x_stride, size_t n, float* y, size_t y_stride, uint8_t* scratch) const {
  product(x, x_stride, n, forward_.data(), out_, in_, y, y_stride, reinterpret_cast<float*>(scratch));
}

void Rotation::apply_query(const float* x, float* y, uint8_t* scratch) const {
  float* sums = reinterpret_cast<float*>(scratch);
  kernels().sums_f32(x, in_, 1, forward_.data(), out_, in_, sums);
  std::memcpy(y, sums, out_ * sizeof(float));
}

void Rotation::apply_back(const float* y, size_t y_stride, size_t n, float* x, size_t x_stride,
                          uint8_t* scratch) const {
  product(y, y_stride, n, backward_.data(), in_, out_, x, x_stride, reinterpret_cast<float*>(scratch));
}

}  // namespace annex
