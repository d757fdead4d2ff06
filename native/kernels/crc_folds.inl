// CRC-32C by carry-less multiplication (Gopal and others, "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ
// Instruction", 2009). Bytes may be taken from far before the end if they are added nearer to it, times a power of x:
// so four vectors are folded along the data, and what is left in the end is little. A processor that starts one product
// a cycle takes two cycles for 64 bytes, which is about as fast as they come out of the second-level cache. Included
// after crc_words.inl.

constexpr size_t kCrcVector = 64;
constexpr size_t kCrcBlock = 4 * kCrcVector;  // eight products are under way: each takes about eight cycles

/// x^(8 bytes - 1): a product of reflected polynomials comes out times x.
constexpr int64_t crc_power(uint64_t bytes) {
  constexpr uint32_t kX7 = uint32_t{1} << 24;
  return static_cast<int64_t>(uint64_t{crc_multiply(crc_zeros(bytes - 1), kX7)} << 32);
}

/// What folds a vector over so many bytes. Of each two words the first is eight bytes further from the end.
template <size_t kBytes>
ANNEX_INLINE __m512i crc_distance() {
  constexpr int64_t kFirst = crc_power(kBytes + 8), kSecond = crc_power(kBytes);
  return _mm512_set4_epi64(kSecond, kFirst, kSecond, kFirst);
}

/// `sum` moved by `distance`, plus the data that stands there.
ANNEX_INLINE __m512i crc_fold(__m512i sum, __m512i distance, __m512i data) {
  const __m512i first = _mm512_clmulepi64_epi128(sum, distance, 0x00);
  const __m512i second = _mm512_clmulepi64_epi128(sum, distance, 0x11);
  return _mm512_ternarylogic_epi64(first, second, data, 0x96);  // exclusive or of all three
}

inline uint32_t crc32c_by_folds(uint32_t crc, const void* data, size_t n) {
  if (n < kCrcBlock) return crc32c(crc, data, n);
  const uint8_t* p = static_cast<const uint8_t*>(data);
  __m512i a = _mm512_loadu_si512(p);
  __m512i b = _mm512_loadu_si512(p + kCrcVector);
  __m512i c = _mm512_loadu_si512(p + 2 * kCrcVector);
  __m512i d = _mm512_loadu_si512(p + 3 * kCrcVector);
  a = _mm512_xor_si512(a, _mm512_zextsi128_si512(_mm_cvtsi32_si128(static_cast<int>(~crc))));
  const __m512i block = crc_distance<kCrcBlock>();
  for (p += kCrcBlock, n -= kCrcBlock; n >= kCrcBlock; p += kCrcBlock, n -= kCrcBlock) {
    a = crc_fold(a, block, _mm512_loadu_si512(p));
    b = crc_fold(b, block, _mm512_loadu_si512(p + kCrcVector));
    c = crc_fold(c, block, _mm512_loadu_si512(p + 2 * kCrcVector));
    d = crc_fold(d, block, _mm512_loadu_si512(p + 3 * kCrcVector));
  }
  const __m512i vector = crc_distance<kCrcVector>();
  uint8_t sum[kCrcVector];
  _mm512_storeu_si512(sum, crc_fold(crc_fold(crc_fold(a, vector, b), vector, c), vector, d));
  // From a state of zero, as `sum` holds the one that was begun with; a CRC is the state's complement.
  constexpr uint32_t kZeroState = ~uint32_t{0};
  return crc32c(crc32c(kZeroState, sum, sizeof sum), p, n);
}
