// One search of an IVF index: the nearest lists of each query, then what is in them. Several queries go list by list,
// so that a list is in the cache for all queries that look into it.
#pragma once
#include <atomic>

#include "index/ivf.h"
#include "index/row_scan.h"

namespace annex {

class IvfSearch {
 public:
  IvfSearch(const IvfIndex& index, const SearchRequest& request);
  Status run();
  uint64_t scanned() const { return scanned_; }
  uint64_t rescored() const { return rescored_; }
  /// Queries answered from all rows that the filter allows.
  uint64_t exact_searches() const { return exact_; }

 private:
  /// What becomes of a row that a scan lets pass.
  enum class Finish {
    exact,     // its canonical distance decides
    estimate,  // its estimate is its distance
    factor,    // the rows with the best estimates are reranked at the end
    bound,     // its canonical distance decides, where the bound leaves that open
  };
  struct Probe {
    uint32_t query, list;
    float distance;  // of the query to the centroid
  };
  struct Range {
    size_t begin, end;
  };
  struct Scratch;  // what one thread needs (ivf_search.cpp)

  Status prepare(size_t threads);
  bool weigh_filter();
  Status find_lists(size_t threads);
  Status measure_centre();
  Status run_queries_apart(size_t threads);
  Status run_lists_apart(size_t threads);
  Status run_allowed(size_t threads);

  Status begin_group(Scratch& scratch, Range queries, size_t heaps) const;
  /// The probes [from, to) of each query, list by list.
  Status probe_together(Scratch& scratch, Range queries, size_t from, size_t to) const;
  /// The probes from, from + step … of one query, nearest first.
  Status probe_alone(Scratch& scratch, size_t query, size_t from, size_t to, size_t step) const;
  /// Goes on beyond nprobe where that has not found k rows.
  Status probe_on(Scratch& scratch, size_t query) const;
  /// The probes share a list, of whose rows all or some are looked at (from a multiple of kCodeRows on).
  Status visit(Scratch& scratch, const Probe* probes, size_t n) const;
  Status visit(Scratch& scratch, const Probe* probes, size_t n, Range rows) const;
  Status visit_rows(Scratch& scratch, const Probe* probes, size_t n, Range rows) const;
  void visit_codes(Scratch& scratch, const Probe* probes, size_t n, Range rows) const;
  void take_hits(Scratch& scratch, size_t list, size_t first, size_t query, CodeHit* hits, size_t n) const;
  bool any_allowed(size_t list, Range rows) const;
  Status answer(Scratch& scratch, size_t query) const;
  void drop_repeats(TopK& heap, Scratch& scratch) const;

  const float* query(size_t q) const { return queries_ + q * shape_.dim; }
  const Probe* probes(size_t q) const { return plan_->probes.data() + q * nprobe_; }

  const IvfIndex& index_;
  const SearchRequest& request_;
  const RowShape& shape_;
  const size_t k_;  // no larger than the number of rows
  const size_t copies_;
  Finish finish_;
  float code_scale_ = 1;  // from distances to what the codec takes for them
  size_t heap_k_ = 0;     // candidates kept for a query
  size_t nprobe_ = 0;
  bool together_ = false;  // queries go list by list
  SlotFilter filter_;
  RowScan scan_;
  RowScan::Way way_;
  const float* queries_ = nullptr;  // as floats, of length 1 for codes under cosine
  struct Plan {
    Buffer<float> wide;
    Buffer<Probe> probes;    // nprobe_ of each query, nearest first
    Buffer<uint32_t> reach;  // of those, how many early stop leaves
    Buffer<double> lists;    // as the coarse search gives them
    Buffer<float> distances;
  };
  Pooled<Plan> plan_;
  std::atomic<uint64_t> scanned_{0};
  std::atomic<uint64_t> rescored_{0};
  std::atomic<uint64_t> exact_{0};
};

}  // namespace annex
