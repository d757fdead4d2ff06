// Vocabulary of AVX2 with FMA and F16C: sixteen float lanes are two registers. See vec_scalar.inl for the meaning of
// each word.

struct Lanes {
  __m256 low, high;
};

constexpr int kFloatRows = 4;
constexpr int kSq8Rows = 2;
constexpr bool kTransposesInRegisters = false;
constexpr int kPointPanels = 1;
constexpr TileShape kFloatTiles[] = {{6, 1, 1}, {4, 1, 1}, {2, 1, 3}, {1, 1, 6}};

ANNEX_INLINE Lanes zeros() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
ANNEX_INLINE Lanes fill(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
ANNEX_INLINE Lanes add(Lanes a, Lanes b) { return {_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)}; }
ANNEX_INLINE Lanes sub(Lanes a, Lanes b) { return {_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)}; }
ANNEX_INLINE Lanes mul(Lanes a, Lanes b) { return {_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)}; }
ANNEX_INLINE Lanes div(Lanes a, Lanes b) { return {_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high)}; }
ANNEX_INLINE Lanes fma(Lanes a, Lanes b, Lanes c) {
  return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
}
ANNEX_INLINE Lanes abs(Lanes a) {
  const __m256 sign = _mm256_set1_ps(-0.0f);
  return {_mm256_andnot_ps(sign, a.low), _mm256_andnot_ps(sign, a.high)};
}
ANNEX_INLINE Lanes min(Lanes a, Lanes b) { return {_mm256_min_ps(a.low, b.low), _mm256_min_ps(a.high, b.high)}; }
ANNEX_INLINE Lanes max(Lanes a, Lanes b) { return {_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)}; }

ANNEX_INLINE Lanes choose_greater(Lanes a, Lanes b, Lanes x, Lanes y) {
  return {_mm256_blendv_ps(y.low, x.low, _mm256_cmp_ps(a.low, b.low, _CMP_GT_OQ)),
          _mm256_blendv_ps(y.high, x.high, _mm256_cmp_ps(a.high, b.high, _CMP_GT_OQ))};
}

// All ones in the lanes first … first + 7 that are below n.
ANNEX_INLINE __m256i lanes_below(size_t n, int first) {
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n) - first), lane);
}
ANNEX_INLINE Lanes keep(Lanes a, size_t n) {
  return {_mm256_and_ps(a.low, _mm256_castsi256_ps(lanes_below(n, 0))),
          _mm256_and_ps(a.high, _mm256_castsi256_ps(lanes_below(n, 8)))};
}

ANNEX_INLINE Lanes load_f32(const void* p) {
  const float* f = static_cast<const float*>(p);
  return {_mm256_loadu_ps(f), _mm256_loadu_ps(f + 8)};
}
ANNEX_INLINE Lanes load_f32(const void* p, size_t n) {
  const float* f = static_cast<const float*>(p);
  return {_mm256_maskload_ps(f, lanes_below(n, 0)), _mm256_maskload_ps(f + 8, lanes_below(n, 8))};
}
ANNEX_INLINE Lanes load_i32_as_f32(const int32_t* p) {
  const __m256i* from = reinterpret_cast<const __m256i*>(p);
  return {_mm256_cvtepi32_ps(_mm256_loadu_si256(from)), _mm256_cvtepi32_ps(_mm256_loadu_si256(from + 1))};
}
ANNEX_INLINE void store_f32(void* p, Lanes a) {
  float* f = static_cast<float*>(p);
  _mm256_storeu_ps(f, a.low);
  _mm256_storeu_ps(f + 8, a.high);
}
ANNEX_INLINE void store_f32(void* p, Lanes a, size_t n) {
  float* f = static_cast<float*>(p);
  _mm256_maskstore_ps(f, lanes_below(n, 0), a.low);
  _mm256_maskstore_ps(f + 8, lanes_below(n, 8), a.high);
}

ANNEX_INLINE __m128i load_128(const void* p) { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }
ANNEX_INLINE __m128i load_64(const void* p) { return _mm_loadl_epi64(static_cast<const __m128i*>(p)); }
ANNEX_INLINE void store_128(void* p, __m128i x) { _mm_storeu_si128(static_cast<__m128i*>(p), x); }

ANNEX_INLINE Lanes load_f16(const void* p) {
  const uint8_t* b = static_cast<const uint8_t*>(p);
  return {_mm256_cvtph_ps(load_128(b)), _mm256_cvtph_ps(load_128(b + 16))};
}
ANNEX_INLINE Lanes load_f16(const void* p, size_t n) { return load_f16(PaddedBytes<32>(p, 2 * n).bytes); }
ANNEX_INLINE __m256 widen_bf16(__m128i h) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16));
}
ANNEX_INLINE Lanes load_bf16(const void* p) {
  const uint8_t* b = static_cast<const uint8_t*>(p);
  return {widen_bf16(load_128(b)), widen_bf16(load_128(b + 16))};
}
ANNEX_INLINE Lanes load_bf16(const void* p, size_t n) { return load_bf16(PaddedBytes<32>(p, 2 * n).bytes); }
ANNEX_INLINE Lanes load_u8_as_f32(const void* p) {
  const uint8_t* b = static_cast<const uint8_t*>(p);
  return {_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(load_64(b))),
          _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(load_64(b + 8)))};
}
ANNEX_INLINE Lanes load_u8_as_f32(const void* p, size_t n) { return load_u8_as_f32(PaddedBytes<16>(p, n).bytes); }
ANNEX_INLINE Lanes load_i8_as_f32(const void* p) {
  const uint8_t* b = static_cast<const uint8_t*>(p);
  return {_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(load_64(b))),
          _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(load_64(b + 8)))};
}
ANNEX_INLINE Lanes load_i8_as_f32(const void* p, size_t n) { return load_i8_as_f32(PaddedBytes<16>(p, n).bytes); }

ANNEX_INLINE void store_f16(void* p, Lanes a) {
  constexpr int nearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  store_128(p, _mm256_cvtps_ph(a.low, nearest));
  store_128(static_cast<uint8_t*>(p) + 16, _mm256_cvtps_ph(a.high, nearest));
}
ANNEX_INLINE __m256i narrow_bf16(__m256 a) {
  const __m256i bits = _mm256_castps_si256(a);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i rounded = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
  const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
  const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(a, a, _CMP_UNORD_Q));
  return _mm256_srli_epi32(_mm256_blendv_epi8(rounded, quiet, nan), 16);
}
ANNEX_INLINE void store_bf16(void* p, Lanes a) {
  const __m256i packed = _mm256_packus_epi32(narrow_bf16(a.low), narrow_bf16(a.high));  // by 128-bit halves
  _mm256_storeu_si256(static_cast<__m256i*>(p), _mm256_permute4x64_epi64(packed, 0xd8));
}
ANNEX_INLINE void store_u8_rounded(void* p, Lanes a) {
  const __m256i words = _mm256_packus_epi32(_mm256_cvtps_epi32(a.low), _mm256_cvtps_epi32(a.high));
  const __m256i ordered = _mm256_permute4x64_epi64(words, 0xd8);
  store_128(p, _mm_packus_epi16(_mm256_castsi256_si128(ordered), _mm256_extracti128_si256(ordered, 1)));
}

ANNEX_INLINE uint32_t mask_of(__m256 low, __m256 high) {
  return static_cast<uint32_t>(_mm256_movemask_ps(low) | _mm256_movemask_ps(high) << 8);
}
ANNEX_INLINE uint32_t mask_not_less(Lanes a, Lanes b) {
  return mask_of(_mm256_cmp_ps(a.low, b.low, _CMP_NLT_UQ), _mm256_cmp_ps(a.high, b.high, _CMP_NLT_UQ));
}
ANNEX_INLINE uint32_t mask_not_greater(Lanes a, Lanes b) {
  return mask_of(_mm256_cmp_ps(a.low, b.low, _CMP_NGT_UQ), _mm256_cmp_ps(a.high, b.high, _CMP_NGT_UQ));
}
ANNEX_INLINE __m256 nonfinite(__m256 a) {
  const __m256i exponent = _mm256_set1_epi32(0x7f800000);
  return _mm256_castsi256_ps(_mm256_cmpeq_epi32(_mm256_and_si256(_mm256_castps_si256(a), exponent), exponent));
}
ANNEX_INLINE uint32_t mask_nonfinite(Lanes a) { return mask_of(nonfinite(a.low), nonfinite(a.high)); }
ANNEX_INLINE uint32_t append_indices(uint32_t mask, uint32_t base, uint32_t* to) { return append_bits(mask, base, to); }

// 16→8 of one row, 8→4 of two rows, 4→1 of four rows.
ANNEX_INLINE __m256 fold_16_to_8(Lanes a) { return _mm256_add_ps(a.low, a.high); }
ANNEX_INLINE __m256 fold_8_to_4(__m256 a, __m256 b) {
  return _mm256_add_ps(_mm256_permute2f128_ps(a, b, 0x20), _mm256_permute2f128_ps(a, b, 0x31));
}
ANNEX_INLINE __m128 fold_4_to_1(__m256 ab, __m256 cd) {
  const __m256d x = _mm256_castps_pd(ab), y = _mm256_castps_pd(cd);
  const __m256 two =
      _mm256_add_ps(_mm256_castpd_ps(_mm256_unpacklo_pd(x, y)), _mm256_castpd_ps(_mm256_unpackhi_pd(x, y)));
  const __m256 one = _mm256_add_ps(_mm256_shuffle_ps(two, two, 0x88), _mm256_shuffle_ps(two, two, 0xdd));
  return _mm_unpacklo_ps(_mm256_castps256_ps128(one), _mm256_extractf128_ps(one, 1));  // a c … and b d …
}

template <int R>
ANNEX_INLINE void sum_rows(const Lanes (&a)[R], float* out) {
  static_assert(R == 1 || R == 2 || R == 4);
  const __m256 ab = fold_8_to_4(fold_16_to_8(a[0]), fold_16_to_8(a[R > 1 ? 1 : 0]));
  const __m256 cd = R < 4 ? ab : fold_8_to_4(fold_16_to_8(a[R - 2]), fold_16_to_8(a[R - 1]));
  const __m128 sums = fold_4_to_1(ab, cd);
  if constexpr (R == 4) _mm_storeu_ps(out, sums);
  if constexpr (R == 2) _mm_storel_pi(reinterpret_cast<__m64*>(out), sums);
  if constexpr (R == 1) _mm_store_ss(out, sums);
}

// Writes the transpose of eight rows of eight dwords, 16 dwords apart.
ANNEX_INLINE void store_transposed_8(const __m256 (&rows)[8], float* to) {
  __m256 pairs[8], quads[8];
  ANNEX_UNROLL
  for (int r = 0; r < 8; r += 2) {
    pairs[r] = _mm256_unpacklo_ps(rows[r], rows[r + 1]);
    pairs[r + 1] = _mm256_unpackhi_ps(rows[r], rows[r + 1]);
  }
  ANNEX_UNROLL
  for (int r = 0; r < 8; r += 4) {
    quads[r] = _mm256_shuffle_ps(pairs[r], pairs[r + 2], 0x44);
    quads[r + 1] = _mm256_shuffle_ps(pairs[r], pairs[r + 2], 0xee);
    quads[r + 2] = _mm256_shuffle_ps(pairs[r + 1], pairs[r + 3], 0x44);
    quads[r + 3] = _mm256_shuffle_ps(pairs[r + 1], pairs[r + 3], 0xee);
  }
  ANNEX_UNROLL
  for (int c = 0; c < 4; c++) {
    _mm256_storeu_ps(to + 16 * c, _mm256_permute2f128_ps(quads[c], quads[c + 4], 0x20));
    _mm256_storeu_ps(to + 16 * (c + 4), _mm256_permute2f128_ps(quads[c], quads[c + 4], 0x31));
  }
}

ANNEX_NOINLINE void store_transposed(const Lanes (&rows)[16], float* to) {
  ANNEX_UNROLL
  for (int half = 0; half < 16; half += 8) {
    __m256 low[8], high[8];
    ANNEX_UNROLL
    for (int r = 0; r < 8; r++) {
      low[r] = rows[half + r].low;
      high[r] = rows[half + r].high;
    }
    store_transposed_8(low, to + half);
    store_transposed_8(high, to + 128 + half);
  }
}

ANNEX_INLINE __m256i load_256(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
ANNEX_INLINE Lanes load_bytes(const void* p, uint8_t flip) {
  const __m256i flips = _mm256_set1_epi8(static_cast<char>(flip));
  return {_mm256_castsi256_ps(_mm256_xor_si256(load_256(p), flips)),
          _mm256_castsi256_ps(_mm256_xor_si256(load_256(static_cast<const uint8_t*>(p) + 32), flips))};
}
ANNEX_INLINE Lanes load_bytes(const void* p, size_t n, uint8_t flip) {
  PaddedBytes<64> padded(p, n);
  for (size_t i = 0; i < n; i++) padded.bytes[i] ^= flip;
  return load_bytes(padded.bytes, uint8_t{0});
}
