// Which lists are near a query: the first step of every search of an IVF index.
#pragma once
#include "index/row_scan.h"

namespace annex {

/// The `count` lists likely nearest to each of n queries, nearest first, and their canonical distances. The narrow
/// copies of the centroids choose some more than `count`, canonical distances order those: what this misses lies at the
/// far end, where a list matters least.
class CoarseSearch {
 public:
  CoarseSearch(const RowStore& centroids, const IdMap& ids, const float* queries, size_t n, size_t count);
  /// Whether choosing by narrow copies is faster than an exact search.
  bool serves() const;
  Status run(size_t threads, const int32_t* cancel, double* lists, float* distances);

 private:
  struct Scratch;
  Status order(Scratch& scratch, size_t first, size_t n) const;
  size_t choose(Scratch& scratch, const float* order, bool all) const;
  void answer(Scratch& scratch, size_t query, size_t chosen, double* lists, float* distances) const;

  const RowStore& centroids_;
  const float* queries_;
  const size_t n_, count_, wanted_;
  SlotFilter all_;
  RowScan scan_;
};

}  // namespace annex
