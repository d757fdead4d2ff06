#include "index/flat_writer.h"

#include <algorithm>

#include "index/input.h"

namespace annex {
namespace {

constexpr size_t kMaxRows = UINT32_MAX - 16;
// From this many new ids on, the id table is rebuilt aside instead of under the lock.
constexpr size_t kManyIds = 4096;

size_t room_in_last_block(const RowStore& rows) {
  const size_t used = rows.size() % rows.block_rows();
  return used == 0 ? 0 : rows.block_rows() - used;
}

}  // namespace

FlatWriter::FlatWriter(FlatIndex& index, WriteMode mode)
    : index_(index),
      mode_(mode),
      head_room_(room_in_last_block(index.rows_)),
      head_(index.rows_.shape()),
      fresh_(index.rows_.shape()),
      replaced_(index.rows_.shape()) {}

FlatWriter::~FlatWriter() { index_.writing_.store(false, std::memory_order_release); }

Status FlatWriter::append(Input type, const void* rows, size_t n, const double* ids, const int32_t* cancel) {
  if (failed_) return fail(Status::invalid_argument, "an earlier part of this write failed: it can only be aborted");
  failed_ = true;  // until all went well
  Status status = check_input(index_.rows_.shape(), type, "row", rows, n, position_);
  if (status != Status::ok) return status;
  if (n == 0) {
    failed_ = false;
    return Status::ok;
  }
  if (n > kMaxRows - index_.size() || position_ + n > kMaxRows - index_.size()) {
    return fail(Status::unsupported, "an index holds at most %zu rows", kMaxRows);
  }
  status = take_ids(ids, n);
  if (status == Status::ok) status = stage(static_cast<const uint8_t*>(rows), n, cancel);
  if (status != Status::ok) return status;
  position_ += n;
  failed_ = false;
  return Status::ok;
}

// Checks the ids and finds for each row the slot that it replaces.
Status FlatWriter::take_ids(const double* ids, size_t n) {
  if (ids == nullptr) {
    if (mode_ == WriteMode::upsert) {
      return fail(Status::invalid_id, "upsert needs the id of every row: pass as many ids as rows");
    }
    if (!counted_) return fail(Status::invalid_argument, "either all parts of a write bring ids, or none");
    if (index_.ids_.next_id() + static_cast<int64_t>(position_ + n) - 1 > kMaxId) {
      return fail(Status::invalid_id, "ids would pass 2^53 - 1: give ids of your own");
    }
    return Status::ok;
  }
  if (counted_ && position_ != 0)
    return fail(Status::invalid_argument, "either all parts of a write bring ids, or none");
  counted_ = false;
  targets_.clear();
  if (!given_.reserve(n, false) || !targets_.reserve(n)) return out_of_memory(n * 24);
  if (new_ids_.size() + n > new_ids_.capacity() &&
      !new_ids_.reserve(std::max(new_ids_.size() + n, 2 * new_ids_.size()))) {
    return out_of_memory(n * 8);
  }
  for (size_t i = 0; i < n; ++i) {
    int64_t id = 0;
    const Status status = parse_id(ids[i], "id", position_ + i, &id);
    if (status != Status::ok) return status;
    if (given_.find(id) != kNoSlot) {
      return fail(Status::duplicate_id, "id %.0f is given twice, the second time at position %zu: ids are unique",
                  ids[i], position_ + i);
    }
    const uint32_t slot = index_.ids_.find(id);
    if (slot != kNoSlot && mode_ == WriteMode::add) {
      return fail(Status::duplicate_id, "id %.0f at position %zu is in the index already: use upsert to replace rows",
                  ids[i], position_ + i);
    }
    given_.append(id);
    (void)targets_.push(slot);
    if (slot == kNoSlot) (void)new_ids_.push(id);
  }
  return Status::ok;
}

// Splits the rows into runs for head_, fresh_ and replaced_, and codes each.
Status FlatWriter::stage(const uint8_t* rows, size_t n, const int32_t* cancel) {
  const size_t input_bytes = index_.rows_.shape().input_bytes();
  size_t done = 0;
  while (done < n) {
    size_t run = n - done;
    RowStore* store = &fresh_;
    const bool replaces = !counted_ && targets_[done] != kNoSlot;
    if (!counted_) {
      run = 1;
      while (done + run < n && (targets_[done + run] != kNoSlot) == replaces) ++run;
    }
    if (replaces) {
      store = &replaced_;
      for (size_t i = 0; i < run; ++i) {
        const Replacement item{targets_[done + i], static_cast<uint32_t>(replaced_.size() + i)};
        if (!replacements_.push(item)) return out_of_memory(replacements_.bytes() * 2);
      }
    } else if (head_.size() < head_room_) {
      store = &head_;
      run = std::min(run, head_room_ - head_.size());
    }
    const Status status = stage_run(*store, rows + done * input_bytes, run, position_ + done, cancel);
    if (status != Status::ok) return status;
    done += run;
  }
  return Status::ok;
}

Status FlatWriter::stage_run(RowStore& store, const uint8_t* rows, size_t n, size_t name, const int32_t* cancel) {
  const size_t first = store.size();
  if (!store.reserve(first + n)) return out_of_memory(n * store.shape().stride());
  const Status status = store.encode(first, rows, n, name, cancel);
  if (status == Status::ok) store.set_size(first + n);
  return status;
}

bool FlatWriter::append_ids(IdMap& map) const {
  const size_t count = head_.size() + fresh_.size();
  const int64_t next = map.next_id();
  const auto id_at = [&](size_t i) { return counted_ ? next + static_cast<int64_t>(i) : new_ids_[i]; };
  bool sequential = map.identity();
  for (size_t i = 0; i < count && sequential && (i == 0 || !counted_); ++i) {
    sequential = id_at(i) == static_cast<int64_t>(map.size() + i);
  }
  if (!map.reserve(count, sequential)) return false;
  for (size_t i = 0; i < count; ++i) map.append(id_at(i));
  return true;
}

Status FlatWriter::commit() {
  if (failed_) return fail(Status::invalid_argument, "an earlier part of this write failed: it can only be aborted");
  RowStore& rows = index_.rows_;
  const RowShape& shape = rows.shape();
  const size_t old_size = rows.size();
  const size_t head = head_.size();
  const size_t used = old_size % rows.block_rows();
  const size_t last = old_size / rows.block_rows();

  // Aside, while searches go on: a larger copy of the last block where the head rows do not fit, and a copy of the id
  // table where many ids are new.
  RowBlock grown;
  const bool grows = head != 0 && used + head > rows.block(last).capacity();
  if (grows) {
    const size_t room = std::min(std::max(used + head, 2 * used), rows.block_rows());
    if (!grown.reserve(shape, room, 0)) return out_of_memory(room * shape.stride());
    for (size_t r = 0; r < used; ++r) grown.copy_row(shape, r, rows.block(last), r);
    for (size_t r = 0; r < head; ++r) grown.copy_row(shape, used + r, head_.block(0), r);
  }
  IdMap rebuilt;
  const bool rebuild = head + fresh_.size() >= kManyIds;
  if (rebuild && (!rebuilt.copy_from(index_.ids_, head + fresh_.size()) || !append_ids(rebuilt))) {
    return out_of_memory((old_size + head + fresh_.size()) * 16);
  }

  const WriteGuard guard(index_.lock_);
  if (!rows.reserve_blocks(rows.blocks() + fresh_.blocks()))
    return out_of_memory((rows.blocks() + fresh_.blocks()) * 8);
  if (rebuild) {
    index_.ids_.swap(rebuilt);
  } else if (!append_ids(index_.ids_)) {
    return out_of_memory((old_size + head) * 16);
  }
  if (grows) {
    rows.mutable_block(last).swap(grown);
  } else {
    for (size_t r = 0; r < head; ++r) rows.mutable_block(last).copy_row(shape, used + r, head_.block(0), r);
  }
  for (size_t b = 0; b < fresh_.blocks(); ++b) rows.push_block(fresh_.release_block(b));
  rows.set_size(old_size + head + fresh_.size());
  fresh_.set_size(0);
  for (size_t i = 0; i < replacements_.size(); ++i) {
    rows.copy_row(replacements_[i].slot, replaced_, replacements_[i].staged);
  }
  index_.size_.store(rows.size(), std::memory_order_release);
  return Status::ok;
}

}  // namespace annex
