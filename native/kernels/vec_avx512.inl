// Vocabulary of AVX-512 (F, BW, DQ, VL): sixteen float lanes are one register. See vec_scalar.inl for the meaning of
// each word.

struct Lanes {
  __m512 v;
};

constexpr int kFloatRows = 8;
constexpr int kSq8Rows = 4;
constexpr bool kTransposesInRegisters = true;
constexpr int kPointPanels = 4;
constexpr TileShape kFloatTiles[] = {{12, 2, 1}, {8, 3, 1}, {4, 4, 1}, {2, 2, 3}, {1, 1, 8}};

ANNEX_INLINE __mmask16 first_lanes(size_t n) { return static_cast<__mmask16>((1u << n) - 1); }
ANNEX_INLINE Lanes zeros() { return {_mm512_setzero_ps()}; }
ANNEX_INLINE Lanes fill(float x) { return {_mm512_set1_ps(x)}; }
ANNEX_INLINE Lanes add(Lanes a, Lanes b) { return {_mm512_add_ps(a.v, b.v)}; }
ANNEX_INLINE Lanes sub(Lanes a, Lanes b) { return {_mm512_sub_ps(a.v, b.v)}; }
ANNEX_INLINE Lanes mul(Lanes a, Lanes b) { return {_mm512_mul_ps(a.v, b.v)}; }
ANNEX_INLINE Lanes div(Lanes a, Lanes b) { return {_mm512_div_ps(a.v, b.v)}; }
ANNEX_INLINE Lanes fma(Lanes a, Lanes b, Lanes c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
ANNEX_INLINE Lanes abs(Lanes a) { return {_mm512_abs_ps(a.v)}; }
ANNEX_INLINE Lanes min(Lanes a, Lanes b) { return {_mm512_min_ps(a.v, b.v)}; }
ANNEX_INLINE Lanes max(Lanes a, Lanes b) { return {_mm512_max_ps(a.v, b.v)}; }
ANNEX_INLINE Lanes choose_greater(Lanes a, Lanes b, Lanes x, Lanes y) {
  return {_mm512_mask_blend_ps(_mm512_cmp_ps_mask(a.v, b.v, _CMP_GT_OQ), y.v, x.v)};
}
ANNEX_INLINE Lanes keep(Lanes a, size_t n) { return {_mm512_maskz_mov_ps(first_lanes(n), a.v)}; }

ANNEX_INLINE Lanes load_f32(const void* p) { return {_mm512_loadu_ps(p)}; }
ANNEX_INLINE Lanes load_f32(const void* p, size_t n) { return {_mm512_maskz_loadu_ps(first_lanes(n), p)}; }
ANNEX_INLINE Lanes load_i32_as_f32(const int32_t* p) { return {_mm512_cvtepi32_ps(_mm512_loadu_si512(p))}; }
ANNEX_INLINE void store_f32(void* p, Lanes a) { _mm512_storeu_ps(p, a.v); }
ANNEX_INLINE void store_f32(void* p, Lanes a, size_t n) { _mm512_mask_storeu_ps(p, first_lanes(n), a.v); }

ANNEX_INLINE __m256i load_u16(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
ANNEX_INLINE __m256i load_u16(const void* p, size_t n) { return _mm256_maskz_loadu_epi16(first_lanes(n), p); }
ANNEX_INLINE __m128i load_u8(const void* p) { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }
ANNEX_INLINE __m128i load_u8(const void* p, size_t n) { return _mm_maskz_loadu_epi8(first_lanes(n), p); }

ANNEX_INLINE Lanes widen_f16(__m256i h) { return {_mm512_cvtph_ps(h)}; }
ANNEX_INLINE Lanes widen_bf16(__m256i h) {
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16))};
}
ANNEX_INLINE Lanes widen_u8(__m128i b) { return {_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(b))}; }
ANNEX_INLINE Lanes widen_i8(__m128i b) { return {_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(b))}; }

ANNEX_INLINE Lanes load_f16(const void* p) { return widen_f16(load_u16(p)); }
ANNEX_INLINE Lanes load_f16(const void* p, size_t n) { return widen_f16(load_u16(p, n)); }
ANNEX_INLINE Lanes load_bf16(const void* p) { return widen_bf16(load_u16(p)); }
ANNEX_INLINE Lanes load_bf16(const void* p, size_t n) { return widen_bf16(load_u16(p, n)); }
ANNEX_INLINE Lanes load_u8_as_f32(const void* p) { return widen_u8(load_u8(p)); }
ANNEX_INLINE Lanes load_u8_as_f32(const void* p, size_t n) { return widen_u8(load_u8(p, n)); }
ANNEX_INLINE Lanes load_i8_as_f32(const void* p) { return widen_i8(load_u8(p)); }
ANNEX_INLINE Lanes load_i8_as_f32(const void* p, size_t n) { return widen_i8(load_u8(p, n)); }

ANNEX_INLINE void store_f16(void* p, Lanes a) {
  _mm256_storeu_si256(static_cast<__m256i*>(p), _mm512_cvtps_ph(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
ANNEX_INLINE void store_bf16(void* p, Lanes a) {
  const __m512i bits = _mm512_castps_si512(a.v);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
  const __mmask16 nan = _mm512_cmp_ps_mask(a.v, a.v, _CMP_UNORD_Q);
  const __m512i kept = _mm512_mask_or_epi32(rounded, nan, bits, _mm512_set1_epi32(0x400000));
  _mm256_storeu_si256(static_cast<__m256i*>(p), _mm512_cvtepi32_epi16(_mm512_srli_epi32(kept, 16)));
}
ANNEX_INLINE void store_u8_rounded(void* p, Lanes a) {
  _mm_storeu_si128(static_cast<__m128i*>(p), _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(a.v)));
}

ANNEX_INLINE uint32_t mask_not_less(Lanes a, Lanes b) { return _mm512_cmp_ps_mask(a.v, b.v, _CMP_NLT_UQ); }
ANNEX_INLINE uint32_t mask_not_greater(Lanes a, Lanes b) { return _mm512_cmp_ps_mask(a.v, b.v, _CMP_NGT_UQ); }
ANNEX_INLINE uint32_t mask_nonfinite(Lanes a) {
  const __m512i exponent = _mm512_set1_epi32(0x7f800000);
  return _mm512_cmpeq_epi32_mask(_mm512_and_si512(_mm512_castps_si512(a.v), exponent), exponent);
}

// Appends base + i for every set bit i of the mask, ascending. Nothing is written beyond the last one.
ANNEX_INLINE uint32_t append_indices(uint32_t mask, uint32_t base, uint32_t* to) {
  const uint32_t count = static_cast<uint32_t>(_mm_popcnt_u32(mask));
  const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const __m512i index = _mm512_add_epi32(lane, _mm512_set1_epi32(static_cast<int>(base)));
  _mm512_mask_storeu_epi32(to, first_lanes(count), _mm512_maskz_compress_epi32(static_cast<__mmask16>(mask), index));
  return count;
}

// The horizontal tree 16→8→4→2→1, shared between rows: each fold adds the upper half of every row to its lower half
// and places two rows into one register. Written once for float and int32 addition.
struct AddFloat {
  static ANNEX_INLINE __m512 add(__m512 a, __m512 b) { return _mm512_add_ps(a, b); }
};
struct AddInt {
  static ANNEX_INLINE __m512 add(__m512 a, __m512 b) {
    return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(a), _mm512_castps_si512(b)));
  }
};

template <class Add>
ANNEX_INLINE __m512 fold_16_to_8(__m512 a, __m512 b) {
  return Add::add(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xee));
}
template <class Add>
ANNEX_INLINE __m512 fold_8_to_4(__m512 ab, __m512 cd) {
  return Add::add(_mm512_shuffle_f32x4(ab, cd, 0x88), _mm512_shuffle_f32x4(ab, cd, 0xdd));
}
template <class Add>
ANNEX_INLINE __m512 fold_4_to_1(__m512 x, __m512 y) {
  const __m512d dx = _mm512_castps_pd(x), dy = _mm512_castps_pd(y);
  const __m512 two =
      Add::add(_mm512_castpd_ps(_mm512_unpacklo_pd(dx, dy)), _mm512_castpd_ps(_mm512_unpackhi_pd(dx, dy)));
  return Add::add(_mm512_shuffle_ps(two, two, 0x88), _mm512_shuffle_ps(two, two, 0xdd));
}

// Sums of one register; in the lowest lane.
template <class Add>
ANNEX_INLINE __m128 tree_1(__m512 a) {
  const __m512 s8 = fold_16_to_8<Add>(a, a);
  const __m512 s4 = fold_8_to_4<Add>(s8, s8);
  return _mm512_castps512_ps128(fold_4_to_1<Add>(s4, s4));
}
// Sums of four registers; in order.
template <class Add>
ANNEX_INLINE __m128 tree_4(__m512 a, __m512 b, __m512 c, __m512 d) {
  const __m512 s4 = fold_8_to_4<Add>(fold_16_to_8<Add>(a, b), fold_16_to_8<Add>(c, d));
  const __m512 s1 = fold_4_to_1<Add>(s4, s4);
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12);
  return _mm512_castps512_ps128(_mm512_permutexvar_ps(order, s1));
}
// Sums of eight registers; in order.
template <class Add>
ANNEX_INLINE __m256 tree_8(__m512 a, __m512 b, __m512 c, __m512 d, __m512 e, __m512 f, __m512 g, __m512 h) {
  const __m512 abcd = fold_8_to_4<Add>(fold_16_to_8<Add>(a, b), fold_16_to_8<Add>(c, d));
  const __m512 efgh = fold_8_to_4<Add>(fold_16_to_8<Add>(e, f), fold_16_to_8<Add>(g, h));
  const __m512 s1 = fold_4_to_1<Add>(abcd, efgh);
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 0, 4, 8, 12, 1, 5, 9, 13);
  return _mm512_castps512_ps256(_mm512_permutexvar_ps(order, s1));
}

template <int R>
ANNEX_INLINE void sum_rows(const Lanes (&a)[R], float* out) {
  if constexpr (R == 8) {
    _mm256_storeu_ps(out, tree_8<AddFloat>(a[0].v, a[1].v, a[2].v, a[3].v, a[4].v, a[5].v, a[6].v, a[7].v));
  } else if constexpr (R == 4) {
    _mm_storeu_ps(out, tree_4<AddFloat>(a[0].v, a[1].v, a[2].v, a[3].v));
  } else {
    ANNEX_UNROLL
    for (int r = 0; r < R; r++) out[r] = _mm_cvtss_f32(tree_1<AddFloat>(a[r].v));
  }
}

// Writes sixteen rows of sixteen dwords as columns: to[16 * column + row].
ANNEX_INLINE void store_transposed(const Lanes (&rows)[16], float* to) {
  __m512 pairs[16], quads[16];
  ANNEX_UNROLL
  for (int r = 0; r < 16; r += 2) {
    pairs[r] = _mm512_unpacklo_ps(rows[r].v, rows[r + 1].v);      // columns 0 1 of each 128-bit part
    pairs[r + 1] = _mm512_unpackhi_ps(rows[r].v, rows[r + 1].v);  // columns 2 3
  }
  ANNEX_UNROLL
  for (int r = 0; r < 16; r += 4) {
    const __m512d a = _mm512_castps_pd(pairs[r]), b = _mm512_castps_pd(pairs[r + 1]);
    const __m512d c = _mm512_castps_pd(pairs[r + 2]), d = _mm512_castps_pd(pairs[r + 3]);
    quads[r] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, c));  // rows r … r+3 of column 0 of each part
    quads[r + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, c));
    quads[r + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(b, d));
    quads[r + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(b, d));
  }
  ANNEX_UNROLL
  for (int c = 0; c < 4; c++) {                                               // columns c, c+4, c+8, c+12
    const __m512 low02 = _mm512_shuffle_f32x4(quads[c], quads[c + 4], 0x88);  // rows 0-7 of parts 0 2
    const __m512 low13 = _mm512_shuffle_f32x4(quads[c], quads[c + 4], 0xdd);  // rows 0-7 of parts 1 3
    const __m512 high02 = _mm512_shuffle_f32x4(quads[c + 8], quads[c + 12], 0x88);
    const __m512 high13 = _mm512_shuffle_f32x4(quads[c + 8], quads[c + 12], 0xdd);
    _mm512_storeu_ps(to + 16 * c, _mm512_shuffle_f32x4(low02, high02, 0x88));
    _mm512_storeu_ps(to + 16 * (c + 4), _mm512_shuffle_f32x4(low13, high13, 0x88));
    _mm512_storeu_ps(to + 16 * (c + 8), _mm512_shuffle_f32x4(low02, high02, 0xdd));
    _mm512_storeu_ps(to + 16 * (c + 12), _mm512_shuffle_f32x4(low13, high13, 0xdd));
  }
}

// Dwords of bytes, as Lanes, for byte panels: n bytes (n ≤ 64) of a row, exclusive-ored with `flip`, zero beyond n.
ANNEX_INLINE Lanes load_bytes(const void* p, uint8_t flip) {
  return {_mm512_castsi512_ps(_mm512_xor_si512(_mm512_loadu_si512(p), _mm512_set1_epi8(static_cast<char>(flip))))};
}
ANNEX_INLINE Lanes load_bytes(const void* p, size_t n, uint8_t flip) {
  const __mmask64 mask = (__mmask64{1} << n) - 1;  // n < 64
  const __m512i x = _mm512_xor_si512(_mm512_maskz_loadu_epi8(mask, p), _mm512_set1_epi8(static_cast<char>(flip)));
  return {_mm512_castsi512_ps(_mm512_maskz_mov_epi8(mask, x))};
}
