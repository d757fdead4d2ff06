// Byte products of AVX-512 without VNNI: through 16-bit multiply-add.

constexpr bool kDotNeedsQuerySum = false;

ANNEX_INLINE Ints add_products(Ints acc, __m512i a16, __m512i b16) {
  return {_mm512_add_epi32(acc.v, _mm512_madd_epi16(a16, b16))};
}
ANNEX_INLINE Ints add_dot_u8(Ints acc, Bytes q, Bytes x) {
  const __m512i zero = _mm512_setzero_si512();
  acc = add_products(acc, _mm512_unpacklo_epi8(q.v, zero), _mm512_unpacklo_epi8(x.v, zero));
  return add_products(acc, _mm512_unpackhi_epi8(q.v, zero), _mm512_unpackhi_epi8(x.v, zero));
}
ANNEX_INLINE Ints add_dot_i8(Ints acc, Bytes q, Bytes x) {
  // The even bytes as 256 × value would overflow a product: both are shifted down with their sign.
  const __m512i qe = _mm512_srai_epi16(_mm512_slli_epi16(q.v, 8), 8), qo = _mm512_srai_epi16(q.v, 8);
  const __m512i xe = _mm512_srai_epi16(_mm512_slli_epi16(x.v, 8), 8), xo = _mm512_srai_epi16(x.v, 8);
  return add_products(add_products(acc, qe, xe), qo, xo);
}
ANNEX_INLINE Ints add_dot_nibbles(Ints acc, Bytes q, Bytes x) {
  return add_products(acc, _mm512_maddubs_epi16(x.v, q.v), _mm512_set1_epi16(1));
}
ANNEX_INLINE Ints add_l2_u8(Ints acc, Bytes q, Bytes x) {
  const __m512i zero = _mm512_setzero_si512(), d = distance_u8(q, x);
  const __m512i low = _mm512_unpacklo_epi8(d, zero), high = _mm512_unpackhi_epi8(d, zero);
  return add_products(add_products(acc, low, low), high, high);
}
ANNEX_INLINE Ints add_popcount(Ints acc, Bytes a) {
  const __m512i table = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
  const __m512i nibble = _mm512_set1_epi8(15);
  const __m512i low = _mm512_shuffle_epi8(table, _mm512_and_si512(a.v, nibble));
  const __m512i high = _mm512_shuffle_epi8(table, _mm512_and_si512(_mm512_srli_epi16(a.v, 4), nibble));
  return {_mm512_add_epi32(acc.v, _mm512_sad_epu8(_mm512_add_epi8(low, high), _mm512_setzero_si512()))};
}

constexpr TileShape kByteTiles[] = {{6, 2, 1}, {4, 2, 1}, {2, 3, 1}, {1, 1, 4}};

// Codes are split into their even and odd bytes, as 16-bit pairs; queries likewise when a tile begins (prepared
// queries), so that nothing saturates.
struct Codes {
  __m512i even, odd;
};
struct QueryGroup {
  __m512i even, odd;
};
constexpr bool kPreparedQueries = true;
constexpr bool kPanelNeedsQuerySum = false;

ANNEX_INLINE Codes load_codes(const uint8_t* p) {
  const __m512i codes = _mm512_loadu_si512(p);
  return {_mm512_and_si512(codes, _mm512_set1_epi16(255)), _mm512_srli_epi16(codes, 8)};
}
ANNEX_INLINE QueryGroup load_query(const uint8_t* p) {
  return {_mm512_set1_epi32(static_cast<int>(read_u32(p))), _mm512_set1_epi32(static_cast<int>(read_u32(p + 4)))};
}
ANNEX_INLINE RowSums multiply_add(RowSums acc, Codes c, QueryGroup q) {
  const __m512i products = _mm512_add_epi32(_mm512_madd_epi16(c.even, q.even), _mm512_madd_epi16(c.odd, q.odd));
  return {_mm512_add_epi32(acc.v, products)};
}
