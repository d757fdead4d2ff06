#include "index/slot_filter.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace annex {
namespace {

// Visiting a row by address costs several times a row of a sequential scan.
constexpr size_t kFewShare = 8;
// Finding an id's slot costs several times looking at the id of a slot in sequence.
constexpr size_t kFindShare = 16;

// Calls f with each word of the bits 0 … count - 1; what lies beyond in the last one is 0.
template <class F>
void for_each_word(const uint32_t* bits, size_t count, const F& f) {
  for (size_t w = 0; w < count / 32; ++w) f(w, bits[w]);
  if (count % 32 != 0) f(count / 32, bits[count / 32] & ((uint32_t{1} << count % 32) - 1));
}

template <class F>
void for_each_bit(size_t w, uint32_t word, const F& f) {
  for (; word != 0; word &= word - 1) f(w * 32 + static_cast<size_t>(std::countr_zero(word)));
}

size_t count_bits(const uint32_t* bits, size_t count) {
  size_t n = 0;
  for_each_word(bits, count, [&](size_t, uint32_t word) { n += static_cast<size_t>(std::popcount(word)); });
  return n;
}

}  // namespace

bool SlotFilter::resolve(const Filter& filter, const IdMap& ids) {
  const size_t n = ids.size();
  all_ = filter.kind == Filter::Kind::all;
  count_ = n;
  if (all_) return true;
  words_.clear();
  if (!words_.resize_zeroed(n / 32 + 1)) return false;
  const auto allow = [this](size_t slot) { words_[slot / 32] |= uint32_t{1} << (slot % 32); };
  if (filter.kind == Filter::Kind::ids) {
    const double* allowed = static_cast<const double*>(filter.data);
    for (size_t i = 0; i < filter.count; ++i) {
      const double id = allowed[i];
      if (!(id >= 0 && id <= static_cast<double>(kMaxId)) || id != std::floor(id)) continue;
      const uint32_t slot = ids.find(static_cast<int64_t>(id));
      if (slot != kNoSlot) allow(slot);
    }
  } else {
    const uint32_t* bits = static_cast<const uint32_t*>(filter.data);
    if (ids.identity()) {
      for_each_word(bits, std::min(n, filter.count), [&](size_t w, uint32_t word) { words_[w] = word; });
    } else if (count_bits(bits, filter.count) <= n / kFindShare) {
      for_each_word(bits, filter.count, [&](size_t w, uint32_t word) {
        for_each_bit(w, word, [&](size_t id) {
          const uint32_t slot = ids.find(static_cast<int64_t>(id));
          if (slot != kNoSlot) allow(slot);
        });
      });
    } else {
      // Without a branch on what is allowed, which would be hard to predict. There is a first word: some bits are set.
      for (size_t begin = 0; begin < n; begin += 32) {
        uint32_t word = 0;
        for (size_t slot = begin; slot < std::min(n, begin + 32); ++slot) {
          const uint64_t id = static_cast<uint64_t>(ids.id_of(static_cast<uint32_t>(slot)));
          const bool covered = id < filter.count;
          word |= (bits[covered ? id / 32 : 0] >> (id % 32) & uint32_t{covered}) << (slot % 32);
        }
        words_[begin / 32] = word;
      }
    }
  }
  count_ = count_bits(words_.data(), n);
  few_ = count_ <= n / kFewShare;
  return !few_ || list_all(&list_);
}

bool SlotFilter::list_all(Buffer<uint32_t>* out) const {
  out->clear();
  if (!out->reserve(count_ + 1)) return false;  // + 1: an empty list has an address too
  for (size_t w = 0; w < words_.size(); ++w) {
    for_each_bit(w, words_[w], [&](size_t slot) { (void)out->push(static_cast<uint32_t>(slot)); });
  }
  return true;
}

}  // namespace annex
