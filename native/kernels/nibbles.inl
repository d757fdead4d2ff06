// One query × rows of 4-bit codes. Included inside the namespace and region of the instruction set, after its bytes.

// Σ q·x of R rows, and Σ x·x where kSquares.
template <int R, bool kSquares>
ANNEX_INLINE void nibble_block(const NibbleRowsQuery& query, const uint8_t* const* rows, size_t lines, float* out) {
  Ints dots[R], squares[R];
  unroll<R>([&](auto r) ANNEX_INLINE_LAMBDA { dots[r] = squares[r] = no_ints(); });
  for (size_t line = 0; line < lines; line++) {
    const int8_t* q = query.codes + 2 * kNibbleLine * line;
    for (size_t i = 0; i < kNibbleLine; i += kByteLanes) {
      const QueryNibbles part = query_nibbles(q + i, q + kNibbleLine + i);
      unroll<R>([&](auto r) ANNEX_INLINE_LAMBDA {
        const Nibbles x = load_nibbles(rows[r] + kNibbleLine * line + i);
        dots[r] = add_products(dots[r], part, x);
        if constexpr (kSquares) squares[r] = add_squares(squares[r], x);
      });
    }
  }
  int32_t dot_sums[R], square_sums[R] = {};
  sum_rows<R>(dots, dot_sums);
  if constexpr (kSquares) sum_rows<R>(squares, square_sums);
  unroll<R>([&](auto r) ANNEX_INLINE_LAMBDA {
    const float value = query.base + query.dot * static_cast<float>(dot_sums[r]);
    out[r] = kSquares ? value + query.square * static_cast<float>(square_sums[r]) : value;
  });
}

// What is left below R rows is filled up with the last one: side by side they cost little more than one.
template <bool kSquares>
ANNEX_INLINE void nibble_rows(const NibbleRowsQuery& query, const uint8_t* const* rows, size_t n, size_t lines,
                              float* out) {
  constexpr size_t R = kByteRows;
  size_t i = 0;
  for (; i + R <= n; i += R) nibble_block<kByteRows, kSquares>(query, rows + i, lines, out + i);
  if (i == n) return;
  const uint8_t* last[R];
  float values[R];
  for (size_t r = 0; r < R; r++) last[r] = rows[i + r < n ? i + r : n - 1];
  if (n - i <= kByteRows / 2) {
    nibble_block<kByteRows / 2, kSquares>(query, last, lines, values);
  } else {
    nibble_block<kByteRows, kSquares>(query, last, lines, values);
  }
  for (size_t r = 0; i < n; r++, i++) out[i] = values[r];
}

inline void gather_nibbles(const NibbleRowsQuery& query, const void* const* rows, size_t n, size_t lines, float* out) {
  const uint8_t* const* row = reinterpret_cast<const uint8_t* const*>(rows);
  if (query.square != 0) {
    nibble_rows<true>(query, row, n, lines, out);
  } else {
    nibble_rows<false>(query, row, n, lines, out);
  }
}
