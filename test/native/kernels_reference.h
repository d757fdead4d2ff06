// What the tests of kernels share: what kernels.h promises, written as plainly as possible and without any kernel, and
// checks that name the kernel table.
#pragma once
#include <sys/mman.h>
#include <unistd.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "kernels/kernels.h"
#include "testing.h"

namespace reference {

using annex::Op;
using annex::Scalar;

inline void check(bool ok, const annex::Kernels& k, const std::string& what) {
  ++testing::checks;
  if (!ok && ++testing::failures <= 20) std::printf("FAILED %s: %s\n", k.name, what.c_str());
}

/// Bytes that end where an inaccessible page begins, so that one byte read or written too far is a crash.
class Guarded {
 public:
  explicit Guarded(size_t bytes) : bytes_(bytes) {
#if defined(__wasm__)  // no pages to protect
    mapped_ = bytes + 1;
    base_ = data_ = static_cast<uint8_t*>(std::malloc(mapped_));
#else
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    mapped_ = (bytes + page - 1) / page * page + page;
    void* p = mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) std::abort();
    base_ = static_cast<uint8_t*>(p);
    data_ = base_ + mapped_ - page - bytes;
    if (mprotect(base_ + mapped_ - page, page, PROT_NONE) != 0) std::abort();
#endif
  }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;
  ~Guarded() {
#if defined(__wasm__)
    std::free(base_);
#else
    munmap(base_, mapped_);
#endif
  }
  uint8_t* data() const { return data_; }
  size_t size() const { return bytes_; }
  template <class T>
  T* as() const {
    return reinterpret_cast<T*>(data_);
  }

 private:
  size_t bytes_, mapped_ = 0;
  uint8_t *base_, *data_;
};

template <class T>
T read(const void* p) {
  T x;
  std::memcpy(&x, p, sizeof x);
  return x;
}

inline uint32_t bits(float x) { return read<uint32_t>(&x); }
inline float from_bits(uint32_t x) { return read<float>(&x); }
inline bool same(float a, float b) { return bits(a) == bits(b) || (std::isnan(a) && std::isnan(b)); }

inline float decode_f16(uint16_t h) {
  const int exponent = h >> 10 & 31, mantissa = h & 1023;
  const double sign = h & 0x8000 ? -1 : 1;
  if (exponent == 31) return static_cast<float>(mantissa ? NAN : sign * INFINITY);
  if (exponent == 0) return static_cast<float>(sign * std::ldexp(mantissa, -24));
  return static_cast<float>(sign * std::ldexp(1024 + mantissa, exponent - 25));
}

/// Nearest even on a grid of `digits` significant bits whose least spacing is 2^least and that ends at 2^overflow.
inline double round_to(double x, int digits, int least, int overflow) {
  if (x == 0 || std::isinf(x)) return x;
  int exponent;
  std::frexp(x, &exponent);
  const int unit = exponent - digits > least ? exponent - digits : least;
  const double rounded = std::ldexp(std::nearbyint(std::ldexp(x, -unit)), unit);
  return std::fabs(rounded) >= std::ldexp(1, overflow) ? std::copysign(INFINITY, x) : rounded;
}

inline uint16_t encode_f16(float x) {
  const uint16_t sign = std::signbit(x) ? 0x8000 : 0;
  const double r = std::fabs(round_to(x, 11, -24, 16));
  if (std::isinf(r)) return sign | 0x7c00;
  if (r < std::ldexp(1, -14)) return static_cast<uint16_t>(sign | static_cast<int>(std::ldexp(r, 24)));
  int exponent;
  const double fraction = std::frexp(r, &exponent);
  return static_cast<uint16_t>(sign | (exponent + 14) << 10 | (static_cast<int>(std::ldexp(fraction, 11)) & 1023));
}

inline uint16_t encode_bf16(float x) {
  const float r = static_cast<float>(round_to(x, 8, -133, 128));
  return static_cast<uint16_t>(bits(r == 0 ? std::copysign(0.0f, x) : r) >> 16);
}

inline void encode_sq8(const float* x, size_t dim, uint8_t* row) {
  float low = x[0], high = x[0];
  for (size_t i = 1; i < dim; i++) {
    low = std::fmin(low, x[i]);
    high = std::fmax(high, x[i]);
  }
  low += 0.0f;  // no negative zeros
  high += 0.0f;
  const bool overflow = std::isinf(high - low);
  const float step = overflow ? high / 255 - low / 255 : (high - low) / 255;
  std::memcpy(row, &low, 4);
  std::memcpy(row + 4, &step, 4);
  for (size_t i = 0; i < dim; i++) {
    // Where the range overflows, both sides of the quotient are halved.
    const float by = overflow ? 0.5f : 1.0f;
    const float code = step > 0 ? (x[i] * by - low * by) / (step * by) : 0;
    row[8 + i] = static_cast<uint8_t>(std::nearbyint(code < 0 ? 0 : code > 255 ? 255 : code));
  }
}

inline void encode(Scalar s, const float* x, size_t dim, uint8_t* row) {
  if (s == Scalar::f32) std::memcpy(row, x, 4 * dim);
  if (s == Scalar::sq8) encode_sq8(x, dim, row);
  for (size_t i = 0; i < dim && (s == Scalar::f16 || s == Scalar::bf16); i++) {
    const uint16_t h = s == Scalar::f16 ? encode_f16(x[i]) : encode_bf16(x[i]);
    std::memcpy(row + 2 * i, &h, 2);
  }
}

inline float fused(float a, float b, float c) {
#if defined(__wasm__)
  return static_cast<float>(static_cast<float>(a * b) + c);
#else
  return std::fmaf(a, b, c);
#endif
}

inline float element(Scalar s, const uint8_t* row, size_t i) {
  switch (s) {
    case Scalar::f32: return read<float>(row + 4 * i);
    case Scalar::f16: return decode_f16(read<uint16_t>(row + 2 * i));
    case Scalar::bf16: return from_bits(static_cast<uint32_t>(read<uint16_t>(row + 2 * i)) << 16);
    case Scalar::sq8: return fused(read<float>(row + 4), row[8 + i], read<float>(row));
    case Scalar::i8: return static_cast<int8_t>(row[i]);
    case Scalar::u8: return row[i];
    case Scalar::bits: return row[i / 8] >> (i % 8) & 1;
  }
  return 0;
}

/// The canonical distance of float codings; *bound gets how far it may lie from the exact one, which goes to *exact.
inline float canonical(Scalar s, Op op, const float* q, const uint8_t* row, size_t dim, double* exact, double* bound) {
  float lane[16] = {};
  double sum = 0, size = 0;
  for (size_t i = 0; i < dim; i++) {
    const float x = element(s, row, i), t = q[i] - x;
    float& acc = lane[i % 16];
    if (op == Op::dot) acc = fused(q[i], x, acc);
    if (op == Op::l2) acc = fused(t, t, acc);
    if (op == Op::l1) acc = acc + std::fabs(t);
    const double dq = q[i], dt = dq - x;
    const double term = op == Op::dot ? dq * x : op == Op::l2 ? dt * dt : std::fabs(dt);
    sum += term;
    size += std::fabs(term);
  }
  for (int half = 8; half >= 1; half /= 2) {
    for (int j = 0; j < half; j++) lane[j] = lane[j] + lane[j + half];
  }
  *exact = sum;
  *bound = size * (static_cast<double>(dim) / 8 + 16) * 0x1p-24 + static_cast<double>(dim) * 0x1p-148;
  return lane[0];
}

inline float exact_bytes(Scalar s, Op op, const uint8_t* q, const uint8_t* row, size_t dim) {
  int64_t sum = 0, both = 0, either = 0;
  for (size_t i = 0; i < dim; i++) {
    const int64_t a = static_cast<int64_t>(element(s, q, i)), b = static_cast<int64_t>(element(s, row, i));
    if (op == Op::dot) sum += a * b;
    if (op == Op::l2) sum += (a - b) * (a - b);
    if (op == Op::l1 || op == Op::hamming) sum += std::abs(a - b);
    both += a & b;
    either += a | b;
  }
  if (op != Op::jaccard) return static_cast<float>(sum);
  return either ? static_cast<float>(static_cast<double>(either - both) / static_cast<double>(either)) : 0;
}

}  // namespace reference
