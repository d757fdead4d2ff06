// Byte products of AVX-512 with VNNI, VPOPCNTDQ and BITALG.

// vpdpbusd multiplies unsigned by signed bytes: one side of a dot of equal types has its signs flipped, which is undone
// by 128 × the sum of the query.
constexpr bool kDotNeedsQuerySum = true;

ANNEX_INLINE Ints add_dot_u8(Ints acc, Bytes q, Bytes x) {
  return {_mm512_dpbusd_epi32(acc.v, q.v, flip_signs(x).v)};  // Σ q (x - 128)
}
ANNEX_INLINE Ints add_dot_i8(Ints acc, Bytes q, Bytes x) {
  return {_mm512_dpbusd_epi32(acc.v, flip_signs(x).v, q.v)};  // Σ q (x + 128)
}
ANNEX_INLINE Ints add_dot_nibbles(Ints acc, Bytes q, Bytes x) { return {_mm512_dpbusd_epi32(acc.v, x.v, q.v)}; }
ANNEX_INLINE Ints add_sum_u8(Ints acc, Bytes q) { return {_mm512_dpbusd_epi32(acc.v, q.v, _mm512_set1_epi8(1))}; }
ANNEX_INLINE Ints add_sum_i8(Ints acc, Bytes q) { return {_mm512_dpbusd_epi32(acc.v, _mm512_set1_epi8(1), q.v)}; }
ANNEX_INLINE Ints add_l2_u8(Ints acc, Bytes q, Bytes x) {
  const __m512i zero = _mm512_setzero_si512(), d = distance_u8(q, x);
  const __m512i low = _mm512_unpacklo_epi8(d, zero), high = _mm512_unpackhi_epi8(d, zero);
  return {_mm512_dpwssd_epi32(_mm512_dpwssd_epi32(acc.v, low, low), high, high)};
}
ANNEX_INLINE Ints add_popcount(Ints acc, Bytes a) { return {_mm512_add_epi32(acc.v, _mm512_popcnt_epi32(a.v))}; }

constexpr TileShape kByteTiles[] = {{12, 2, 1}, {8, 3, 1}, {4, 4, 1}, {2, 2, 3}, {1, 1, 8}};

struct Codes {
  __m512i v;
};
struct QueryGroup {
  __m512i v;
};
constexpr bool kPreparedQueries = false;
constexpr bool kPanelNeedsQuerySum = false;

ANNEX_INLINE Codes load_codes(const uint8_t* p) { return {_mm512_loadu_si512(p)}; }
ANNEX_INLINE QueryGroup load_query(const uint8_t* p) { return {_mm512_set1_epi32(static_cast<int>(read_u32(p)))}; }
ANNEX_INLINE RowSums multiply_add(RowSums acc, Codes c, QueryGroup q) { return {_mm512_dpbusd_epi32(acc.v, c.v, q.v)}; }
