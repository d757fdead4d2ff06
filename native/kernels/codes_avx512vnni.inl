// Scans of codes for AVX-512 with VBMI and VNNI: vpermb looks four tables up at once, for four sub-quantizers of a row
// side by side, and vpdpbusd adds the four.

ANNEX_INLINE __m512i add_products(__m512i sum, __m512i a, __m512i b) { return _mm512_dpwssd_epi32(sum, a, b); }

// clang-format off
#include "kernels/codes512.inl"
// clang-format on

// Turns four lines of sixteen rows into sixteen rows of four.
ANNEX_INLINE __m512i row_major() {
  return _mm512_set_epi8(63, 47, 31, 15, 62, 46, 30, 14, 61, 45, 29, 13, 60, 44, 28, 12, 59, 43, 27, 11, 58, 42, 26, 10,
                         57, 41, 25, 9, 56, 40, 24, 8, 55, 39, 23, 7, 54, 38, 22, 6, 53, 37, 21, 5, 52, 36, 20, 4, 51,
                         35, 19, 3, 50, 34, 18, 2, 49, 33, 17, 1, 48, 32, 16, 0);
}

// Four sub-quantizers: `a` holds their codes.
template <int Q>
ANNEX_INLINE void add_nibbles_4(__m512i a, const uint8_t* const (&luts)[Q], size_t at, Words (&sums)[Q][2]) {
  const __m512i nibble = _mm512_set1_epi8(15), table = _mm512_set1_epi32(0x30201000), one = _mm512_set1_epi8(1);
  const __m512i rows = _mm512_permutexvar_epi8(row_major(), a);
  const __m512i low = _mm512_ternarylogic_epi32(rows, nibble, table, 0xea);  // (rows & nibble) | table
  const __m512i high = _mm512_ternarylogic_epi32(_mm512_srli_epi16(rows, 4), nibble, table, 0xea);
  unroll<Q>([&](auto q) ANNEX_INLINE_LAMBDA {
    __m512i t = _mm512_loadu_si512(luts[q] + at);
    stay(t);
    sums[q][0].v = _mm512_dpbusd_epi32(sums[q][0].v, _mm512_permutexvar_epi8(low, t), one);
    sums[q][1].v = _mm512_dpbusd_epi32(sums[q][1].v, _mm512_permutexvar_epi8(high, t), one);
    stay(sums[q][0].v);
    stay(sums[q][1].v);
  });
}

template <int Q>
ANNEX_INLINE void sum_nibbles(const uint8_t* codes, size_t m, const uint8_t* const (&luts)[Q], Words (&out)[Q][2]) {
  constexpr int kSums = Q == 1 ? 2 : 1;  // independent sums, to hide the latency of the addition
  Words sums[kSums][Q][2];
  unroll<kSums>([&](auto s) ANNEX_INLINE_LAMBDA {
    unroll<Q>([&](auto q) ANNEX_INLINE_LAMBDA { sums[s][q][0] = sums[s][q][1] = {_mm512_setzero_si512()}; });
  });
  size_t j = 0;
  for (; j + 4 * kSums <= m; j += 4 * kSums) {
    unroll<kSums>([&](auto s) ANNEX_INLINE_LAMBDA {
      const size_t at = 16 * j + 64 * s;
      add_nibbles_4<Q>(_mm512_loadu_si512(codes + at), luts, at, sums[s]);
    });
  }
  for (; j < m; j += 4) {
    const __mmask64 mask = m - j < 4 ? first_bytes(16 * (m - j)) : ~__mmask64{0};
    add_nibbles_4<Q>(_mm512_maskz_loadu_epi8(mask, codes + 16 * j), luts, 16 * j, sums[0]);
  }
  unroll<Q>([&](auto q) ANNEX_INLINE_LAMBDA {
    unroll<2>([&](auto h) ANNEX_INLINE_LAMBDA {
      out[q][h] = sums[0][q][h];
      if constexpr (kSums == 2) out[q][h] = add(out[q][h], sums[1][q][h]);
    });
  });
}
