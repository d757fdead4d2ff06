// One search of a flat index: blocks of rows against groups of queries.
//
// Three ways to look at a tile of rows, all ending in the same canonical distance of the same rows:
//   sidecar  the narrow copy's byte panels decide which rows are rescored (quant/sidecar.h)
//   tile     for many queries: the rows themselves, packed into panels, decide (quant/tile_terms.h)
//   plain    the canonical distance of every row
// and a fourth for few allowed rows: their canonical distances, gathered.
#pragma once
#include <atomic>

#include "base/top_k.h"
#include "index/id_map.h"
#include "index/index.h"
#include "index/row_store.h"
#include "index/slot_filter.h"
#include "quant/tile_terms.h"

namespace annex {

class FlatSearch {
 public:
  FlatSearch(const RowStore& rows, const IdMap& ids, const SearchRequest& request);
  Status run();
  uint64_t scanned() const { return scanned_; }
  uint64_t rescored() const { return rescored_; }

 private:
  enum class Way { sidecar, tile, plain, gather };
  struct Work;  // what one thread needs (flat_search.cpp)
  struct Range {
    size_t begin, end;
  };

  Status prepare();
  Status run_queries_apart(size_t threads, size_t group);
  Status run_rows_apart(size_t threads);
  /// Slots to look at, or places of the filter's list where those are gathered.
  size_t candidates() const { return way_ == Way::gather ? filter_.count() : rows_.size(); }
  /// Looks at `slots` (as counted by candidates()) for the queries of `queries`; heaps[i] belongs to query
  /// queries.begin + i.
  Status look(Range queries, Range slots, TopK* heaps);
  void look_sidecar(Work& work, size_t slot, size_t n);
  Status look_tile(Work& work, size_t slot, size_t n);
  Status look_plain(Work& work, size_t slot, size_t n);
  Status look_gathered(Work& work, Range list);
  void rescore_hits(Work& work, size_t slot);
  void score(Work& work, size_t query, const uint32_t* slots, size_t n);
  float finish(Work& work, float value, size_t query, size_t slot) const;
  double cosine_in_double(Work& work, size_t query, size_t slot) const;
  void write(size_t query, TopK& heap) const;
  size_t tile_rows(size_t queries) const;
  const uint8_t* query(size_t q) const { return static_cast<const uint8_t*>(request_.queries) + q * query_bytes_; }

  const RowStore& rows_;
  const IdMap& ids_;
  const SearchRequest& request_;
  const RowShape& shape_;
  const Kernels& kernels_;
  const size_t query_bytes_;
  const size_t k_;  // no larger than the number of rows
  Op op_;
  Way way_ = Way::plain;
  SlotFilter filter_;
  Buffer<double> norms_;  // of the queries
  Buffer<int8_t> codes_;  // sidecar and byte tiles: queries as int8, code_stride_ apart
  size_t code_stride_ = 0;
  Buffer<SidecarQuery> sidecar_;
  Buffer<float> code_sums_;  // byte tiles
  std::atomic<uint64_t> scanned_{0};
  std::atomic<uint64_t> rescored_{0};
};

}  // namespace annex
