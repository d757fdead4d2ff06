// What a walk through a graph does between two distances: it tells links that are new from those seen, and keeps the
// best candidates; and whether links of unknown origin can be walked at all. Part of the table in kernels.h; the same
// rules hold.
//
// A pool of candidates is a sorted array of keys: a float's bits ordered as an integer, then the slot, then whether the
// node has been expanded; so ties go to the smaller slot and nothing depends on timing.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#if defined(__wasm__)
#include <wasm_simd128.h>
#endif

namespace annex {

/// Ends a list of links that is shorter than its room.
inline constexpr uint32_t kNoLink = UINT32_MAX;
/// A mark on a link; the rest of it is a slot.
inline constexpr uint32_t kTreeBit = uint32_t{1} << 31;
inline constexpr uint32_t kSlotMask = kTreeBit - 1;

/// A link in three bytes, low first: its slot in 23 bits, then the mark. All bits are set where there is none.
inline constexpr size_t kNarrowBytes = 3;
inline constexpr uint32_t kNarrowMask = (uint32_t{1} << 23) - 1;
/// Of a graph with so many nodes all links are narrow.
inline constexpr uint32_t kNarrowNodes = kNarrowMask;

inline void pack_link(uint32_t link, uint8_t* packed) {
  packed[0] = static_cast<uint8_t>(link);
  packed[1] = static_cast<uint8_t>(link >> 8);
  packed[2] = static_cast<uint8_t>((link >> 16 & 0x7F) | link >> 31 << 7);
}
inline uint32_t unpack_link(const uint8_t* packed) {
  const uint32_t link = packed[0] | uint32_t{packed[1]} << 8 | uint32_t{packed[2]} << 16;
  return link == 0xFFFFFF ? kNoLink : (link & kNarrowMask) | link >> 23 << 31;
}

inline uint64_t pool_key(float distance, uint32_t slot) {
  uint32_t bits;
  memcpy(&bits, &distance, 4);
  bits ^= bits >> 31 != 0 ? UINT32_MAX : uint32_t{1} << 31;
  if (distance != distance) bits = UINT32_MAX;
  return uint64_t{bits} << 32 | uint64_t{slot} << 1;
}
inline uint32_t key_slot(uint64_t key) { return static_cast<uint32_t>(key) >> 1; }
inline float key_distance(uint64_t key) {
  uint32_t bits = static_cast<uint32_t>(key >> 32);
  bits ^= bits >> 31 != 0 ? uint32_t{1} << 31 : UINT32_MAX;
  float distance;
  memcpy(&distance, &bits, 4);
  return distance;
}

/// Moves n keys up by so many places.
inline void move_keys(uint64_t* keys, size_t n, size_t places) {
#if defined(__wasm__)
  // memory.copy is a call into the engine, and a loop that the compiler sees through becomes one.
  for (; n >= 2; n -= 2) {
    const v128_t two = wasm_v128_load(keys + n - 2);
    wasm_v128_store(keys + n - 2 + places, two);
  }
  if (n != 0) keys[places] = keys[0];
#else
  memmove(keys + places, keys, n * sizeof *keys);
#endif
}

/// How many of n ascending keys are less than another. Without branches on what is compared, which would be hard to
/// predict.
inline size_t count_less(const uint64_t* keys, size_t n, uint64_t key) {
  const uint64_t* first = keys;
  for (; n > 1; n -= n / 2) first += (first[n / 2 - 1] < key) * (n / 2);
  return static_cast<size_t>(first - keys) + (n == 1 && *first < key);
}

/// Puts a key into the sorted pool of `*size` ≤ most keys; returns its place, or most where it is not among the best.
inline size_t pool_insert(uint64_t* pool, size_t* size, size_t most, uint64_t key) {
  if (*size == most && key >= pool[most - 1]) return most;
  const size_t low = count_less(pool, *size, key);
  const size_t moved = (*size < most ? *size : most - 1) - low;
  move_keys(pool + low, moved, 1);
  pool[low] = key;
  *size += *size < most;
  return low;
}

/// A pool that a walk expands, best first.
struct Candidates {
  uint64_t* keys;  // room for candidates_room(most)
  size_t size, most;
  uint64_t limit;  // greater keys are not taken
  size_t next;     // the first that has not been expanded, or size
};
/// Behind the last key as much as 32 may be written.
inline constexpr size_t candidates_room(size_t most) { return (most / 32 + 2) * 32; }

/// A set of slots: each stands at the first place from that of its hash on which was free, and kNoLink at those that
/// are. Never more than half of them are taken.
struct SlotTable {
  uint32_t* slots;
  uint32_t shift;  // there are 2^(32 - shift) places

  uint32_t places() const { return uint32_t{1} << (32 - shift); }
  /// Fibonacci hashing: neighbors in a graph whose slots follow a pattern lie apart.
  uint32_t hash(uint32_t slot) const { return slot * kHashFactor >> shift; }
  /// The place of a slot, or the free one that it belongs to, from `place` on.
  uint32_t find(uint32_t slot, uint32_t place) const {
    while (slots[place] != slot && slots[place] != kNoLink) place = (place + 1) & (places() - 1);
    return place;
  }
  static constexpr uint32_t kHashFactor = 0x9e3779b1;  // 2^32 over the golden ratio
};

/// What stands in places for links. One with kNoLink holds none.
struct LinkSurvey {
  bool astray;   // the slot of a link, without its mark, is not below the number of nodes
  size_t marks;  // links with kTreeBit
};

/// Where a list is: `room` links, 1024 at most, in three bytes or in four.
struct LinkList {
  const uint8_t* links;
  size_t room;
  bool narrow;

  size_t bytes() const { return room * (narrow ? kNarrowBytes : sizeof(uint32_t)); }
  /// Those of a list that is not narrow.
  const uint32_t* words() const { return reinterpret_cast<const uint32_t*>(links); }
};

struct WalkKernels {
  /// Copies the slots of the links before the first kNoLink whose bits in `seen` are clear to `fresh` in their order,
  /// and sets the bits; returns how many. `fresh` has room for one more than the list.
  size_t (*take_unseen)(uint64_t* seen, const LinkList& list, uint32_t* fresh);
  /// The same for those that are not in a table, and puts them there.
  size_t (*take_unlisted)(const SlotTable& seen, const LinkList& list, uint32_t* fresh);
  /// Unpacks n links of three bytes; reads and writes nothing else.
  void (*unpack_links)(const uint8_t* packed, size_t n, uint32_t* links);
  /// How many links of a list stand before the first kNoLink.
  size_t (*count_links)(const uint32_t* links, size_t room);
  /// The least of the rows' keys, or UINT64_MAX of none.
  uint64_t (*nearest_key)(const float* distances, const uint32_t* slots, size_t n);
  /// Puts rows at these distances among the candidates, where they belong. The slots of those that the limits would
  /// let in, as they were before, move to the front of `slots`, in their order; returns how many.
  size_t (*add_candidates)(Candidates* candidates, const float* distances, uint32_t* slots, size_t n);
  /// How many of n ascending keys are not greater than another.
  size_t (*count_within)(const uint64_t* keys, size_t n, uint64_t key);
  /// Of n < 2³² places.
  LinkSurvey (*survey_links)(const uint32_t* links, size_t n, uint32_t nodes);
};

}  // namespace annex
