// What of the vocabulary NEON has beyond quads, but for products of bytes: masks, bytes, sums.

ANNEX_INLINE uint32_t mask_of(uint32x4_t a, uint32x4_t b, uint32x4_t c, uint32x4_t d) {  // of dwords of ones or zeros
  const uint16x8_t low = vcombine_u16(vmovn_u32(a), vmovn_u32(b)), high = vcombine_u16(vmovn_u32(c), vmovn_u32(d));
  static constexpr uint16_t kBits[16] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768};
  const uint16x8_t bits = vorrq_u16(vandq_u16(low, vld1q_u16(kBits)), vandq_u16(high, vld1q_u16(kBits + 8)));
  return vaddvq_u16(bits);
}
ANNEX_INLINE uint32_t mask_not_less(Lanes a, Lanes b) {
  return ~mask_of(vcltq_f32(a.q[0], b.q[0]), vcltq_f32(a.q[1], b.q[1]), vcltq_f32(a.q[2], b.q[2]),
                  vcltq_f32(a.q[3], b.q[3])) &
         0xffff;
}
ANNEX_INLINE uint32_t mask_not_greater(Lanes a, Lanes b) { return mask_not_less(b, a); }
ANNEX_INLINE uint32x4_t nonfinite(float32x4_t a) {
  const uint32x4_t exponent = vdupq_n_u32(0x7f800000);
  return vceqq_u32(vandq_u32(vreinterpretq_u32_f32(a), exponent), exponent);
}
ANNEX_INLINE uint32_t mask_nonfinite(Lanes a) {
  return mask_of(nonfinite(a.q[0]), nonfinite(a.q[1]), nonfinite(a.q[2]), nonfinite(a.q[3]));
}
ANNEX_INLINE void store_u8_rounded(void* p, Lanes a) {
  const uint16x8_t low = vcombine_u16(vmovn_u32(vcvtnq_u32_f32(a.q[0])), vmovn_u32(vcvtnq_u32_f32(a.q[1])));
  const uint16x8_t high = vcombine_u16(vmovn_u32(vcvtnq_u32_f32(a.q[2])), vmovn_u32(vcvtnq_u32_f32(a.q[3])));
  vst1q_u8(static_cast<uint8_t*>(p), vcombine_u8(vmovn_u16(low), vmovn_u16(high)));
}

struct Bytes {
  uint8x16_t v;
};
struct Ints {
  uint32x4_t v;  // modulo 2³²: signed sums as well
};
constexpr size_t kByteLanes = 16;
constexpr int kByteRows = 4;
constexpr bool kDotNeedsQuerySum = false;

ANNEX_INLINE Bytes load_row(const void* p) { return {vld1q_u8(static_cast<const uint8_t*>(p))}; }
ANNEX_INLINE Bytes load_row(const void* p, size_t n) { return load_row(PaddedBytes<16>(p, n).bytes); }
ANNEX_INLINE Ints no_ints() { return {vdupq_n_u32(0)}; }
ANNEX_INLINE Bytes flip_signs(Bytes a) { return {veorq_u8(a.v, vdupq_n_u8(128))}; }
ANNEX_INLINE Bytes shift_nibbles(Bytes a) { return {vshrq_n_u8(a.v, 4)}; }
ANNEX_INLINE Bytes bit_xor(Bytes a, Bytes b) { return {veorq_u8(a.v, b.v)}; }
ANNEX_INLINE Bytes bit_and(Bytes a, Bytes b) { return {vandq_u8(a.v, b.v)}; }
ANNEX_INLINE Bytes bit_or(Bytes a, Bytes b) { return {vorrq_u8(a.v, b.v)}; }
template <int R>
ANNEX_INLINE void sum_rows(const Ints (&a)[R], int32_t* out) {
  ANNEX_UNROLL
  for (int r = 0; r < R; r++) out[r] = static_cast<int32_t>(vaddvq_u32(a[r].v));
}
