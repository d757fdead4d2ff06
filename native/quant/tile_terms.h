// The pass test for tiles: a panel product over the rows themselves (not a narrow copy) decides which rows need their
// canonical distance, because its order of summation is not the canonical one. Proofs in tile_terms.cpp.
#pragma once
#include <cstddef>
#include <cstdint>

#include "quant/sidecar.h"

namespace annex {

/// True where tiles serve: float and byte codings under l2, ip and cosine.
bool tile_serves(Metric metric, Scalar scalar);

/// What a query contributes to any tile.
struct TileQuery {
  double norm;      // ‖q‖
  double code_sum;  // Σ of the int8 codes; 0 for float queries
};

/// Terms of n rows for the pass test. `sums` (Σ of each row's elements) is read for u8 rows only. The four arrays of
/// `out` have room for n rounded up to 16, and are filled up to there.
struct TileRows {
  float* scale;
  float* a;
  float* b;
  float* c;
};
void tile_row_terms(Metric metric, Scalar scalar, const float* norms, const float* sums, size_t n, const TileRows& out);

/// The pass test of a query at a threshold: every row whose canonical distance is ≤ threshold passes.
QueryTerms tile_query_terms(Metric metric, Scalar scalar, const TileQuery& query, size_t dim, float threshold);

}  // namespace annex
