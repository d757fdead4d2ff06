#include "index/slot_filter.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

namespace annex {
namespace {

// Visiting a row by address costs several times a row of a sequential scan.
constexpr size_t kFewShare = 8;

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
      const size_t covered = std::min(n, filter.count);
      std::memcpy(words_.data(), bits, covered / 32 * 4);
      for (size_t id = covered / 32 * 32; id < covered; ++id) {
        if (bits[id / 32] >> (id % 32) & 1) allow(id);
      }
    } else {
      for (size_t slot = 0; slot < n; ++slot) {
        const uint64_t id = static_cast<uint64_t>(ids.id_of(static_cast<uint32_t>(slot)));
        if (id < filter.count && (bits[id / 32] >> (id % 32) & 1)) allow(slot);
      }
    }
  }
  count_ = 0;
  for (size_t w = 0; w < words_.size(); ++w) count_ += static_cast<size_t>(std::popcount(words_[w]));
  few_ = count_ <= n / kFewShare;
  if (!few_) return true;
  list_.clear();
  if (!list_.reserve(count_ + 1)) return false;  // + 1: an empty list has an address too
  for (size_t w = 0; w < words_.size(); ++w) {
    for (uint32_t word = words_[w]; word != 0; word &= word - 1) {
      (void)list_.push(static_cast<uint32_t>(w * 32) + static_cast<uint32_t>(std::countr_zero(word)));
    }
  }
  return true;
}

}  // namespace annex
