#include "index/slot_filter.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/round.h"
#include "kernels/dispatch.h"

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

// Calls f with each bit of words w and w + 1, the second in the upper half.
template <class F>
void for_each_bit(size_t w, uint64_t words, const F& f) {
  for (; words != 0; words &= words - 1) f(w * 32 + static_cast<size_t>(std::countr_zero(words)));
}

// Their Hamming distance from none, for which there is a kernel: not every processor that is built for counts bits.
size_t count_bits(const uint32_t* bits, size_t count) {
  constexpr size_t kRowBits = 4096, kRows = 64;
  alignas(kCacheLine) static constexpr uint8_t kNone[kRowBits / 8] = {};
  const ScanFn distance = kernels().scan[static_cast<size_t>(Scalar::bits)][static_cast<size_t>(Op::hamming)];
  float counts[kRows];
  size_t n = 0, begin = 0;
  const auto add = [&](size_t rows, size_t row_bits) {
    distance(kNone, bits + begin / 32, row_bits / 8, rows, row_bits, counts);
    for (size_t r = 0; r < rows; ++r) n += static_cast<size_t>(counts[r]);
    begin += rows * row_bits;
  };
  while (count - begin >= kRowBits) add(std::min((count - begin) / kRowBits, kRows), kRowBits);
  if (count - begin >= 32) add(1, (count - begin) / 32 * 32);
  for_each_word(bits + begin / 32, count - begin,
                [&](size_t, uint32_t word) { n += static_cast<size_t>(std::popcount(word)); });
  return n;
}

}  // namespace

bool SlotFilter::resolve(const Filter& filter, const IdMap& ids) {
  const size_t n = ids.size();
  all_ = filter.kind == Filter::Kind::all;
  count_ = n;
  if (all_) return true;
  words_.clear();
  if (!words_.resize_zeroed(round_up(n / 32 + 1, 2))) return false;
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
  if (!out->reserve(count_ + 1) || !out->resize(count_)) return false;  // + 1: an empty list has an address too
  uint32_t* to = out->data();
  // Two words at a time: where few slots are allowed, most words are empty.
  for (size_t w = 0; w < words_.size(); w += 2) {
    for_each_bit(w, uint64_t{words_[w + 1]} << 32 | words_[w],
                 [&](size_t slot) { *to++ = static_cast<uint32_t>(slot); });
  }
  return true;
}

}  // namespace annex
