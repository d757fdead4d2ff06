// The lists of an IVF index. A list holds, each contiguous: its entries' codes, their terms, and the slots of the rows
// that they stand for; but a flat index has one list, in which entry i is of slot i. Some lists side by side share a
// chunk of memory: a list that outgrows its room has its chunk rebuilt, with some more room for all of them, so that
// growing moves little at a time.
#pragma once
#include "base/buffer.h"
#include "base/rw_lock.h"
#include "base/sections.h"
#include "base/status.h"
#include "index/ivf_options.h"

namespace annex {

/// How entries lie in a list. An entry also exists as a record: its code, then its terms.
class EntryLayout {
 public:
  EntryLayout(const IvfOptions& options, const Codec* codec);

  size_t record_bytes() const { return record_code_ + (terms_ + (has_reach() ? 1 : 0)) * sizeof(float); }
  /// Floats of a row beside its code; term t of all entries side by side.
  ///   narrow: scale, a, b, c of the pass test; in the record also the reach (quant/residual_sidecar.h), of which a
  ///   list keeps the greatest.
  ///   rows: the norm, under metrics that need it. codes: none (in the
  ///   blocks).
  size_t terms() const { return terms_; }
  /// Entries that a list has room for come in this many.
  size_t group() const { return group_; }
  bool has_reach() const { return entry_ == IvfOptions::Entry::narrow; }
  bool has_slots() const { return has_slots_; }
  float reach(const uint8_t* record) const;
  size_t code_bytes(size_t capacity) const;
  size_t list_bytes(size_t capacity) const;
  size_t slot_bytes(size_t capacity) const { return has_slots_ ? capacity * sizeof(uint32_t) : 0; }
  /// From one list to the next.
  size_t whole_bytes(size_t capacity) const;

  void place(const uint8_t* record, uint8_t* codes, float* terms, size_t capacity, size_t at) const;
  void take(const uint8_t* codes, const float* terms, size_t capacity, size_t at, uint8_t* record) const;

 private:
  IvfOptions::Entry entry_;
  const Codec* codec_;
  bool has_slots_;
  size_t dim_;
  size_t row_bytes_ = 0;    // rows
  size_t record_code_ = 0;  // a multiple of 4
  size_t terms_ = 0;
  size_t group_ = kPanelRows;
};

class IvfLists {
 public:
  IvfLists(const EntryLayout& layout, size_t nlist);
  ~IvfLists();
  IvfLists(const IvfLists&) = delete;
  IvfLists& operator=(const IvfLists&) = delete;
  /// False: out of memory. To be called first.
  [[nodiscard]] bool begin();

  const EntryLayout& layout() const { return layout_; }
  size_t nlist() const { return nlist_; }
  size_t size(size_t list) const { return places_[list].size; }
  size_t capacity(size_t list) const { return places_[list].capacity; }
  /// Entries of all lists.
  size_t entries() const { return entries_; }
  size_t longest() const;
  const uint8_t* codes(size_t list) const { return base(list); }
  const float* terms(size_t list) const {
    return reinterpret_cast<const float*>(base(list) + layout_.code_bytes(capacity(list)));
  }
  /// Null in a flat index.
  const uint32_t* slots(size_t list) const {
    if (!layout_.has_slots()) return nullptr;
    return reinterpret_cast<const uint32_t*>(base(list) + layout_.list_bytes(capacity(list)));
  }
  uint32_t slot(size_t list, size_t at) const {
    return layout_.has_slots() ? slots(list)[at] : static_cast<uint32_t>(at);
  }

  /// Room for `extra[list]` more entries in each list. Chunks are rebuilt aside and put in under the lock, one after
  /// another; what a search sees does not change.
  Status reserve(const uint32_t* extra, RwLock& lock);
  /// Gives back the room that nothing needs.
  Status compact(RwLock& lock);

  /// Writes an entry behind the size of its list, where there is room.
  void write(size_t list, size_t at, const uint8_t* record, uint32_t slot);
  void take(size_t list, size_t at, uint8_t* record) const;
  void set_slot(size_t list, size_t at, uint32_t slot);
  void set_size(size_t list, size_t size);
  float reach(size_t list) const { return reaches_[list]; }
  void raise_reach(size_t list, float reach);
  /// Removes an entry by moving the last of its list into its place. `record` has room for one.
  void remove(size_t list, size_t at, uint8_t* record);

  void save(Sections* out) const;
  /// `rows` rows, each with 1 to `copies` entries in lists of their own. Believes no length and no slot. Empty before.
  Status load(const SectionReader& sections, size_t rows, size_t copies);

  size_t bytes_codes() const;  // codes and terms, as allocated
  size_t bytes_slots() const;
  size_t bytes_fixed() const {
    return places_.bytes() + reaches_.bytes() + chunks_.bytes() + chunks_.size() * sizeof(Buffer<uint8_t>);
  }

 private:
  struct Place {
    size_t offset;  // in its chunk
    uint32_t size, capacity;
  };
  size_t chunk_of(size_t list) const { return list / lists_per_chunk_; }
  uint8_t* base(size_t list) const { return chunks_[chunk_of(list)]->data() + places_[list].offset; }
  uint32_t* mutable_slots(size_t list) {
    return reinterpret_cast<uint32_t*>(base(list) + layout_.list_bytes(capacity(list)));
  }
  float* mutable_terms(size_t list) {
    return reinterpret_cast<float*>(base(list) + layout_.code_bytes(capacity(list)));
  }
  Status check_slots(size_t rows, size_t copies) const;
  Status rebuild(size_t chunk, const uint32_t* extra, bool spare, RwLock& lock);

  const EntryLayout layout_;
  const size_t nlist_;
  const size_t lists_per_chunk_;
  Buffer<Place> places_;
  Buffer<float> reaches_;
  Buffer<Buffer<uint8_t>*> chunks_;  // owned
  size_t entries_ = 0;
};

}  // namespace annex
