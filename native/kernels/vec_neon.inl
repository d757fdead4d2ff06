// Quads of NEON on aarch64.

using Quad = float32x4_t;

constexpr int kFloatRows = 4;
constexpr int kSq8Rows = 2;
constexpr int kPointPanels = 2;
constexpr TileShape kFloatTiles[] = {{4, 1, 1}, {2, 1, 2}, {1, 1, 4}};

ANNEX_INLINE Quad quad_fill(float x) { return vdupq_n_f32(x); }
ANNEX_INLINE Quad quad_add(Quad a, Quad b) { return vaddq_f32(a, b); }
ANNEX_INLINE Quad quad_sub(Quad a, Quad b) { return vsubq_f32(a, b); }
ANNEX_INLINE Quad quad_mul(Quad a, Quad b) { return vmulq_f32(a, b); }
ANNEX_INLINE Quad quad_div(Quad a, Quad b) { return vdivq_f32(a, b); }
ANNEX_INLINE Quad quad_min(Quad a, Quad b) { return vminq_f32(a, b); }
ANNEX_INLINE Quad quad_max(Quad a, Quad b) { return vmaxq_f32(a, b); }
ANNEX_INLINE Quad quad_abs(Quad a) { return vabsq_f32(a); }
ANNEX_INLINE Quad quad_fma(Quad a, Quad b, Quad c) { return vfmaq_f32(c, a, b); }

ANNEX_INLINE Quad quad_choose_greater(Quad a, Quad b, Quad x, Quad y) { return vbslq_f32(vcgtq_f32(a, b), x, y); }

ANNEX_INLINE Quad quad_load_i32(const uint8_t* p) { return vcvtq_f32_s32(vreinterpretq_s32_u8(vld1q_u8(p))); }
ANNEX_INLINE Quad quad_load(const uint8_t* p) { return vreinterpretq_f32_u8(vld1q_u8(p)); }
ANNEX_INLINE void quad_store(uint8_t* p, Quad a) { vst1q_u8(p, vreinterpretq_u8_f32(a)); }
ANNEX_INLINE Quad quad_load_f16(const uint8_t* p) { return vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(p))); }
ANNEX_INLINE Quad quad_load_bf16(const uint8_t* p) {
  return vreinterpretq_f32_u32(vshll_n_u16(vreinterpret_u16_u8(vld1_u8(p)), 16));
}
ANNEX_INLINE uint8x8_t load_4_bytes(const uint8_t* p) { return vreinterpret_u8_u32(vdup_n_u32(read_u32(p))); }
ANNEX_INLINE Quad quad_load_u8(const uint8_t* p) {
  return vcvtq_f32_u32(vmovl_u16(vget_low_u16(vmovl_u8(load_4_bytes(p)))));
}
ANNEX_INLINE Quad quad_load_i8(const uint8_t* p) {
  return vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(vreinterpret_s8_u8(load_4_bytes(p))))));
}
ANNEX_INLINE void quad_store_f16(uint8_t* p, Quad a) { vst1_u8(p, vreinterpret_u8_f16(vcvt_f16_f32(a))); }
ANNEX_INLINE void quad_store_bf16(uint8_t* p, Quad a) {
  const uint32x4_t bits = vreinterpretq_u32_f32(a);
  const uint32x4_t odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
  const uint32x4_t rounded = vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7fff)));
  const uint32x4_t quiet = vorrq_u32(bits, vdupq_n_u32(0x400000));
  vst1_u8(p, vreinterpret_u8_u16(vshrn_n_u32(vbslq_u32(vceqq_f32(a, a), rounded, quiet), 16)));
}

// [a0+a2 a1+a3 b0+b2 b1+b3], then [a0+a1 a2+a3 b0+b1 b2+b3].
ANNEX_INLINE Quad quad_fold_4_to_2(Quad a, Quad b) {
  return vaddq_f32(vcombine_f32(vget_low_f32(a), vget_low_f32(b)), vcombine_f32(vget_high_f32(a), vget_high_f32(b)));
}
ANNEX_INLINE Quad quad_fold_2_to_1(Quad a, Quad b) { return vpaddq_f32(a, b); }
ANNEX_INLINE void quad_transpose(Quad (&m)[4]) {
  const float32x4_t a = vzip1q_f32(m[0], m[1]), b = vzip1q_f32(m[2], m[3]);
  const float32x4_t c = vzip2q_f32(m[0], m[1]), d = vzip2q_f32(m[2], m[3]);
  m[0] = vcombine_f32(vget_low_f32(a), vget_low_f32(b));
  m[1] = vcombine_f32(vget_high_f32(a), vget_high_f32(b));
  m[2] = vcombine_f32(vget_low_f32(c), vget_low_f32(d));
  m[3] = vcombine_f32(vget_high_f32(c), vget_high_f32(d));
}
ANNEX_INLINE Quad quad_flip_bytes(Quad a, uint8_t flip) {
  return vreinterpretq_f32_u8(veorq_u8(vreinterpretq_u8_f32(a), vdupq_n_u8(flip)));
}
