// A caller's filter on ids, resolved to slots once per search.
#pragma once
#include "base/buffer.h"
#include "index/id_map.h"
#include "index/index.h"

namespace annex {

class SlotFilter {
 public:
  /// Resolves `filter` against the ids of slots 0 … ids.size() - 1. False: out of memory.
  [[nodiscard]] bool resolve(const Filter& filter, const IdMap& ids);

  bool all() const { return all_; }
  bool allows(size_t slot) const { return all_ || (words_[slot / 32] >> (slot % 32) & 1) != 0; }
  /// Whether one of [begin, end) is allowed; begin is a multiple of 32.
  bool any(size_t begin, size_t end) const {
    for (size_t word = begin / 32; word * 32 < end; ++word) {
      if (all_ || words_[word] != 0) return true;
    }
    return false;
  }
  /// How many slots are allowed.
  size_t count() const { return count_; }
  /// The allowed slots, ascending, where they are few enough to be visited one by one; else null.
  const uint32_t* list() const { return few_ ? list_.data() : nullptr; }
  /// The allowed slots, ascending, however many; not where all are. False: out of memory.
  [[nodiscard]] bool list_all(Buffer<uint32_t>* out) const;

 private:
  bool all_ = true;
  bool few_ = false;
  size_t count_ = 0;
  Buffer<uint32_t> words_;
  Buffer<uint32_t> list_;
};

}  // namespace annex
