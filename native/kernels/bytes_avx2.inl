// Byte words of AVX2: products of bytes go through 16-bit multiply-add.

struct Bytes {
  __m256i v;
};
struct Ints {
  __m256i v;
};

constexpr size_t kByteLanes = 32;
constexpr int kByteRows = 4;
constexpr bool kDotNeedsQuerySum = false;

ANNEX_INLINE Bytes load_row(const void* p) { return {load_256(p)}; }
ANNEX_INLINE Bytes load_row(const void* p, size_t n) { return {load_256(PaddedBytes<32>(p, n).bytes)}; }
ANNEX_INLINE Ints no_ints() { return {_mm256_setzero_si256()}; }
ANNEX_INLINE Bytes flip_signs(Bytes a) { return {_mm256_xor_si256(a.v, _mm256_set1_epi8(-128))}; }
ANNEX_INLINE Bytes bit_xor(Bytes a, Bytes b) { return {_mm256_xor_si256(a.v, b.v)}; }
ANNEX_INLINE Bytes bit_and(Bytes a, Bytes b) { return {_mm256_and_si256(a.v, b.v)}; }
ANNEX_INLINE Bytes bit_or(Bytes a, Bytes b) { return {_mm256_or_si256(a.v, b.v)}; }

ANNEX_INLINE Ints add_products(Ints acc, __m256i a16, __m256i b16) {
  return {_mm256_add_epi32(acc.v, _mm256_madd_epi16(a16, b16))};
}
ANNEX_INLINE Ints add_dot_u8(Ints acc, Bytes q, Bytes x) {
  const __m256i zero = _mm256_setzero_si256();
  acc = add_products(acc, _mm256_unpacklo_epi8(q.v, zero), _mm256_unpacklo_epi8(x.v, zero));
  return add_products(acc, _mm256_unpackhi_epi8(q.v, zero), _mm256_unpackhi_epi8(x.v, zero));
}
ANNEX_INLINE Ints add_dot_i8(Ints acc, Bytes q, Bytes x) {
  const __m256i qe = _mm256_srai_epi16(_mm256_slli_epi16(q.v, 8), 8), qo = _mm256_srai_epi16(q.v, 8);
  const __m256i xe = _mm256_srai_epi16(_mm256_slli_epi16(x.v, 8), 8), xo = _mm256_srai_epi16(x.v, 8);
  return add_products(add_products(acc, qe, xe), qo, xo);
}
ANNEX_INLINE Bytes shift_nibbles(Bytes a) { return {_mm256_srli_epi16(a.v, 4)}; }
ANNEX_INLINE Ints add_dot_nibbles(Ints acc, Bytes q, Bytes x) {
  return add_products(acc, _mm256_maddubs_epi16(x.v, q.v), _mm256_set1_epi16(1));
}
ANNEX_INLINE Ints add_l2_u8(Ints acc, Bytes q, Bytes x) {
  const __m256i zero = _mm256_setzero_si256();
  const __m256i d = _mm256_or_si256(_mm256_subs_epu8(q.v, x.v), _mm256_subs_epu8(x.v, q.v));
  const __m256i low = _mm256_unpacklo_epi8(d, zero), high = _mm256_unpackhi_epi8(d, zero);
  return add_products(add_products(acc, low, low), high, high);
}
ANNEX_INLINE Ints add_l1_u8(Ints acc, Bytes q, Bytes x) { return {_mm256_add_epi32(acc.v, _mm256_sad_epu8(q.v, x.v))}; }
ANNEX_INLINE Ints add_popcount(Ints acc, Bytes a) {
  const __m256i table = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
  const __m256i nibble = _mm256_set1_epi8(15);
  const __m256i low = _mm256_shuffle_epi8(table, _mm256_and_si256(a.v, nibble));
  const __m256i high = _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(a.v, 4), nibble));
  return {_mm256_add_epi32(acc.v, _mm256_sad_epu8(_mm256_add_epi8(low, high), _mm256_setzero_si256()))};
}

template <int R>
ANNEX_INLINE void sum_rows(const Ints (&a)[R], int32_t* out) {
  static_assert(R == 1 || R == 2 || R == 4);
  const __m256i ab = _mm256_hadd_epi32(a[0].v, a[R > 1 ? 1 : 0].v);
  const __m256i cd = R < 4 ? ab : _mm256_hadd_epi32(a[R - 2].v, a[R - 1].v);
  const __m256i abcd = _mm256_hadd_epi32(ab, cd);
  const __m128i sums = _mm_add_epi32(_mm256_castsi256_si128(abcd), _mm256_extracti128_si256(abcd, 1));
  int32_t four[4];
  store_128(four, sums);
  ANNEX_UNROLL
  for (int r = 0; r < R; r++) out[r] = four[r];
}

// Codes are split into their even and odd bytes, as 16-bit pairs; queries likewise when a tile begins (prepared
// queries), so that nothing saturates.
struct Codes {
  __m256i even[2], odd[2];  // rows 0-7 and 8-15
};
struct QueryGroup {
  __m256i even, odd;
};
struct RowSums {
  __m256i low, high;
};
constexpr TileShape kByteTiles[] = {{4, 1, 1}, {2, 1, 1}, {1, 1, 3}};
constexpr bool kPreparedQueries = true;
constexpr bool kPanelNeedsQuerySum = false;

ANNEX_INLINE Codes load_codes(const uint8_t* p) {
  const __m256i even = _mm256_set1_epi16(255), a = load_256(p), b = load_256(p + 32);
  return {{_mm256_and_si256(a, even), _mm256_and_si256(b, even)}, {_mm256_srli_epi16(a, 8), _mm256_srli_epi16(b, 8)}};
}
ANNEX_INLINE QueryGroup load_query(const uint8_t* p) {
  return {_mm256_set1_epi32(static_cast<int>(read_u32(p))), _mm256_set1_epi32(static_cast<int>(read_u32(p + 4)))};
}
ANNEX_INLINE RowSums start_sums(int32_t start) { return {_mm256_set1_epi32(start), _mm256_set1_epi32(start)}; }
ANNEX_INLINE RowSums multiply_add(RowSums acc, Codes c, QueryGroup q) {
  acc.low = _mm256_add_epi32(acc.low, _mm256_madd_epi16(c.even[0], q.even));
  acc.high = _mm256_add_epi32(acc.high, _mm256_madd_epi16(c.even[1], q.even));
  acc.low = _mm256_add_epi32(acc.low, _mm256_madd_epi16(c.odd[0], q.odd));
  acc.high = _mm256_add_epi32(acc.high, _mm256_madd_epi16(c.odd[1], q.odd));
  return acc;
}
ANNEX_INLINE RowSums add(RowSums a, RowSums b) {
  return {_mm256_add_epi32(a.low, b.low), _mm256_add_epi32(a.high, b.high)};
}
ANNEX_INLINE Lanes to_lanes(RowSums a) { return {_mm256_cvtepi32_ps(a.low), _mm256_cvtepi32_ps(a.high)}; }
ANNEX_INLINE void store_sums(int32_t* p, RowSums a) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), a.low);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p + 8), a.high);
}
