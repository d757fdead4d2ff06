// Looking at runs of coded rows for a set of queries: what searches of a flat index and of the lists of an IVF share.
//
// Three ways to look at a tile of rows, all ending in the same canonical distance of the same rows:
//   sidecar  the narrow copy's byte panels decide which rows are rescored (quant/sidecar.h)
//   product  for many queries: the rows themselves, packed into panels, decide (quant/tile_terms.h)
//   plain    the canonical distance of every row
#pragma once
#include "base/pooled.h"
#include "base/top_k.h"
#include "index/id_map.h"
#include "index/index.h"
#include "index/row_scorer.h"
#include "index/row_store.h"
#include "index/slot_filter.h"
#include "quant/tile_terms.h"

namespace annex {

/// Rows side by side, and where they belong.
struct RowTile {
  size_t n = 0;
  const uint8_t* rows = nullptr;    // shape.stride() apart; null: to be found by slot
  const float* norms = nullptr;     // with `rows`; null under metrics that need none
  const uint8_t* panels = nullptr;  // sidecar: the narrow copy, with its terms
  PanelTerms terms{};
  float reach = 0;                  // of a list whose narrow copy is relative to its centre (quant/residual_sidecar.h)
  const uint32_t* slots = nullptr;  // null: first, first + 1 …
  uint32_t first = 0;

  uint32_t slot(size_t r) const { return slots != nullptr ? slots[r] : first + static_cast<uint32_t>(r); }
};

/// The queries that look at a tile: numbers[0 … count), or first, first + 1 … where that is null. heaps[0] belongs to
/// query `first`. `distances` to the tile's centre: null where its narrow copy is of the rows themselves.
struct QueryGroup {
  size_t first, count;
  const uint32_t* numbers;
  TopK* heaps;
  const float* distances = nullptr;

  size_t number(size_t i) const { return numbers != nullptr ? numbers[i] : first + i; }
  TopK& heap(size_t query) const { return heaps[query - first]; }
};

class RowScan {
 public:
  enum class Way { sidecar, product, plain };
  /// What one thread needs; kept by it from one search to the next, so that a query allocates nothing.
  struct Scratch {
    Buffer<uint32_t> hits, counts;
    Buffer<float> distances;
    Buffer<float> decoded;  // one row
    Buffer<uint8_t> panels, queries;
    Buffer<float> terms;  // scale, a, b, c of a tile, and the sums of its rows
    Buffer<uint8_t> ones;
    Buffer<QueryTerms> query_terms;
    Buffer<int32_t> sums;
    Buffer<float> order;
    Buffer<Neighbor> seeds;
    uint64_t scanned = 0, rescored = 0;  // by this thread, until taken

    /// Room for tiles of up to `rows` rows, looked at by up to `queries` queries, up to `pairs` of a row and a query.
    [[nodiscard]] bool reserve(const RowShape& shape, size_t rows, size_t queries, size_t pairs);
  };

  /// Rows of tiles without rows of their own are found in `store`, by slot.
  RowScan(const RowShape& shape, const RowStore* store, const IdMap& ids, const SlotFilter& filter);
  /// Checks the queries and codes them for `way`; only that and `plain` serve from then on. They stay where they are.
  Status prepare(const void* queries, size_t nq, Way way);

  /// Pushes the rows of a tile that may enter onto the heaps of the group. The scratch has room for both.
  Status look(Way way, const RowTile& tile, const QueryGroup& group, Scratch& scratch) const;
  static constexpr size_t kGatherRows = 64;
  /// The canonical distances of rows hits[0 … n) of the tile (null: all), n ≤ kGatherRows.
  void measure(const RowTile& tile, const uint32_t* hits, size_t n, size_t query, float* out, Scratch& scratch) const;
  /// What orders the rows of a tile by their likely distance, the nearest least, from their narrow copies and those of
  /// the queries: out[i][row], `stride` floats from query to query. False: out of memory.
  [[nodiscard]] bool order(const RowTile& tile, const QueryGroup& group, Scratch& scratch, float* out,
                           size_t stride) const;
  /// The error of a query's narrow copy, of its length.
  double code_error(size_t query) const;
  /// Of any number of rows, pushed onto the query's heap.
  void score(const RowTile& tile, const uint32_t* hits, size_t n, size_t query, TopK& heap, Scratch& scratch) const;

 private:
  void look_sidecar(const RowTile& tile, const QueryGroup& group, Scratch& scratch) const;
  QueryTerms pass_terms(const RowTile& tile, const QueryGroup& group, size_t i) const;
  void seed(const RowTile& tile, const QueryGroup& group, const uint8_t* codes, Scratch& scratch) const;
  Status look_product(const RowTile& tile, const QueryGroup& group, Scratch& scratch) const;
  void look_plain(const RowTile& tile, const QueryGroup& group, Scratch& scratch) const;
  void rescore(const RowTile& tile, const QueryGroup& group, Scratch& scratch) const;
  /// The items of the group's queries (`bytes` each) one behind another.
  const uint8_t* together(const uint8_t* items, size_t bytes, const QueryGroup& group, Scratch& scratch) const;
  float finish(float value, size_t query, float row_norm, const void* row, Scratch& scratch) const;
  const uint8_t* query(size_t q) const { return queries_ + q * query_bytes_; }

  const RowShape shape_;
  const RowStore* const store_;
  const IdMap& ids_;
  const SlotFilter& filter_;
  const Kernels& kernels_;
  const size_t query_bytes_;
  const Op op_;
  const uint8_t* queries_ = nullptr;
  struct Queries {
    Buffer<double> norms;
    Buffer<int8_t> codes;  // sidecar and byte products: queries as int8, code_stride_ apart
    Buffer<SidecarQuery> sidecar;
    Buffer<float> code_sums;  // byte products
  };
  Pooled<Queries> prepared_;
  size_t code_stride_ = 0;
};

/// Answers of a search: first all missing, then a query's heap, best first.
void clear_answers(const SearchRequest& request);
void write_answer(const SearchRequest& request, size_t query, TopK& heap);

}  // namespace annex
