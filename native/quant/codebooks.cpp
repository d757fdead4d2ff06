#include "quant/codebooks.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/random.h"
#include "kernels/dispatch.h"

namespace annex {
namespace {

constexpr size_t kMostWords = 256;
constexpr size_t kChains = 4;
constexpr size_t kLanes = 8;
constexpr double kMostBias = 1e38;  // infinite, two of them could make NaN

}  // namespace

Status Lines::open(size_t points, size_t dimensions) {
  n = points;
  dim = dimensions;
  padded = (n + kPanelRows - 1) / kPanelRows * kPanelRows;
  stride = padded + 3 * kPanelRows;  // no power of two: lines would share the sets of the cache
  if (!data.resize(dim * stride)) return out_of_memory(dim * stride * sizeof(float));
  for (size_t d = 0; d < dim; ++d) std::fill(element(d) + n, element(d) + padded, 0.0f);
  return Status::ok;
}

void Lines::put_rows(const float* rows, size_t row_stride, size_t first, size_t count) {
  for (size_t i = 0; i < count; i += kPanelRows) {
    const size_t width = std::min(kPanelRows, count - i);
    for (size_t d = 0; d < dim; ++d) {
      float* to = element(d) + first + i;
      for (size_t j = 0; j < width; ++j) to[j] = rows[(i + j) * row_stride + d];
    }
  }
}

Status Codebooks::open(const PqShape& shape, uint64_t seed) {
  shape_ = shape;
  seed_ = seed;
  return words_.resize_zeroed(shape.codebook_floats()) ? Status::ok
                                                       : out_of_memory(shape.codebook_floats() * sizeof(float));
}

Status Codebooks::seed(const Lines& lines, size_t part, size_t n, size_t most) {
  const size_t k = shape_.codewords(), size = shape_.part(), count = std::min(n, most);
  Buffer<float> own, reach, fresh;  // points in hand, squared distances from all codewords so far and from the last
  if (!own.resize(count * size) || !reach.resize(count) || !fresh.resize(count)) {
    return out_of_memory(count * (size + 2) * sizeof(float));
  }
  for (size_t i = 0; i < count; ++i) {
    for (size_t d = 0; d < size; ++d) own[d * count + i] = lines.element(part * size + d)[i * n / count];
    reach[i] = std::numeric_limits<float>::infinity();
  }
  Random random(seed_ + 0x9E3779B97F4A7C15u * (part + 1));
  size_t chosen = random.below(count);
  for (size_t c = 0; c < k; ++c) {
    float* word = words(part) + c * size;
    for (size_t d = 0; d < size; ++d) word[d] = own[d * count + chosen];
    if (c + 1 == k) break;
    std::memset(fresh.data(), 0, count * sizeof(float));
    for (size_t d = 0; d < size; ++d) {
      const float* x = own.data() + d * count;
      for (size_t i = 0; i < count; ++i) fresh[i] += (x[i] - word[d]) * (x[i] - word[d]);
    }
    double sums[kLanes] = {};
    for (size_t i = 0; i < count; ++i) {
      reach[i] = std::min(reach[i], fresh[i]);
      sums[i % kLanes] += reach[i];
    }
    double total = 0;
    for (double sum : sums) total += sum;
    chosen = random.below(count);
    if (!(total > 0) || !(total < std::numeric_limits<double>::infinity())) continue;
    double passed = 0;
    if (reach[chosen] > 0) continue;
    const double wanted = random.uniform() * total;
    for (size_t i = 0; i < count && passed <= wanted; ++i) {
      passed += reach[i];
      if (reach[i] > 0) chosen = i;
    }
  }
  return Status::ok;
}

void Codebooks::improve(const Lines& lines, size_t part, size_t n, size_t iteration, uint8_t* codes) {
  const size_t k = shape_.codewords(), size = shape_.part(), padded = (n + kPanelRows - 1) / kPanelRows * kPanelRows;
  float* book = words(part);
  float bias[kMostWords];
  for (size_t c = 0; c < k; ++c) {
    double square = 0;
    for (size_t d = 0; d < size; ++d) square += static_cast<double>(book[c * size + d]) * book[c * size + d];
    bias[c] = static_cast<float>(std::min(square / 2, kMostBias));
  }
  kernels().nearest.nearest_codes(lines.element(part * size), kPanelRows, lines.stride, padded, size, book, bias, k,
                                  codes, nullptr);
  uint32_t counts[kMostWords] = {};
  for (size_t i = 0; i < n; ++i) ++counts[codes[i]];
  for (size_t d = 0; d < size; ++d) {
    // Several sums for each codeword, or the latency of one addition after the other is all there is.
    double sums[kChains][kMostWords] = {};
    const float* x = lines.element(part * size + d);
    size_t i = 0;
    for (; i + kChains <= n; i += kChains) {
      for (size_t chain = 0; chain < kChains; ++chain) sums[chain][codes[i + chain]] += x[i + chain];
    }
    for (; i < n; ++i) sums[0][codes[i]] += x[i];
    for (size_t c = 0; c < k; ++c) {
      if (counts[c] == 0) continue;
      const double sum = (sums[0][c] + sums[1][c]) + (sums[2][c] + sums[3][c]);
      book[c * size + d] = static_cast<float>(sum / counts[c]);
    }
  }
  // A codeword without points moves to a point of the codeword with most.
  Random random(seed_ ^ (0x656d707479u + part * 65536 + iteration));
  for (size_t c = 0; c < k; ++c) {
    if (counts[c] != 0) continue;
    const size_t largest = static_cast<size_t>(std::max_element(counts, counts + k) - counts);
    if (counts[largest] < 2) break;
    size_t at = random.below(n);
    while (codes[at] != largest) at = at + 1 < n ? at + 1 : 0;
    for (size_t d = 0; d < size; ++d) book[c * size + d] = lines.element(part * size + d)[at];
    counts[largest] /= 2;  // for the choice of the next alone
  }
}

void Codebooks::decode(Lines& lines, size_t part, size_t n, const uint8_t* codes) const {
  const size_t k = shape_.codewords(), size = shape_.part();
  const float* book = words_.data() + part * k * size;
  for (size_t d = 0; d < size; ++d) {
    float element[kMostWords];
    for (size_t c = 0; c < k; ++c) element[c] = book[c * size + d];
    float* x = lines.element(part * size + d);
    for (size_t i = 0; i < n; ++i) x[i] = element[codes[i]];
  }
}

}  // namespace annex
