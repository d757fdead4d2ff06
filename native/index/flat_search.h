// One search of a flat index: blocks of rows against groups of queries (row_scan.h tells how a tile is looked at), or,
// where a filter allows few rows, those alone, gathered.
#pragma once
#include <atomic>

#include "index/row_scan.h"

namespace annex {

class FlatSearch {
 public:
  FlatSearch(const RowStore& rows, const IdMap& ids, const SearchRequest& request);
  Status run();
  uint64_t scanned() const { return scanned_; }
  uint64_t rescored() const { return rescored_; }

 private:
  struct Range {
    size_t begin, end;
  };

  Status prepare();
  Status run_queries_apart(size_t threads, size_t group);
  Status run_rows_apart(size_t threads);
  Status run_part(SearchPart& part);
  /// Slots to look at, or places of the filter's list where those are gathered.
  size_t candidates() const { return gathers_ ? filter_.count() : rows_.size(); }
  /// Looks at `slots` (as counted by candidates()) for the queries of `queries`; heaps[i] belongs to query
  /// queries.begin + i.
  Status look(Range queries, Range slots, TopK* heaps);
  size_t tile_rows(size_t queries) const;

  const RowStore& rows_;
  const SearchRequest& request_;
  const RowShape& shape_;
  const size_t k_;  // no larger than the number of rows
  RowScan::Way way_ = RowScan::Way::plain;
  bool gathers_ = false;
  SlotFilter filter_;
  const IdMap& ids_;
  RowScan scan_;
  std::atomic<uint64_t> scanned_{0};
  std::atomic<uint64_t> rescored_{0};
};

}  // namespace annex
