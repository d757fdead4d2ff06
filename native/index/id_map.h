// External ids of the rows: slot → id and id → slot. While id i sits in slot i for every row, nothing is stored.
// Otherwise ids lie in an array, and an open-addressing table of slots (linear probing, at most half full) finds them.
#pragma once
#include <cstddef>
#include <cstdint>

#include "base/buffer.h"
#include "base/sections.h"

namespace annex {

inline constexpr int64_t kMaxId = (int64_t{1} << 53) - 1;
inline constexpr uint32_t kNoSlot = UINT32_MAX;
inline constexpr int64_t kNoId = -1;

class IdMap {
 public:
  /// Slots, those without an id included.
  size_t size() const { return size_; }
  bool identity() const { return identity_; }
  /// kNoId for a slot that was vacated.
  int64_t id_of(uint32_t slot) const { return identity_ ? slot : ids_[slot]; }
  size_t vacated() const { return vacated_; }
  uint32_t find(int64_t id) const;
  /// The id after the largest ever appended: what an add without ids starts from.
  int64_t next_id() const { return next_id_; }
  /// As if larger ids had been there.
  void continue_from(int64_t id) { next_id_ = next_id_ > id ? next_id_ : id; }

  /// Makes room for appending `extra` rows. `keep_identity` says that their ids continue 0, 1, 2 … (and that none is
  /// about to be removed from the middle); otherwise an array and a table are built where there are none.
  /// False: out of memory, nothing changed.
  [[nodiscard]] bool reserve(size_t extra, bool keep_identity);
  /// The next slot gets `id`, which must not be present; room was reserved.
  void append(int64_t id);
  /// Frees `slot` by moving the last slot's id into it. Under the identity only the last slot can go: see reserve().
  void remove(uint32_t slot);
  /// Takes the id from `slot`, which stays where it is; not under the identity: see reserve().
  void vacate(uint32_t slot);

  /// Becomes a copy of `other` with room for `extra` more, for a writer that prepares aside. False: out of memory.
  [[nodiscard]] bool copy_from(const IdMap& other, size_t extra);
  size_t bytes() const { return ids_.bytes() + table_.bytes(); }
  void swap(IdMap& other) noexcept;

  void save(Sections* out) const;
  /// The ids of `slots` slots from the sections, some vacated where there are more of them than rows in the file. The
  /// map is empty before.
  Status load(const SectionReader& sections, size_t slots);

 private:
  [[nodiscard]] bool leave_identity(size_t extra);
  [[nodiscard]] bool rehash(size_t rows);
  size_t bucket_of(int64_t id) const {
    return static_cast<size_t>((static_cast<uint64_t>(id) * 0x9E3779B97F4A7C15u) >> shift_);
  }
  void link(uint32_t slot);
  void unlink(uint32_t slot);

  Buffer<int64_t> ids_;
  Buffer<uint32_t> table_;  // slot, or kNoSlot for an empty bucket; a power of two of them
  size_t size_ = 0;
  size_t vacated_ = 0;
  int64_t next_id_ = 0;
  unsigned shift_ = 63;
  bool identity_ = true;
};

}  // namespace annex
