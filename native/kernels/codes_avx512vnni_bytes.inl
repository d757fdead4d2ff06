// Scans of 8-bit codes for AVX-512 with VBMI. A table of 256 bytes is four registers, and looked up for 64 rows at
// once: many times faster than from memory. The byte tables give a lower bound of a row's value; only rows that it lets
// pass get their value.

// The entries of one sub-quantizer for 64 codes.
ANNEX_INLINE __m512i look_up(const uint8_t* lut, __m512i codes) {
  const __m512i low = _mm512_permutex2var_epi8(_mm512_loadu_si512(lut), codes, _mm512_loadu_si512(lut + 64));
  const __m512i high = _mm512_permutex2var_epi8(_mm512_loadu_si512(lut + 128), codes, _mm512_loadu_si512(lut + 192));
  return _mm512_mask_mov_epi8(low, _mm512_movepi8_mask(codes), high);
}

// Codes of 32 rows from each of two blocks.
ANNEX_INLINE __m512i load_pair(const uint8_t* first, const uint8_t* second) {
  return _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(first))),
                            _mm256_loadu_si256(reinterpret_cast<const __m256i*>(second)), 1);
}

constexpr size_t kByteGroup = 512;  // sub-quantizers whose entries add up to less than 2¹⁶

// The instruction takes a constant, which `i` is only where loops are unrolled before any other optimisation.
ANNEX_INLINE __m128i quarter(__m512i x, int i) {
  switch (i) {
    case 0: return _mm512_extracti32x4_epi32(x, 0);
    case 1: return _mm512_extracti32x4_epi32(x, 1);
    case 2: return _mm512_extracti32x4_epi32(x, 2);
    default: return _mm512_extracti32x4_epi32(x, 3);
  }
}

// Sums of 64 rows.
ANNEX_INLINE void sum_pair(const uint8_t* first, const uint8_t* second, size_t m, const uint8_t* lut, Words (&out)[4]) {
  unroll<4>([&](auto i) ANNEX_INLINE_LAMBDA { out[i] = {_mm512_setzero_si512()}; });
  for (size_t group = 0; group < m; group += kByteGroup) {
    const size_t last = m - group < kByteGroup ? m : group + kByteGroup;
    ByteSums sums;
    sums.clear();
    size_t j = group;
    for (; j + 2 <= last; j += 2) {
      const size_t at = kCodeRows * j;
      const __m512i a = look_up(lut + 256 * j, load_pair(first + at, second + at));
      const __m512i b = look_up(lut + 256 * j + 256, load_pair(first + at + kCodeRows, second + at + kCodeRows));
      sums.add(_mm512_add_epi8(a, b));
    }
    if (j < last) sums.add(look_up(lut + 256 * j, load_pair(first + kCodeRows * j, second + kCodeRows * j)));
    const __m512i even = sums.even();
    const __m512i low = _mm512_unpacklo_epi16(even, sums.odd);  // rows 0 … 7 of each sixteen
    const __m512i high = _mm512_unpackhi_epi16(even, sums.odd);
    unroll<4>([&](auto i) ANNEX_INLINE_LAMBDA {
      const __m256i rows = _mm256_inserti128_si256(_mm256_castsi128_si256(quarter(low, i)), quarter(high, i), 1);
      out[i] = add(out[i], {_mm512_cvtepu16_epi32(rows)});
    });
  }
}

ANNEX_INLINE float exact_sum(const uint8_t* codes, size_t m, const float* table) {
  float sum = 0;
  for (size_t j = 0; j < m; j++) sum += table[256 * j + codes[kCodeRows * j]];
  return sum;
}

// Values of the rows of a mask; appends those that pass.
ANNEX_NOINLINE inline void append_exact(const uint8_t* block, const CodeBlocks& blocks, size_t i, uint32_t mask,
                                        uint32_t row, ByteQuery& query) {
  const CodeFactors kind = blocks.factors;
  const uint8_t* factors = block + kCodeRows * blocks.m;
  for (; mask; mask &= mask - 1) {
    const uint32_t r = lowest_bit(mask);
    const float sum = exact_sum(block + i + r, blocks.m, query.table);
    const uint8_t* factor = factors + 4 * (i + r);
    float value = (kind == CodeFactors::add ? query.g + read_f32(factor) : query.g) + sum;
    if (kind == CodeFactors::scale) value *= read_f32(factor);
    if (!(value > query.threshold)) query.hits[query.count++] = {row + r, value, value, sum};
  }
}

inline void scan_bytes(const CodeBlocks& blocks, ByteQuery* queries, size_t nq) {
  const bool has_add = blocks.factors == CodeFactors::add, has_scale = blocks.factors == CodeFactors::scale;
  const size_t ahead = (kAheadCodes / blocks.stride + 2) / 2 * 2 * kCodeRows;  // rows
  for (size_t row = 0; row < blocks.n; row += 2 * kCodeRows) {
    const uint8_t* first = blocks.data + row / kCodeRows * blocks.stride;
    const bool pair = row + kCodeRows < blocks.n;
    const uint8_t* second = pair ? first + blocks.stride : first;
    if (row + ahead < blocks.n) {
      for (size_t i = 0; i < 2 * blocks.stride; i += 64) prefetch(first + ahead / kCodeRows * blocks.stride + i);
    }
    for (size_t q = 0; q < nq; q++) {
      ByteQuery& query = queries[q];
      Words sums[4];
      sum_pair(first, second, blocks.m, query.lut, sums);
      unroll<4>([&](auto h) ANNEX_INLINE_LAMBDA {
        const uint8_t* block = h < 2 ? first : second;
        const size_t i = 16 * (h % 2), at = row + 16 * h;
        const Lanes lower = fma(fill(query.scale), to_lanes(sums[h]), fill(query.bias));
        Lanes base = fill(query.g);
        const uint8_t* factors = block + kCodeRows * blocks.m + 4 * i;
        if (has_add) base = add(base, load_f32(factors));
        Lanes least = add(base, lower);
        if (has_scale) least = mul(load_f32(factors), least);
        const uint32_t mask = mask_not_greater(least, fill(query.threshold)) & rows_below(blocks.n, at);
        if (mask) append_exact(block, blocks, i, mask, static_cast<uint32_t>(at), query);
      });
    }
  }
}
