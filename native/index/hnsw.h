// HnswIndex: a navigable graph over the rows, walked by narrow codes where that is faster, decided by the rows.
#pragma once
#include <atomic>
#include <memory>

#include "base/rw_lock.h"
#include "index/hnsw_build.h"
#include "index/hnsw_codes.h"
#include "index/hnsw_graph.h"
#include "index/hnsw_reach.h"
#include "index/id_map.h"
#include "index/index.h"
#include "index/row_store.h"
#include "index/writer_gate.h"

namespace annex {

/// Values of Key::layout; the numbers of AnnexLayout.
enum class HnswLayout : int32_t { automatic = 0, plain = 1, codes = 2 };

/// What an index holds, but for locks and counters.
struct HnswState {
  HnswState(const RowShape& shape, const RowShape& wide_shape, size_t m)
      : rows(shape), wide(wide_shape), graph(m, shape.narrow()) {}

  RowStore rows;                     // slots 0 … graph.nodes - 1
  RowStore wide;                     // the wider copy, where there is one: has_wide
  std::unique_ptr<HnswCodes> codes;  // null in the plain layout, and before the first row
  HnswGraph graph;
  HnswReach reach;
  IdMap ids;                 // of removed rows: none
  Buffer<uint32_t> removed;  // a bit a slot; may be shorter than the slots
  size_t removed_count = 0;
  bool has_wide = false;
  size_t ordered = 0;  // so many slots lie in the order of hnsw_order.h; a file does not tell

  bool is_removed(size_t slot) const {
    return slot / 32 < removed.size() && (removed[slot / 32] >> (slot % 32) & 1) != 0;
  }
  /// There is room in `removed`.
  void mark_removed(size_t slot) {
    removed[slot / 32] |= uint32_t{1} << (slot % 32);
    ++removed_count;
  }
  void swap(HnswState& other) noexcept;
  size_t live() const { return graph.nodes - removed_count; }
  /// Whether what a walk goes by is not what decides.
  bool estimates() const { return codes != nullptr || has_wide; }
  const RowStore& widest() const { return has_wide ? wide : rows; }
};

class HnswIndex final : public Index {
 public:
  static Status create(const Option* options, size_t count, Index** out);

  size_t size() const override { return size_.load(std::memory_order_acquire); }
  int64_t next_id() const override;
  size_t options(Option* out, size_t room) const override;
  Stats stats() const override;
  Status open_writer(WriteMode mode, Writer** out) override;
  Status remove(const double* ids, size_t n, size_t* removed) override;
  Status has(const double* ids, size_t n, uint8_t* found) const override;
  Status get(const double* ids, size_t n, void* rows, uint8_t* found) const override;
  size_t ids(size_t start, size_t n, double* out) const override;
  Status search(const SearchRequest& request) const override;
  Status begin_save(Sections* out) override;
  void end_save() override { gate_.leave(); }
  Status load(const SectionReader& sections) override;

  const HnswState& state() const { return state_; }  // for tests: nobody may write meanwhile

 private:
  friend class HnswWriter;
  friend class HnswCompactWriter;
  HnswIndex(const RowShape& shape, const RowShape& wide, const HnswOptions& options)
      : options_(options), state_(shape, wide, options.m) {}

  // Readers share the lock. Only the holder of the gate changes the state, and reads it without the lock.
  mutable RwLock lock_;
  WriterGate gate_;
  HnswOptions options_;
  bool coded_ = false;  // the layout has codes
  HnswState state_;
  std::atomic<size_t> size_{0};
  mutable std::atomic<uint64_t> scanned_{0}, rescored_{0}, hops_{0}, exact_searches_{0}, code_searches_{0};
};

}  // namespace annex
