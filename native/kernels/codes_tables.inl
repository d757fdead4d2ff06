// Tables of queries as bytes, and the fit of levels to rows. Included inside the namespace and region of the
// instruction set, after its vocabulary.

inline void table_extents(const float* tables, size_t m, size_t width, float* low, float* high) {
  for (size_t j = 0; j < m; j++) {
    const float* t = tables + j * width;
    Lanes least = load_f32(t), greatest = least;
    for (size_t c = 16; c < width; c += 16) {
      const Lanes x = load_f32(t + c);
      least = min(least, x);
      greatest = max(greatest, x);
    }
    float l[16], g[16];
    store_f32(l, least);
    store_f32(g, greatest);
    for (int half = 8; half > 0; half /= 2) {
      for (int i = 0; i < half; i++) {
        l[i] = l[i + half] < l[i] ? l[i + half] : l[i];
        g[i] = g[i + half] > g[i] ? g[i + half] : g[i];
      }
    }
    low[j] = l[0];
    high[j] = g[0];
  }
}

inline void quantize_tables(const float* tables, size_t m, size_t width, const float* low, float inverse, float offset,
                            uint8_t* lut) {
  const Lanes scale = fill(inverse), shift = fill(offset), zero = zeros(), most = fill(255.0f);
  for (size_t j = 0; j < m; j++) {
    const Lanes least = fill(low[j]);
    for (size_t c = j * width; c < (j + 1) * width; c += 16) {
      const Lanes level = fma(sub(load_f32(tables + c), least), scale, shift);
      store_u8_rounded(lut + c, min(max(level, zero), most));
    }
  }
}

inline void sign_tables(const float* query, size_t m, float inverse, uint8_t* lut) {
  static constexpr float kBits[4][16] = {{0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1},
                                         {0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1},
                                         {0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1},
                                         {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1}};
  const Lanes bits[4] = {load_f32(kBits[0]), load_f32(kBits[1]), load_f32(kBits[2]), load_f32(kBits[3])};
  const Lanes zero = zeros(), most = fill(255.0f);
  for (size_t j = 0; j < m; j++) {
    const float* q = query + 4 * j;
    float least = 0;
    for (int k = 0; k < 4; k++) least += q[k] < 0 ? q[k] : 0;
    Lanes level = fill(-least * inverse);
    unroll<4>([&](auto k) ANNEX_INLINE_LAMBDA { level = fma(bits[k], fill(q[k] * inverse), level); });
    store_u8_rounded(lut + 16 * j, min(max(level, zero), most));
  }
}

inline void fit_levels(const float* x, size_t n, float t, float most, float* dot, float* square) {
  // Added to a small number, 1.5 × 2²³ leaves it no bits behind the point.
  const Lanes scale = fill(t), last = fill(most), half = fill(0.5f), whole = fill(0x1.8p23f);
  Lanes products = zeros(), squares = zeros();
  for (size_t i = 0; i < n; i += 16) {
    const Lanes a = load_f32(x + i);
    const Lanes lower = min(sub(mul(a, scale), half), last);
    const Lanes level = add(sub(add(lower, whole), whole), half);
    products = fma(a, level, products);
    squares = fma(level, level, squares);
  }
  float p[16], s[16];
  store_f32(p, products);
  store_f32(s, squares);
  for (int i = 1; i < 16; i++) {
    p[0] += p[i];
    s[0] += s[i];
  }
  *dot = p[0];
  *square = s[0];
}
