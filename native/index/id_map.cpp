#include "index/id_map.h"

#include <algorithm>

namespace annex {
namespace {
constexpr Tag kIds = make_tag("IDS ");
}

uint32_t IdMap::find(int64_t id) const {
  if (identity_) return id >= 0 && id < static_cast<int64_t>(size_) ? static_cast<uint32_t>(id) : kNoSlot;
  const size_t mask = table_.size() - 1;
  for (size_t bucket = bucket_of(id);; bucket = (bucket + 1) & mask) {
    const uint32_t slot = table_[bucket];
    if (slot == kNoSlot || ids_[slot] == id) return slot;
  }
}

bool IdMap::reserve(size_t extra, bool keep_identity) {
  if (identity_) return keep_identity || leave_identity(extra);
  const size_t rows = size_ + extra;
  if (rows > ids_.capacity() && !ids_.reserve(std::max(rows, ids_.capacity() * 2))) return false;
  return rows * 2 <= table_.size() || rehash(rows);
}

void IdMap::append(int64_t id) {
  const uint32_t slot = static_cast<uint32_t>(size_++);
  next_id_ = std::max(next_id_, id + 1);
  if (identity_) return;
  (void)ids_.resize(size_);  // within what was reserved
  ids_[slot] = id;
  link(slot);
}

void IdMap::remove(uint32_t slot) {
  const uint32_t last = static_cast<uint32_t>(--size_);
  if (identity_) return;
  unlink(slot);
  if (slot != last) {
    unlink(last);
    ids_[slot] = ids_[last];
    link(slot);
  }
  (void)ids_.resize(size_);
}

void IdMap::vacate(uint32_t slot) {
  unlink(slot);
  ids_[slot] = kNoId;
  ++vacated_;
}

bool IdMap::copy_from(const IdMap& other, size_t extra) {
  IdMap copy;
  copy.identity_ = other.identity_;
  copy.next_id_ = other.next_id_;
  copy.size_ = other.size_;
  copy.vacated_ = other.vacated_;
  if (!other.identity_) {
    if (!copy.ids_.reserve(other.size_ + extra) || !copy.ids_.resize(other.size_)) return false;
    std::copy_n(other.ids_.data(), other.size_, copy.ids_.data());
    if (!copy.rehash(other.size_ + extra)) return false;
  }
  swap(copy);
  return true;
}

void IdMap::swap(IdMap& other) noexcept {
  ids_.swap(other.ids_);
  table_.swap(other.table_);
  std::swap(size_, other.size_);
  std::swap(vacated_, other.vacated_);
  std::swap(next_id_, other.next_id_);
  std::swap(shift_, other.shift_);
  std::swap(identity_, other.identity_);
}

bool IdMap::leave_identity(size_t extra) {
  if (!ids_.reserve(size_ + extra) || !ids_.resize(size_)) return false;
  for (size_t slot = 0; slot < size_; ++slot) ids_[slot] = static_cast<int64_t>(slot);
  if (!rehash(size_ + extra)) return false;
  identity_ = false;
  return true;
}

// A table for `rows` rows at most half full, filled with the present ones.
bool IdMap::rehash(size_t rows) {
  unsigned bits = 4;
  while ((size_t{1} << bits) < rows * 2) ++bits;
  Buffer<uint32_t> table;
  if (!table.resize(size_t{1} << bits)) return false;
  std::fill_n(table.data(), table.size(), kNoSlot);
  table_.swap(table);
  shift_ = 64 - bits;
  for (uint32_t slot = 0; slot < size_; ++slot) {
    if (ids_[slot] != kNoId) link(slot);
  }
  return true;
}

void IdMap::link(uint32_t slot) {
  const size_t mask = table_.size() - 1;
  size_t bucket = bucket_of(ids_[slot]);
  while (table_[bucket] != kNoSlot) bucket = (bucket + 1) & mask;
  table_[bucket] = slot;
}

void IdMap::save(Sections* out) const {
  if (identity_) return;
  out->begin(kIds);
  out->add(ids_);
}

Status IdMap::load(const SectionReader& sections, size_t slots) {
  next_id_ = sections.next_id();
  size_ = slots;
  identity_ = !sections.has(kIds);
  int64_t greatest = static_cast<int64_t>(slots) - 1;
  if (!identity_) {
    const Status status = sections.borrow(kIds, Content::steering, slots, &ids_);
    if (status != Status::ok) return status;
    size_ = 0;  // rehash() links none of them yet
    if (!rehash(slots)) return out_of_memory(slots * 16);
    greatest = -1;
    for (; size_ < slots; ++size_) {
      const int64_t id = ids_[size_];
      if (id == kNoId) {
        ++vacated_;
        continue;
      }
      if (id < 0 || id > kMaxId) return corrupt(kIds, "the id of row %zu is no whole number below 2^53", size_);
      if (find(id) != kNoSlot) return corrupt(kIds, "row %zu has the id of an earlier row", size_);
      greatest = std::max(greatest, id);
      link(static_cast<uint32_t>(size_));
    }
  }
  if (slots - vacated_ != sections.rows()) {
    return corrupt(kIds, "%zu rows have an id, and the file says %.0f", slots - vacated_,
                   static_cast<double>(sections.rows()));
  }
  if (next_id_ > greatest && next_id_ <= kMaxId + 1) return Status::ok;
  return fail(Status::corrupt,
              "section INFO: the next id is %.0f, and the largest in the file is %.0f; the file is "
              "damaged: use another copy",
              static_cast<double>(next_id_), static_cast<double>(greatest));
}

// Removal without tombstones: whatever was pushed past the emptied bucket moves back into it.
void IdMap::unlink(uint32_t slot) {
  const size_t mask = table_.size() - 1;
  size_t hole = bucket_of(ids_[slot]);
  while (table_[hole] != slot) hole = (hole + 1) & mask;
  for (size_t bucket = (hole + 1) & mask; table_[bucket] != kNoSlot; bucket = (bucket + 1) & mask) {
    const size_t home = bucket_of(ids_[table_[bucket]]);
    if (((bucket - home) & mask) >= ((bucket - hole) & mask)) {
      table_[hole] = table_[bucket];
      hole = bucket;
    }
  }
  table_[hole] = kNoSlot;
}

}  // namespace annex
