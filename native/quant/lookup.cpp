#include "quant/lookup.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/dispatch.h"

namespace annex {
namespace {

// Rounding moves each of the two largest entries up by at most half, and so their sum up to 255.
constexpr float kMostRounded = 254;
// Less than 255 by more than the quotients below can err.
constexpr float kMostFloored = 254.9f;

LookupScale quantize(const float* tables, size_t m, size_t width, uint8_t* lut, float most, float offset) {
  const CodeKernels& k = kernels().codes;
  constexpr size_t kSome = 256;  // tables at a time
  float low[kSome], high[kSome];
  float widest = 0, second = 0;
  double bias = 0, size = 0;
  for (size_t first = 0; first < m; first += kSome) {
    const size_t count = std::min(kSome, m - first);
    k.table_extents(tables + first * width, count, width, low, high);
    for (size_t j = 0; j < count; ++j) {
      const float range = high[j] - low[j];
      if (!(range <= widest)) {
        second = widest;
        widest = range;
      } else {
        second = std::max(second, range);
      }
      bias += low[j];
      size += std::max(std::fabs(low[j]), std::fabs(high[j]));
    }
  }
  const float both = widest + second, inverse = both > 0 ? most / both : 0;
  if (!std::isfinite(both) || !std::isfinite(bias)) {
    std::memset(lut, 0, m * width);
    return {0, std::numeric_limits<float>::quiet_NaN(), 0};
  }
  if (!std::isfinite(inverse)) {  // tables of next to nothing
    std::memset(lut, 0, m * width);
    return {0, static_cast<float>(bias), both};
  }
  for (size_t first = 0; first < m; first += kSome) {
    const size_t count = std::min(kSome, m - first);
    if (m > kSome) k.table_extents(tables + first * width, count, width, low, high);
    k.quantize_tables(tables + first * width, count, width, low, inverse, offset, lut + first * width);
  }
  // Sums of floats one by one, and what is rounded here, err by less than this.
  const double slip = offset < 0 ? size * static_cast<double>(m + 16) * 0x1p-23 : 0;
  LookupScale result;
  result.scale = both / most;
  result.bias = static_cast<float>(bias - slip);
  result.error = result.scale * std::sqrt(static_cast<float>(m) / 12);
  return result;
}

}  // namespace

LookupScale round_tables(const float* tables, size_t m, size_t width, uint8_t* lut) {
  return quantize(tables, m, width, lut, kMostRounded, 0);
}

LookupScale floor_tables(const float* tables, size_t m, size_t width, uint8_t* lut) {
  return quantize(tables, m, width, lut, kMostFloored, -0.5f);
}

}  // namespace annex
