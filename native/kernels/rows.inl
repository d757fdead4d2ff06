// One query × rows: scan and gather. Included inside the namespace and region of the instruction set, after its
// vocabulary. R rows are processed side by side, which hides the latency of the accumulation and shares the loads of
// the query and the horizontal sums; while they are read, later rows are prefetched line by line.

// Rows of 16-bit floats: where registers are few, widening leaves none for more than two.
constexpr int kHalfRows = kPrefetches ? kFloatRows : 2;

// How a row of a float coding yields sixteen lanes. `open` reads per-row parameters.
template <Scalar S>
struct FloatRow;

template <>
struct FloatRow<Scalar::f32> {
  static constexpr int kRows = kFloatRows;
  static constexpr size_t kBytes = 4;
  const uint8_t* data;
  ANNEX_INLINE void open(const void* row) { data = static_cast<const uint8_t*>(row); }
  ANNEX_INLINE Lanes load(size_t i) const { return load_f32(data + 4 * i); }
  ANNEX_INLINE Lanes load(size_t i, size_t n) const { return load_f32(data + 4 * i, n); }
};

template <>
struct FloatRow<Scalar::f16> {
  static constexpr int kRows = kHalfRows;
  static constexpr size_t kBytes = 2;
  const uint8_t* data;
  ANNEX_INLINE void open(const void* row) { data = static_cast<const uint8_t*>(row); }
  ANNEX_INLINE Lanes load(size_t i) const { return load_f16(data + 2 * i); }
  ANNEX_INLINE Lanes load(size_t i, size_t n) const { return load_f16(data + 2 * i, n); }
};

template <>
struct FloatRow<Scalar::bf16> {
  static constexpr int kRows = kHalfRows;
  static constexpr size_t kBytes = 2;
  const uint8_t* data;
  ANNEX_INLINE void open(const void* row) { data = static_cast<const uint8_t*>(row); }
  ANNEX_INLINE Lanes load(size_t i) const { return load_bf16(data + 2 * i); }
  ANNEX_INLINE Lanes load(size_t i, size_t n) const { return load_bf16(data + 2 * i, n); }
};

template <>
struct FloatRow<Scalar::sq8> {
  static constexpr int kRows = kSq8Rows;
  static constexpr size_t kBytes = 1;
  const uint8_t* data;
  Lanes low, step;
  ANNEX_INLINE void open(const void* row) {
    const uint8_t* p = static_cast<const uint8_t*>(row);
    low = fill(read_f32(p));
    step = fill(read_f32(p + 4));
    data = p + 8;
  }
  ANNEX_INLINE Lanes load(size_t i) const { return fma(step, load_u8_as_f32(data + i), low); }
  ANNEX_INLINE Lanes load(size_t i, size_t n) const { return keep(fma(step, load_u8_as_f32(data + i, n), low), n); }
};

template <Scalar S, Op O>
struct FloatKernel {
  static constexpr int kRows = FloatRow<S>::kRows;
  static constexpr size_t bytes(size_t dim) { return row_bytes(S, dim); }

  static ANNEX_INLINE Lanes accumulate(Lanes acc, Lanes q, Lanes x) {
    if constexpr (O == Op::dot) {
      return fma(q, x, acc);
    } else {
      const Lanes t = sub(q, x);
      if constexpr (O == Op::l2) return fma(t, t, acc);
      return add(acc, abs(t));
    }
  }

  template <int R>
  static ANNEX_INLINE void block(const void* query, const uint8_t* const* rows, const uint8_t* const* next, size_t dim,
                                 float* out) {
    const float* q = static_cast<const float*>(query);
    FloatRow<S> row[R];
    const uint8_t* ahead[R];
    Lanes acc[R];
    unroll<R>([&](auto r) ANNEX_INLINE_LAMBDA {
      row[r].open(rows[r]);
      ahead[r] = next[r];
      acc[r] = zeros();
    });
    size_t i = 0;
    for (; i + 16 <= dim; i += 16) {
      const Lanes qi = load_f32(q + i);
      unroll<R>([&](auto r) ANNEX_INLINE_LAMBDA {
        prefetch(ahead[r] + FloatRow<S>::kBytes * i);
        acc[r] = accumulate(acc[r], qi, row[r].load(i));
      });
    }
    if (i < dim) {
      const size_t rest = dim - i;
      const Lanes qi = load_f32(q + i, rest);
      unroll<R>([&](auto r) ANNEX_INLINE_LAMBDA {
        prefetch(ahead[r] + FloatRow<S>::kBytes * i);
        acc[r] = accumulate(acc[r], qi, row[r].load(i, rest));
      });
    }
    sum_rows<R>(acc, out);
  }
};

// Rows of whole bytes: exact sums in int32.
template <Scalar S, Op O>
struct ByteKernel {
  static constexpr int kRows = O == Op::jaccard ? kByteRows / 2 : kByteRows;
  static constexpr bool kQuerySum = O == Op::dot && kDotNeedsQuerySum;
  static constexpr size_t bytes(size_t dim) { return row_bytes(S, dim); }

  template <int R, class B>  // B is Bytes: a parameter, as not every instruction set has add_sum_…
  static ANNEX_INLINE void step(Ints (&sum)[R], Ints (&all)[R], Ints& query_sum, B q, const B (&x)[R]) {
    if constexpr (kQuerySum) {
      if constexpr (S == Scalar::u8) query_sum = add_sum_u8(query_sum, q);
      if constexpr (S == Scalar::i8) query_sum = add_sum_i8(query_sum, q);
    }
    const Bytes qu = S == Scalar::i8 && O != Op::dot ? flip_signs(q) : q;
    unroll<R>([&](auto r) ANNEX_INLINE_LAMBDA {
      const Bytes xu = S == Scalar::i8 && O != Op::dot ? flip_signs(x[r]) : x[r];
      if constexpr (O == Op::dot && S == Scalar::u8) sum[r] = add_dot_u8(sum[r], q, x[r]);
      if constexpr (O == Op::dot && S == Scalar::i8) sum[r] = add_dot_i8(sum[r], q, x[r]);
      if constexpr (O == Op::l2) sum[r] = add_l2_u8(sum[r], qu, xu);
      if constexpr (O == Op::l1) sum[r] = add_l1_u8(sum[r], qu, xu);
      if constexpr (O == Op::hamming) sum[r] = add_popcount(sum[r], bit_xor(q, x[r]));
      if constexpr (O == Op::jaccard) {
        sum[r] = add_popcount(sum[r], bit_and(q, x[r]));
        all[r] = add_popcount(all[r], bit_or(q, x[r]));
      }
    });
  }

  template <int R>
  static ANNEX_INLINE void block(const void* query, const uint8_t* const* rows, const uint8_t* const* next, size_t dim,
                                 float* out) {
    const uint8_t* q = static_cast<const uint8_t*>(query);
    const size_t bytes = S == Scalar::bits ? dim / 8 : dim;
    const uint8_t* row[R];
    const uint8_t* ahead[R];
    Ints sum[R], all[R];
    Ints query_sum[1] = {no_ints()};
    unroll<R>([&](auto r) ANNEX_INLINE_LAMBDA {
      row[r] = rows[r];
      ahead[r] = next[r];
      sum[r] = all[r] = no_ints();
    });
    size_t i = 0;
    for (; i + kByteLanes <= bytes; i += kByteLanes) {
      Bytes x[R];
      unroll<R>([&](auto r) ANNEX_INLINE_LAMBDA {
        prefetch(ahead[r] + i);
        x[r] = load_row(row[r] + i);
      });
      step<R>(sum, all, query_sum[0], load_row(q + i), x);
    }
    if (i < bytes) {
      Bytes x[R];
      unroll<R>([&](auto r) ANNEX_INLINE_LAMBDA {
        prefetch(ahead[r] + i);
        x[r] = load_row(row[r] + i, bytes - i);
      });
      step<R>(sum, all, query_sum[0], load_row(q + i, bytes - i), x);
    }
    int32_t sums[R], union_sums[R], correction[1] = {0};
    sum_rows<R>(sum, sums);
    if constexpr (O == Op::jaccard) sum_rows<R>(all, union_sums);
    if constexpr (kQuerySum) sum_rows<1>(query_sum, correction);
    unroll<R>([&](auto r) ANNEX_INLINE_LAMBDA {
      if constexpr (O == Op::jaccard) {
        const float different = static_cast<float>(union_sums[r] - sums[r]);
        out[r] = union_sums[r] ? different / static_cast<float>(union_sums[r]) : 0.0f;
      } else {
        out[r] = static_cast<float>(sums[r] + (S == Scalar::i8 ? -128 : 128) * correction[0]);
      }
    });
  }
};

template <class K, int R>
ANNEX_NOINLINE void block(const void* query, const uint8_t* const* rows, const uint8_t* const* next, size_t dim,
                          float* out) {
  K::template block<R>(query, rows, next, dim, out);
}

// How many rows ahead are prefetched: a multiple of R that is a few kilobytes, or short rows would arrive too late.
template <class K>
ANNEX_INLINE size_t rows_ahead(size_t dim) {
  constexpr size_t kBytes = 4096, kMost = 8;
  size_t blocks = 1;
  while (blocks < kMost && blocks * K::kRows * K::bytes(dim) < kBytes) blocks++;
  return blocks * K::kRows;
}

template <class K>
void gather(const void* query, const void* const* rows, size_t n, size_t dim, float* out) {
  const uint8_t* const* row = reinterpret_cast<const uint8_t* const*>(rows);
  constexpr size_t R = K::kRows;
  size_t i = 0, ahead = 0;
  if constexpr (kPrefetches) {
    ahead = rows_ahead<K>(dim);
    const size_t bytes = K::bytes(dim);
    for (size_t r = R; r < ahead && r < n; r++) {
      for (size_t b = 0; b < bytes; b += 64) prefetch(row[r] + b);
    }
  }
  for (; i + R <= n; i += R) {
    const uint8_t* last[R];
    const uint8_t* const* next = row + i;
    if (i + ahead + R <= n) {
      next = row + i + ahead;
    } else if (i + ahead < n) {
      for (size_t r = 0; r < R; r++) last[r] = row[i + ahead + r < n ? i + ahead + r : n - 1];
      next = last;
    }
    block<K, K::kRows>(query, row + i, next, dim, out + i);
  }
  if constexpr (R > 4) {
    if (i + 4 <= n) {
      block<K, 4>(query, row + i, row + i, dim, out + i);
      i += 4;
    }
  }
  for (; i < n; i++) block<K, 1>(query, row + i, row + i, dim, out + i);
}

template <class K>
void scan(const void* query, const void* rows, size_t stride, size_t n, size_t dim, float* out) {
  const uint8_t* base = static_cast<const uint8_t*>(rows);
  constexpr size_t R = K::kRows;
  const uint8_t* row[R];
  const uint8_t* next[R];
  size_t i = 0;
  if constexpr (!kPrefetches) {
    // Rows far apart: each is a stream of its own to the hardware's prefetchers.
    const size_t apart = n / R;
    for (; i < apart; i++) {
      float sums[R];
      for (size_t r = 0; r < R; r++) row[r] = base + (i + r * apart) * stride;
      block<K, K::kRows>(query, row, row, dim, sums);
      for (size_t r = 0; r < R; r++) out[i + r * apart] = sums[r];
    }
    i = R * apart;
  }
  for (; i + R <= n; i += R) {
    for (size_t r = 0; r < R; r++) {
      row[r] = base + (i + r) * stride;
      next[r] = base + (i + R + r < n ? i + R + r : n - 1) * stride;
    }
    block<K, K::kRows>(query, row, next, dim, out + i);
  }
  for (size_t r = 0; i + r < n; r++) row[r] = base + (i + r) * stride;
  gather<K>(query, reinterpret_cast<const void* const*>(row), n - i, dim, out + i);
}
