#include "index/flat_writer.h"

#include "index/input.h"

namespace annex {

FlatWriter::FlatWriter(FlatIndex& index, WriteMode mode)
    : index_(index), mode_(mode), ids_(index.ids_, mode), rows_(index.rows_) {}

FlatWriter::~FlatWriter() { index_.gate_.leave(); }

Status FlatWriter::append(Input type, const void* rows, size_t n, const double* ids, const int32_t* cancel) {
  if (failed_) return fail(Status::invalid_argument, "an earlier part of this write failed: it can only be aborted");
  if (mode_ == WriteMode::compact) return fail(Status::invalid_argument, "compact takes no rows");
  failed_ = true;  // until all went well
  const size_t position = ids_.rows();
  Status status = check_input(index_.rows_.shape(), type, "row", rows, n, position);
  if (status == Status::ok && n != 0) status = ids_.take(ids, n);
  if (status == Status::ok && n != 0) status = rows_.stage(rows, n, ids_, position, cancel);
  failed_ = status != Status::ok;
  return status;
}

Status FlatWriter::commit() {
  if (failed_) return fail(Status::invalid_argument, "an earlier part of this write failed: it can only be aborted");
  Status status = rows_.prepare();
  if (status == Status::ok) status = ids_.prepare();
  if (status != Status::ok) return status;

  const WriteGuard guard(index_.lock_);
  ++index_.changes_;
  status = rows_.reserve(index_.rows_);
  if (status == Status::ok) status = ids_.commit(index_.ids_);
  if (status != Status::ok) return status;
  rows_.commit(index_.rows_);
  index_.size_.store(index_.rows_.size(), std::memory_order_release);
  return Status::ok;
}

}  // namespace annex
