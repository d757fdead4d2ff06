// Byte words that all AVX-512 tables share. See vec_scalar.inl for the meaning of each word.

struct Bytes {
  __m512i v;
};
struct Ints {
  __m512i v;
};

constexpr size_t kByteLanes = 64;
constexpr int kByteRows = 8;

ANNEX_INLINE __mmask64 first_bytes(size_t n) { return (__mmask64{1} << n) - 1; }  // n < 64
ANNEX_INLINE Bytes load_row(const void* p) { return {_mm512_loadu_si512(p)}; }
ANNEX_INLINE Bytes load_row(const void* p, size_t n) { return {_mm512_maskz_loadu_epi8(first_bytes(n), p)}; }
ANNEX_INLINE Ints no_ints() { return {_mm512_setzero_si512()}; }
ANNEX_INLINE Bytes flip_signs(Bytes a) { return {_mm512_xor_si512(a.v, _mm512_set1_epi8(-128))}; }
ANNEX_INLINE Bytes bit_xor(Bytes a, Bytes b) { return {_mm512_xor_si512(a.v, b.v)}; }
ANNEX_INLINE Bytes bit_and(Bytes a, Bytes b) { return {_mm512_and_si512(a.v, b.v)}; }
ANNEX_INLINE Bytes bit_or(Bytes a, Bytes b) { return {_mm512_or_si512(a.v, b.v)}; }
ANNEX_INLINE Bytes shift_nibbles(Bytes a) { return {_mm512_srli_epi16(a.v, 4)}; }

ANNEX_INLINE __m512i distance_u8(Bytes a, Bytes b) {
  return _mm512_or_si512(_mm512_subs_epu8(a.v, b.v), _mm512_subs_epu8(b.v, a.v));
}
ANNEX_INLINE Ints add_l1_u8(Ints acc, Bytes q, Bytes x) { return {_mm512_add_epi32(acc.v, _mm512_sad_epu8(q.v, x.v))}; }

template <int R>
ANNEX_INLINE void sum_rows(const Ints (&a)[R], int32_t* out) {
  if constexpr (R == 8) {
    const __m256 s =
        tree_8<AddInt>(_mm512_castsi512_ps(a[0].v), _mm512_castsi512_ps(a[1].v), _mm512_castsi512_ps(a[2].v),
                       _mm512_castsi512_ps(a[3].v), _mm512_castsi512_ps(a[4].v), _mm512_castsi512_ps(a[5].v),
                       _mm512_castsi512_ps(a[6].v), _mm512_castsi512_ps(a[7].v));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), _mm256_castps_si256(s));
  } else if constexpr (R == 4) {
    const __m128 s = tree_4<AddInt>(_mm512_castsi512_ps(a[0].v), _mm512_castsi512_ps(a[1].v),
                                    _mm512_castsi512_ps(a[2].v), _mm512_castsi512_ps(a[3].v));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out), _mm_castps_si128(s));
  } else {
    ANNEX_UNROLL
    for (int r = 0; r < R; r++)
      out[r] = _mm_cvtsi128_si32(_mm_castps_si128(tree_1<AddInt>(_mm512_castsi512_ps(a[r].v))));
  }
}

// Sums of the sixteen rows of a panel.
struct RowSums {
  __m512i v;
};
ANNEX_INLINE RowSums start_sums(int32_t start) { return {_mm512_set1_epi32(start)}; }
ANNEX_INLINE RowSums add(RowSums a, RowSums b) { return {_mm512_add_epi32(a.v, b.v)}; }
ANNEX_INLINE Lanes to_lanes(RowSums a) { return {_mm512_cvtepi32_ps(a.v)}; }
ANNEX_INLINE void store_sums(int32_t* p, RowSums a) { _mm512_storeu_si512(p, a.v); }
