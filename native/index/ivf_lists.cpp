#include "index/ivf_lists.h"
#include "base/round.h"

#include <algorithm>
#include <cstring>
#include <new>

namespace annex {
namespace {

constexpr size_t kChunks = 16;         // chunks that there are at least, where there are as many lists
constexpr size_t kListsPerChunk = 64;  // at most
constexpr size_t kSpare = 16;          // a list that has grown once gets a 16th of its length to grow on

}  // namespace

EntryLayout::EntryLayout(const IvfOptions& options, const Codec* codec)
    : entry_(options.entry()), codec_(codec), has_slots_(!options.flat), dim_(options.common.dim) {
  const RowShape shape = options.shape();
  switch (entry_) {
    case IvfOptions::Entry::rows:
      row_bytes_ = shape.stride();
      record_code_ = round_up(row_bytes_, 4);
      terms_ = shape.has_norms() ? 1 : 0;
      break;
    case IvfOptions::Entry::narrow:
      record_code_ = round_up(dim_, 4);
      terms_ = 4;
      break;
    case IvfOptions::Entry::codes:
      record_code_ = round_up(codec->record_bytes(), 4);
      group_ = kCodeRows;
      break;
  }
}

float EntryLayout::reach(const uint8_t* record) const {
  float reach = 0;
  if (has_reach()) std::memcpy(&reach, record + record_code_ + terms_ * sizeof(float), sizeof reach);
  return reach;
}

size_t EntryLayout::code_bytes(size_t capacity) const {
  switch (entry_) {
    case IvfOptions::Entry::rows: return round_up(capacity * row_bytes_, kCacheLine);
    case IvfOptions::Entry::narrow: return capacity / kPanelRows * byte_panel_bytes(dim_);
    default: return round_up(capacity / kCodeRows * codec_->block_bytes(), kCacheLine);
  }
}

size_t EntryLayout::list_bytes(size_t capacity) const {
  return code_bytes(capacity) + terms_ * capacity * sizeof(float);
}

size_t EntryLayout::whole_bytes(size_t capacity) const {
  return round_up(list_bytes(capacity) + slot_bytes(capacity), kCacheLine);
}

void EntryLayout::place(const uint8_t* record, uint8_t* codes, float* terms, size_t capacity, size_t at) const {
  switch (entry_) {
    case IvfOptions::Entry::rows: std::memcpy(codes + at * row_bytes_, record, row_bytes_); break;
    case IvfOptions::Entry::narrow: {
      uint8_t* panel = codes + at / kPanelRows * byte_panel_bytes(dim_) + at % kPanelRows * 4;
      for (size_t d = 0; d < dim_; d += 4, panel += kPanelRows * 4) std::memcpy(panel, record + d, 4);
      break;
    }
    case IvfOptions::Entry::codes: codec_->place(record, codes, at); return;
  }
  for (size_t t = 0; t < terms_; ++t) {
    std::memcpy(terms + t * capacity + at, record + record_code_ + t * sizeof(float), sizeof(float));
  }
}

void EntryLayout::take(const uint8_t* codes, const float* terms, size_t capacity, size_t at, uint8_t* record) const {
  switch (entry_) {
    case IvfOptions::Entry::rows: std::memcpy(record, codes + at * row_bytes_, row_bytes_); break;
    case IvfOptions::Entry::narrow: {
      const uint8_t* panel = codes + at / kPanelRows * byte_panel_bytes(dim_) + at % kPanelRows * 4;
      for (size_t d = 0; d < dim_; d += 4, panel += kPanelRows * 4) std::memcpy(record + d, panel, 4);
      break;
    }
    case IvfOptions::Entry::codes: codec_->take(codes, at, record); return;
  }
  for (size_t t = 0; t < terms_; ++t) {
    std::memcpy(record + record_code_ + t * sizeof(float), terms + t * capacity + at, sizeof(float));
  }
}

IvfLists::IvfLists(const EntryLayout& layout, size_t nlist)
    : layout_(layout), nlist_(nlist), lists_per_chunk_(std::clamp(nlist / kChunks, size_t{1}, kListsPerChunk)) {}

IvfLists::~IvfLists() {
  for (size_t c = 0; c < chunks_.size(); ++c) delete chunks_[c];
}

bool IvfLists::begin() {
  const size_t chunks = (nlist_ + lists_per_chunk_ - 1) / lists_per_chunk_;
  if (!places_.resize_zeroed(nlist_) || !reaches_.resize_zeroed(nlist_) || !chunks_.reserve(chunks)) return false;
  while (chunks_.size() < chunks) {
    Buffer<uint8_t>* chunk = new (std::nothrow) Buffer<uint8_t>;
    if (chunk == nullptr) return false;
    (void)chunks_.push(chunk);
  }
  return true;
}

size_t IvfLists::longest() const {
  uint32_t longest = 0;
  for (size_t l = 0; l < nlist_; ++l) longest = std::max(longest, places_[l].size);
  return longest;
}

Status IvfLists::reserve(const uint32_t* extra, RwLock& lock) {
  for (size_t c = 0; c < chunks_.size(); ++c) {
    const size_t end = std::min(nlist_, (c + 1) * lists_per_chunk_);
    bool fits = true;
    for (size_t l = c * lists_per_chunk_; l < end; ++l) fits = fits && extra[l] <= capacity(l) - size(l);
    if (fits) continue;
    const Status status = rebuild(c, extra, chunks_[c]->size() != 0, lock);
    if (status != Status::ok) return status;
  }
  return Status::ok;
}

Status IvfLists::compact(RwLock& lock) {
  for (size_t c = 0; c < chunks_.size(); ++c) {
    const size_t end = std::min(nlist_, (c + 1) * lists_per_chunk_);
    bool tight = true;
    for (size_t l = c * lists_per_chunk_; l < end; ++l)
      tight = tight && round_up(size(l), layout_.group()) == capacity(l);
    if (tight) continue;
    const Status status = rebuild(c, nullptr, false, lock);
    if (status != Status::ok) return status;
  }
  return Status::ok;
}

// A new chunk with room for `extra` more entries in each list (null: none), and some to spare.
Status IvfLists::rebuild(size_t c, const uint32_t* extra, bool spare, RwLock& lock) {
  const size_t first = c * lists_per_chunk_;
  const size_t count = std::min(nlist_ - first, lists_per_chunk_);
  Place fresh[kListsPerChunk];
  size_t bytes = 0;
  for (size_t i = 0; i < count; ++i) {
    const size_t used = size(first + i);
    const size_t wanted = used + (extra != nullptr ? extra[first + i] : 0);
    const size_t room = round_up(wanted + (spare ? wanted / kSpare : 0), layout_.group());
    fresh[i] = {bytes, static_cast<uint32_t>(used), static_cast<uint32_t>(room)};
    bytes += layout_.whole_bytes(room);
  }
  Buffer<uint8_t> chunk;
  if (!chunk.resize_zeroed(bytes)) return out_of_memory(bytes);
  for (size_t i = 0; i < count; ++i) {
    const size_t l = first + i;
    const size_t used = size(l);
    if (used == 0) continue;
    uint8_t* to = chunk.data() + fresh[i].offset;
    const size_t room = fresh[i].capacity;
    // Whole groups: what is copied behind the last entry is zero or what a removed one has left, and nobody reads it.
    std::memcpy(to, codes(l), std::min(layout_.code_bytes(round_up(used, layout_.group())), layout_.code_bytes(room)));
    for (size_t t = 0; t < layout_.terms(); ++t) {
      std::memcpy(to + layout_.code_bytes(room) + t * room * sizeof(float), terms(l) + t * capacity(l),
                  used * sizeof(float));
    }
    if (layout_.has_slots()) std::memcpy(to + layout_.list_bytes(room), slots(l), used * sizeof(uint32_t));
  }
  const WriteGuard guard(lock);
  chunks_[c]->swap(chunk);
  std::memcpy(&places_[first], fresh, count * sizeof(Place));
  return Status::ok;
}

void IvfLists::write(size_t list, size_t at, const uint8_t* record, uint32_t slot) {
  layout_.place(record, base(list), mutable_terms(list), capacity(list), at);
  set_slot(list, at, slot);
}

void IvfLists::take(size_t list, size_t at, uint8_t* record) const {
  layout_.take(codes(list), terms(list), capacity(list), at, record);
}

void IvfLists::set_slot(size_t list, size_t at, uint32_t slot) {
  if (layout_.has_slots()) mutable_slots(list)[at] = slot;
}

void IvfLists::set_size(size_t list, size_t size) {
  entries_ += size - places_[list].size;
  places_[list].size = static_cast<uint32_t>(size);
}

void IvfLists::raise_reach(size_t list, float reach) { reaches_[list] = std::max(reaches_[list], reach); }

void IvfLists::remove(size_t list, size_t at, uint8_t* record) {
  const size_t last = size(list) - 1;
  if (at != last) {
    take(list, last, record);
    write(list, at, record, slot(list, last));
  }
  // Nothing of a removed row stays behind: lists are saved in whole groups.
  std::memset(record, 0, layout_.record_bytes());
  write(list, last, record, 0);
  set_size(list, last);
}

size_t IvfLists::bytes_codes() const {
  size_t sum = 0;
  for (size_t c = 0; c < chunks_.size(); ++c) sum += chunks_[c]->bytes();
  return sum - bytes_slots();
}

size_t IvfLists::bytes_slots() const {
  size_t sum = 0;
  for (size_t l = 0; l < nlist_; ++l) sum += layout_.slot_bytes(capacity(l));
  return sum;
}

}  // namespace annex
