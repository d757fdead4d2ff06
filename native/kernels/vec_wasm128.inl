// Quads of WebAssembly simd128. There is no fused multiply-add: quad_fma rounds twice (see kernels.h).

using Quad = v128_t;

constexpr int kFloatRows = 6;
constexpr int kSq8Rows = 2;
constexpr int kPointPanels = 1;
constexpr TileShape kFloatTiles[] = {{2, 1, 1}, {1, 1, 2}};

ANNEX_INLINE Quad quad_fill(float x) { return wasm_f32x4_splat(x); }
ANNEX_INLINE Quad quad_add(Quad a, Quad b) { return wasm_f32x4_add(a, b); }
ANNEX_INLINE Quad quad_sub(Quad a, Quad b) { return wasm_f32x4_sub(a, b); }
ANNEX_INLINE Quad quad_mul(Quad a, Quad b) { return wasm_f32x4_mul(a, b); }
ANNEX_INLINE Quad quad_div(Quad a, Quad b) { return wasm_f32x4_div(a, b); }
ANNEX_INLINE Quad quad_min(Quad a, Quad b) { return wasm_f32x4_pmin(a, b); }
ANNEX_INLINE Quad quad_max(Quad a, Quad b) { return wasm_f32x4_pmax(a, b); }
ANNEX_INLINE Quad quad_abs(Quad a) { return wasm_f32x4_abs(a); }
ANNEX_INLINE Quad quad_fma(Quad a, Quad b, Quad c) { return wasm_f32x4_add(wasm_f32x4_mul(a, b), c); }

ANNEX_INLINE Quad quad_choose_greater(Quad a, Quad b, Quad x, Quad y) {
  return wasm_v128_bitselect(x, y, wasm_f32x4_gt(a, b));
}

ANNEX_INLINE Quad quad_load_i32(const uint8_t* p) { return wasm_f32x4_convert_i32x4(wasm_v128_load(p)); }
ANNEX_INLINE Quad quad_load(const uint8_t* p) { return wasm_v128_load(p); }
ANNEX_INLINE void quad_store(uint8_t* p, Quad a) { wasm_v128_store(p, a); }
ANNEX_INLINE Quad quad_load_bf16(const uint8_t* p) { return wasm_i32x4_shl(wasm_u32x4_load16x4(p), 16); }
// Hides where dwords come from: the compiler would fuse a widening with the conversion that follows, and then do both
// lane by lane.
ANNEX_INLINE v128_t opaque(v128_t a) {
  asm("" : "+r"(a));
  return a;
}
ANNEX_INLINE Quad quad_load_f16(const uint8_t* p) {
  const v128_t h = wasm_i32x4_shl(opaque(wasm_i32x4_load16x4(p)), 13);
  const v128_t sign = wasm_v128_and(h, wasm_i32x4_splat(INT32_MIN));
  // With 224 added to the exponent, that of infinity and NaN is 255 as it should be, and all others are 2^112 times too
  // large; subnormal numbers have gained a leading bit of 2^97. Of the two ways back the smaller one is right. Nothing
  // on the way is subnormal as a float, which would be slow.
  const v128_t far = wasm_v128_or(wasm_v128_and(h, wasm_i32x4_splat(0x0fffe000)), wasm_i32x4_splat(224 << 23));
  const v128_t normal = wasm_f32x4_mul(far, wasm_f32x4_splat(0x1p-112f));
  const v128_t small = wasm_f32x4_mul(wasm_f32x4_sub(far, wasm_f32x4_splat(0x1p97f)), wasm_f32x4_splat(0x1p-111f));
  return wasm_v128_or(sign, wasm_f32x4_pmin(normal, small));
}
ANNEX_INLINE v128_t load_4_bytes(const uint8_t* p) { return wasm_v128_load32_zero(p); }
ANNEX_INLINE Quad quad_load_u8(const uint8_t* p) {
  return wasm_f32x4_convert_i32x4(opaque(wasm_u32x4_extend_low_u16x8(wasm_u16x8_extend_low_u8x16(load_4_bytes(p)))));
}
ANNEX_INLINE Quad quad_load_i8(const uint8_t* p) {
  return wasm_f32x4_convert_i32x4(opaque(wasm_i32x4_extend_low_i16x8(wasm_i16x8_extend_low_i8x16(load_4_bytes(p)))));
}

// Four dwords within 16 bits, as halves.
ANNEX_INLINE void store_halves(uint8_t* p, v128_t a) { wasm_v128_store64_lane(p, wasm_u16x8_narrow_i32x4(a, a), 0); }
ANNEX_INLINE void quad_store_bf16(uint8_t* p, Quad a) {
  const v128_t odd = wasm_v128_and(wasm_u32x4_shr(a, 16), wasm_i32x4_splat(1));
  const v128_t rounded = wasm_i32x4_add(a, wasm_i32x4_add(odd, wasm_i32x4_splat(0x7fff)));
  const v128_t quiet = wasm_v128_or(a, wasm_i32x4_splat(0x400000));
  store_halves(p, wasm_u32x4_shr(wasm_v128_bitselect(quiet, rounded, wasm_f32x4_ne(a, a)), 16));
}
ANNEX_INLINE void quad_store_f16(uint8_t* p, Quad a) {
  const v128_t rest = wasm_v128_and(a, wasm_i32x4_splat(0x7fffffff));
  const v128_t sign = wasm_u32x4_shr(wasm_v128_xor(a, rest), 16);
  const v128_t odd = wasm_v128_and(wasm_u32x4_shr(rest, 13), wasm_i32x4_splat(1));
  const v128_t normal =
      wasm_u32x4_shr(wasm_i32x4_add(wasm_i32x4_sub(rest, wasm_i32x4_splat(0x38000000 - 0xfff)), odd), 13);
  // Subnormal: adding 0.5 leaves multiples of 2⁻²⁴ in the mantissa, rounded.
  const v128_t tiny = wasm_i32x4_sub(wasm_f32x4_add(rest, wasm_f32x4_splat(0.5f)), wasm_i32x4_splat(0x3f000000));
  v128_t h = wasm_v128_bitselect(tiny, normal, wasm_i32x4_lt(rest, wasm_i32x4_splat(0x38800000)));
  const v128_t overflow = wasm_i32x4_ge(rest, wasm_i32x4_splat(0x477ff000));  // 65,520 and more
  h = wasm_v128_bitselect(wasm_i32x4_splat(0x7c00), h, overflow);
  h = wasm_v128_bitselect(wasm_i32x4_splat(0x7e00), h, wasm_i32x4_gt(rest, wasm_i32x4_splat(0x7f800000)));
  store_halves(p, wasm_v128_or(sign, h));
}

// [a0+a2 a1+a3 b0+b2 b1+b3], then [a0+a1 a2+a3 b0+b1 b2+b3].
ANNEX_INLINE Quad quad_fold_4_to_2(Quad a, Quad b) {
  return wasm_f32x4_add(wasm_i64x2_shuffle(a, b, 0, 2), wasm_i64x2_shuffle(a, b, 1, 3));
}
ANNEX_INLINE Quad quad_fold_2_to_1(Quad a, Quad b) {
  return wasm_f32x4_add(wasm_i32x4_shuffle(a, b, 0, 2, 4, 6), wasm_i32x4_shuffle(a, b, 1, 3, 5, 7));
}
ANNEX_INLINE void quad_transpose(Quad (&m)[4]) {
  const v128_t a = wasm_i32x4_shuffle(m[0], m[1], 0, 4, 1, 5), b = wasm_i32x4_shuffle(m[2], m[3], 0, 4, 1, 5);
  const v128_t c = wasm_i32x4_shuffle(m[0], m[1], 2, 6, 3, 7), d = wasm_i32x4_shuffle(m[2], m[3], 2, 6, 3, 7);
  m[0] = wasm_i64x2_shuffle(a, b, 0, 2);
  m[1] = wasm_i64x2_shuffle(a, b, 1, 3);
  m[2] = wasm_i64x2_shuffle(c, d, 0, 2);
  m[3] = wasm_i64x2_shuffle(c, d, 1, 3);
}
ANNEX_INLINE Quad quad_flip_bytes(Quad a, uint8_t flip) {
  return wasm_v128_xor(a, wasm_i8x16_splat(static_cast<int8_t>(flip)));
}
