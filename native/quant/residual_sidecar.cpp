// Why no row is lost: as in sidecar.cpp, with the row y, the centre c (both over their norms under cosine), r = y - c,
// its decoded value r̂ = lo + step · code, e = ‖r - r̂‖, the query q, q̂ = s · k, ε = ‖q - q̂‖, and the canonical
// distance D of the query to the centre.
//     ⟨q̂, r̂⟩ = s (step · acc + lo · K),   |⟨q, r̂⟩ - ⟨q̂, r̂⟩| ≤ ε ‖r̂‖,   |⟨q, r⟩ - ⟨q, r̂⟩| ≤ ‖q‖ e
// ip, cosine. D is -⟨q, c⟩ to within γ‖q‖‖c‖ (under cosine 1 - ⟨q, c⟩, and 2⁻²¹ more), the canonical distance of the
// row
//   -⟨q, c⟩ - ⟨q, r⟩ to within γ‖q‖‖y‖. So a row at a distance ≤ T has
//     s (step·acc + lo·K) + ‖q‖ (e + γ(‖y‖ + ‖c‖)) + ε ‖r̂‖ ≥ D - T:
//   scale = step, a = lo, b = e + γ(‖y‖ + ‖c‖), c = ‖r̂‖, u = (K, ‖q‖/s, ε/s).
// l2. With R² = T (1 + 2γ) + a few of the smallest floats, ‖q - y‖ ≤ R, and so ‖q - c - r̂‖ ≤ R + e. Squared, with
//   A = ‖r̂‖² + 2⟨c, r̂⟩ and ‖r̂‖ ≤ ρ in the whole list:
//     s (step·acc + lo·K) + R e + (e² - A)/2 ≥ (D (1 - 2γ) - R²)/2 - ερ:
//   b = e, c = (e² - A)/2, u = (K, R/s, 1/s).
// The rounding of the test is provided for as in sidecar.cpp.
#include "quant/residual_sidecar.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/dispatch.h"
#include "quant/bounds.h"

namespace annex {
ResidualRow residual_encode(Metric metric, const float* x, double norm, const float* centre, size_t dim, uint8_t* row,
                            float* scratch) {
  double centre_squares = 0;
  for (size_t d = 0; d < dim; ++d) centre_squares += static_cast<double>(centre[d]) * centre[d];
  const double centre_norm = std::sqrt(centre_squares);
  const bool cosine = metric == Metric::cosine;
  const double inverse = cosine ? 1 / norm : 1.0;
  const double inverse_centre = cosine ? 1 / centre_norm : 1.0;
  const ResidualRow always{{0.0f, 0.0f, 0.0f, kInfinity}, 0.0f};
  bool codable = true;
  for (size_t d = 0; d < dim; ++d) {
    const double difference = x[d] * inverse - centre[d] * inverse_centre;
    const bool fits = std::abs(difference) < 1e37;
    scratch[d] = fits ? static_cast<float>(difference) : 0.0f;
    codable = codable && fits;
  }
  kernels().encode[static_cast<size_t>(Scalar::sq8)](scratch, dim, row);
  float low, step;
  std::memcpy(&low, row, sizeof low);
  std::memcpy(&step, row + 4, sizeof step);
  const double lo = low;
  const uint8_t* codes = row + 8;
  double errors[4] = {0, 0, 0, 0}, squares[4] = {0, 0, 0, 0}, along[4] = {0, 0, 0, 0};
  for (size_t d = 0; d < dim; ++d) {
    const double c = centre[d] * inverse_centre;
    const double value = lo + static_cast<double>(step) * codes[d];
    const double miss = x[d] * inverse - c - value;
    errors[d % 4] += miss * miss;
    squares[d % 4] += value * value;
    along[d % 4] += c * value;
  }
  const double error = std::sqrt((errors[0] + errors[1]) + (errors[2] + errors[3]));
  const double length = std::sqrt((squares[0] + squares[1]) + (squares[2] + squares[3]));
  const double product = (along[0] + along[1]) + (along[2] + along[3]);
  const double root = std::sqrt(static_cast<double>(dim));
  const double size = (255.0 * step + 2 * std::abs(lo)) * root;  // M
  if (!codable || !(size < kHuge / 1e6) || !(norm < kHuge / 1e12) || !(centre_norm < kHuge / 1e12)) return always;
  if (cosine && (!(norm > kTiny) || !(centre_norm > kTiny))) return always;
  if (metric == Metric::l2) {
    const double spread = length * length + 2 * centre_norm * length + error * error;
    const double c = (error * error - length * length) / 2 - product + 0x1p-20 * spread + 0x1p-21 * size * size / root;
    return {{step, low, up(error), c < 0 ? static_cast<float>(c * (1 - 0x1p-22)) : up(c)}, up(length)};
  }
  const double gamma = canonical_error(dim);
  const double norms = cosine ? 2.0 : norm + centre_norm;
  return {{step, low, up(error + gamma * norms + 0x1p-20 * size), up(length)}, up(length)};
}

QueryTerms residual_terms(Metric metric, const SidecarQuery& query, size_t dim, float threshold, float distance,
                          float reach) {
  const double limit = threshold;
  const double centre = distance;
  const double gamma = canonical_error(dim);
  const double s = query.scale;
  const double epsilon = query.error * kWiden;
  const double least = static_cast<double>(dim) * 0x1p-146;
  double u1, u2, bound;
  if (metric == Metric::l2) {
    const double squared = limit * (1 + 2 * gamma) + least;  // R²
    const double root = std::sqrt(static_cast<double>(dim));
    const double length = query.code_norm * query.code_norm;
    u1 = std::sqrt(squared) / s;
    u2 = 1 / s;
    const double slack = 0x1p-20 * (centre + squared) + 0x1p-20 * root * length + least;
    bound = ((centre * (1 - 2 * gamma) - squared - slack) / 2 - epsilon * reach * kWiden) / s;
  } else {
    u1 = query.norm * kWiden / s;
    u2 = epsilon / s;
    const double rounding = metric == Metric::cosine ? 0x1p-20 : 2 * least;
    bound = (centre - limit - (std::abs(centre) + std::abs(limit)) * 0x1p-22 - rounding) / s;
  }
  if (!(u1 < kHuge) || !(u2 < kHuge) || !(std::abs(bound) < kHuge)) return pass_all();
  return {{query.code_sum, up(u1), up(u2)}, bound_down(bound)};
}

}  // namespace annex
