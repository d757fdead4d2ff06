// Why no row is lost (T: threshold, ‖·‖: norms kept as float, right to 2⁻²³ of themselves).
//
// Float tiles. sum differs from ⟨q, x⟩ by at most dim · 2⁻²⁴ ‖q‖‖x‖ whatever its order, the canonical product by γ
//   (canonical_error); with Γ = both and the rounding of the test itself, a row whose canonical distance is ≤ T has
//     ip:      sum + ‖x‖ · Γ‖q‖ ≥ -T
//     cosine:  sum / ‖x‖ ≥ (1 - T - Γ - 2⁻²¹) ‖q‖
//     l2:      sum - ‖x‖²/2 + ‖x‖ · Γ‖q‖ ≥ (‖q‖² - T (1 + 2γ)) / 2, with 2⁻²⁰ of each square as slack.
// Byte tiles. acc is an exact integer. Panels hold u8: u8 rows as they are, i8 rows as x + 128; queries are int8: i8 as
//   they are, u8 as q - 128. So ⟨q, x⟩ = acc - 128 Σ code(q) for i8 and acc + 128 Σ x for u8, and the same inequalities
//   hold with an absolute slack S for the rounding of acc and its correction to float: both are ≤ 2 · 128 · 255 · dim.
// c carries +Infinity for rows so large or small that a float term could overflow or vanish: they always pass.
#include "quant/tile_terms.h"

#include <cmath>
#include <limits>

namespace annex {
namespace {

bool bytes(Scalar scalar) { return scalar == Scalar::i8 || scalar == Scalar::u8; }

double byte_slack(size_t dim) { return 0x1p-19 * 65025.0 * static_cast<double>(dim); }

constexpr double kLargeNorm = 1e15;
constexpr double kSmallNorm = 1e-15;

QueryTerms checked(double u0, double u1, double bound) {
  const auto safe = [](double x) { return std::abs(x) < 1e30; };
  if (!safe(u0) || !safe(u1) || !safe(bound)) return pass_all();
  return {{static_cast<float>(u0), static_cast<float>(u1), 1.0f}, bound_down(bound)};
}

}  // namespace

bool tile_serves(Metric metric, Scalar scalar) {
  return scalar != Scalar::bits && (metric == Metric::l2 || metric == Metric::ip || metric == Metric::cosine);
}

void tile_row_terms(Metric metric, Scalar scalar, const float* norms, const float* sums, size_t n,
                    const TileRows& out) {
  const bool is_u8 = scalar == Scalar::u8;
  for (size_t r = 0; r < n; ++r) {
    const double norm = norms[r];
    const bool odd = !(norm < kLargeNorm) || (metric == Metric::cosine && !(norm > kSmallNorm));
    const double inverse = metric == Metric::cosine && !odd ? 1 / norm : 1.0;
    out.scale[r] = static_cast<float>(inverse);
    out.c[r] = odd ? std::numeric_limits<float>::infinity() : 0.0f;
    if (bytes(scalar)) {
      out.a[r] = static_cast<float>(is_u8 ? sums[r] * inverse : inverse);
      out.b[r] = static_cast<float>(metric == Metric::l2 ? norm * norm : inverse);
    } else {
      out.a[r] = odd ? 0.0f : static_cast<float>(-norm * norm / 2 * (1 - 0x1p-20));
      out.b[r] = odd ? 0.0f : static_cast<float>(norm);
    }
  }
  for (size_t r = n; r % kPanelRows != 0; ++r) out.scale[r] = out.a[r] = out.b[r] = out.c[r] = 0.0f;
}

QueryTerms tile_query_terms(Metric metric, Scalar scalar, const TileQuery& query, size_t dim, float threshold) {
  const double limit = threshold;
  const double gamma = canonical_error(dim);
  const double norm = query.norm;
  const double squares = norm * norm;
  const double cosine_need = (1 - limit - 0x1p-20) * norm;
  if (bytes(scalar)) {
    const double slack = byte_slack(dim);
    const double correction = scalar == Scalar::u8 ? 128.0 : -128.0 * query.code_sum;
    switch (metric) {
      case Metric::l2: return checked(correction, -0.5, (squares - limit * (1 + 0x1p-20)) / 2 - slack);
      case Metric::ip: return checked(correction, 0, -limit - std::abs(limit) * 0x1p-20 - slack);
      default: return checked(correction, slack, cosine_need - 0x1p-20 * norm);
    }
  }
  const double sum_error = gamma + (static_cast<double>(dim) + 64) * 0x1p-24;  // Γ
  const double least = static_cast<double>(dim) * 0x1p-146;                    // products that underflow
  switch (metric) {
    case Metric::l2:
      if (!(norm < kLargeNorm)) return pass_all();
      return checked(1, sum_error * norm, (squares * (1 - 0x1p-20) - limit * (1 + 4 * gamma) - least) / 2);
    case Metric::ip:
      if (!(norm < kLargeNorm)) return pass_all();
      return checked(0, sum_error * norm, -limit - std::abs(limit) * 0x1p-20 - least);
    default:
      if (!(norm < kLargeNorm) || !(norm > kSmallNorm)) return pass_all();
      return checked(0, 0, cosine_need - (sum_error + 0x1p-20) * norm);
  }
}

}  // namespace annex
