// Four packed links by AVX2 (kernels/links_fours.inl).

// Those `kSkipped` bytes from `packed`: into the high bytes of dwords, then shifted down with the mark, which fills the
// places between it and the slot.
template <int kSkipped>
ANNEX_INLINE void unpack_four(const uint8_t* packed, uint32_t* links) {
  constexpr char s = kSkipped;
  const __m128i places =
      _mm_setr_epi8(-1, s, s + 1, s + 2, -1, s + 3, s + 4, s + 5, -1, s + 6, s + 7, s + 8, -1, s + 9, s + 10, s + 11);
  const __m128i bytes = _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(packed)), places);
  const __m128i spread = _mm_srai_epi32(bytes, 8);
  const __m128i none = _mm_cmpeq_epi32(spread, _mm_set1_epi32(-1));
  const __m128i kept = _mm_and_si128(spread, _mm_set1_epi32(static_cast<int>(kTreeBit | kNarrowMask)));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(links), _mm_or_si128(kept, none));
}
