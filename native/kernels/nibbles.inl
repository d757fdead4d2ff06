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
