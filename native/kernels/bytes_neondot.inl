// Byte products of NEON with SDOT and UDOT.

ANNEX_INLINE Ints add_dot_u8(Ints acc, Bytes q, Bytes x) { return {vdotq_u32(acc.v, q.v, x.v)}; }
ANNEX_INLINE Ints add_dot_i8(Ints acc, Bytes q, Bytes x) {
  return {vreinterpretq_u32_s32(
      vdotq_s32(vreinterpretq_s32_u32(acc.v), vreinterpretq_s8_u8(q.v), vreinterpretq_s8_u8(x.v)))};
}
ANNEX_INLINE Ints add_dot_nibbles(Ints acc, Bytes q, Bytes x) { return add_dot_i8(acc, q, x); }
ANNEX_INLINE Ints add_l2_u8(Ints acc, Bytes q, Bytes x) {
  const uint8x16_t d = vabdq_u8(q.v, x.v);
  return {vdotq_u32(acc.v, d, d)};
}
ANNEX_INLINE Ints add_l1_u8(Ints acc, Bytes q, Bytes x) {
  return {vdotq_u32(acc.v, vabdq_u8(q.v, x.v), vdupq_n_u8(1))};
}
ANNEX_INLINE Ints add_popcount(Ints acc, Bytes a) { return {vdotq_u32(acc.v, vcntq_u8(a.v), vdupq_n_u8(1))}; }

// Panels: code - 128 as a signed byte.
struct Codes {
  int8x16_t v[4];
};
struct QueryGroup {
  int8x16_t v;
};
struct RowSums {
  int32x4_t v[4];
};
constexpr TileShape kByteTiles[] = {{4, 1, 1}, {2, 1, 2}, {1, 1, 4}};
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
  const int32x4_t s = vdupq_n_s32(start);
  return {{s, s, s, s}};
}
ANNEX_INLINE RowSums multiply_add(RowSums acc, Codes c, QueryGroup q) {
  ANNEX_UNROLL
  for (int i = 0; i < 4; i++) acc.v[i] = vdotq_s32(acc.v[i], c.v[i], q.v);
  return acc;
}
ANNEX_INLINE RowSums add(RowSums a, RowSums b) {
  ANNEX_UNROLL
  for (int i = 0; i < 4; i++) a.v[i] = vaddq_s32(a.v[i], b.v[i]);
  return a;
}
ANNEX_INLINE int32x4_t four_sums(const RowSums& a, int i) { return a.v[i]; }
