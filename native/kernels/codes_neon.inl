// Words of codes.inl for NEON. See codes_scalar.inl.

struct Words {
  uint32x4_t v[4];
};
constexpr int kNibbleQueries = 4;

ANNEX_INLINE Lanes to_lanes(Words a) {
  return {{vcvtq_f32_u32(a.v[0]), vcvtq_f32_u32(a.v[1]), vcvtq_f32_u32(a.v[2]), vcvtq_f32_u32(a.v[3])}};
}
ANNEX_INLINE void store_words(uint32_t* p, Words a) {
  for (int i = 0; i < 4; i++) vst1q_u32(p + 4 * i, a.v[i]);
}
ANNEX_INLINE Words add(Words a, Words b) {
  return {{vaddq_u32(a.v[0], b.v[0]), vaddq_u32(a.v[1], b.v[1]), vaddq_u32(a.v[2], b.v[2]), vaddq_u32(a.v[3], b.v[3])}};
}

using Quarter = uint8x16_t;
ANNEX_INLINE Quarter load_quarter(const uint8_t* p) { return vld1q_u8(p); }
ANNEX_INLINE Quarter low_nibbles(Quarter a) { return vandq_u8(a, vdupq_n_u8(15)); }
ANNEX_INLINE Quarter high_nibbles(Quarter a) { return vshrq_n_u8(a, 4); }
ANNEX_INLINE Quarter look_up(Quarter table, Quarter index) { return vqtbl1q_u8(table, index); }
ANNEX_INLINE Quarter add_bytes(Quarter a, Quarter b) { return vaddq_u8(a, b); }

// Sums of bytes as 16-bit words.
struct ByteSums {
  uint16x8_t low, high;  // of rows 0 … 7 and 8 … 15
  ANNEX_INLINE void clear() { low = high = vdupq_n_u16(0); }
  ANNEX_INLINE void add(uint8x16_t bytes) {
    low = vaddw_u8(low, vget_low_u8(bytes));
    high = vaddw_high_u8(high, bytes);
  }
  ANNEX_INLINE Words words() const {
    return {{vmovl_u16(vget_low_u16(low)), vmovl_high_u16(low), vmovl_u16(vget_low_u16(high)), vmovl_high_u16(high)}};
  }
};

// 16 elements at a time.
struct PlaneSum {
  int32x4_t v;
  ANNEX_INLINE void clear() { v = vdupq_n_s32(0); }
  ANNEX_INLINE void add(const int16_t* query, const uint8_t* planes, size_t n, size_t count) {
    static constexpr uint8_t kBits[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    const uint8x16_t bit = vld1q_u8(kBits);
    for (size_t d = 0; d < n; d += 16) {
      uint8x16_t code = vdupq_n_u8(0), weight = vdupq_n_u8(1);
      for (size_t b = 0; b < count; b++) {
        const uint8_t* p = planes + b * (n / 8) + d / 8;
        const uint8x16_t bytes = vcombine_u8(vdup_n_u8(p[0]), vdup_n_u8(p[1]));
        code = vorrq_u8(code, vandq_u8(vtstq_u8(bytes, bit), weight));
        weight = vaddq_u8(weight, weight);
      }
      const int16x8_t low = vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(code)));
      const int16x8_t high = vreinterpretq_s16_u16(vmovl_high_u8(code));
      const int16x8_t first = vld1q_s16(query + d), second = vld1q_s16(query + d + 8);
      v = vmlal_high_s16(vmlal_s16(v, vget_low_s16(low), vget_low_s16(first)), low, first);
      v = vmlal_high_s16(vmlal_s16(v, vget_low_s16(high), vget_low_s16(second)), high, second);
    }
  }
  ANNEX_INLINE int32_t total() const { return vaddvq_s32(v); }
};

// clang-format off
#include "kernels/codes_quads.inl"
// clang-format on
