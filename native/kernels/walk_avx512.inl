// Walks by AVX-512 (kernels/walk.h): sixteen links, sixteen distances, eight keys at a time. Included inside the
// namespace and region of the instruction set.
#include "kernels/walk_links.inl"

ANNEX_INLINE __mmask16 first_sixteen(size_t n) {
  return n < 16 ? static_cast<__mmask16>((1u << n) - 1) : __mmask16{0xffff};
}

// Up to sixteen links of three bytes each, spread to dwords: the mark fills the places between it and the slot.
ANNEX_INLINE __m512i spread_links(const uint8_t* packed, size_t n) {
  const __mmask64 read = (__mmask64{1} << (kNarrowBytes * (n < 16 ? n : 16))) - 1;
  const __m512i list = _mm512_maskz_loadu_epi8(read, packed);
  // Lane by lane the dwords that hold four links, then three bytes into the high ones of each dword.
  const __m512i dwords = _mm512_setr_epi32(0, 1, 2, 2, 3, 4, 5, 5, 6, 7, 8, 8, 9, 10, 11, 11);
  const __m512i bytes = _mm512_broadcast_i32x4(_mm_setr_epi8(-1, 0, 1, 2, -1, 3, 4, 5, -1, 6, 7, 8, -1, 9, 10, 11));
  return _mm512_srai_epi32(_mm512_shuffle_epi8(_mm512_permutexvar_epi32(dwords, list), bytes), 8);
}

// Sixteen links of a list, from the i-th on.
struct LinkedSlots {
  __m512i slots;
  __mmask16 linked;  // those before the end of the list
  bool ends;

  ANNEX_INLINE LinkedSlots(const uint32_t* links, size_t room, size_t i) {
    const __mmask16 there = first_sixteen(room - i);
    take(_mm512_maskz_loadu_epi32(there, links + i), there, kSlotMask);
  }
  ANNEX_INLINE LinkedSlots(const uint8_t* packed, size_t room, size_t i) {
    take(spread_links(packed + kNarrowBytes * i, room - i), first_sixteen(room - i), kNarrowMask);
  }
  ANNEX_INLINE void take(__m512i list, __mmask16 there, uint32_t mask) {
    const uint32_t end = _mm512_mask_cmpeq_epi32_mask(there, list, _mm512_set1_epi32(-1));
    linked = static_cast<__mmask16>(there & ((end & (0 - end)) - 1));
    slots = _mm512_and_si512(list, _mm512_set1_epi32(static_cast<int>(mask)));
    ends = end != 0;
  }
};

// Those of the links before the end of a list, of 64 at most from the i-th on, that `unseen` tells, in their order.
template <class Link, class Unseen>
ANNEX_INLINE size_t collect_links(const Link* links, size_t room, size_t* i, uint32_t* found, Unseen unseen) {
  size_t n = 0;
  for (const size_t end = room - *i < 64 ? room : *i + 64; *i < end; *i += 16) {
    const LinkedSlots list(links, room, *i);
    const __mmask16 chosen = unseen(list);
    _mm512_storeu_si512(found + n, _mm512_maskz_compress_epi32(chosen, list.slots));
    n += static_cast<size_t>(_mm_popcnt_u32(chosen));
    if (list.ends) *i = room;
  }
  return n;
}

template <class Unseen>
ANNEX_INLINE size_t collect_links(const LinkList& list, size_t* i, uint32_t* found, Unseen unseen) {
  return list.narrow ? collect_links(list.links, list.room, i, found, unseen)
                     : collect_links(list.words(), list.room, i, found, unseen);
}

inline size_t take_unseen(uint64_t* seen, const LinkList& list, uint32_t* fresh) {
  const __m512i one = _mm512_set1_epi32(1);
  // Bit s of 64-bit words is bit s of 32-bit ones, on this kind of machine.
  const auto unseen = [=](const LinkedSlots& of) ANNEX_INLINE_LAMBDA {
    const __m512i words =
        _mm512_mask_i32gather_epi32(_mm512_setzero_si512(), of.linked, _mm512_srli_epi32(of.slots, 5), seen, 4);
    const __m512i bits = _mm512_sllv_epi32(one, _mm512_and_si512(of.slots, _mm512_set1_epi32(31)));
    return _mm512_mask_testn_epi32_mask(of.linked, words, bits);
  };
  uint32_t found[64 + 16];
  size_t n = 0;
  for (size_t i = 0; i < list.room;) {
    const size_t count = collect_links(list, &i, found, unseen);
    // One by one, for a list may hold a slot twice.
    for (size_t f = 0; f < count; f++) {
      const uint32_t slot = found[f];
      uint64_t& word = seen[slot / 64];
      fresh[n] = slot;
      n += ~(word >> (slot % 64)) & 1;
      word |= uint64_t{1} << (slot % 64);
    }
  }
  return n;
}

inline size_t take_unlisted(const SlotTable& seen, const LinkList& list, uint32_t* fresh) {
  const __m512i factor = _mm512_set1_epi32(static_cast<int>(SlotTable::kHashFactor));
  const __m128i shift = _mm_cvtsi32_si128(static_cast<int>(seen.shift));
  const auto unlisted = [=](const LinkedSlots& of) ANNEX_INLINE_LAMBDA {
    const __m512i places = _mm512_srl_epi32(_mm512_mullo_epi32(of.slots, factor), shift);
    const __m512i there = _mm512_mask_i32gather_epi32(of.slots, of.linked, places, seen.slots, 4);
    return _mm512_mask_cmpneq_epi32_mask(of.linked, there, of.slots);
  };
  uint32_t found[64 + 16];
  size_t n = 0;
  for (size_t i = 0; i < list.room;) {
    const size_t count = collect_links(list, &i, found, unlisted);
    // One by one: others may stand at their places, and a list may hold a slot twice.
    for (size_t f = 0; f < count; f++) {
      uint32_t& place = seen.slots[seen.find(found[f], seen.hash(found[f]))];
      fresh[n] = found[f];
      n += place != found[f];
      place = found[f];
    }
  }
  return n;
}

inline void unpack_links(const uint8_t* packed, size_t n, uint32_t* links) {
  const __m512i kept = _mm512_set1_epi32(static_cast<int>(kTreeBit | kNarrowMask));
  for (size_t i = 0; i < n; i += 16) {
    const __m512i spread = spread_links(packed + kNarrowBytes * i, n - i);
    const __mmask16 linked = _mm512_cmpneq_epi32_mask(spread, _mm512_set1_epi32(-1));
    _mm512_mask_storeu_epi32(links + i, first_sixteen(n - i), _mm512_mask_and_epi32(spread, linked, spread, kept));
  }
}

inline size_t count_links(const uint32_t* links, size_t room) {
  for (size_t i = 0; i < room; i += 16) {
    const LinkedSlots list(links, room, i);
    if (list.ends) return i + static_cast<size_t>(_mm_popcnt_u32(list.linked));
  }
  return room;
}

// As pool_key orders distances: negative ones turned in all bits, others in the sign; NaN last.
ANNEX_INLINE __m512i order_distances(__m512 distances) {
  const __m512i bits = _mm512_castps_si512(distances), sign = _mm512_set1_epi32(INT32_MIN);
  const __m512i order = _mm512_xor_si512(bits, _mm512_or_si512(_mm512_srai_epi32(bits, 31), sign));
  return _mm512_mask_mov_epi32(order, _mm512_cmp_ps_mask(distances, distances, _CMP_UNORD_Q), _mm512_set1_epi32(-1));
}

inline uint64_t nearest_key(const float* distances, const uint32_t* slots, size_t n) {
  uint64_t least = UINT64_MAX;
  for (size_t i = 0; i < n; i += 16) {
    const __mmask16 there = first_sixteen(n - i);
    const __m512i order = order_distances(_mm512_maskz_loadu_ps(there, distances + i));
    const uint32_t first = _mm512_mask_reduce_min_epu32(there, order);
    const __mmask16 equal = _mm512_mask_cmpeq_epi32_mask(there, order, _mm512_set1_epi32(static_cast<int>(first)));
    const uint32_t slot = _mm512_mask_reduce_min_epu32(equal, _mm512_maskz_loadu_epi32(there, slots + i));
    const uint64_t key = uint64_t{first} << 32 | uint64_t{slot} << 1;
    least = key < least ? key : least;
  }
  return least;
}

// Puts a key among `size` ascending ones, which are one more then: from the end on, eights of greater keys move by one.
// What is behind the last key, up to a whole eight, is greater than all. Loads are of what was stored in one piece: the
// next insertion reads what this one wrote.
ANNEX_INLINE void insert_key(uint64_t* keys, size_t size, uint64_t key) {
  const __m512i value = _mm512_set1_epi64(static_cast<int64_t>(key));
  size_t v = size / 8 * 8;
  __m512i here = _mm512_loadu_si512(keys + v);
  for (; v != 0 && keys[v - 1] > key; v -= 8) {
    const __m512i before = _mm512_loadu_si512(keys + v - 8);
    _mm512_storeu_si512(keys + v, _mm512_alignr_epi64(here, before, 7));
    here = before;
  }
  // Each becomes itself, the new key, or its left neighbor; that of the first is not greater than the new key.
  const __m512i left = _mm512_alignr_epi64(here, _mm512_setzero_si512(), 7);
  _mm512_storeu_si512(keys + v, _mm512_min_epu64(here, _mm512_max_epu64(left, value)));
}

inline size_t count_within(const uint64_t* keys, size_t n, uint64_t key) {
  const uint64_t* first = keys;
  for (; n > 32; n -= n / 2) first += (first[n / 2 - 1] <= key) * (n / 2);
  const __m512i value = _mm512_set1_epi64(static_cast<int64_t>(key));
  auto count = static_cast<size_t>(first - keys);
  for (size_t v = 0; v < n; v += 8) {
    const auto there = static_cast<__mmask8>(n - v < 8 ? (1u << (n - v)) - 1 : 0xff);
    count += static_cast<size_t>(
        _mm_popcnt_u32(_mm512_mask_cmple_epu64_mask(there, _mm512_maskz_loadu_epi64(there, first + v), value)));
  }
  return count;
}

// Puts keys among `size` ascending ones that registers hold, V eights of them: no branch depends on where they belong.
// Returns the place of the first that is even, not expanded; 8 V where there is none.
template <int V>
ANNEX_INLINE size_t insert_keys(uint64_t* keys, size_t size, const uint64_t* added, size_t count) {
  const __m512i none = _mm512_set1_epi64(-1);
  const auto there = [=](int v) ANNEX_INLINE_LAMBDA {
    const size_t before = 8 * static_cast<size_t>(v);
    return static_cast<__mmask8>(size >= before + 8 ? 0xff : size > before ? (1u << (size - before)) - 1 : 0);
  };
  __m512i eights[V];
  ANNEX_UNROLL
  for (int v = 0; v < V; v++) {
    eights[v] = _mm512_mask_loadu_epi64(none, there(v), keys + 8 * v);
  }
  for (size_t i = 0; i < count; i++) {
    const __m512i key = _mm512_set1_epi64(static_cast<int64_t>(added[i]));
    // Each becomes itself, the new key, or its left neighbor; that of the first is not greater than the new key.
    ANNEX_UNROLL
    for (int v = V - 1; v >= 0; v--) {
      const __m512i left =
          _mm512_alignr_epi64(eights[v], v == 0 ? _mm512_setzero_si512() : eights[v == 0 ? 0 : v - 1], 7);
      eights[v] = _mm512_min_epu64(eights[v], _mm512_max_epu64(left, key));
    }
  }
  ANNEX_UNROLL
  for (int v = 0; v < V; v++) _mm512_storeu_si512(keys + 8 * v, eights[v]);
  size_t first = 8 * V;
  ANNEX_UNROLL
  for (int v = V - 1; v >= 0; v--) {
    const uint32_t even = _mm512_testn_epi64_mask(eights[v], _mm512_set1_epi64(1));
    const size_t place = 8 * static_cast<size_t>(v) + static_cast<size_t>(_mm_popcnt_u32((even & (0 - even)) - 1));
    first = even != 0 ? place : first;
  }
  return first;
}

// As many keys as registers hold.
constexpr size_t kNearKeys = 128;

inline size_t insert_keys(size_t eights, uint64_t* keys, size_t size, const uint64_t* added, size_t count) {
  if (eights <= 2) return insert_keys<2>(keys, size, added, count);
  if (eights <= 4) return insert_keys<4>(keys, size, added, count);
  if (eights <= 6) return insert_keys<6>(keys, size, added, count);
  if (eights <= 8) return insert_keys<8>(keys, size, added, count);
  if (eights <= 12) return insert_keys<12>(keys, size, added, count);
  return insert_keys<16>(keys, size, added, count);
}

// The same where they are too many for registers. Returns the first of the keys that is not expanded.
inline size_t insert_keys_far(Candidates* candidates, const uint64_t* added, size_t count) {
  uint64_t* keys = candidates->keys;
  const size_t most = candidates->most;
  const __m512i none = _mm512_set1_epi64(-1);
  size_t size = candidates->size;
  const size_t last = size / 8 * 8;
  const auto behind = static_cast<__mmask8>(0xff << size % 8);
  _mm512_storeu_si512(keys + last, _mm512_mask_mov_epi64(_mm512_loadu_si512(keys + last), behind, none));
  const uint64_t first = candidates->next < size ? keys[candidates->next] : UINT64_MAX;
  uint64_t least = UINT64_MAX;
  for (size_t i = 0; i < count; i++) {
    if (size == most && added[i] >= keys[most - 1]) continue;
    insert_key(keys, size, added[i]);
    least = added[i] < least ? added[i] : least;
    if (size == most) continue;
    if (++size % 8 == 0) _mm512_storeu_si512(keys + size, none);
  }
  candidates->size = size;
  return least < first ? count_within(keys, size, least) - 1 : candidates->next;
}

inline size_t add_candidates(Candidates* candidates, const float* distances, uint32_t* slots, size_t n) {
  uint64_t* keys = candidates->keys;
  const size_t most = candidates->most;
  const bool full = candidates->size == most;
  const uint64_t limit = full && keys[most - 1] < candidates->limit ? keys[most - 1] : candidates->limit;
  const __m512i top = _mm512_set1_epi64(static_cast<int64_t>(limit));
  size_t taken = 0;
  for (size_t i = 0; i < n; i += 16) {
    const __mmask16 there = first_sixteen(n - i);
    const __m512i order = order_distances(_mm512_maskz_loadu_ps(there, distances + i));
    const __m512i slot = _mm512_maskz_loadu_epi32(there, slots + i);
    uint64_t added[16];
    size_t count = 0;
    uint32_t near = 0;
    ANNEX_UNROLL
    for (int half = 0; half < 2; half++) {
      const __m256i orders = half == 0 ? _mm512_castsi512_si256(order) : _mm512_extracti64x4_epi64(order, 1);
      const __m256i places = half == 0 ? _mm512_castsi512_si256(slot) : _mm512_extracti64x4_epi64(slot, 1);
      const __m512i key = _mm512_or_si512(_mm512_slli_epi64(_mm512_cvtepu32_epi64(orders), 32),
                                          _mm512_slli_epi64(_mm512_cvtepu32_epi64(places), 1));
      const __mmask8 close = _mm512_mask_cmple_epu64_mask(static_cast<__mmask8>(there >> (8 * half)), key, top);
      _mm512_storeu_si512(added + count, _mm512_maskz_compress_epi64(close, key));
      count += static_cast<size_t>(_mm_popcnt_u32(close));
      near |= uint32_t{close} << (8 * half);
    }
    if (count == 0) continue;
    const __m512i chosen = _mm512_maskz_compress_epi32(static_cast<__mmask16>(near), slot);
    _mm512_mask_storeu_epi32(slots + taken, first_sixteen(count), chosen);
    taken += count;
    const size_t size = candidates->size + count < most ? candidates->size + count : most;
    if (size <= kNearKeys) {
      const size_t next = insert_keys((size + 7) / 8, keys, candidates->size, added, count);
      candidates->size = size;
      candidates->next = next < size ? next : size;
    } else {
      candidates->next = insert_keys_far(candidates, added, count);
    }
  }
  return taken;
}
