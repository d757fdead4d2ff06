#include "quant/fast_rotation.h"

#include <cmath>
#include <cstring>

#include "kernels/dispatch.h"

namespace annex {
namespace {

uint64_t mixed(uint64_t z) {  // splitmix64
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

void multiply(float* y, const float* signs, size_t n) {
  for (size_t i = 0; i < n; ++i) y[i] *= signs[i];
}

}  // namespace

Status FastRotation::create(size_t dim, uint64_t seed) {
  dim_ = dim;
  const size_t n = padded_dim();
  block_ = 16;
  while (block_ * 2 <= n) block_ *= 2;
  if (!signs_.resize(transforms() * n)) return out_of_memory(transforms() * n * sizeof(float));
  const float unit = 1.0f / std::sqrt(static_cast<float>(block_));
  uint64_t state = seed;
  for (size_t t = 0; t < transforms(); ++t) {
    for (size_t i = 0; i < n; ++i) {
      const float size = i >= start_of(t) && i < start_of(t) + block_ ? unit : 1.0f;
      signs_[t * n + i] = mixed(state += 0x9E3779B97F4A7C15u) >> 63 ? -size : size;
    }
  }
  return Status::ok;
}

// A rotation of each pair (i, i + n/2) by 45°; its own inverse.
void FastRotation::mix_halves(float* y) const {
  const size_t half = padded_dim() / 2;
  for (size_t i = 0; i < half; ++i) {
    const float a = y[i], b = y[i + half];
    y[i] = (a + b) * 0.70710678f;
    y[i + half] = (a - b) * 0.70710678f;
  }
}

void FastRotation::apply(const float* x, float* y) const {
  const size_t n = padded_dim();
  if (x != y) std::memcpy(y, x, dim_ * sizeof(float));
  std::memset(y + dim_, 0, (n - dim_) * sizeof(float));
  for (size_t i = 0; i < transforms(); ++i) {
    multiply(y, signs_.data() + i * n, n);
    kernels().codes.hadamard(y + start_of(i), block_);
    if (!whole() && i % 2 != 0) mix_halves(y);
  }
}

void FastRotation::undo(float* y, float* x) const {
  const size_t n = padded_dim();
  for (size_t i = transforms(); i-- > 0;) {
    if (!whole() && i % 2 != 0) mix_halves(y);
    kernels().codes.hadamard(y + start_of(i), block_);
    multiply(y, signs_.data() + i * n, n);
  }
  std::memcpy(x, y, dim_ * sizeof(float));
}

}  // namespace annex
