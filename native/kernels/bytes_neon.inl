// Byte products of NEON without the dot product instructions: widening multiplication and pairwise addition.

ANNEX_INLINE Ints add_words(Ints acc, uint16x8_t a) { return {vpadalq_u16(acc.v, a)}; }
ANNEX_INLINE Ints add_words(Ints acc, int16x8_t a) {
  return {vreinterpretq_u32_s32(vpadalq_s16(vreinterpretq_s32_u32(acc.v), a))};
}
ANNEX_INLINE Ints add_dot_u8(Ints acc, Bytes q, Bytes x) {
  return add_words(add_words(acc, vmull_u8(vget_low_u8(q.v), vget_low_u8(x.v))), vmull_high_u8(q.v, x.v));
}
ANNEX_INLINE Ints add_dot_i8(Ints acc, Bytes q, Bytes x) {
  const int8x16_t a = vreinterpretq_s8_u8(q.v), b = vreinterpretq_s8_u8(x.v);
  return add_words(add_words(acc, vmull_s8(vget_low_s8(a), vget_low_s8(b))), vmull_high_s8(a, b));
}
ANNEX_INLINE Ints add_dot_nibbles(Ints acc, Bytes q, Bytes x) { return add_dot_i8(acc, q, x); }
ANNEX_INLINE Ints add_l2_u8(Ints acc, Bytes q, Bytes x) {
  const Bytes d = {vabdq_u8(q.v, x.v)};
  return add_dot_u8(acc, d, d);
}
ANNEX_INLINE Ints add_l1_u8(Ints acc, Bytes q, Bytes x) { return add_words(acc, vpaddlq_u8(vabdq_u8(q.v, x.v))); }
ANNEX_INLINE Ints add_popcount(Ints acc, Bytes a) { return add_words(acc, vpaddlq_u8(vcntq_u8(a.v))); }

// Panels: code - 128 as a signed byte. Two sums to a row, as the four products of a row are added in pairs.
struct Codes {
  int8x16_t v[4];
};
struct QueryGroup {
  int8x16_t v;
};
struct RowSums {
  int32x4_t v[8];
};
constexpr TileShape kByteTiles[] = {{2, 1, 1}, {1, 1, 1}};
constexpr bool kPreparedQueries = false;
constexpr bool kPanelNeedsQuerySum = true;

ANNEX_INLINE Codes load_codes(const uint8_t* p) {
  Codes c;
  ANNEX_UNROLL
  for (int i = 0; i < 4; i++) c.v[i] = vreinterpretq_s8_u8(veorq_u8(vld1q_u8(p + 16 * i), vdupq_n_u8(128)));
  return c;
}
ANNEX_INLINE QueryGroup load_query(const uint8_t* p) { return {vreinterpretq_s8_u32(vdupq_n_u32(read_u32(p)))}; }
ANNEX_INLINE RowSums start_sums(int32_t start) {
  RowSums s;
  ANNEX_UNROLL
  for (int i = 0; i < 8; i++) s.v[i] = vzip1q_s32(vdupq_n_s32(start), vdupq_n_s32(0));  // once per row
  return s;
}
ANNEX_INLINE RowSums multiply_add(RowSums acc, Codes c, QueryGroup q) {
  ANNEX_UNROLL
  for (int i = 0; i < 4; i++) {
    acc.v[2 * i] = vpadalq_s16(acc.v[2 * i], vmull_s8(vget_low_s8(c.v[i]), vget_low_s8(q.v)));
    acc.v[2 * i + 1] = vpadalq_s16(acc.v[2 * i + 1], vmull_high_s8(c.v[i], q.v));
  }
  return acc;
}
ANNEX_INLINE RowSums add(RowSums a, RowSums b) {
  ANNEX_UNROLL
  for (int i = 0; i < 8; i++) a.v[i] = vaddq_s32(a.v[i], b.v[i]);
  return a;
}
ANNEX_INLINE int32x4_t four_sums(const RowSums& a, int i) { return vpaddq_s32(a.v[2 * i], a.v[2 * i + 1]); }
