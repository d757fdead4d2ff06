// Words of codes.inl that all AVX-512 tables share. See codes_scalar.inl.

struct Words {
  __m512i v;
};
constexpr int kNibbleQueries = 4;

ANNEX_INLINE Lanes to_lanes(Words a) { return {_mm512_cvtepi32_ps(a.v)}; }
ANNEX_INLINE void store_words(uint32_t* p, Words a) { _mm512_storeu_si512(p, a.v); }
ANNEX_INLINE Words add(Words a, Words b) { return {_mm512_add_epi32(a.v, b.v)}; }

// Where a register is, it stays: compilers otherwise copy sums to and fro around each step of a loop.
ANNEX_INLINE void stay(__m512i& a) {
#if defined(__GNUC__) || defined(__clang__)
  asm("" : "+v"(a));
#else
  (void)a;
#endif
}

// Sums of bytes as 16-bit words: `all` gathers the bytes of a word as one number, whose overflow does not matter, and
// `odd` its upper byte, so that the sum of the lower byte is all - 256 · odd.
struct ByteSums {
  __m512i all, odd;
  ANNEX_INLINE void clear() { all = odd = _mm512_setzero_si512(); }
  ANNEX_INLINE void add(__m512i bytes) {
    all = _mm512_add_epi16(all, bytes);
    odd = _mm512_add_epi16(odd, _mm512_srli_epi16(bytes, 8));
  }
  ANNEX_INLINE __m512i even() const { return _mm512_sub_epi16(all, _mm512_slli_epi16(odd, 8)); }
};

struct PlaneSum {
  __m512i v;
  ANNEX_INLINE void clear() { v = _mm512_setzero_si512(); }
  ANNEX_INLINE void add(const int16_t* query, const uint8_t* planes, size_t n, size_t count) {
    __m512i code = _mm512_setzero_si512();
    __m512i weight = _mm512_set1_epi8(1);
    for (size_t b = 0; b < count; b++) {
      uint64_t set = 0;
      if (n == 64) {
        memcpy(&set, planes + 8 * b, 8);
      } else {
        copy_small<8>(&set, planes + b * (n / 8), n / 8);
      }
      code = _mm512_mask_add_epi8(code, set, code, weight);
      weight = _mm512_add_epi8(weight, weight);
    }
    const __m512i low = _mm512_cvtepu8_epi16(_mm512_castsi512_si256(code));
    const __m512i high = _mm512_cvtepu8_epi16(_mm512_extracti64x4_epi64(code, 1));
    v = add_products(v, low, _mm512_loadu_si512(query));
    v = add_products(v, high, _mm512_loadu_si512(query + 32));
  }
  ANNEX_INLINE int32_t total() const { return _mm512_reduce_add_epi32(v); }
};

// (a, b) ← (a + b, a - b), where b is in the lanes of the mask.
ANNEX_INLINE __m512 butterfly(__m512 x, __m512 swapped, __mmask16 upper) {
  return _mm512_mask_sub_ps(_mm512_add_ps(swapped, x), upper, swapped, x);
}
ANNEX_INLINE Lanes hadamard_16(Lanes x) {
  __m512 y = butterfly(x.v, _mm512_shuffle_f32x4(x.v, x.v, 0x4e), 0xff00);
  y = butterfly(y, _mm512_shuffle_f32x4(y, y, 0xb1), 0xf0f0);
  y = butterfly(y, _mm512_permute_ps(y, 0x4e), 0xcccc);
  return {butterfly(y, _mm512_permute_ps(y, 0xb1), 0xaaaa)};
}
