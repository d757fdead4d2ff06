// Queries × rows of 4-bit codes. Included inside the namespace and region of the instruction set, after its bytes.

// Σ q·x of R rows, and Σ x·x where kSquares.
template <int R, bool kSquares>
ANNEX_INLINE void nibble_block(const NibbleRowsQuery& query, const uint8_t* const* rows, size_t lines, float* out) {
  Ints dots[R], squares[R];
  unroll<R>([&](auto r) ANNEX_INLINE_LAMBDA { dots[r] = squares[r] = no_ints(); });
  for (size_t line = 0; line < lines; line++) {
    const int8_t* q = query.codes + 2 * kNibbleLine * line;
    const uint8_t* m = query.masks + 2 * kNibbleLine * line;
    for (size_t i = 0; i < kNibbleLine; i += kByteLanes) {
      const QueryNibbles part = query_nibbles(q + i, q + kNibbleLine + i);
      const Nibbles masks = nibble_masks(m + i, m + kNibbleLine + i);
      unroll<R>([&](auto r) ANNEX_INLINE_LAMBDA {
        const Nibbles x = load_nibbles(rows[r] + kNibbleLine * line + i, masks);
        dots[r] = add_products(dots[r], part, x);
        if constexpr (kSquares) squares[r] = add_squares(squares[r], x);
      });
    }
  }
  int32_t dot_sums[R], square_sums[R] = {};
  sum_rows<R>(dots, dot_sums);
  if constexpr (kSquares) sum_rows<R>(squares, square_sums);
  // Factors of its own: as far as the compiler knows, `out` could be within the query.
  const float base = query.base, dot = query.dot, square = query.square;
  float values[R];
  unroll<R>([&](auto r) ANNEX_INLINE_LAMBDA {
    const float value = base + dot * static_cast<float>(dot_sums[r]);
    values[r] = kSquares ? value + square * static_cast<float>(square_sums[r]) : value;
  });
  memcpy(out, values, sizeof values);
}

// The last rows of less than a block are done with some that were done before: side by side they cost little more.
template <bool kSquares>
ANNEX_INLINE void nibble_rows(const NibbleRowsQuery& query, const uint8_t* const* rows, size_t n, size_t lines,
                              float* out) {
  constexpr size_t R = kByteRows, H = R / 2;
  if (n < H) {
    for (size_t i = 0; i < n; i++) nibble_block<1, kSquares>(query, rows + i, lines, out + i);
    return;
  }
  size_t i = 0;
  for (; i + R <= n; i += R) nibble_block<R, kSquares>(query, rows + i, lines, out + i);
  const size_t left = n - i;
  if (left > H && i != 0) {
    nibble_block<R, kSquares>(query, rows + n - R, lines, out + n - R);
  } else if (left != 0) {
    if (left > H) nibble_block<H, kSquares>(query, rows, lines, out);
    nibble_block<H, kSquares>(query, rows + n - H, lines, out + n - H);
  }
}

inline void gather_nibbles(const NibbleRowsQuery& query, const void* const* rows, size_t n, size_t lines, float* out) {
  const uint8_t* const* row = reinterpret_cast<const uint8_t* const*>(rows);
  if (query.square != 0) {
    nibble_rows<true>(query, row, n, lines, out);
  } else {
    nibble_rows<false>(query, row, n, lines, out);
  }
}

constexpr size_t kTileQueries = 4, kTileRows = kByteRows / 2, kTiledRows = 64;

// The sums of N vectors, as many at a time as there is a sum_rows for.
template <int N>
ANNEX_INLINE void sum_all(const Ints (&a)[N], int32_t* out) {
  static_assert(N % kByteRows == 0);
  for (int i = 0; i < N; i += kByteRows) {
    Ints some[kByteRows];
    unroll<kByteRows>([&](auto r) ANNEX_INLINE_LAMBDA { some[r] = a[i + r]; });
    sum_rows<kByteRows>(some, out + i);
  }
}

// Σ q·x of Q queries and R rows, query by query: nibbles are unpacked once for all of them.
template <int Q, int R>
ANNEX_INLINE void nibble_products(const NibbleRowsQuery* queries, const uint8_t* const* rows, size_t lines,
                                  int32_t* out) {
  Ints dots[Q * R];
  unroll<Q * R>([&](auto i) ANNEX_INLINE_LAMBDA { dots[i] = no_ints(); });
  for (size_t at = 0; at < lines * kNibbleLine; at += kByteLanes) {
    const size_t in_line = at % kNibbleLine, half = 2 * at - in_line;
    const uint8_t* m = queries->masks + half;
    const Nibbles masks = nibble_masks(m, m + kNibbleLine);
    Nibbles x[R];
    unroll<R>([&](auto r) ANNEX_INLINE_LAMBDA { x[r] = load_nibbles(rows[r] + at, masks); });
    unroll<Q>([&](auto q) ANNEX_INLINE_LAMBDA {
      const int8_t* codes = queries[q].codes + half;
      const QueryNibbles part = query_nibbles(codes, codes + kNibbleLine);
      unroll<R>([&](auto r) ANNEX_INLINE_LAMBDA { dots[q * R + r] = add_products(dots[q * R + r], part, x[r]); });
    });
  }
  sum_all<Q * R>(dots, out);
}

template <int R>
ANNEX_INLINE void nibble_squares(const uint8_t* masks, const uint8_t* const* rows, size_t lines, int32_t* out) {
  Ints squares[R];
  unroll<R>([&](auto r) ANNEX_INLINE_LAMBDA { squares[r] = no_ints(); });
  for (size_t at = 0; at < lines * kNibbleLine; at += kByteLanes) {
    const uint8_t* m = masks + 2 * at - at % kNibbleLine;
    const Nibbles part = nibble_masks(m, m + kNibbleLine);
    unroll<R>([&](auto r)
                  ANNEX_INLINE_LAMBDA { squares[r] = add_squares(squares[r], load_nibbles(rows[r] + at, part)); });
  }
  sum_rows<R>(squares, out);
}

// As for gather_nibbles, the last rows and queries of less than a tile are done with some that were done before. First
// come the sums, as integers; what they are made into is another loop, which the compiler does in whole vectors.
template <bool kSquares>
ANNEX_INLINE void nibble_tiles(const NibbleRowsQuery* queries, size_t nq, const uint8_t* const* rows, size_t n,
                               size_t stride, size_t lines, float* out) {
  constexpr size_t Q = kTileQueries, R = kTileRows;
  int32_t squares[kTiledRows] = {};
  for (size_t i = 0; i < n; i += R) {
    const size_t row = i < n - R ? i : n - R;
    if constexpr (kSquares) nibble_squares<R>(queries->masks, rows + row, lines, squares + row);
    for (size_t j = 0; j < nq; j += Q) {
      const size_t from = j < nq - Q ? j : nq - Q;
      int32_t dots[Q * R];
      nibble_products<Q, R>(queries + from, rows + row, lines, dots);
      unroll<Q>([&](auto q)
                    ANNEX_INLINE_LAMBDA { memcpy(out + (from + q) * stride + row, dots + q * R, R * sizeof *dots); });
    }
  }
  for (size_t q = 0; q < nq; q++) {
    const NibbleRowsQuery query = queries[q];
    for (size_t i = 0; i < n; i++) {
      int32_t sum;
      memcpy(&sum, out + q * stride + i, sizeof sum);
      const float value = query.base + query.dot * static_cast<float>(sum);
      out[q * stride + i] = kSquares ? value + query.square * static_cast<float>(squares[i]) : value;
    }
  }
}

inline void tile_nibbles(const NibbleRowsQuery* queries, size_t nq, const void* const* rows, size_t n, size_t lines,
                         float* out) {
  const uint8_t* const* row = reinterpret_cast<const uint8_t* const*>(rows);
  if (n < kTileRows || nq < kTileQueries) {
    for (size_t q = 0; q < nq; q++) gather_nibbles(queries[q], rows, n, lines, out + q * n);
    return;
  }
  for (size_t i = 0; i < n; i += kTiledRows) {
    // The last ones of less than a tile go with some that were done before.
    const size_t first = n - i < kTileRows ? n - kTileRows : i;
    const size_t count = n - first < kTiledRows ? n - first : kTiledRows;
    if (queries->square != 0) {
      nibble_tiles<true>(queries, nq, row + first, count, n, lines, out + first);
    } else {
      nibble_tiles<false>(queries, nq, row + first, count, n, lines, out + first);
    }
  }
}
