// Kernels of codes.h. Included inside the namespace and region of the instruction set, after its words (see
// codes_scalar.inl).

// ---- scans of nibbles ----

// Factors of sixteen rows.
template <CodeFactors F>
struct RowFactors {
  static constexpr bool kAdd = F == CodeFactors::add || F == CodeFactors::add_rescale_error;
  static constexpr bool kRescale = F == CodeFactors::rescale_error || F == CodeFactors::add_rescale_error;
  static constexpr bool kScale = F == CodeFactors::scale;
  Lanes add, scale, rescale, error;

  // `p` is where a block's factors begin.
  ANNEX_INLINE void load(const uint8_t* p, size_t first_row) {
    if constexpr (kAdd) add = load_f32(p + 4 * first_row);
    if constexpr (kScale) scale = load_f32(p + 4 * first_row);
    if constexpr (kRescale) {
      const uint8_t* halves = p + (kAdd ? 4 * kCodeRows : 0);
      rescale = load_bf16(halves + 2 * first_row);
      error = load_bf16(halves + 2 * (kCodeRows + first_row));
    }
  }
};

struct RowValues {
  Lanes sum, estimate, bound;
};

template <CodeFactors F>
ANNEX_INLINE RowValues evaluate(const NibbleQuery& query, const RowFactors<F>& row, Words sums) {
  RowValues r;
  r.sum = to_lanes(sums);
  const Lanes inner = fma(fill(query.scale), r.sum, fill(query.bias));
  Lanes base = fill(query.g);
  if constexpr (RowFactors<F>::kAdd) base = add(base, row.add);
  if constexpr (RowFactors<F>::kRescale) {
    r.estimate = fma(row.rescale, inner, base);
    r.bound = sub(r.estimate, fma(row.error, fill(query.ge), mul(abs(row.rescale), fill(query.slack))));
  } else if constexpr (RowFactors<F>::kScale) {
    r.estimate = mul(row.scale, add(base, inner));
    r.bound = sub(r.estimate, mul(row.scale, fill(query.slack)));
  } else {
    r.estimate = add(base, inner);
    r.bound = sub(r.estimate, fill(query.slack));
  }
  return r;
}

ANNEX_NOINLINE inline uint32_t append_hits(const RowValues& values, uint32_t mask, uint32_t row, CodeHit* to) {
  float estimates[16], bounds[16], sums[16];
  store_f32(estimates, values.estimate);
  store_f32(bounds, values.bound);
  store_f32(sums, values.sum);
  uint32_t count = 0;
  for (; mask; mask &= mask - 1) {
    const uint32_t i = lowest_bit(mask);
    to[count++] = {row + i, estimates[i], bounds[i], sums[i]};
  }
  return count;
}

constexpr uint32_t rows_below(size_t n, size_t row) {  // of sixteen from `row` on
  return row >= n ? 0 : n - row >= 16 ? 0xffffu : (1u << (n - row)) - 1;
}

constexpr size_t kAheadCodes = 1536;

template <CodeFactors F, int Q>
ANNEX_INLINE void scan_nibbles_of(const CodeBlocks& blocks, size_t first, size_t last, NibbleQuery* queries) {
  const uint8_t* luts[Q];
  unroll<Q>([&](auto q) ANNEX_INLINE_LAMBDA { luts[q] = queries[q].lut; });
  const size_t code_bytes = 16 * blocks.m, used = nibble_block_bytes(blocks.m, F);
  // Blocks between a block and those that are fetched for later: some kilobytes.
  const size_t ahead = kAheadCodes / blocks.stride + 1;
  for (size_t b = first; b < last; b++) {
    const uint8_t* block = blocks.data + b * blocks.stride;
    if (kPrefetches && b + ahead < last) {
      for (size_t at = 0; at < used; at += 64) prefetch(block + ahead * blocks.stride + at);
    }
    Words sums[Q][2];
    sum_nibbles<Q>(block, blocks.m, luts, sums);
    RowFactors<F> factors[2];
    unroll<2>([&](auto h) ANNEX_INLINE_LAMBDA { factors[h].load(block + code_bytes, 16 * h); });
    unroll<Q>([&](auto q) ANNEX_INLINE_LAMBDA {
      unroll<2>([&](auto h) ANNEX_INLINE_LAMBDA {
        NibbleQuery& query = queries[q];
        const RowValues values = evaluate<F>(query, factors[h], sums[q][h]);
        const size_t row = kCodeRows * b + 16 * h;
        const uint32_t mask = mask_not_greater(values.bound, fill(query.threshold)) & rows_below(blocks.n, row);
        if (mask) query.count += append_hits(values, mask, static_cast<uint32_t>(row), query.hits + query.count);
      });
    });
  }
}

// Blocks are taken in stretches that stay in the first-level cache, or nearly, while all queries pass over them.
constexpr size_t kStretchBytes = size_t{64} << 10;

template <CodeFactors F>
ANNEX_NOINLINE void scan_nibbles_with(const CodeBlocks& blocks, NibbleQuery* queries, size_t nq) {
  const size_t total = (blocks.n + kCodeRows - 1) / kCodeRows;
  size_t stretch = nq <= kNibbleQueries ? total : kStretchBytes / (nibble_block_bytes(blocks.m, F) + 1);
  if (stretch == 0) stretch = 1;
  for (size_t first = 0; first < total; first += stretch) {
    const size_t last = total - first < stretch ? total : first + stretch;
    size_t q = 0;
    if constexpr (kNibbleQueries >= 4) {
      for (; q + 4 <= nq; q += 4) scan_nibbles_of<F, 4>(blocks, first, last, queries + q);
    }
    if constexpr (kNibbleQueries >= 2) {
      for (; q + 2 <= nq; q += 2) scan_nibbles_of<F, 2>(blocks, first, last, queries + q);
    }
    for (; q < nq; q++) scan_nibbles_of<F, 1>(blocks, first, last, queries + q);
  }
}

inline void scan_nibbles(const CodeBlocks& blocks, NibbleQuery* queries, size_t nq) {
  switch (blocks.factors) {
    case CodeFactors::none: return scan_nibbles_with<CodeFactors::none>(blocks, queries, nq);
    case CodeFactors::add: return scan_nibbles_with<CodeFactors::add>(blocks, queries, nq);
    case CodeFactors::scale: return scan_nibbles_with<CodeFactors::scale>(blocks, queries, nq);
    case CodeFactors::rescale_error: return scan_nibbles_with<CodeFactors::rescale_error>(blocks, queries, nq);
    case CodeFactors::add_rescale_error: return scan_nibbles_with<CodeFactors::add_rescale_error>(blocks, queries, nq);
  }
}

template <CodeFactors F>
ANNEX_NOINLINE void estimate_nibbles_with(const CodeBlocks& blocks, const NibbleQuery& query, float* estimates,
                                          float* bounds) {
  const uint8_t* const luts[1] = {query.lut};
  for (size_t row = 0; row < blocks.n; row += kCodeRows) {
    const uint8_t* block = blocks.data + row / kCodeRows * blocks.stride;
    Words sums[1][2];
    sum_nibbles<1>(block, blocks.m, luts, sums);
    unroll<2>([&](auto h) ANNEX_INLINE_LAMBDA {
      RowFactors<F> factors;
      factors.load(block + 16 * blocks.m, 16 * h);
      const RowValues values = evaluate<F>(query, factors, sums[0][h]);
      store_f32(estimates + row + 16 * h, values.estimate);
      store_f32(bounds + row + 16 * h, values.bound);
    });
  }
}

inline void estimate_nibbles(const CodeBlocks& blocks, const NibbleQuery& query, float* estimates, float* bounds) {
  switch (blocks.factors) {
    case CodeFactors::none: return estimate_nibbles_with<CodeFactors::none>(blocks, query, estimates, bounds);
    case CodeFactors::add: return estimate_nibbles_with<CodeFactors::add>(blocks, query, estimates, bounds);
    case CodeFactors::scale: return estimate_nibbles_with<CodeFactors::scale>(blocks, query, estimates, bounds);
    case CodeFactors::rescale_error:
      return estimate_nibbles_with<CodeFactors::rescale_error>(blocks, query, estimates, bounds);
    case CodeFactors::add_rescale_error:
      return estimate_nibbles_with<CodeFactors::add_rescale_error>(blocks, query, estimates, bounds);
  }
}

inline void sum_nibble_blocks(const CodeBlocks& blocks, const uint8_t* lut, uint32_t* out) {
  const uint8_t* const luts[1] = {lut};
  for (size_t row = 0; row < blocks.n; row += kCodeRows) {
    Words sums[1][2];
    sum_nibbles<1>(blocks.data + row / kCodeRows * blocks.stride, blocks.m, luts, sums);
    store_words(out + row, sums[0][0]);
    store_words(out + row + 16, sums[0][1]);
  }
}

// ---- bit planes ----

inline void plane_products(const int16_t* query, const uint8_t* const* rows, size_t n, size_t dim, size_t planes,
                           int32_t* out) {
  for (size_t i = 0; i < n; i++) {
    const uint8_t* row = rows[i];
    PlaneSum sum;
    sum.clear();
    size_t d = 0;
    for (; d + 64 <= dim; d += 64, row += 8 * planes) sum.add(query + d, row, 64, planes);
    if (d < dim) sum.add(query + d, row, dim - d, planes);
    out[i] = sum.total();
  }
}

// ---- Hadamard transform ----

inline void hadamard(float* x, size_t n) {
  size_t span = n / 2;
  for (; span >= 32; span /= 4) {  // two levels at once
    const size_t half = span / 2;
    for (float* part = x; part < x + n; part += 2 * span) {
      for (size_t i = 0; i < half; i += 16) {
        float* p = part + i;
        const Lanes a = load_f32(p), b = load_f32(p + half), c = load_f32(p + span), d = load_f32(p + span + half);
        const Lanes ac = add(a, c), bd = add(b, d), ca = sub(a, c), db = sub(b, d);
        store_f32(p, add(ac, bd));
        store_f32(p + half, sub(ac, bd));
        store_f32(p + span, add(ca, db));
        store_f32(p + span + half, sub(ca, db));
      }
    }
  }
  for (float* p = x; p < x + n; p += 32) {
    if (span < 16) break;
    const Lanes a = load_f32(p), b = load_f32(p + 16);
    store_f32(p, add(a, b));
    store_f32(p + 16, sub(a, b));
  }
  for (float* p = x; p < x + n; p += 16) store_f32(p, hadamard_16(load_f32(p)));
}
