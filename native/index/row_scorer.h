// THE distances of one query to rows of a store: what is compared and reported.
#pragma once
#include "index/row_store.h"

namespace annex {

Op op_of(Metric metric);

/// Norm of a query where the metric needs one, else 0.
double query_norm(const RowShape& shape, const void* query);
/// The zero vector under cosine: NOT_FINITE naming query q.
Status check_direction(const RowShape& shape, double norm, size_t q);

/// From a canonical product to the distance under ip and cosine. `decoded` has room for a row as floats.
float distance_of_product(const RowShape& shape, float product, const void* query, double query_norm, const void* row,
                          float row_norm, float* decoded);

class RowScorer {
 public:
  explicit RowScorer(const RowStore& rows);

  struct Query {
    const void* data;  // as the caller gives queries; floats for float codings
    double norm;       // read under cosine
  };
  /// The distances of n slots. `decoded` has room for dim floats.
  void distances(const Query& query, const uint32_t* slots, size_t n, float* decoded, float* out) const;

 private:
  const RowStore& rows_;
  const RowShape& shape_;
  const Op op_;
  const GatherFn gather_;
};

}  // namespace annex
