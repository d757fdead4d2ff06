// Scans of nibbles for AVX-512 without VBMI. A register holds four sub-quantizers.

ANNEX_INLINE __m512i add_products(__m512i sum, __m512i a, __m512i b) {
  return _mm512_add_epi32(sum, _mm512_madd_epi16(a, b));
}

// clang-format off
#include "kernels/codes512.inl"
// clang-format on

// The sums of sixteen rows: those of all four parts together.
ANNEX_INLINE __m128i add_parts(__m512i a) {
  const __m256i two = _mm256_add_epi16(_mm512_castsi512_si256(a), _mm512_extracti64x4_epi64(a, 1));
  return _mm_add_epi16(_mm256_castsi256_si128(two), _mm256_extracti128_si256(two, 1));
}
ANNEX_INLINE Words words_of(const ByteSums& sums) {
  const __m128i e = add_parts(sums.even()), o = add_parts(sums.odd);
  const __m256i rows =
      _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_unpacklo_epi16(e, o)), _mm_unpackhi_epi16(e, o), 1);
  return {_mm512_cvtepu16_epi32(rows)};
}

// Up to eight sub-quantizers, four of each mask's. Two entries add up to at most 255 and are added as bytes.
template <int Q>
ANNEX_INLINE void add_nibbles_8(const uint8_t* codes, const uint8_t* const (&luts)[Q], size_t at, __mmask64 first,
                                __mmask64 second, ByteSums (&sums)[Q][2]) {
  const __m512i nibble = _mm512_set1_epi8(15);
  const __m512i a = _mm512_maskz_loadu_epi8(first, codes), b = _mm512_maskz_loadu_epi8(second, codes + 64);
  const __m512i a0 = _mm512_and_si512(a, nibble), a1 = _mm512_and_si512(_mm512_srli_epi16(a, 4), nibble);
  const __m512i b0 = _mm512_and_si512(b, nibble), b1 = _mm512_and_si512(_mm512_srli_epi16(b, 4), nibble);
  unroll<Q>([&](auto q) ANNEX_INLINE_LAMBDA {
    const __m512i t = _mm512_maskz_loadu_epi8(first, luts[q] + at);
    const __m512i u = _mm512_maskz_loadu_epi8(second, luts[q] + at + 64);
    sums[q][0].add(_mm512_add_epi8(_mm512_shuffle_epi8(t, a0), _mm512_shuffle_epi8(u, b0)));
    sums[q][1].add(_mm512_add_epi8(_mm512_shuffle_epi8(t, a1), _mm512_shuffle_epi8(u, b1)));
  });
}

constexpr size_t kGroup = 512;  // sub-quantizers whose entries add up to less than 2¹⁶

template <int Q>
ANNEX_INLINE void sum_nibbles(const uint8_t* codes, size_t m, const uint8_t* const (&luts)[Q], Words (&out)[Q][2]) {
  constexpr __mmask64 kAll = ~__mmask64{0};
  for (size_t first = 0; first < m || first == 0; first += kGroup) {
    const size_t last = m - first < kGroup ? m : first + kGroup;
    ByteSums sums[Q][2];
    unroll<Q>([&](auto q) ANNEX_INLINE_LAMBDA {
      sums[q][0].clear();
      sums[q][1].clear();
    });
    size_t j = first;
    for (; j + 8 <= last; j += 8) add_nibbles_8<Q>(codes + 16 * j, luts, 16 * j, kAll, kAll, sums);
    if (j < last) {
      const size_t rest = 16 * (last - j);  // bytes
      const __mmask64 lower = rest < 64 ? first_bytes(rest) : kAll, upper = rest > 64 ? first_bytes(rest - 64) : 0;
      add_nibbles_8<Q>(codes + 16 * j, luts, 16 * j, lower, upper, sums);
    }
    unroll<Q>([&](auto q) ANNEX_INLINE_LAMBDA {
      unroll<2>([&](auto h) ANNEX_INLINE_LAMBDA {
        out[q][h] = first == 0 ? words_of(sums[q][h]) : add(out[q][h], words_of(sums[q][h]));
      });
    });
  }
}
