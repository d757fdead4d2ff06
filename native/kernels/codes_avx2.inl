// Words of codes.inl for AVX2. A register holds two sub-quantizers, one in each half. See codes_scalar.inl.

struct Words {
  __m256i low, high;
};
constexpr int kNibbleQueries = 2;

ANNEX_INLINE Lanes to_lanes(Words a) { return {_mm256_cvtepi32_ps(a.low), _mm256_cvtepi32_ps(a.high)}; }
ANNEX_INLINE void store_words(uint32_t* p, Words a) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), a.low);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p + 8), a.high);
}

// Sums of bytes as 16-bit words: `all` gathers the bytes of a word as one number, whose overflow does not matter, and
// `odd` its upper byte, so that the sum of the lower byte is all - 256 · odd.
struct ByteSums {
  __m256i all, odd;
  ANNEX_INLINE void clear() { all = odd = _mm256_setzero_si256(); }
  ANNEX_INLINE void add(__m256i bytes) {
    all = _mm256_add_epi16(all, bytes);
    odd = _mm256_add_epi16(odd, _mm256_srli_epi16(bytes, 8));
  }
  // The sums of sixteen rows: those of both halves together.
  ANNEX_INLINE Words words() const {
    const __m256i even = _mm256_sub_epi16(all, _mm256_slli_epi16(odd, 8));
    const __m128i e = _mm_add_epi16(_mm256_castsi256_si128(even), _mm256_extracti128_si256(even, 1));
    const __m128i o = _mm_add_epi16(_mm256_castsi256_si128(odd), _mm256_extracti128_si256(odd, 1));
    return {_mm256_cvtepu16_epi32(_mm_unpacklo_epi16(e, o)), _mm256_cvtepu16_epi32(_mm_unpackhi_epi16(e, o))};
  }
};
ANNEX_INLINE Words add(Words a, Words b) { return {_mm256_add_epi32(a.low, b.low), _mm256_add_epi32(a.high, b.high)}; }

// Four sub-quantizers. Two entries add up to at most 255 and are added as bytes.
template <int Q>
ANNEX_INLINE void add_nibbles_4(const uint8_t* codes, const uint8_t* const (&luts)[Q], size_t at,
                                ByteSums (&sums)[Q][2]) {
  const __m256i nibble = _mm256_set1_epi8(15);
  const __m256i a = load_256(codes), b = load_256(codes + 32);
  const __m256i a0 = _mm256_and_si256(a, nibble), a1 = _mm256_and_si256(_mm256_srli_epi16(a, 4), nibble);
  const __m256i b0 = _mm256_and_si256(b, nibble), b1 = _mm256_and_si256(_mm256_srli_epi16(b, 4), nibble);
  unroll<Q>([&](auto q) ANNEX_INLINE_LAMBDA {
    const __m256i first = load_256(luts[q] + at), second = load_256(luts[q] + at + 32);
    sums[q][0].add(_mm256_add_epi8(_mm256_shuffle_epi8(first, a0), _mm256_shuffle_epi8(second, b0)));
    sums[q][1].add(_mm256_add_epi8(_mm256_shuffle_epi8(first, a1), _mm256_shuffle_epi8(second, b1)));
  });
}

constexpr size_t kGroup = 512;  // sub-quantizers whose entries add up to less than 2¹⁶

template <int Q>
ANNEX_INLINE void sum_nibbles(const uint8_t* codes, size_t m, const uint8_t* const (&luts)[Q], Words (&out)[Q][2]) {
  for (size_t first = 0; first < m || first == 0; first += kGroup) {
    const size_t last = m - first < kGroup ? m : first + kGroup;
    ByteSums sums[Q][2];
    unroll<Q>([&](auto q) ANNEX_INLINE_LAMBDA {
      sums[q][0].clear();
      sums[q][1].clear();
    });
    size_t j = first;
    for (; j + 4 <= last; j += 4) add_nibbles_4<Q>(codes + 16 * j, luts, 16 * j, sums);
    if (j < last) add_nibbles_4<Q>(PaddedBytes<64>(codes + 16 * j, 16 * (last - j)).bytes, luts, 16 * j, sums);
    unroll<Q>([&](auto q) ANNEX_INLINE_LAMBDA {
      unroll<2>([&](auto h) ANNEX_INLINE_LAMBDA {
        out[q][h] = first == 0 ? sums[q][h].words() : add(out[q][h], sums[q][h].words());
      });
    });
  }
}

// 32 elements at a time.
struct PlaneSum {
  __m256i v;
  ANNEX_INLINE void clear() { v = _mm256_setzero_si256(); }
  ANNEX_INLINE void add_32(const int16_t* query, const uint32_t* words, size_t count) {
    const __m256i spread = _mm256_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3,
                                            3, 3, 3, 3, 3, 3, 3);
    const __m256i bit = _mm256_set1_epi64x(static_cast<long long>(0x8040201008040201));
    __m256i code = _mm256_setzero_si256();
    __m256i weight = _mm256_set1_epi8(1);
    for (size_t b = 0; b < count; b++) {
      const __m256i bytes = _mm256_shuffle_epi8(_mm256_set1_epi32(static_cast<int>(words[2 * b])), spread);
      const __m256i set = _mm256_cmpeq_epi8(_mm256_and_si256(bytes, bit), bit);
      code = _mm256_or_si256(code, _mm256_and_si256(set, weight));
      weight = _mm256_add_epi8(weight, weight);
    }
    const __m256i low = _mm256_cvtepu8_epi16(_mm256_castsi256_si128(code));
    const __m256i high = _mm256_cvtepu8_epi16(_mm256_extracti128_si256(code, 1));
    v = _mm256_add_epi32(v, _mm256_madd_epi16(low, load_256(query)));
    v = _mm256_add_epi32(v, _mm256_madd_epi16(high, load_256(query + 16)));
  }
  ANNEX_INLINE void add(const int16_t* query, const uint8_t* planes, size_t n, size_t count) {
    uint32_t words[7][2];
    for (size_t b = 0; b < count; b++) {
      if (n == 64) {
        memcpy(words[b], planes + 8 * b, 8);
      } else {
        words[b][0] = words[b][1] = 0;
        copy_small<8>(words[b], planes + b * (n / 8), n / 8);
      }
    }
    add_32(query, &words[0][0], count);
    if (n > 32) add_32(query + 32, &words[0][1], count);
  }
  ANNEX_INLINE int32_t total() const {
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1)));
  }
};

// (a, b) ← (a + b, a - b), where b is in the lanes whose signs are given.
ANNEX_INLINE __m256 butterfly(__m256 x, __m256 swapped, __m256 signs) {
  return _mm256_add_ps(swapped, _mm256_xor_ps(x, signs));
}
ANNEX_INLINE __m256 hadamard_8(__m256 x) {
  const float n = -0.0f;
  x = butterfly(x, _mm256_permute2f128_ps(x, x, 1), _mm256_setr_ps(0, 0, 0, 0, n, n, n, n));
  x = butterfly(x, _mm256_permute_ps(x, 0x4e), _mm256_setr_ps(0, 0, n, n, 0, 0, n, n));
  return butterfly(x, _mm256_permute_ps(x, 0xb1), _mm256_setr_ps(0, n, 0, n, 0, n, 0, n));
}
ANNEX_INLINE Lanes hadamard_16(Lanes x) {
  return {hadamard_8(_mm256_add_ps(x.low, x.high)), hadamard_8(_mm256_sub_ps(x.low, x.high))};
}
