// Walks by AVX-512 (kernels/walk.h): sixteen links, sixteen distances, eight keys at a time. Included inside the
// namespace and region of the instruction set.
#include "kernels/walk_links.inl"

// Sixteen links of a list, from the i-th on.
struct LinkedSlots {
  __m512i slots;
  __mmask16 linked;  // those before the end of the list
  bool ends;

  ANNEX_INLINE LinkedSlots(const uint32_t* links, size_t room, size_t i) {
    const __mmask16 there = room - i < 16 ? static_cast<__mmask16>((1u << (room - i)) - 1) : __mmask16{0xffff};
    const __m512i list = _mm512_maskz_loadu_epi32(there, links + i);
    const uint32_t end = _mm512_mask_cmpeq_epi32_mask(there, list, _mm512_set1_epi32(-1));
    linked = static_cast<__mmask16>(there & ((end & (0 - end)) - 1));
    slots = _mm512_and_si512(list, _mm512_set1_epi32(static_cast<int>(kSlotMask)));
    ends = end != 0;
  }
};

inline size_t take_unseen(uint64_t* seen, const uint32_t* links, size_t room, uint32_t* fresh) {
  const __m512i one = _mm512_set1_epi32(1);
  size_t n = 0;
  for (size_t i = 0; i < room; i += 16) {
    const LinkedSlots list(links, room, i);
    const __m512i slots = list.slots;
    // Bit s of 64-bit words is bit s of 32-bit ones, on this kind of machine.
    const __m512i words =
        _mm512_mask_i32gather_epi32(_mm512_setzero_si512(), list.linked, _mm512_srli_epi32(slots, 5), seen, 4);
    const __m512i bits = _mm512_sllv_epi32(one, _mm512_and_si512(slots, _mm512_set1_epi32(31)));
    const __mmask16 unseen = _mm512_mask_testn_epi32_mask(list.linked, words, bits);
    alignas(64) uint32_t found[16];
    _mm512_store_si512(found, _mm512_maskz_compress_epi32(unseen, slots));
    const auto count = static_cast<size_t>(_mm_popcnt_u32(unseen));
    // One by one, for a list may hold a slot twice.
    for (size_t f = 0; f < count; f++) {
      const uint32_t slot = found[f];
      uint64_t& word = seen[slot / 64];
      fresh[n] = slot;
      n += ~(word >> (slot % 64)) & 1;
      word |= uint64_t{1} << (slot % 64);
    }
    if (list.ends) break;
  }
  return n;
}

inline size_t take_unlisted(const SlotTable& seen, const uint32_t* links, size_t room, uint32_t* fresh) {
  const __m512i factor = _mm512_set1_epi32(static_cast<int>(SlotTable::kHashFactor));
  const __m128i shift = _mm_cvtsi32_si128(static_cast<int>(seen.shift));
  size_t n = 0;
  for (size_t i = 0; i < room; i += 16) {
    const LinkedSlots list(links, room, i);
    const __m512i places = _mm512_srl_epi32(_mm512_mullo_epi32(list.slots, factor), shift);
    const __m512i there = _mm512_mask_i32gather_epi32(list.slots, list.linked, places, seen.slots, 4);
    const __mmask16 unseen = _mm512_mask_cmpneq_epi32_mask(list.linked, there, list.slots);
    alignas(64) uint32_t found[16], at[16];
    _mm512_store_si512(found, _mm512_maskz_compress_epi32(unseen, list.slots));
    _mm512_store_si512(at, _mm512_maskz_compress_epi32(unseen, places));
    const auto count = static_cast<size_t>(_mm_popcnt_u32(unseen));
    // One by one: others may stand at their places, and a list may hold a slot twice.
    for (size_t f = 0; f < count; f++) {
      uint32_t& place = seen.slots[seen.find(found[f], at[f])];
      fresh[n] = found[f];
      n += place != found[f];
      place = found[f];
    }
    if (list.ends) break;
  }
  return n;
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

// How many of ascending keys are less than another, which is one of them.
ANNEX_INLINE size_t count_less(const uint64_t* keys, uint64_t key) {
  const __m512i value = _mm512_set1_epi64(static_cast<int64_t>(key));
  for (size_t v = 0;; v += 8) {
    const uint32_t less = _mm512_cmplt_epu64_mask(_mm512_loadu_si512(keys + v), value);
    if (less != 0xff) return v + static_cast<size_t>(_mm_popcnt_u32(less));
  }
}

inline size_t add_candidates(Candidates* candidates, const float* distances, uint32_t* slots, size_t n) {
  uint64_t* keys = candidates->keys;
  const size_t most = candidates->most;
  const __m512i none = _mm512_set1_epi64(-1), sign = _mm512_set1_epi32(INT32_MIN);
  size_t size = candidates->size, taken = 0;
  const uint64_t first = candidates->next < size ? keys[candidates->next] : UINT64_MAX;
  const uint64_t limit = size == most && keys[most - 1] < candidates->limit ? keys[most - 1] : candidates->limit;
  uint64_t least = UINT64_MAX;
  const size_t last = size / 8 * 8;
  const auto behind = static_cast<__mmask8>(0xff << size % 8);
  _mm512_storeu_si512(keys + last, _mm512_mask_mov_epi64(_mm512_loadu_si512(keys + last), behind, none));
  for (size_t i = 0; i < n; i += 16) {
    const __mmask16 there = n - i < 16 ? static_cast<__mmask16>((1u << (n - i)) - 1) : __mmask16{0xffff};
    const __m512 values = _mm512_maskz_loadu_ps(there, distances + i);
    const __m512i bits = _mm512_castps_si512(values);
    // As pool_key orders them: negative ones turned in all bits, others in the sign; NaN last.
    __m512i order = _mm512_xor_si512(bits, _mm512_or_si512(_mm512_srai_epi32(bits, 31), sign));
    order = _mm512_mask_mov_epi32(order, _mm512_cmp_ps_mask(values, values, _CMP_UNORD_Q), none);
    const __m512i top = _mm512_set1_epi32(static_cast<int>(limit >> 32));
    const __mmask16 near = _mm512_mask_cmple_epu32_mask(there, order, top);
    alignas(64) uint32_t orders[16], found[16];
    _mm512_store_si512(orders, _mm512_maskz_compress_epi32(near, order));
    _mm512_store_si512(found, _mm512_maskz_compress_epi32(near, _mm512_maskz_loadu_epi32(there, slots + i)));
    const auto count = static_cast<size_t>(_mm_popcnt_u32(near));
    for (size_t f = 0; f < count; f++) {
      const uint64_t key = uint64_t{orders[f]} << 32 | uint64_t{found[f]} << 1;
      if (key > limit || (size == most && key >= keys[most - 1])) continue;
      slots[taken++] = found[f];
      insert_key(keys, size, key);
      least = key < least ? key : least;
      if (size == most) continue;
      if (++size % 8 == 0) _mm512_storeu_si512(keys + size, none);
    }
  }
  if (least < first) {
    const size_t place = count_less(keys, least);
    if (place < candidates->next) candidates->next = place;
  }
  candidates->size = size;
  return taken;
}
