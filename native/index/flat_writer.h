// Stages rows for a flat index and makes them visible at once. Whole blocks are handed over; what a search could be
// reading is only touched under the exclusive lock, for as long as it takes to copy part of one block.
#pragma once
#include "index/flat.h"

namespace annex {

class FlatWriter final : public Writer {
 public:
  FlatWriter(FlatIndex& index, WriteMode mode);
  ~FlatWriter() override;
  Status append(Input type, const void* rows, size_t n, const double* ids, const int32_t* cancel) override;
  Status commit() override;

 private:
  struct Replacement {
    uint32_t slot;
    uint32_t staged;
  };
  Status take_ids(const double* ids, size_t n);
  Status stage(const uint8_t* rows, size_t n, const int32_t* cancel);
  Status stage_run(RowStore& store, const uint8_t* rows, size_t n, size_t name, const int32_t* cancel);
  bool append_ids(IdMap& map) const;

  FlatIndex& index_;
  const WriteMode mode_;
  const size_t head_room_;  // rows that still fit the index's last, partly filled block
  RowStore head_;           // new rows for that block
  RowStore fresh_;          // new rows for blocks of their own
  RowStore replaced_;       // rows that take the place of present ones
  Buffer<Replacement> replacements_;
  Buffer<uint32_t> targets_;  // of the append at hand: the slot a row replaces, or kNoSlot
  IdMap given_;               // ids given so far, in order, to find repeats
  Buffer<int64_t> new_ids_;   // ids of the new rows, in order; unused while ids are counted on
  size_t position_ = 0;       // rows appended so far
  bool counted_ = true;       // ids are next_id, next_id + 1 …
  bool failed_ = false;
};

}  // namespace annex
