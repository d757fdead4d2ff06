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
constexpr double kPi = 3.14159265358979323846;

}  // namespace

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
