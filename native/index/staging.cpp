#include "index/staging.h"

#include <algorithm>
#include <cstring>

#include "kernels/dispatch.h"

namespace annex {
namespace {

// From this many new ids on, the id table is rebuilt aside instead of under the lock.
constexpr size_t kManyIds = 4096;

size_t room_in_last_block(const RowStore& rows) {
  const size_t used = rows.size() % rows.block_rows();
  return used == 0 ? 0 : rows.block_rows() - used;
}

}  // namespace

Status has_ids(const IdMap& map, const double* ids, size_t n, uint8_t* found) {
  for (size_t i = 0; i < n; ++i) {
    int64_t id = 0;
    const Status status = parse_id(ids[i], "id", i, &id);
    if (status != Status::ok) return status;
    found[i] = map.find(id) != kNoSlot;
  }
  return Status::ok;
}

Status get_rows(const RowStore& store, const IdMap& map, const double* ids, size_t n, void* rows, uint8_t* found) {
  const RowShape& shape = store.shape();
  const DecodeFn decode = shape.float_input() ? kernels().decode[static_cast<size_t>(shape.scalar)] : nullptr;
  uint8_t* out = static_cast<uint8_t*>(rows);
  for (size_t i = 0; i < n; ++i, out += shape.input_bytes()) {
    int64_t id = 0;
    const Status status = parse_id(ids[i], "id", i, &id);
    if (status != Status::ok) return status;
    const uint32_t slot = map.find(id);
    found[i] = slot != kNoSlot;
    if (slot == kNoSlot) {
      std::memset(out, 0, shape.input_bytes());
    } else if (decode != nullptr) {
      decode(store.row(slot), shape.dim, reinterpret_cast<float*>(out));
    } else {
      std::memcpy(out, store.row(slot), shape.input_bytes());
    }
  }
  return Status::ok;
}

size_t list_ids(const IdMap& map, size_t start, size_t n, double* out) {
  size_t written = 0, slot = start;
  if (map.vacated() != 0) {
    slot = 0;
    for (size_t left = start; slot < map.size(); ++slot) {
      if (map.id_of(static_cast<uint32_t>(slot)) != kNoId && left-- == 0) break;
    }
  }
  for (; slot < map.size() && written < n; ++slot) {
    const int64_t id = map.id_of(static_cast<uint32_t>(slot));
    if (id != kNoId) out[written++] = static_cast<double>(id);
  }
  return written;
}

Status find_removed(const IdMap& map, const double* ids, size_t n, Buffer<uint32_t>* slots) {
  IdMap given;
  if (!given.reserve(n, false) || !slots->resize(n)) return out_of_memory(n * 28);
  for (size_t i = 0; i < n; ++i) {
    int64_t id = 0;
    const Status status = parse_id(ids[i], "id", i, &id);
    if (status != Status::ok) return status;
    if (given.find(id) != kNoSlot) {
      return fail(Status::duplicate_id, "id %.0f is given twice, the second time at position %zu: name each once",
                  ids[i], i);
    }
    given.append(id);
    (*slots)[i] = map.find(id);
  }
  return Status::ok;
}

Status prepare_removal(const IdMap& map, const Buffer<uint32_t>& slots, IdMap* aside, bool* rebuilt) {
  *rebuilt = false;
  if (!map.identity()) return Status::ok;
  size_t rest = map.size();
  for (size_t i = 0; i < slots.size(); ++i) {
    if (rest != 0 && slots[i] == rest - 1) {
      --rest;
    } else if (slots[i] < rest) {
      *rebuilt = true;
      return aside->copy_from(map, 0) && aside->reserve(0, false) ? Status::ok : out_of_memory(map.size() * 16);
    }
  }
  return Status::ok;
}

Status StagedIds::take(const double* ids, size_t n) {
  if (n > kMaxRows - map_.size() || rows_ + n > kMaxRows - map_.size()) {
    return fail(Status::unsupported, "an index holds at most %zu rows", kMaxRows);
  }
  if (ids == nullptr) {
    if (mode_ == WriteMode::upsert) {
      return fail(Status::invalid_id, "upsert needs the id of every row: pass as many ids as rows");
    }
    if (!counted_) return fail(Status::invalid_argument, "either all parts of a write bring ids, or none");
    if (map_.next_id() + static_cast<int64_t>(rows_ + n) - 1 > kMaxId) {
      return fail(Status::invalid_id, "ids would pass 2^53 - 1: give ids of your own");
    }
    rows_ += n;
    fresh_ += n;
    return Status::ok;
  }
  if (counted_ && rows_ != 0) {
    return fail(Status::invalid_argument, "either all parts of a write bring ids, or none");
  }
  counted_ = false;
  targets_.clear();
  if (!given_.reserve(n, false) || !targets_.reserve(n)) return out_of_memory(n * 24);
  if (new_ids_.size() + n > new_ids_.capacity() &&
      !new_ids_.reserve(std::max(new_ids_.size() + n, 2 * new_ids_.size()))) {
    return out_of_memory(n * 8);
  }
  for (size_t i = 0; i < n; ++i) {
    int64_t id = 0;
    const Status status = parse_id(ids[i], "id", rows_ + i, &id);
    if (status != Status::ok) return status;
    if (given_.find(id) != kNoSlot) {
      return fail(Status::duplicate_id, "id %.0f is given twice, the second time at position %zu: ids are unique",
                  ids[i], rows_ + i);
    }
    const uint32_t slot = map_.find(id);
    if (slot != kNoSlot && mode_ == WriteMode::add) {
      return fail(Status::duplicate_id, "id %.0f at position %zu is in the index already: use upsert to replace rows",
                  ids[i], rows_ + i);
    }
    given_.append(id);
    (void)targets_.push(slot);
    if (slot == kNoSlot) (void)new_ids_.push(id);
  }
  rows_ += n;
  fresh_ = new_ids_.size();
  return Status::ok;
}

bool StagedIds::append_to(IdMap& map) const {
  const int64_t next = map.next_id();
  const auto id_at = [&](size_t i) { return counted_ ? next + static_cast<int64_t>(i) : new_ids_[i]; };
  bool sequential = map.identity();
  for (size_t i = 0; i < fresh_ && sequential && (i == 0 || !counted_); ++i) {
    sequential = id_at(i) == static_cast<int64_t>(map.size() + i);
  }
  if (!map.reserve(fresh_, sequential)) return false;
  for (size_t i = 0; i < fresh_; ++i) map.append(id_at(i));
  return true;
}

Status StagedIds::prepare() {
  if (fresh_ < kManyIds) return Status::ok;
  if (!rebuilt_.copy_from(map_, fresh_) || !append_to(rebuilt_)) return out_of_memory((map_.size() + fresh_) * 16);
  return Status::ok;
}

Status StagedIds::commit(IdMap& map) {
  if (fresh_ >= kManyIds) {
    map.swap(rebuilt_);
    return Status::ok;
  }
  return append_to(map) ? Status::ok : out_of_memory((map.size() + fresh_) * 16);
}

bool StagedIds::move_to(IdMap& map) {
  const int64_t next = map.next_id();
  const auto id_at = [&](size_t i) {
    return counted_ ? next + static_cast<int64_t>(i) : given_.id_of(static_cast<uint32_t>(i));
  };
  bool sequential = map.identity();
  for (size_t i = 0; i < rows_ && sequential && (i == 0 || !counted_); ++i) {
    sequential = id_at(i) == static_cast<int64_t>(map.size() + i);
  }
  if (!map.reserve(rows_, sequential)) return false;
  for (size_t i = 0; i < rows_; ++i) {
    const int64_t id = id_at(i);
    const uint32_t slot = counted_ ? kNoSlot : map.find(id);
    if (slot != kNoSlot) {
      map.vacate(slot);
      (void)vacated_.push(slot);
    }
    map.append(id);
  }
  return true;
}

Status StagedIds::prepare_moved() {
  if (!vacated_.reserve(rows_ - fresh_)) return out_of_memory((rows_ - fresh_) * 4);
  aside_ = rows_ >= kManyIds || (rows_ != fresh_ && map_.identity());
  if (!aside_) return Status::ok;
  if (!rebuilt_.copy_from(map_, rows_) || !move_to(rebuilt_)) return out_of_memory((map_.size() + rows_) * 16);
  return Status::ok;
}

Status StagedIds::commit_moved(IdMap& map) {
  if (aside_) {
    map.swap(rebuilt_);
    return Status::ok;
  }
  return move_to(map) ? Status::ok : out_of_memory((map.size() + rows_) * 16);
}

StagedRows::StagedRows(const RowStore& rows)
    : rows_(rows),
      head_room_(room_in_last_block(rows)),
      head_(rows.shape()),
      fresh_(rows.shape()),
      replaced_(rows.shape()) {}

// Splits the rows into runs for head_, fresh_ and replaced_, and codes each.
Status StagedRows::stage(const void* rows, size_t n, const StagedIds& ids, size_t named_from, const int32_t* cancel) {
  const size_t input_bytes = rows_.shape().input_bytes();
  size_t done = 0;
  while (done < n) {
    size_t run = n - done;
    RowStore* store = &fresh_;
    const bool replaces = ids.target(done) != kNoSlot;
    if (ids.replaces()) {
      run = 1;
      while (done + run < n && (ids.target(done + run) != kNoSlot) == replaces) ++run;
    }
    if (replaces) {
      store = &replaced_;
      for (size_t i = 0; i < run; ++i) {
        const Replacement item{ids.target(done + i), static_cast<uint32_t>(replaced_.size() + i)};
        if (!replacements_.push(item)) return out_of_memory(replacements_.bytes() * 2);
      }
    } else if (head_.size() < head_room_) {
      store = &head_;
      run = std::min(run, head_room_ - head_.size());
    }
    const uint8_t* first = static_cast<const uint8_t*>(rows) + done * input_bytes;
    const Status status = stage_run(*store, first, run, named_from + done, cancel);
    if (status != Status::ok) return status;
    done += run;
  }
  return Status::ok;
}

Status StagedRows::stage_run(RowStore& store, const uint8_t* rows, size_t n, size_t named_from, const int32_t* cancel) {
  const size_t first = store.size();
  if (!store.reserve(first + n)) return out_of_memory(n * store.shape().stride());
  const Status status = store.encode(first, rows, n, named_from, cancel);
  if (status == Status::ok) store.set_size(first + n);
  return status;
}

Status StagedRows::prepare() {
  const RowShape& shape = rows_.shape();
  const size_t head = head_.size();
  const size_t used = rows_.size() % rows_.block_rows();
  const size_t last = rows_.size() / rows_.block_rows();
  grows_ = head != 0 && used + head > rows_.block(last).capacity();
  if (!grows_) return Status::ok;
  const size_t room = rows_.block_room(used + head);
  if (!grown_.reserve(shape, room, 0)) return out_of_memory(room * shape.stride());
  for (size_t r = 0; r < used; ++r) grown_.copy_row(shape, r, rows_.block(last), r);
  for (size_t r = 0; r < head; ++r) grown_.copy_row(shape, used + r, head_.block(0), r);
  return Status::ok;
}

Status StagedRows::reserve(RowStore& rows) const {
  const size_t blocks = rows.blocks() + fresh_.blocks();
  return rows.reserve_blocks(blocks) ? Status::ok : out_of_memory(blocks * sizeof(RowBlock*));
}

void StagedRows::commit(RowStore& rows) {
  const size_t old_size = rows.size();
  const size_t used = old_size % rows.block_rows();
  const size_t last = old_size / rows.block_rows();
  const size_t added = fresh();
  if (grows_) {
    rows.mutable_block(last).swap(grown_);
  } else {
    for (size_t r = 0; r < head_.size(); ++r) {
      rows.mutable_block(last).copy_row(rows.shape(), used + r, head_.block(0), r);
    }
  }
  for (size_t b = 0; b < fresh_.blocks(); ++b) rows.push_block(fresh_.release_block(b));
  rows.set_size(old_size + added);
  fresh_.set_size(0);
  for (size_t i = 0; i < replacements_.size(); ++i) {
    rows.copy_row(replacements_[i].slot, replaced_, replacements_[i].staged);
  }
}

}  // namespace annex
