// FlatIndex: exact search by looking at every row, or at a narrow copy of every row whose error bound proves which
// rows the answer cannot contain. Where the storage is a codec, IvfIndex stands in: codes in a single list.
#pragma once
#include <atomic>

#include "base/rw_lock.h"
#include "index/id_map.h"
#include "index/index.h"
#include "index/row_store.h"
#include "index/writer_gate.h"

namespace annex {

class FlatIndex final : public Index {
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
  bool divisible() const override { return true; }
  Status begin_save(Sections* out) override;
  void end_save() override;
  Status load(const SectionReader& sections) override;

 private:
  friend class FlatWriter;
  explicit FlatIndex(const RowShape& shape) : rows_(shape) {}

  // Readers share the lock. Only the holder of the gate changes rows and ids, and reads them without the lock.
  mutable RwLock lock_;
  WriterGate gate_;
  RowStore rows_;
  IdMap ids_;
  std::atomic<size_t> size_{0};
  uint64_t changes_ = 0;  // writes so far, by which rows may have moved
  mutable std::atomic<uint64_t> scanned_{0};
  mutable std::atomic<uint64_t> rescored_{0};
};

}  // namespace annex
