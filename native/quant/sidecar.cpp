// Why no row is lost.
//
// Write y for the row (under cosine: the row over its norm), ŷ = lo + step · code for its decoded value, e = ‖y - ŷ‖,
// and q, q̂ = s · k, ε = ‖q - q̂‖ likewise for the query. Then with acc = Σ k·code and K = Σ k
//     ⟨q̂, ŷ⟩ = s (step · acc + lo · K)                                                                  (1)
//     |⟨q, y⟩ - ⟨q̂, ŷ⟩| = |⟨q, y - ŷ⟩ + ⟨q - q̂, ŷ⟩| ≤ ‖q‖ e + ε ‖ŷ‖          (Cauchy–Schwarz)           (2)
//     |‖q - y‖ - ‖q̂ - ŷ‖| ≤ e + ε                                            (triangle inequality)      (3)
// ip, cosine. The canonical product differs from ⟨q, y⟩ by at most γ‖q‖‖y‖ (canonical_error), so a row whose canonical
//   distance -⟨q, y⟩ is ≤ T has  s (step·acc + lo·K) + ‖q‖ e + (ε + γ‖q‖)‖ŷ‖' ≥ -T,  ‖ŷ‖' = max(‖ŷ‖, ‖y‖).
//   Divided by s this is the pass test with scale = step, a = lo, b = e, c = ‖ŷ‖', u = (K, ‖q‖/s, (ε + γ‖q‖)/s).
//   Under cosine -T becomes 1 - T, less 2⁻²¹ for the rounding of 1 - x. Products that underflow add at most 2⁻¹⁴⁹ each.
// l2. A canonical squared distance ≤ T means ‖q - y‖ ≤ R, R² = T (1 + 2γ) + a few of the smallest floats; by (3)
//   ‖q̂ - ŷ‖ ≤ R + ε + e. Squared, with (1), and divided by 2s:
//     step·acc + lo·K + e (R + ε)/s + (e² - ‖ŷ‖²)/(2s) ≥ (‖q̂‖² - (R + ε)²)/(2s).
//   So b = e, c = (e² - ‖ŷ‖²)/2, u = (K, (R + ε)/s, 1/s).
// The test itself is computed in float. Its first two terms are at most M ‖k‖ with M = (255 step + 2|lo|) √dim, and
//   their rounding at most 2⁻²¹ M ‖k‖, ‖k‖ = ‖q̂‖/s ≤ 2‖q‖/s. For ip and cosine b carries that: 2⁻²⁰ M on top of e.
//   For l2, where u₁ may be small, it is split by 2 M‖q̂‖ ≤ M²/√dim + √dim ‖q̂‖² between c and the bound.
//   The remaining terms are non-negative or a square, and are each widened by 2⁻²⁰ of themselves.
// Sizes that would overflow a float make the row (c = +Infinity) or the query (pass_all) pass always.
// Norms and errors are computed in double, whose own rounding the 2⁻²⁰ covers many times over.
#include "quant/sidecar.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/round.h"
#include "kernels/dispatch.h"
#include "quant/bounds.h"

namespace annex {
size_t sidecar_scratch_bytes(size_t dim) { return round_up(row_bytes(Scalar::sq8, dim), 4) + dim * sizeof(float); }

double canonical_error(size_t dim) { return (static_cast<double>(dim) / 8 + 32) * 0x1p-24; }

QueryTerms pass_all() { return {{0.0f, 0.0f, 0.0f}, -kInfinity}; }

float bound_down(double x) {
  if (!(std::abs(x) < kHuge)) return -kInfinity;
  return std::nextafter(static_cast<float>(x), -kInfinity);
}

SidecarRow sidecar_encode(Metric metric, const float* x, double norm, size_t dim, uint8_t* row) {
  // The codes need only be near: whatever they are, their error is what is measured below.
  const double inverse = metric == Metric::cosine ? 1 / norm : 1.0;
  const Kernels& table = kernels();
  const size_t sq8 = static_cast<size_t>(Scalar::sq8);
  if (metric == Metric::cosine) {
    float* unit = reinterpret_cast<float*>(row + round_up(row_bytes(Scalar::sq8, dim), 4));
    for (size_t d = 0; d < dim; ++d) unit[d] = static_cast<float>(x[d] * inverse);
    table.encode[sq8](unit, dim, row);
  } else {
    table.encode[sq8](x, dim, row);
  }
  float low, step;
  std::memcpy(&low, row, sizeof low);
  std::memcpy(&step, row + 4, sizeof step);
  const double lo = low;
  const uint8_t* codes = row + 8;
  double errors[4] = {0, 0, 0, 0}, squares[4] = {0, 0, 0, 0};  // four chains, or the additions' latency is all there is
  const auto measure = [&](size_t d, size_t lane) {
    const double value = lo + static_cast<double>(step) * codes[d];
    const double miss = x[d] * inverse - value;
    errors[lane] += miss * miss;
    squares[lane] += value * value;
  };
  size_t d = 0;
  for (; d + 4 <= dim; d += 4) {
    for (size_t lane = 0; lane < 4; ++lane) measure(d + lane, lane);
  }
  for (; d < dim; ++d) measure(d, 0);
  const double error = std::sqrt((errors[0] + errors[1]) + (errors[2] + errors[3]));
  const double decoded = (squares[0] + squares[1]) + (squares[2] + squares[3]);
  const double root = std::sqrt(static_cast<double>(dim));
  const double size = (255.0 * step + 2 * std::abs(lo)) * root;  // M
  const SidecarRow always{0.0f, 0.0f, 0.0f, kInfinity};
  if (!(size < kHuge / 1e6) || !(norm < kHuge / 1e12)) return always;
  if (metric == Metric::cosine && !(norm > kTiny)) return always;
  if (metric == Metric::l2) {
    const double c = (error * error * kWiden - decoded * (1 - 0x1p-19)) / 2 + 0x1p-21 * size * size / root;
    return {step, static_cast<float>(lo), up(error), c < 0 ? static_cast<float>(c * (1 - 0x1p-22)) : up(c)};
  }
  const double longest = std::max(std::sqrt(decoded), norm * inverse);
  return {step, static_cast<float>(lo), up(error + 0x1p-20 * size), up(longest)};
}

// In float, sixteen lanes side by side, which compilers turn into vector instructions. Misses are measured in units of
// the scale, as differences of numbers of at most 127 that are right to 2⁻²²; what rounding can take from them is
// added.
SidecarQuery sidecar_encode_query(Metric metric, const float* q, double norm, size_t dim, int8_t* codes) {
  constexpr size_t kLanes = 16;
  const double inverse = metric == Metric::cosine ? 1 / norm : 1.0;
  float peaks[kLanes] = {};
  size_t d = 0;
  for (; d + kLanes <= dim; d += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) peaks[lane] = std::max(peaks[lane], std::abs(q[d + lane]));
  }
  for (; d < dim; ++d) peaks[0] = std::max(peaks[0], std::abs(q[d]));
  const double greatest = *std::max_element(peaks, peaks + kLanes);
  // Beyond these a float product could vanish or overflow; sidecar_terms then says pass_all.
  const bool ordinary = greatest > 1e-30 && greatest < 1e30 && (metric != Metric::cosine || norm > kTiny);
  const double scale = ordinary ? greatest * inverse / 127.0 : 1.0;
  const float to_code = ordinary ? static_cast<float>(inverse / scale) : 0.0f;
  float errors[kLanes] = {};
  int32_t sums[kLanes] = {}, squares[kLanes] = {};
  const auto encode = [&](size_t at, size_t lane) {
    const float position = q[at] * to_code;
    const float nearest = std::min(std::max(position + std::copysign(0.5f, position), -127.0f), 127.0f);
    const int32_t code = static_cast<int32_t>(nearest);
    codes[at] = static_cast<int8_t>(code);
    const float miss = position - static_cast<float>(code);
    errors[lane] += miss * miss;
    squares[lane] += code * code;
    sums[lane] += code;
  };
  for (d = 0; d + kLanes <= dim; d += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) encode(d + lane, lane);
  }
  for (; d < dim; ++d) encode(d, 0);
  for (; d % 4 != 0; ++d) codes[d] = 0;
  double error = 0;
  int64_t sum = 0, code_squares = 0;
  for (size_t lane = 0; lane < kLanes; ++lane) {
    error += errors[lane];
    sum += sums[lane];
    code_squares += squares[lane];
  }
  const double root = std::sqrt(static_cast<double>(dim));
  error = ordinary || greatest == 0 ? scale * (std::sqrt(error) * (1 + 0x1p-10) + 0x1p-14 * root) : kInfinity;
  const double length = scale * std::sqrt(static_cast<double>(code_squares));
  return {norm * inverse, scale, error, length, static_cast<float>(sum)};
}

QueryTerms sidecar_terms(Metric metric, const SidecarQuery& query, size_t dim, float threshold) {
  const double limit = threshold;
  const double gamma = canonical_error(dim);
  const double s = query.scale;
  const double epsilon = query.error * kWiden;
  double u1, u2, bound;
  if (metric == Metric::l2) {
    const double reach = std::sqrt(limit * (1 + 2 * gamma) + static_cast<double>(dim) * 0x1p-146) + epsilon;
    const double root = std::sqrt(static_cast<double>(dim));
    const double length = query.code_norm * query.code_norm;
    u1 = reach / s;
    u2 = 1 / s;
    const double right = length - reach * reach;
    bound = (right - 0x1p-20 * (length + reach * reach) - 0x1p-20 * root * length) / (2 * s);
  } else {
    u1 = query.norm * kWiden / s;
    u2 = (epsilon + gamma * query.norm) * kWiden / s;
    const double need = metric == Metric::cosine ? 1 - limit - 0x1p-21 : -limit - static_cast<double>(dim) * 0x1p-146;
    bound = (need - std::abs(need) * 0x1p-22) / s;
  }
  if (!(u1 < kHuge) || !(u2 < kHuge) || !(std::abs(bound) < kHuge)) return pass_all();
  return {{query.code_sum, up(u1), up(u2)}, bound_down(bound)};
}

QueryTerms sidecar_order(Metric metric, const SidecarQuery& query) {
  const double size = metric == Metric::l2 ? 1 / query.scale : 0;  // of c, which is -|y|²/2 there
  return {{query.code_sum, 0.0f, size < kHuge ? static_cast<float>(size) : 0.0f}, 0.0f};
}

}  // namespace annex
