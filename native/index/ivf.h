// IvfIndex: rows in lists around centroids (inverted file: Sivic and Zisserman 2003; lists of coded residuals: Jégou,
// Douze and Schmid 2011). A search looks into the lists whose centroids are nearest to the query.
#pragma once
#include <atomic>

#include "base/rw_lock.h"
#include "index/id_map.h"
#include "index/ivf_lists.h"
#include "index/writer_gate.h"

namespace annex {

class IvfIndex final : public Index {
 public:
  static Status create(const Option* options, size_t count, Index** out);
  /// A flat index whose storage is a codec.
  static Status create_flat(const Option* options, size_t count, Index** out);
  ~IvfIndex() override;

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

 private:
  friend class IvfWriter;
  friend class IvfTrainer;
  friend class IvfSearch;

  /// Where an entry stands.
  struct Place {
    uint32_t list, at;
  };

  IvfIndex(const IvfOptions& options, Codec* codec);
  static Status create(const Option* options, size_t count, bool flat, Index** out);
  Status not_trained(const char* what) const;
  /// Lists that an entry of each row is in.
  size_t copies() const { return 1 + options_.spill; }
  const float* centroid(size_t list) const { return reinterpret_cast<const float*>(centroids_.row(list)); }
  Status search_some(const SearchRequest& request) const;
  /// The `count` lists nearest to each of n rows of floats, nearest first, with their distances.
  Status nearest_lists(const float* rows, size_t n, size_t count, size_t threads, const int32_t* cancel, double* lists,
                       float* distances) const;

  /// A graph over centroids, where the options ask for one; *out stays null otherwise.
  Status make_graph(const RowStore& centroids, Index** out) const;

  /// Where the entries of each slot stand; made by the first write that needs it, and kept from then on.
  Status make_places();
  Status load_trained(const SectionReader& sections);
  /// The lists of loaded rows, of each of which the file says no more than in which one it is.
  Status make_lists(const SectionReader& sections);
  void find_places(Buffer<Place>& places) const;
  /// Takes the entries of a slot out of their lists. `record` has room for one.
  void drop_entries(uint32_t slot, uint8_t* record);
  /// The row that an entry stands for, as the caller gave it or as near as it is known.
  void decode_entry(Place place, uint8_t* record, uint8_t* scratch, void* row) const;
  Status get_from_lists(const double* ids, size_t n, uint8_t* rows, uint8_t* found) const;

  const IvfOptions options_;
  const RowShape shape_;  // of the rows apart, or in the lists
  Codec* const codec_;    // owned; null for entries that are not coded

  // Readers share the lock. Only the holder of the gate changes anything, and reads without the lock.
  mutable RwLock lock_;
  WriterGate gate_;
  std::atomic<bool> trained_{false};
  RowStore centroids_;
  IdMap centroid_ids_;
  Index* graph_ = nullptr;  // over the centroids, owned; derived from them, and not in files
  IvfLists lists_;
  RowStore store_;  // rows apart; empty where the lists have all
  IdMap ids_;
  Buffer<Place> places_;  // copies() of each slot, side by side; empty until needed
  std::atomic<size_t> size_{0};
  mutable std::atomic<uint64_t> scanned_{0};
  mutable std::atomic<uint64_t> exact_searches_{0};
  mutable std::atomic<uint64_t> rescored_{0};
};

}  // namespace annex
