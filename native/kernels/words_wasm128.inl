// What of the vocabulary WebAssembly has beyond quads: masks and bytes. Products of bytes go through 16-bit
// multiply-add.

ANNEX_INLINE uint32_t mask_of(v128_t a, v128_t b, v128_t c, v128_t d) {  // of dwords of all ones or all zeros
  return wasm_i8x16_bitmask(wasm_i8x16_narrow_i16x8(wasm_i16x8_narrow_i32x4(a, b), wasm_i16x8_narrow_i32x4(c, d)));
}
ANNEX_INLINE uint32_t mask_not_less(Lanes a, Lanes b) {
  return ~mask_of(wasm_f32x4_lt(a.q[0], b.q[0]), wasm_f32x4_lt(a.q[1], b.q[1]), wasm_f32x4_lt(a.q[2], b.q[2]),
                  wasm_f32x4_lt(a.q[3], b.q[3])) &
         0xffff;
}
ANNEX_INLINE uint32_t mask_not_greater(Lanes a, Lanes b) { return mask_not_less(b, a); }
ANNEX_INLINE v128_t nonfinite(v128_t a) {
  const v128_t exponent = wasm_i32x4_splat(0x7f800000);
  return wasm_i32x4_eq(wasm_v128_and(a, exponent), exponent);
}
ANNEX_INLINE uint32_t mask_nonfinite(Lanes a) {
  return mask_of(nonfinite(a.q[0]), nonfinite(a.q[1]), nonfinite(a.q[2]), nonfinite(a.q[3]));
}
ANNEX_INLINE void store_u8_rounded(void* p, Lanes a) {
  const v128_t low = wasm_i16x8_narrow_i32x4(wasm_i32x4_trunc_sat_f32x4(wasm_f32x4_nearest(a.q[0])),
                                             wasm_i32x4_trunc_sat_f32x4(wasm_f32x4_nearest(a.q[1])));
  const v128_t high = wasm_i16x8_narrow_i32x4(wasm_i32x4_trunc_sat_f32x4(wasm_f32x4_nearest(a.q[2])),
                                              wasm_i32x4_trunc_sat_f32x4(wasm_f32x4_nearest(a.q[3])));
  wasm_v128_store(p, wasm_u8x16_narrow_i16x8(low, high));
}

// ---- rows of whole bytes ----
struct Bytes {
  v128_t v;
};
struct Ints {
  v128_t v;
};
constexpr size_t kByteLanes = 16;
constexpr int kByteRows = 4;
constexpr bool kDotNeedsQuerySum = false;

ANNEX_INLINE Bytes load_row(const void* p) { return {wasm_v128_load(p)}; }
ANNEX_INLINE Bytes load_row(const void* p, size_t n) { return load_row(PaddedBytes<16>(p, n).bytes); }
ANNEX_INLINE Ints no_ints() { return {wasm_i32x4_splat(0)}; }
ANNEX_INLINE Bytes flip_signs(Bytes a) { return {wasm_v128_xor(a.v, wasm_i8x16_splat(-128))}; }
ANNEX_INLINE Bytes bit_xor(Bytes a, Bytes b) { return {wasm_v128_xor(a.v, b.v)}; }
ANNEX_INLINE Bytes bit_and(Bytes a, Bytes b) { return {wasm_v128_and(a.v, b.v)}; }
ANNEX_INLINE Bytes bit_or(Bytes a, Bytes b) { return {wasm_v128_or(a.v, b.v)}; }

ANNEX_INLINE Ints add_products(Ints acc, v128_t a16, v128_t b16) {
  return {wasm_i32x4_add(acc.v, wasm_i32x4_dot_i16x8(a16, b16))};
}
ANNEX_INLINE Ints add_dot_u8(Ints acc, Bytes q, Bytes x) {
  acc = add_products(acc, wasm_u16x8_extend_low_u8x16(q.v), wasm_u16x8_extend_low_u8x16(x.v));
  return add_products(acc, wasm_u16x8_extend_high_u8x16(q.v), wasm_u16x8_extend_high_u8x16(x.v));
}
ANNEX_INLINE Ints add_dot_i8(Ints acc, Bytes q, Bytes x) {
  acc = add_products(acc, wasm_i16x8_extend_low_i8x16(q.v), wasm_i16x8_extend_low_i8x16(x.v));
  return add_products(acc, wasm_i16x8_extend_high_i8x16(q.v), wasm_i16x8_extend_high_i8x16(x.v));
}
ANNEX_INLINE v128_t distance_u8(Bytes a, Bytes b) {
  return wasm_v128_or(wasm_u8x16_sub_sat(a.v, b.v), wasm_u8x16_sub_sat(b.v, a.v));
}
ANNEX_INLINE Ints add_l2_u8(Ints acc, Bytes q, Bytes x) {
  const v128_t d = distance_u8(q, x);
  const v128_t low = wasm_u16x8_extend_low_u8x16(d), high = wasm_u16x8_extend_high_u8x16(d);
  return add_products(add_products(acc, low, low), high, high);
}
ANNEX_INLINE Ints add_bytes(Ints acc, v128_t a) {
  return {wasm_i32x4_add(acc.v, wasm_u32x4_extadd_pairwise_u16x8(wasm_u16x8_extadd_pairwise_u8x16(a)))};
}
ANNEX_INLINE Ints add_l1_u8(Ints acc, Bytes q, Bytes x) { return add_bytes(acc, distance_u8(q, x)); }
ANNEX_INLINE Ints add_popcount(Ints acc, Bytes a) { return add_bytes(acc, wasm_i8x16_popcnt(a.v)); }
template <int R>
ANNEX_INLINE void sum_rows(const Ints (&a)[R], int32_t* out) {
  ANNEX_UNROLL
  for (int r = 0; r < R; r++) {
    const v128_t two = wasm_i32x4_add(a[r].v, wasm_i32x4_shuffle(a[r].v, a[r].v, 2, 3, 0, 1));
    out[r] = wasm_i32x4_extract_lane(two, 0) + wasm_i32x4_extract_lane(two, 1);
  }
}

// ---- byte panels: codes are split into their even and odd bytes, as 16-bit pairs; queries are prepared likewise ----
struct Codes {
  v128_t even[4], odd[4];
};
struct QueryGroup {
  v128_t even, odd;
};
struct RowSums {
  v128_t v[4];
};
constexpr TileShape kByteTiles[] = {{2, 1, 1}, {1, 1, 1}};
constexpr bool kPreparedQueries = true;
constexpr bool kPanelNeedsQuerySum = false;

ANNEX_INLINE Codes load_codes(const uint8_t* p) {
  Codes c;
  ANNEX_UNROLL
  for (int i = 0; i < 4; i++) {
    const v128_t codes = wasm_v128_load(p + 16 * i);
    c.even[i] = wasm_v128_and(codes, wasm_i16x8_splat(255));
    c.odd[i] = wasm_u16x8_shr(codes, 8);
  }
  return c;
}
ANNEX_INLINE QueryGroup load_query(const uint8_t* p) {
  return {wasm_v128_load32_splat(p), wasm_v128_load32_splat(p + 4)};
}
ANNEX_INLINE RowSums start_sums(int32_t start) {
  const v128_t s = wasm_i32x4_splat(start);
  return {{s, s, s, s}};
}
ANNEX_INLINE RowSums multiply_add(RowSums acc, Codes c, QueryGroup q) {
  ANNEX_UNROLL
  for (int i = 0; i < 4; i++) {
    const v128_t products =
        wasm_i32x4_add(wasm_i32x4_dot_i16x8(c.even[i], q.even), wasm_i32x4_dot_i16x8(c.odd[i], q.odd));
    acc.v[i] = wasm_i32x4_add(acc.v[i], products);
  }
  return acc;
}
ANNEX_INLINE RowSums add(RowSums a, RowSums b) {
  ANNEX_UNROLL
  for (int i = 0; i < 4; i++) a.v[i] = wasm_i32x4_add(a.v[i], b.v[i]);
  return a;
}
ANNEX_INLINE Lanes to_lanes(RowSums a) {
  return {{wasm_f32x4_convert_i32x4(a.v[0]), wasm_f32x4_convert_i32x4(a.v[1]), wasm_f32x4_convert_i32x4(a.v[2]),
           wasm_f32x4_convert_i32x4(a.v[3])}};
}
ANNEX_INLINE void store_sums(int32_t* p, RowSums a) {
  ANNEX_UNROLL
  for (int i = 0; i < 4; i++) wasm_v128_store(p + 4 * i, a.v[i]);
}
