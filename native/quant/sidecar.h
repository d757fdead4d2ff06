// The narrow sidecar: an int8 copy of float rows that decides, with a proven bound, which rows of an exact search need
// their canonical distance. A row is coded as y ≈ lo + step · code, code ∈ 0…255 (y is the row itself, or the row over
// its norm under cosine); a query as q ≈ scale · code, code ∈ -127…127. The proof stands in sidecar.cpp.
#pragma once
#include <cstddef>
#include <cstdint>

#include "kernels/kernels.h"

namespace annex {

enum class Metric : uint8_t { l2, ip, cosine, l1, hamming, jaccard };

/// What one row contributes to the pass test (PanelTerms).
struct SidecarRow {
  float scale, a, b, c;
};

/// Room that sidecar_encode needs at `row`, aligned to 4 bytes.
size_t sidecar_scratch_bytes(size_t dim);

/// Codes row x (finite, `norm` = its Euclidean length in double) as sq8 does into `row`: lo, step, then the codes.
SidecarRow sidecar_encode(Metric metric, const float* x, double norm, size_t dim, uint8_t* row);

/// What one query contributes, whatever the threshold.
struct SidecarQuery {
  double norm;       // ‖q‖ of the query as coded (1 under cosine)
  double scale;      // q ≈ scale · code
  double error;      // ‖q - scale · code‖
  double code_norm;  // ‖scale · code‖
  float code_sum;    // Σ code, exact
};

/// Codes query q (finite, `norm` its length in double) into codes[0…dim); writes zeros up to a multiple of 4.
SidecarQuery sidecar_encode_query(Metric metric, const float* q, double norm, size_t dim, int8_t* codes);

/// The pass test of a query at a threshold: every row whose canonical distance is ≤ threshold passes.
QueryTerms sidecar_terms(Metric metric, const SidecarQuery& query, size_t dim, float threshold);

/// Terms whose sum orders rows by their likely distance, the nearest one greatest, without any bound.
QueryTerms sidecar_order(Metric metric, const SidecarQuery& query);

/// The test that every row passes.
QueryTerms pass_all();
/// The nearest float not above x; anything too large for a safe test becomes pass_all's bound (-Infinity).
float bound_down(double x);

/// Relative error that a canonical float sum of `dim` products or squares may have, generously: the sixteen lanes
/// add ceil(dim / 16) terms in sequence and then four levels of a tree, each rounding by at most 2⁻²⁴.
double canonical_error(size_t dim);

}  // namespace annex
