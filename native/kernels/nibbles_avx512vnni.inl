// Many queries × rows of 4-bit codes where a product of bytes takes one instruction: then the sums across lanes in
// nibbles.inl are much of the work. Here each lane has a query of its own, and a row's codes go to all lanes, four at a
// time. Included after nibbles.inl.

constexpr size_t kAbreast = 32;       // queries: two registers of lanes
constexpr size_t kAbreastRows = 8;    // whose sums are in registers
constexpr size_t kLeastAbreast = 24;  // queries; fewer leave too many lanes idle
constexpr size_t kAbreastLines = 4;   // at a time: queries and rows side by side stay in L1
constexpr size_t kAbreastCodes = 2 * kNibbleLine * kAbreastLines;

// What one thread has in hand. The codes of sixteen queries and of the others: four of each, the next four of each …
struct Abreast {
  alignas(64) float queries[2][16 * kAbreastCodes / 4];  // floats, as store_transposed writes them
  alignas(64) uint8_t rows[kAbreastRows * kAbreastCodes];
  alignas(64) int32_t sums[kTiledRows * kAbreast];
  alignas(64) float values[16 * 16];
  int32_t squares[kTiledRows];
};

// The queries' codes `from` to `to`, a multiple of 64 codes.
ANNEX_INLINE void put_abreast(const NibbleRowsQuery* queries, size_t nq, size_t from, size_t to, Abreast& at) {
  for (size_t half = 0; half < 2; half++) {
    for (size_t d = from; d < to; d += 64) {
      Lanes codes[16];
      unroll<16>([&](auto i) ANNEX_INLINE_LAMBDA {
        const size_t q = 16 * half + i;
        codes[i] = load_bytes(queries[q < nq ? q : nq - 1].codes + d, 0);
      });
      store_transposed(codes, at.queries[half] + 16 * (d - from) / 4);
    }
  }
}

// Adds the products of so many lines of eight rows.
template <bool kSquares>
ANNEX_INLINE void add_abreast(const uint8_t* const* rows, const uint8_t* masks, size_t line, size_t lines, Abreast& at,
                              int32_t* sums, int32_t* squares) {
  constexpr size_t R = kAbreastRows;
  Ints own[R];
  unroll<R>([&](auto r) ANNEX_INLINE_LAMBDA { own[r] = no_ints(); });
  for (size_t l = 0; l < lines; l++) {
    const uint8_t* m = masks + 2 * kNibbleLine * (line + l);
    const Nibbles part = nibble_masks(m, m + kNibbleLine);
    unroll<R>([&](auto r) ANNEX_INLINE_LAMBDA {
      const Nibbles x = load_nibbles(rows[r] + kNibbleLine * (line + l), part);
      uint8_t* to = at.rows + r * kAbreastCodes + 2 * kNibbleLine * l;
      _mm512_store_si512(to, x.low.v);
      _mm512_store_si512(to + kNibbleLine, x.high.v);
      if constexpr (kSquares) own[r] = add_squares(own[r], x);
    });
  }
  if constexpr (kSquares) {
    int32_t added[R];
    sum_rows<R>(own, added);
    for (size_t r = 0; r < R; r++) squares[r] += added[r];
  }
  __m512i low[R], high[R];
  unroll<R>([&](auto r) ANNEX_INLINE_LAMBDA {
    low[r] = _mm512_load_si512(sums + r * kAbreast);
    high[r] = _mm512_load_si512(sums + r * kAbreast + 16);
  });
  for (size_t d = 0; d < 2 * kNibbleLine * lines; d += 4) {
    const __m512i first = _mm512_load_si512(at.queries[0] + 4 * d), second = _mm512_load_si512(at.queries[1] + 4 * d);
    unroll<R>([&](auto r) ANNEX_INLINE_LAMBDA {
      const __m512i codes = _mm512_set1_epi32(static_cast<int>(read_u32(at.rows + r * kAbreastCodes + d)));
      low[r] = _mm512_dpbusd_epi32(low[r], codes, first);
      high[r] = _mm512_dpbusd_epi32(high[r], codes, second);
    });
  }
  unroll<R>([&](auto r) ANNEX_INLINE_LAMBDA {
    _mm512_store_si512(sums + r * kAbreast, low[r]);
    _mm512_store_si512(sums + r * kAbreast + 16, high[r]);
  });
}

// What the sums of sixteen rows and sixteen queries make.
template <bool kSquares>
ANNEX_INLINE void write_abreast(const NibbleRowsQuery* queries, size_t nq, const int32_t* sums, const int32_t* squares,
                                size_t n, size_t stride, Abreast& at, float* out) {
  alignas(64) float bases[16], factors[16];
  for (size_t q = 0; q < 16; q++) {
    bases[q] = queries[q < nq ? q : nq - 1].base;
    factors[q] = queries[q < nq ? q : nq - 1].dot;
  }
  const __m512 base = _mm512_load_ps(bases), factor = _mm512_load_ps(factors), square = _mm512_set1_ps(queries->square);
  Lanes values[16];
  unroll<16>([&](auto r) ANNEX_INLINE_LAMBDA {
    const __m512 sum = _mm512_cvtepi32_ps(_mm512_load_si512(sums + r * kAbreast));
    const __m512 value = _mm512_add_ps(base, _mm512_mul_ps(factor, sum));
    const __m512 own = _mm512_set1_ps(static_cast<float>(squares[r]));
    values[r].v = kSquares ? _mm512_add_ps(value, _mm512_mul_ps(square, own)) : value;
  });
  store_transposed(values, at.values);
  const __mmask16 rows = n < 16 ? static_cast<__mmask16>((1u << n) - 1) : __mmask16{0xffff};
  for (size_t q = 0; q < 16 && q < nq; q++) {
    _mm512_mask_storeu_ps(out + q * stride, rows, _mm512_load_ps(at.values + 16 * q));
  }
}

// n ≤ kTiledRows rows, nq ≤ kAbreast queries. Where there are fewer, the last ones are taken more than once.
template <bool kSquares>
ANNEX_NOINLINE void nibbles_abreast(const NibbleRowsQuery* queries, size_t nq, const uint8_t* const* rows, size_t n,
                                    size_t stride, size_t lines, float* out) {
  Abreast at;
  const uint8_t* row[kTiledRows];
  const size_t padded = (n + 15) / 16 * 16;
  for (size_t i = 0; i < padded; i++) row[i] = rows[i < n ? i : n - 1];
  memset(at.sums, 0, padded * kAbreast * sizeof *at.sums);
  memset(at.squares, 0, sizeof at.squares);
  for (size_t line = 0; line < lines; line += kAbreastLines) {
    const size_t some = lines - line < kAbreastLines ? lines - line : kAbreastLines;
    put_abreast(queries, nq, 2 * kNibbleLine * line, 2 * kNibbleLine * (line + some), at);
    for (size_t i = 0; i < padded; i += kAbreastRows) {
      add_abreast<kSquares>(row + i, queries->masks, line, some, at, at.sums + i * kAbreast, at.squares + i);
    }
  }
  for (size_t i = 0; i < n; i += 16) {
    for (size_t q = 0; q < nq; q += 16) {
      write_abreast<kSquares>(queries + q, nq - q, at.sums + i * kAbreast + q, at.squares + i, n - i, stride, at,
                              out + q * stride + i);
    }
  }
}

inline void tile_nibbles_abreast(const NibbleRowsQuery* queries, size_t nq, const void* const* rows, size_t n,
                                 size_t lines, float* out) {
  const uint8_t* const* row = reinterpret_cast<const uint8_t* const*>(rows);
  const auto tile = queries->square != 0 ? nibbles_abreast<true> : nibbles_abreast<false>;
  size_t q = 0;
  while (nq - q >= kLeastAbreast) {
    const size_t count = nq - q < kAbreast ? nq - q : kAbreast;
    for (size_t i = 0; i < n; i += kTiledRows) {
      tile(queries + q, count, row + i, n - i < kTiledRows ? n - i : kTiledRows, n, lines, out + q * n + i);
    }
    q += count;
  }
  tile_nibbles(queries + q, nq - q, rows, n, lines, out + q * n);
}
