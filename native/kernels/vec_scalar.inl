// The vocabulary that rows.inl, panels.inl and codec.inl are written in, in plain C++: what every word means.

struct Lanes {  // sixteen floats
  float v[16];
};

constexpr int kFloatRows = 2;  // rows that rows.inl processes side by side
constexpr int kSq8Rows = 2;
constexpr bool kTransposesInRegisters = false;  // how codec.inl feeds store_transposed
constexpr int kPointPanels = 1;                 // panels of points that nearest.inl compares with a codeword at once
constexpr TileShape kFloatTiles[] = {{4, 1, 1}, {1, 1, 1}};  // widest first; the last one takes one query

ANNEX_INLINE uint32_t bits_of(float x) { return read_u32(&x); }
ANNEX_INLINE float float_of(uint32_t bits) { return read_f32(&bits); }

#define ANNEX_EACH for (int j = 0; j < 16; j++)

ANNEX_INLINE Lanes fill(float x) {
  Lanes r;
  ANNEX_EACH r.v[j] = x;
  return r;
}
ANNEX_INLINE Lanes zeros() { return fill(0.0f); }
ANNEX_INLINE Lanes add(Lanes a, Lanes b) {
  ANNEX_EACH a.v[j] += b.v[j];
  return a;
}
ANNEX_INLINE Lanes sub(Lanes a, Lanes b) {
  ANNEX_EACH a.v[j] -= b.v[j];
  return a;
}
ANNEX_INLINE Lanes mul(Lanes a, Lanes b) {
  ANNEX_EACH a.v[j] *= b.v[j];
  return a;
}
ANNEX_INLINE Lanes div(Lanes a, Lanes b) {
  ANNEX_EACH a.v[j] /= b.v[j];
  return a;
}
ANNEX_INLINE Lanes fma(Lanes a, Lanes b, Lanes c) {  // a × b + c, rounded once
  ANNEX_EACH a.v[j] = ::fmaf(a.v[j], b.v[j], c.v[j]);
  return a;
}
ANNEX_INLINE Lanes abs(Lanes a) {
  ANNEX_EACH a.v[j] = float_of(bits_of(a.v[j]) & 0x7fffffff);
  return a;
}
ANNEX_INLINE Lanes min(Lanes a, Lanes b) {
  ANNEX_EACH a.v[j] = a.v[j] < b.v[j] ? a.v[j] : b.v[j];
  return a;
}
ANNEX_INLINE Lanes max(Lanes a, Lanes b) {
  ANNEX_EACH a.v[j] = a.v[j] > b.v[j] ? a.v[j] : b.v[j];
  return a;
}
ANNEX_INLINE Lanes choose_greater(Lanes a, Lanes b, Lanes x, Lanes y) {  // a > b ? x : y
  ANNEX_EACH a.v[j] = a.v[j] > b.v[j] ? x.v[j] : y.v[j];
  return a;
}
// The first n lanes, zero in the others.
ANNEX_INLINE Lanes keep(Lanes a, size_t n) {
  ANNEX_EACH a.v[j] = static_cast<size_t>(j) < n ? a.v[j] : 0.0f;
  return a;
}

ANNEX_INLINE float widen_f16(uint16_t h) {
  const uint32_t sign = static_cast<uint32_t>(h & 0x8000) << 16, rest = h & 0x7fff;
  if (rest >= 0x7c00) return float_of(sign | 0x7f800000 | (rest & 0x3ff) << 13 | (rest > 0x7c00 ? 0x400000 : 0));
  // The exponent moves from bias 15 to bias 127; the product also normalises subnormal numbers.
  return float_of(sign | bits_of(float_of(rest << 13) * 0x1p112f));
}
ANNEX_INLINE uint16_t narrow_f16(float x) {  // rounds to nearest even
  const uint32_t sign = bits_of(x) >> 16 & 0x8000, rest = bits_of(x) & 0x7fffffff;
  if (rest > 0x7f800000) return static_cast<uint16_t>(sign | 0x7e00 | (rest >> 13 & 0x3ff));
  if (rest >= 0x477ff000) return static_cast<uint16_t>(sign | 0x7c00);  // 65,520 and more
  if (rest < 0x38800000) {
    // Subnormal: adding 0.5 leaves multiples of 2⁻²⁴ in the mantissa, rounded.
    return static_cast<uint16_t>(sign | (bits_of(float_of(rest) + 0.5f) - 0x3f000000));
  }
  return static_cast<uint16_t>(sign | (rest - 0x38000000 + 0xfff + (rest >> 13 & 1)) >> 13);
}
ANNEX_INLINE uint16_t narrow_bf16(float x) {  // rounds to nearest even
  const uint32_t bits = bits_of(x);
  if ((bits & 0x7fffffff) > 0x7f800000) return static_cast<uint16_t>((bits | 0x400000) >> 16);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

// Loads of sixteen elements from any address, or of the first n < 16 with zeros behind: nothing else is read.
ANNEX_INLINE Lanes load_f32(const void* p) {
  Lanes r;
  memcpy(r.v, p, 64);
  return r;
}
ANNEX_INLINE Lanes load_f32(const void* p, size_t n) {
  Lanes r = zeros();
  memcpy(r.v, p, 4 * n);
  return r;
}
ANNEX_INLINE Lanes load_f16(const void* p, size_t n = 16) {
  Lanes r = zeros();
  for (size_t j = 0; j < n; j++) {
    uint16_t h;
    memcpy(&h, static_cast<const uint8_t*>(p) + 2 * j, 2);
    r.v[j] = widen_f16(h);
  }
  return r;
}
ANNEX_INLINE Lanes load_bf16(const void* p, size_t n = 16) {
  Lanes r = zeros();
  for (size_t j = 0; j < n; j++) {
    uint16_t h;
    memcpy(&h, static_cast<const uint8_t*>(p) + 2 * j, 2);
    r.v[j] = float_of(static_cast<uint32_t>(h) << 16);
  }
  return r;
}
ANNEX_INLINE Lanes load_u8_as_f32(const void* p, size_t n = 16) {
  Lanes r = zeros();
  for (size_t j = 0; j < n; j++) r.v[j] = static_cast<const uint8_t*>(p)[j];
  return r;
}
ANNEX_INLINE Lanes load_i8_as_f32(const void* p, size_t n = 16) {
  Lanes r = zeros();
  for (size_t j = 0; j < n; j++) r.v[j] = static_cast<const int8_t*>(p)[j];
  return r;
}

ANNEX_INLINE Lanes load_i32_as_f32(const int32_t* p) {
  Lanes r;
  ANNEX_EACH r.v[j] = static_cast<float>(p[j]);
  return r;
}

ANNEX_INLINE void store_f32(void* p, Lanes a) { memcpy(p, a.v, 64); }
ANNEX_INLINE void store_f32(void* p, Lanes a, size_t n) { memcpy(p, a.v, 4 * n); }
ANNEX_INLINE void store_f16(void* p, Lanes a) {
  uint16_t h[16];
  ANNEX_EACH h[j] = narrow_f16(a.v[j]);
  memcpy(p, h, 32);
}
ANNEX_INLINE void store_bf16(void* p, Lanes a) {
  uint16_t h[16];
  ANNEX_EACH h[j] = narrow_bf16(a.v[j]);
  memcpy(p, h, 32);
}
// Lanes within 0 … 255, rounded to nearest even.
ANNEX_INLINE void store_u8_rounded(void* p, Lanes a) {
  uint8_t b[16];
  // 1.5 × 2²³ leaves no bits below 1; not written as a constant sum, which a compiler could fold away.
  ANNEX_EACH b[j] = static_cast<uint8_t>(bits_of(a.v[j] + 12582912.0f) & 255);
  memcpy(p, b, 16);
}

// Bit j of a mask belongs to lane j.
ANNEX_INLINE uint32_t mask_not_less(Lanes a, Lanes b) {
  uint32_t mask = 0;
  ANNEX_EACH mask |= static_cast<uint32_t>(!(a.v[j] < b.v[j])) << j;
  return mask;
}
ANNEX_INLINE uint32_t mask_not_greater(Lanes a, Lanes b) {
  uint32_t mask = 0;
  ANNEX_EACH mask |= static_cast<uint32_t>(!(a.v[j] > b.v[j])) << j;
  return mask;
}
ANNEX_INLINE uint32_t mask_nonfinite(Lanes a) {
  uint32_t mask = 0;
  ANNEX_EACH mask |= static_cast<uint32_t>((bits_of(a.v[j]) & 0x7f800000) == 0x7f800000) << j;
  return mask;
}
ANNEX_INLINE uint32_t append_indices(uint32_t mask, uint32_t base, uint32_t* to) { return append_bits(mask, base, to); }

// The sum of the lanes of every row by the tree of kernels.h.
template <int R>
ANNEX_INLINE void sum_rows(const Lanes (&a)[R], float* out) {
  for (int r = 0; r < R; r++) {
    float s[8];
    for (int j = 0; j < 8; j++) s[j] = a[r].v[j] + a[r].v[j + 8];
    for (int j = 0; j < 4; j++) s[j] = s[j] + s[j + 4];
    out[r] = (s[0] + s[2]) + (s[1] + s[3]);
  }
}

// Writes sixteen rows of sixteen dwords as columns: to[16 * column + row].
ANNEX_INLINE void store_transposed(const Lanes (&rows)[16], float* to) {
  for (int r = 0; r < 16; r++) {
    for (int c = 0; c < 16; c++) memcpy(to + 16 * c + r, rows[r].v + c, 4);
  }
}

// 64 bytes of a row for a byte panel, or the first n with zeros behind, exclusive-ored with `flip`.
ANNEX_INLINE Lanes load_bytes(const void* p, size_t n, uint8_t flip) {
  uint8_t b[64] = {};
  for (size_t j = 0; j < n; j++) b[j] = static_cast<const uint8_t*>(p)[j] ^ flip;
  Lanes r;
  memcpy(r.v, b, 64);
  return r;
}
ANNEX_INLINE Lanes load_bytes(const void* p, uint8_t flip) { return load_bytes(p, 64, flip); }

// ---- rows of whole bytes ----
struct Bytes {
  uint8_t v[16];
};
struct Ints {  // partial sums of a row
  int32_t v;
};
constexpr size_t kByteLanes = 16;  // bytes of a Bytes
constexpr int kByteRows = 2;
// Whether add_dot_u8 sums q (x - 128) and add_dot_i8 q (x + 128), so that 128 Σ q must be added or subtracted.
constexpr bool kDotNeedsQuerySum = false;

ANNEX_INLINE Bytes load_row(const void* p) {
  Bytes r;
  memcpy(r.v, p, 16);
  return r;
}
ANNEX_INLINE Bytes load_row(const void* p, size_t n) {
  Bytes r = {};
  memcpy(r.v, p, n);
  return r;
}
ANNEX_INLINE Bytes flip_signs(Bytes a) {
  ANNEX_EACH a.v[j] ^= 128;
  return a;
}
ANNEX_INLINE Bytes bit_xor(Bytes a, Bytes b) {
  ANNEX_EACH a.v[j] ^= b.v[j];
  return a;
}
ANNEX_INLINE Bytes bit_and(Bytes a, Bytes b) {
  ANNEX_EACH a.v[j] &= b.v[j];
  return a;
}
ANNEX_INLINE Bytes bit_or(Bytes a, Bytes b) {
  ANNEX_EACH a.v[j] |= b.v[j];
  return a;
}
ANNEX_INLINE Ints no_ints() { return {0}; }
ANNEX_INLINE Ints add_dot_u8(Ints acc, Bytes q, Bytes x) {
  ANNEX_EACH acc.v += q.v[j] * x.v[j];
  return acc;
}
ANNEX_INLINE Ints add_dot_i8(Ints acc, Bytes q, Bytes x) {
  ANNEX_EACH acc.v += static_cast<int8_t>(q.v[j]) * static_cast<int8_t>(x.v[j]);
  return acc;
}
// By four bits; what comes into the upper half is of no account.
ANNEX_INLINE Bytes shift_nibbles(Bytes a) {
  ANNEX_EACH a.v[j] = static_cast<uint8_t>(a.v[j] >> 4);
  return a;
}
// q is signed, x within 0 … 127.
ANNEX_INLINE Ints add_dot_nibbles(Ints acc, Bytes q, Bytes x) { return add_dot_i8(acc, q, x); }
ANNEX_INLINE Ints add_l2_u8(Ints acc, Bytes q, Bytes x) {
  ANNEX_EACH acc.v += (q.v[j] - x.v[j]) * (q.v[j] - x.v[j]);
  return acc;
}
ANNEX_INLINE Ints add_l1_u8(Ints acc, Bytes q, Bytes x) {
  ANNEX_EACH acc.v += q.v[j] > x.v[j] ? q.v[j] - x.v[j] : x.v[j] - q.v[j];
  return acc;
}
ANNEX_INLINE Ints add_popcount(Ints acc, Bytes a) {
  for (int half = 0; half < 2; half++) {
    uint64_t x;
    memcpy(&x, a.v + 8 * half, 8);
    x -= x >> 1 & 0x5555555555555555;
    x = (x & 0x3333333333333333) + (x >> 2 & 0x3333333333333333);
    x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0f;
    acc.v += static_cast<int32_t>(x * 0x0101010101010101 >> 56);
  }
  return acc;
}
template <int R>
ANNEX_INLINE void sum_rows(const Ints (&a)[R], int32_t* out) {
  for (int r = 0; r < R; r++) out[r] = a[r].v;
}

// ---- byte panels ----
struct Codes {  // four elements of sixteen rows
  uint8_t v[64];
};
struct QueryGroup {  // four elements of a query
  int8_t v[4];
};
struct RowSums {  // sums of sixteen rows
  int32_t v[16];
};
constexpr TileShape kByteTiles[] = {{2, 1, 1}, {1, 1, 1}};
constexpr bool kPreparedQueries = false;     // whether load_query takes 16-bit elements as panels.inl prepares them
constexpr bool kPanelNeedsQuerySum = false;  // whether multiply_add takes code - 128, so that 128 Σ q must be added

ANNEX_INLINE Codes load_codes(const uint8_t* p) {
  Codes c;
  memcpy(c.v, p, 64);
  return c;
}
ANNEX_INLINE QueryGroup load_query(const uint8_t* p) {
  QueryGroup q;
  memcpy(q.v, p, 4);
  return q;
}
ANNEX_INLINE RowSums start_sums(int32_t start) {
  RowSums s;
  ANNEX_EACH s.v[j] = start;
  return s;
}
ANNEX_INLINE RowSums multiply_add(RowSums acc, Codes c, QueryGroup q) {
  ANNEX_EACH for (int e = 0; e < 4; e++) acc.v[j] += c.v[4 * j + e] * q.v[e];
  return acc;
}
ANNEX_INLINE RowSums add(RowSums a, RowSums b) {
  ANNEX_EACH a.v[j] += b.v[j];
  return a;
}
ANNEX_INLINE Lanes to_lanes(RowSums a) {
  Lanes r;
  ANNEX_EACH r.v[j] = static_cast<float>(a.v[j]);
  return r;
}
ANNEX_INLINE void store_sums(int32_t* p, RowSums a) { memcpy(p, a.v, 64); }

#undef ANNEX_EACH
