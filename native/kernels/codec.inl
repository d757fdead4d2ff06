// Rows as a whole: encode, decode, pack into panels, tests of float arrays. Included inside the namespace and region
// of the instruction set, after its vocabulary and rows.inl.

// Sixteen rows × sixteen dwords, side by side. `load` gives the lanes of a row; it is called for rows below `count`.
template <class Load>
ANNEX_INLINE void pack_block(size_t count, float* to, const Load& load) {
  Lanes lanes[kPanelRows];
  if constexpr (kTransposesInRegisters) {
    if (count == kPanelRows) {
      unroll<static_cast<int>(kPanelRows)>([&](auto r) ANNEX_INLINE_LAMBDA { lanes[r] = load(r); });
      store_transposed(lanes, to);
      return;
    }
  }
  ANNEX_ROLL
  for (size_t r = 0; r < count; r++) lanes[r] = load(static_cast<int>(r));
  for (size_t r = count; r < kPanelRows; r++) lanes[r] = zeros();
  store_transposed(lanes, to);
}

template <Scalar S>
void pack_float(const void* rows, size_t stride, size_t n, size_t dim, void* panels) {
  const uint8_t* base = static_cast<const uint8_t*>(rows);
  float* to = static_cast<float*>(panels);
  for (size_t first = 0; first < n; first += kPanelRows) {
    const size_t count = n - first < kPanelRows ? n - first : kPanelRows;
    FloatRow<S> row[kPanelRows];
    for (size_t r = 0; r < count; r++) row[r].open(base + (first + r) * stride);
    size_t d = 0;
    for (; d + 16 <= dim; d += 16, to += 16 * kPanelRows) {
      pack_block(count, to, [&](int r) ANNEX_INLINE_LAMBDA { return row[r].load(d); });
    }
    if (d < dim) {
      const size_t width = dim - d;
      float columns[16 * kPanelRows];
      Lanes lanes[kPanelRows];
      ANNEX_ROLL
      for (size_t r = 0; r < kPanelRows; r++) lanes[r] = r < count ? row[r].load(d, width) : zeros();
      store_transposed(lanes, columns);
      memcpy(to, columns, width * kPanelRows * sizeof(float));
      to += width * kPanelRows;
    }
  }
}

// Groups of four bytes are transposed as the floats above are. `flip` 128 makes codes of signed bytes: x + 128.
ANNEX_NOINLINE void pack_whole_bytes(const void* rows, size_t stride, size_t n, size_t dim, void* panels,
                                     uint8_t flip) {
  const uint8_t* base = static_cast<const uint8_t*>(rows);
  float* to = static_cast<float*>(panels);
  for (size_t first = 0; first < n; first += kPanelRows) {
    const size_t count = n - first < kPanelRows ? n - first : kPanelRows;
    const uint8_t* row = base + first * stride;
    size_t d = 0;
    for (; d + 64 <= dim; d += 64, to += 16 * kPanelRows) {
      pack_block(count, to, [&](int r) ANNEX_INLINE_LAMBDA {
        return load_bytes(row + static_cast<size_t>(r) * stride + d, flip);
      });
    }
    if (d < dim) {
      const size_t width = dim - d, groups = (width + 3) / 4;
      float columns[16 * kPanelRows];
      Lanes lanes[kPanelRows];
      ANNEX_ROLL
      for (size_t r = 0; r < kPanelRows; r++) {
        lanes[r] = r < count ? load_bytes(row + r * stride + d, width, flip) : zeros();
      }
      store_transposed(lanes, columns);
      memcpy(to, columns, groups * kPanelRows * 4);
      to += groups * kPanelRows;
    }
  }
}

template <uint8_t kFlip>
void pack_bytes(const void* rows, size_t stride, size_t n, size_t dim, void* panels) {
  pack_whole_bytes(rows, stride, n, dim, panels, kFlip);
}

inline void encode_f32(const float* x, size_t dim, void* row) { memcpy(row, x, dim * sizeof(float)); }

ANNEX_INLINE void store_half(void* p, Lanes a, bool brain) { brain ? store_bf16(p, a) : store_f16(p, a); }

template <bool kBrain>
void encode_half(const float* x, size_t dim, void* row) {
  uint8_t* to = static_cast<uint8_t*>(row);
  size_t i = 0;
  for (; i + 16 <= dim; i += 16) store_half(to + 2 * i, load_f32(x + i), kBrain);
  if (i < dim) {
    uint8_t last[32];
    store_half(last, load_f32(x + i, dim - i), kBrain);
    copy_small<32>(to + 2 * i, last, 2 * (dim - i));
  }
}

// Codes of sq8: (x - low) / step, everything scaled by `scale` where the range overflows.
ANNEX_INLINE void store_codes(uint8_t* p, Lanes x, float scale, float low, float step) {
  const Lanes code = div(sub(mul(x, fill(scale)), fill(low * scale)), fill(step * scale));
  store_u8_rounded(p, min(max(code, zeros()), fill(255.0f)));
}

inline void encode_sq8(const float* x, size_t dim, void* row) {
  float low = x[0], high = x[0];
  size_t i = 0;
  if (dim >= 16) {
    Lanes lows = load_f32(x), highs = lows;
    for (i = 16; i + 16 <= dim; i += 16) {
      const Lanes xi = load_f32(x + i);
      lows = min(lows, xi);
      highs = max(highs, xi);
    }
    float ends[32];
    store_f32(ends, lows);
    store_f32(ends + 16, highs);
    for (int j = 0; j < 16; j++) {
      low = ends[j] < low ? ends[j] : low;
      high = ends[16 + j] > high ? ends[16 + j] : high;
    }
  }
  for (; i < dim; i++) {
    low = x[i] < low ? x[i] : low;
    high = x[i] > high ? x[i] : high;
  }
  low += 0.0f;  // no negative zeros: which zero is the least or the greatest would depend on the order
  high += 0.0f;
  constexpr float kLargest = 3.40282346638528859812e+38f;
  const bool overflow = !(high - low <= kLargest);
  const float step = overflow ? high / 255.0f - low / 255.0f : (high - low) / 255.0f;
  uint8_t* to = static_cast<uint8_t*>(row);
  memcpy(to, &low, 4);
  memcpy(to + 4, &step, 4);
  to += 8;
  if (!(step > 0.0f)) {
    memset(to, 0, dim);
    return;
  }
  const float scale = overflow ? 0.5f : 1.0f;
  for (i = 0; i + 16 <= dim; i += 16) store_codes(to + i, load_f32(x + i), scale, low, step);
  if (i < dim) {
    uint8_t last[16];
    store_codes(last, load_f32(x + i, dim - i), scale, low, step);
    copy_small<16>(to + i, last, dim - i);
  }
}

// Bytes as floats, so that they can be decoded like the float codings.
template <Scalar S>
struct ByteRow {
  const uint8_t* data;
  ANNEX_INLINE void open(const void* row) { data = static_cast<const uint8_t*>(row); }
  ANNEX_INLINE Lanes load(size_t i) const {
    return S == Scalar::i8 ? load_i8_as_f32(data + i) : load_u8_as_f32(data + i);
  }
  ANNEX_INLINE Lanes load(size_t i, size_t n) const {
    return S == Scalar::i8 ? load_i8_as_f32(data + i, n) : load_u8_as_f32(data + i, n);
  }
};

template <class Row>
void decode(const void* from, size_t dim, float* x) {
  Row row;
  row.open(from);
  size_t i = 0;
  for (; i + 16 <= dim; i += 16) store_f32(x + i, row.load(i));
  if (i < dim) store_f32(x + i, row.load(i, dim - i), dim - i);
}

inline void decode_f32(const void* row, size_t dim, float* x) { memcpy(x, row, dim * sizeof(float)); }

inline QuantizedFloats quantize(const float* x, const float* y, size_t n, int8_t* codes) {
  Lanes sizes = zeros(), products[1] = {zeros()};
  for (size_t i = 0; i < n; i += 16) {
    const Lanes xi = load_f32(x + i);
    sizes = max(sizes, abs(xi));
    products[0] = add(products[0], mul(xi, load_f32(y + i)));
  }
  QuantizedFloats result;
  sum_rows<1>(products, &result.product);
  float size[16], most = 0;
  store_f32(size, sizes);
  for (int j = 0; j < 16; j++) most = size[j] > most ? size[j] : most;
  result.scale = most > 1e-30f ? 127 / most : 1;
  // As bytes of 1 … 255 first. 1.5 × 2²³ leaves no bits below 1.
  const Lanes scale = fill(result.scale), middle = fill(128), whole = fill(12582912.0f);
  Lanes sums[1] = {zeros()};  // of whole numbers: exact
  for (size_t i = 0; i < n; i += 16) {
    const Lanes code = sub(add(add(mul(load_f32(x + i), scale), middle), whole), whole);
    sums[0] = add(sums[0], code);
    store_u8_rounded(codes + i, code);
  }
  float sum;
  sum_rows<1>(sums, &sum);
  result.sum = sum == sum ? static_cast<int32_t>(sum) - 128 * static_cast<int32_t>(n) : 0;
  for (size_t i = 0; i < n; i++) codes[i] = static_cast<int8_t>(codes[i] ^ -128);
  return result;
}

// P panels, whose sums stay in registers.
template <int P>
ANNEX_INLINE void project_panels(const float* x, size_t dim, const float* axes, float* y) {
  Lanes sums[P];
  unroll<P>([&](auto p) ANNEX_INLINE_LAMBDA { sums[p] = zeros(); });
  for (size_t d = 0; d < dim; d++) {
    const Lanes element = fill(x[d]);
    unroll<P>([&](auto p) ANNEX_INLINE_LAMBDA {
      sums[p] = add(sums[p], mul(element, load_f32(axes + (p * dim + d) * kPanelRows)));
    });
  }
  unroll<P>([&](auto p) ANNEX_INLINE_LAMBDA { store_f32(y + p * kPanelRows, sums[p]); });
}

inline void project(const float* x, size_t dim, const float* axes, size_t panels, float* y) {
  constexpr int P = 4;
  size_t i = 0;
  for (; i + P <= panels; i += P) project_panels<P>(x, dim, axes + i * dim * kPanelRows, y + i * kPanelRows);
  for (; i < panels; i++) project_panels<1>(x, dim, axes + i * dim * kPanelRows, y + i * kPanelRows);
}

inline size_t first_nonfinite(const float* x, size_t n) {
  size_t i = 0;
  for (; i + 16 <= n; i += 16) {
    const uint32_t mask = mask_nonfinite(load_f32(x + i));
    if (mask) return i + lowest_bit(mask);
  }
  if (i < n) {
    const uint32_t mask = mask_nonfinite(load_f32(x + i, n - i));
    if (mask) return i + lowest_bit(mask);
  }
  return n;
}

inline size_t select_le(const float* x, size_t n, float limit, uint32_t* out) {
  const Lanes limits = fill(limit);
  size_t count = 0, i = 0;
  for (; i + 16 <= n; i += 16) {
    const uint32_t mask = mask_not_greater(load_f32(x + i), limits);
    if (mask) count += append_indices(mask, static_cast<uint32_t>(i), out + count);
  }
  if (i < n) {
    const uint32_t valid = (1u << (n - i)) - 1;
    const uint32_t mask = mask_not_greater(load_f32(x + i, n - i), limits) & valid;
    if (mask) count += append_indices(mask, static_cast<uint32_t>(i), out + count);
  }
  return count;
}
