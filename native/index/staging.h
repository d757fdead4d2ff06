// What a writer stages aside for rows that are kept by slot: their ids, checked, and the coded rows.
#pragma once
#include "index/id_map.h"
#include "index/index.h"
#include "index/row_store.h"

namespace annex {

// Ids under the lock that the caller holds.
Status has_ids(const IdMap& map, const double* ids, size_t n, uint8_t* found);
Status get_rows(const RowStore& store, const IdMap& map, const double* ids, size_t n, void* rows, uint8_t* found);
size_t list_ids(const IdMap& map, size_t start, size_t n, double* out);

/// Checks the ids of a removal (INVALID_ID, DUPLICATE_ID) and finds their slots (kNoSlot: absent).
Status find_removed(const IdMap& map, const double* ids, size_t n, Buffer<uint32_t>* slots);
/// Where removing these would leave ids that are not 0, 1, 2 …: makes in `aside` the array and table that are needed
/// from then on, to be swapped in under the lock. *rebuilt tells whether it did.
Status prepare_removal(const IdMap& map, const Buffer<uint32_t>& slots, IdMap* aside, bool* rebuilt);

/// The ids of a write, in the order in which they are given.
class StagedIds {
 public:
  /// `map` is that of the index, which nobody else changes meanwhile.
  StagedIds(const IdMap& map, WriteMode mode) : map_(map), mode_(mode) {}
  /// Checks the ids of the next n rows, or counts them on where `ids` is null.
  Status take(const double* ids, size_t n);
  /// Of row i of the last take: the slot that it replaces, or kNoSlot.
  uint32_t target(size_t i) const { return counted_ ? kNoSlot : targets_[i]; }
  bool replaces() const { return !counted_; }  // some may
  size_t rows() const { return rows_; }        // taken
  size_t fresh() const { return fresh_; }      // of those, rows that are new

  /// Aside, while searches go on: a larger copy of the map where many ids are new.
  Status prepare();
  /// Under the lock: adds the new ids to `map`, which is that of the index.
  Status commit(IdMap& map);

  // The same where rows never move: a row that replaces another gets a new slot, and the old one is vacated.
  Status prepare_moved();
  Status commit_moved(IdMap& map);
  /// Slots that commit_moved has vacated.
  const Buffer<uint32_t>& vacated() const { return vacated_; }

 private:
  bool append_to(IdMap& map) const;
  bool move_to(IdMap& map);

  const IdMap& map_;
  const WriteMode mode_;
  IdMap given_;  // ids given so far, in order, to find repeats
  IdMap rebuilt_;
  Buffer<uint32_t> targets_;
  Buffer<uint32_t> vacated_;
  Buffer<int64_t> new_ids_;  // unused while ids are counted on
  size_t rows_ = 0;
  size_t fresh_ = 0;
  bool aside_ = false;
  bool counted_ = true;  // ids are next_id, next_id + 1 …
};

/// Coded rows on their way into a RowStore. Whole blocks are handed over; what a search could be reading is only
/// touched under the exclusive lock, for as long as it takes to copy part of one block.
class StagedRows {
 public:
  explicit StagedRows(const RowStore& rows);
  /// Codes n rows: those with a target replace that slot, the others are appended. Errors as RowStore::encode.
  Status stage(const void* rows, size_t n, const StagedIds& ids, size_t named_from, const int32_t* cancel);
  size_t fresh() const { return head_.size() + fresh_.size(); }
  /// The i-th of the new rows.
  const uint8_t* row(size_t i) const { return i < head_.size() ? head_.row(i) : fresh_.row(i - head_.size()); }

  /// Aside, while searches go on: a larger copy of the last block where the new rows do not fit.
  Status prepare();
  /// Under the lock, with the store this was made for: first room for its new blocks, which may fail and changes
  /// nothing else; then the rows.
  Status reserve(RowStore& rows) const;
  void commit(RowStore& rows);

 private:
  struct Replacement {
    uint32_t slot;
    uint32_t staged;
  };
  Status stage_run(RowStore& store, const uint8_t* rows, size_t n, size_t named_from, const int32_t* cancel);

  const RowStore& rows_;
  const size_t head_room_;  // rows that still fit the last, partly filled block
  RowStore head_;           // new rows for that block
  RowStore fresh_;          // new rows for blocks of their own
  RowStore replaced_;       // rows that take the place of present ones
  RowBlock grown_;
  bool grows_ = false;
  Buffer<Replacement> replacements_;
};

}  // namespace annex
