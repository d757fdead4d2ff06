// The narrow sidecar of rows in a list: an int8 copy of what a row differs from the list's centre by. Differences are
// shorter than rows, and so are the errors of their codes: the pass test (quant/sidecar.h) excludes more.
#pragma once
#include "quant/sidecar.h"

namespace annex {

struct ResidualRow {
  SidecarRow terms;
  float length;  // of the difference as coded; l2 needs the greatest one of a list
};

/// Codes row x (finite, `norm` = its length in double) relative to `centre`, which is compared under the same metric:
/// as sidecar_encode, with the same room at `row`, and dim floats at `scratch`.
ResidualRow residual_encode(Metric metric, const float* x, double norm, const float* centre, size_t dim, uint8_t* row,
                            float* scratch);

/// The pass test of a query in a list at a threshold: every row whose canonical distance is ≤ threshold passes.
/// `distance`: the canonical one of the query to the centre. `reach`: at least the length of every row of the list.
QueryTerms residual_terms(Metric metric, const SidecarQuery& query, size_t dim, float threshold, float distance,
                          float reach);

}  // namespace annex
