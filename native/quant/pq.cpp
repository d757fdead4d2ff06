#include "quant/pq.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>

#include "base/parallel.h"
#include "base/round.h"
#include "kernels/dispatch.h"

namespace annex {
namespace {

constexpr size_t kBlockRows = 64;
constexpr size_t kTaskRows = 1024;
constexpr size_t kRounds = 3;  // over the parts of an anisotropic code
constexpr double kMostSquare = 1e30;

void put_code(uint8_t* code, size_t bits, size_t part, size_t value) {
  if (bits == 8) {
    code[part] = static_cast<uint8_t>(value);
  } else {
    const unsigned shift = 4 * (part % 2);
    code[part / 2] = static_cast<uint8_t>((code[part / 2] & ~(15u << shift)) | value << shift);
  }
}

size_t get_code(const uint8_t* code, size_t bits, size_t part) {
  if (bits == 8) return code[part];
  return code[part / 2] >> 4 * (part % 2) & 15;
}

}  // namespace

Status check_pq_shape(const PqShape& shape) {
  if (shape.bits != 4 && shape.bits != 8) {
    return fail(Status::invalid_argument, "bits of product codes must be 4 or 8, got %zu", shape.bits);
  }
  const size_t dim = shape.dim, m = shape.m;
  if (dim == 0 || dim > kMaxDim) {
    return fail(Status::invalid_argument, "dimensions before product codes must be 1 … %zu, got %zu", kMaxDim, dim);
  }
  if (m >= 1 && m <= dim && dim % m == 0) return Status::ok;
  if (m == 0 || m > dim) {
    return fail(Status::invalid_argument, "m must divide the %zu dimensions and be 1 … %zu, got %zu", dim, dim, m);
  }
  size_t below = m, above = m;
  while (dim % below != 0) --below;
  while (dim % above != 0) ++above;
  return fail(Status::invalid_argument,
              "m must divide the %zu dimensions, got %zu: the nearest that do are %zu and %zu", dim, m, below, above);
}

Status ProductQuantizer::set(const PqShape& shape, Buffer<float>&& codebooks) {
  const Status status = check_pq_shape(shape);
  if (status != Status::ok) return status;
  const size_t k = shape.codewords(), part = shape.part(), floats = shape.codebook_floats();
  if (codebooks.size() != floats) {
    return fail(Status::invalid_argument, "codebooks of %zu parts need %zu floats, got %zu", shape.m, floats,
                codebooks.size());
  }
  const size_t odd = kernels().first_nonfinite(codebooks.data(), floats);
  if (odd != floats) return fail(Status::not_finite, "element %zu of the codebooks is not finite", odd);
  if (!panels_.resize(floats) || !bias_.resize(shape.m * k)) return out_of_memory(floats * sizeof(float));
  for (size_t j = 0; j < shape.m; ++j) {
    const float* words = codebooks.data() + j * k * part;
    kernels().pack[static_cast<size_t>(Scalar::f32)](words, part * sizeof(float), k, part,
                                                     panels_.data() + j * k * part);
    for (size_t c = 0; c < k; ++c) {
      double square = 0;
      for (size_t d = 0; d < part; ++d) square += static_cast<double>(words[c * part + d]) * words[c * part + d];
      // An infinite bias would make the codeword unreachable, as it should be; two of them would make NaN.
      bias_[j * k + c] = static_cast<float>(std::min(square / 2, 1e38));
    }
  }
  shape_ = shape;
  codebooks_ = static_cast<Buffer<float>&&>(codebooks);
  return Status::ok;
}

size_t ProductQuantizer::encode_scratch_bytes() const {
  const size_t tables = 2 * shape_.m * shape_.codewords() * sizeof(float);  // of the anisotropic loss
  return std::max(kBlockRows * (shape_.dim * sizeof(float) + 1), tables);
}

void ProductQuantizer::encode(const float* rows, size_t stride, size_t n, uint8_t* codes, uint8_t* scratch) const {
  const Kernels& table = kernels();
  const size_t k = shape_.codewords(), part = shape_.part(), bytes = shape_.code_bytes(), dim = shape_.dim;
  float* panels = reinterpret_cast<float*>(scratch);
  uint8_t* found = scratch + kBlockRows * dim * sizeof(float);
  for (size_t first = 0; first < n; first += kBlockRows) {
    const size_t count = std::min(kBlockRows, n - first);
    table.pack[static_cast<size_t>(Scalar::f32)](rows + first * stride, stride * sizeof(float), count, dim, panels);
    uint8_t* to = codes + first * bytes;
    std::memset(to, 0, count * bytes);
    for (size_t j = 0; j < shape_.m; ++j) {
      table.nearest.nearest_codes(panels + j * part * kPanelRows, dim * kPanelRows, kPanelRows,
                                  round_up(count, kPanelRows), part, codebooks_.data() + j * k * part,
                                  bias_.data() + j * k, k, found, nullptr);
      for (size_t i = 0; i < count; ++i) put_code(to + i * bytes, shape_.bits, j, found[i]);
    }
  }
}

Status ProductQuantizer::encode_all(const float* rows, size_t n, uint8_t* codes, size_t threads,
                                    const int32_t* cancel) const {
  std::atomic<bool> starved{false};
  parallel_for((n + kTaskRows - 1) / kTaskRows, threads, [&](size_t task) {
    if (starved.load(std::memory_order_relaxed) || cancelled(cancel)) return;
    Buffer<uint8_t> scratch;
    if (!scratch.resize(encode_scratch_bytes())) {
      starved.store(true, std::memory_order_relaxed);
      return;
    }
    const size_t first = task * kTaskRows;
    encode(rows + first * shape_.dim, shape_.dim, std::min(kTaskRows, n - first), codes + first * shape_.code_bytes(),
           scratch.data());
  });
  if (starved.load()) return out_of_memory(encode_scratch_bytes());
  return cancelled(cancel) ? aborted() : Status::ok;
}

// The loss of a row x with direction u of length 1 and error r is |r|² + (weight - 1) ⟨r, u⟩² (Guo et al. 2020, section
// 3). The second term ties the parts together: codes start from the plain ones and are improved part by part.
void ProductQuantizer::encode_anisotropic(const float* rows, size_t stride, const float* directions,
                                          size_t direction_stride, size_t n, float weight, uint8_t* codes,
                                          uint8_t* scratch) const {
  encode(rows, stride, n, codes, scratch);
  const size_t tables_floats = shape_.m * shape_.codewords();
  float* own = reinterpret_cast<float*>(scratch);
  float* along = own + tables_floats;
  for (size_t i = 0; i < n; ++i) {
    const float *x = rows + i * stride, *u = directions + i * direction_stride;
    double square = 0, product = 0;
    for (size_t d = 0; d < shape_.dim; ++d) {
      square += static_cast<double>(u[d]) * u[d];
      product += static_cast<double>(u[d]) * x[d];
    }
    if (!(square > 0) || !(square < kMostSquare)) continue;
    tables(x, -2.0f, own);   // of |x - p|², what depends on the codeword p: |p|² - 2⟨x, p⟩
    tables(u, 1.0f, along);  // ⟨u, p⟩
    for (size_t c = 0; c < tables_floats; ++c) own[c] += 2 * bias_[c];
    improve_code(own, along, product, (weight - 1) / square, codes + i * shape_.code_bytes());
  }
}

// `product` is ⟨x, u⟩; the loss is Σ own + extra · (product - Σ along)² over the codewords that the code picks.
void ProductQuantizer::improve_code(const float* own, const float* along, double product, double extra,
                                    uint8_t* code) const {
  const size_t k = shape_.codewords();
  double left = product;  // ⟨x, u⟩ less what the codewords give
  for (size_t j = 0; j < shape_.m; ++j) left -= along[j * k + get_code(code, shape_.bits, j)];
  bool moved = true;
  for (size_t round = 0; round < kRounds && moved; ++round) {
    moved = false;
    for (size_t j = 0; j < shape_.m; ++j) {
      const float *error = own + j * k, *step = along + j * k;
      const size_t current = get_code(code, shape_.bits, j);
      const float rest = static_cast<float>(left + step[current]), factor = static_cast<float>(extra);
      const auto loss = [&](size_t c) { return error[c] + factor * (rest - step[c]) * (rest - step[c]); };
      size_t best = current;
      float least = loss(current);
      for (size_t c = 0; c < k; ++c) {
        const float value = loss(c);
        if (value < least) {
          least = value;
          best = c;
        }
      }
      if (best == current) continue;
      moved = true;
      left = static_cast<double>(rest) - step[best];
      put_code(code, shape_.bits, j, best);
    }
  }
}

void ProductQuantizer::decode(const uint8_t* code, float* row) const {
  const size_t part = shape_.part();
  for (size_t j = 0; j < shape_.m; ++j) {
    std::memcpy(row + j * part, codeword(j, get_code(code, shape_.bits, j)), part * sizeof(float));
  }
}

void ProductQuantizer::tables(const float* query, float factor, float* out) const {
  kernels().nearest.part_tables(query, panels_.data(), shape_.m, shape_.codewords(), shape_.part(), factor, out);
}

}  // namespace annex
