// The nearest of many centroids or codewords. Included inside the namespace and region of the instruction set, after
// its vocabulary.

ANNEX_INLINE Lanes sums_as_lanes(const float* p) { return load_f32(p); }
ANNEX_INLINE Lanes sums_as_lanes(const int32_t* p) { return load_i32_as_f32(p); }

template <class T>
void best_rows(const T* sums, size_t nq, size_t n, size_t first_panel, const PanelTerms& terms, const float* u,
               const BestRows& best) {
  constexpr float kLeast = -__builtin_huge_valf();
  for (size_t q = 0; q < nq; q++) {
    float* lanes = best.lanes + q * kBestFloats;
    Lanes first = fill(kLeast), second = first, first_at = zeros(), second_at = zeros();
    if (first_panel != 0) {
      first = load_f32(lanes);
      first_at = load_f32(lanes + 16);
      second = load_f32(lanes + 32);
      second_at = load_f32(lanes + 48);
    }
    const Lanes u0 = fill(u[2 * q]), u1 = fill(u[2 * q + 1]);
    const T* row = sums + q * n;
    float panel = static_cast<float>(first_panel);
    for (size_t r = 0; r < n; r += kPanelRows, panel += 1.0f) {
      Lanes value = mul(load_f32(terms.scale + r), sums_as_lanes(row + r));
      value = fma(load_f32(terms.a + r), u0, value);
      value = fma(load_f32(terms.b + r), u1, value);
      const Lanes at = fill(panel);
      second_at = choose_greater(value, first, first_at, choose_greater(value, second, at, second_at));
      second = max(second, min(value, first));
      first_at = choose_greater(value, first, at, first_at);
      first = max(first, value);
    }
    store_f32(lanes, first);
    store_f32(lanes + 16, first_at);
    store_f32(lanes + 32, second);
    store_f32(lanes + 48, second_at);
  }
}

inline void quantize_i8(const float* x, size_t dim, int8_t* codes, ByteRowTerms* terms) {
  Lanes greatest = zeros(), squares = zeros();
  size_t i = 0;
  for (; i + 16 <= dim; i += 16) {
    const Lanes xi = load_f32(x + i);
    greatest = max(greatest, abs(xi));
    squares = fma(xi, xi, squares);
  }
  if (i < dim) {
    const Lanes xi = load_f32(x + i, dim - i);
    greatest = max(greatest, abs(xi));
    squares = fma(xi, xi, squares);
  }
  float lanes[16], most = 0.0f;
  store_f32(lanes, greatest);
  for (int j = 0; j < 16; j++) most = lanes[j] > most ? lanes[j] : most;
  const Lanes all[1] = {squares};
  sum_rows<1>(all, &terms->squares);
  const float scale = most / 127.0f, inverse = most > 1e-30f ? 127.0f / most : 0.0f;
  terms->scale = inverse > 0.0f ? scale : 0.0f;
  const Lanes factor = fill(inverse), middle = fill(128.0f);
  uint8_t* to = reinterpret_cast<uint8_t*>(codes);
  for (i = 0; i + 16 <= dim; i += 16) store_u8_rounded(to + i, fma(load_f32(x + i), factor, middle));
  size_t end = i;
  if (i < dim) {
    store_u8_rounded(to + i, fma(load_f32(x + i, dim - i), factor, middle));
    end = i + 16;
  }
  int32_t sum = 0;
  for (size_t d = 0; d < end; d++) {
    sum += to[d];
    to[d] ^= 128;
  }
  terms->sum = static_cast<float>(sum - 128 * static_cast<int32_t>(end));
}

// P panels of points that stay in registers where their dimension D is known (0: it is not), against all codewords.
template <int D, int P>
ANNEX_INLINE void nearest_codes_of(const float* points, size_t panel_stride, size_t line_stride, size_t dim,
                                   const float* codewords, const float* bias, size_t k, uint8_t* codes, float* values) {
  Lanes x[P][D == 0 ? 1 : D];
  if constexpr (D > 0) {
    unroll<P>([&](auto p) ANNEX_INLINE_LAMBDA {
      unroll<D>([&](auto d) ANNEX_INLINE_LAMBDA { x[p][d] = load_f32(points + p * panel_stride + d * line_stride); });
    });
  }
  Lanes best[P], at[P];
  unroll<P>([&](auto p) ANNEX_INLINE_LAMBDA {
    best[p] = fill(-__builtin_huge_valf());
    at[p] = zeros();
  });
  const float* word = codewords;
  for (size_t c = 0; c < k; c++, word += dim) {
    const Lanes start = fill(-bias[c]), number = fill(static_cast<float>(c));
    Lanes value[P];
    unroll<P>([&](auto p) ANNEX_INLINE_LAMBDA { value[p] = start; });
    if constexpr (D > 0) {
      unroll<D>([&](auto d) ANNEX_INLINE_LAMBDA {
        const Lanes element = fill(word[d]);
        unroll<P>([&](auto p) ANNEX_INLINE_LAMBDA { value[p] = fma(x[p][d], element, value[p]); });
      });
    } else {
      for (size_t d = 0; d < dim; d++) {
        const Lanes element = fill(word[d]);
        unroll<P>([&](auto p) ANNEX_INLINE_LAMBDA {
          value[p] = fma(load_f32(points + p * panel_stride + d * line_stride), element, value[p]);
        });
      }
    }
    unroll<P>([&](auto p) ANNEX_INLINE_LAMBDA {
      at[p] = choose_greater(value[p], best[p], number, at[p]);
      best[p] = max(best[p], value[p]);
    });
  }
  unroll<P>([&](auto p) ANNEX_INLINE_LAMBDA {
    store_u8_rounded(codes + 16 * p, at[p]);
    if (values) store_f32(values + 16 * p, best[p]);
  });
}

template <int D, int P>
ANNEX_NOINLINE void nearest_codes_all(const float* points, size_t panel_stride, size_t line_stride, size_t n,
                                      size_t dim, const float* codewords, const float* bias, size_t k, uint8_t* codes,
                                      float* values) {
  size_t i = 0;
  for (; i + 16 * P <= n; i += 16 * P) {
    nearest_codes_of<D, P>(points + i / 16 * panel_stride, panel_stride, line_stride, dim, codewords, bias, k,
                           codes + i, values ? values + i : values);
  }
  for (; i < n; i += 16) {
    nearest_codes_of<D, 1>(points + i / 16 * panel_stride, panel_stride, line_stride, dim, codewords, bias, k,
                           codes + i, values ? values + i : values);
  }
}

inline void nearest_codes(const float* points, size_t panel_stride, size_t line_stride, size_t n, size_t dim,
                          const float* codewords, const float* bias, size_t k, uint8_t* codes, float* values) {
  constexpr int kWide = kPointPanels, kHalf = kPointPanels / 2 > 0 ? kPointPanels / 2 : 1;
  const auto run = dim == 2   ? nearest_codes_all<2, kWide>
                   : dim == 4 ? nearest_codes_all<4, kWide>
                   : dim == 8 ? nearest_codes_all<8, kHalf>
                              : nearest_codes_all<0, kWide>;
  run(points, panel_stride, line_stride, n, dim, codewords, bias, k, codes, values);
}

inline void part_tables(const float* query, const float* panels, size_t m, size_t k, size_t part, float factor,
                        float* out) {
  const Lanes factors = fill(factor);
  for (size_t j = 0; j < m; j++, query += part) {
    size_t c = 0;
    for (; c + 32 <= k; c += 32, panels += 2 * part * kPanelRows, out += 32) {
      Lanes low = zeros(), high = zeros();
      for (size_t d = 0; d < part; d++) {
        const Lanes element = fill(query[d]);
        low = fma(load_f32(panels + d * kPanelRows), element, low);
        high = fma(load_f32(panels + (part + d) * kPanelRows), element, high);
      }
      store_f32(out, mul(low, factors));
      store_f32(out + 16, mul(high, factors));
    }
    for (; c < k; c += 16, panels += part * kPanelRows, out += 16) {
      Lanes sum = zeros();
      for (size_t d = 0; d < part; d++) sum = fma(load_f32(panels + d * kPanelRows), fill(query[d]), sum);
      store_f32(out, mul(sum, factors));
    }
  }
}

constexpr NearestKernels nearest_table() {
  return {best_rows<float>, best_rows<int32_t>, quantize_i8, nearest_codes, part_tables};
}
