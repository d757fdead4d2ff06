// Words of codes.inl for WebAssembly simd128. See codes_scalar.inl.

struct Words {
  v128_t v[4];
};
constexpr int kNibbleQueries = 2;

ANNEX_INLINE Lanes to_lanes(Words a) {
  return {{wasm_f32x4_convert_i32x4(a.v[0]), wasm_f32x4_convert_i32x4(a.v[1]), wasm_f32x4_convert_i32x4(a.v[2]),
           wasm_f32x4_convert_i32x4(a.v[3])}};
}
ANNEX_INLINE void store_words(uint32_t* p, Words a) {
  for (int i = 0; i < 4; i++) wasm_v128_store(p + 4 * i, a.v[i]);
}
ANNEX_INLINE Words add(Words a, Words b) {
  return {{wasm_i32x4_add(a.v[0], b.v[0]), wasm_i32x4_add(a.v[1], b.v[1]), wasm_i32x4_add(a.v[2], b.v[2]),
           wasm_i32x4_add(a.v[3], b.v[3])}};
}

using Quarter = v128_t;
ANNEX_INLINE Quarter load_quarter(const uint8_t* p) { return wasm_v128_load(p); }
ANNEX_INLINE Quarter low_nibbles(Quarter a) { return wasm_v128_and(a, wasm_i8x16_splat(15)); }
ANNEX_INLINE Quarter high_nibbles(Quarter a) { return wasm_v128_and(wasm_u16x8_shr(a, 4), wasm_i8x16_splat(15)); }
ANNEX_INLINE Quarter look_up(Quarter table, Quarter index) { return wasm_i8x16_swizzle(table, index); }
ANNEX_INLINE Quarter add_bytes(Quarter a, Quarter b) { return wasm_i8x16_add(a, b); }

// Sums of bytes as 16-bit words: `all` gathers the bytes of a word as one number, whose overflow does not matter, and
// `odd` its upper byte, so that the sum of the lower byte is all - 256 · odd.
struct ByteSums {
  v128_t all, odd;
  ANNEX_INLINE void clear() { all = odd = wasm_i16x8_splat(0); }
  ANNEX_INLINE void add(v128_t bytes) {
    all = wasm_i16x8_add(all, bytes);
    odd = wasm_i16x8_add(odd, wasm_u16x8_shr(bytes, 8));
  }
  ANNEX_INLINE Words words() const {
    const v128_t even = wasm_i16x8_sub(all, wasm_i16x8_shl(odd, 8));
    const v128_t low = wasm_i16x8_shuffle(even, odd, 0, 8, 1, 9, 2, 10, 3, 11);
    const v128_t high = wasm_i16x8_shuffle(even, odd, 4, 12, 5, 13, 6, 14, 7, 15);
    return {{wasm_u32x4_extend_low_u16x8(low), wasm_u32x4_extend_high_u16x8(low), wasm_u32x4_extend_low_u16x8(high),
             wasm_u32x4_extend_high_u16x8(high)}};
  }
};

// 16 elements at a time.
struct PlaneSum {
  v128_t v;
  ANNEX_INLINE void clear() { v = wasm_i32x4_splat(0); }
  ANNEX_INLINE void add(const int16_t* query, const uint8_t* planes, size_t n, size_t count) {
    const v128_t bit = wasm_i8x16_const(1, 2, 4, 8, 16, 32, 64, -128, 1, 2, 4, 8, 16, 32, 64, -128);
    for (size_t d = 0; d < n; d += 16) {
      v128_t code = wasm_i8x16_splat(0), weight = wasm_i8x16_splat(1);
      for (size_t b = 0; b < count; b++) {
        const v128_t pair = wasm_v128_load16_splat(planes + b * (n / 8) + d / 8);
        const v128_t bytes = wasm_i8x16_shuffle(pair, pair, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1);
        const v128_t set = wasm_i8x16_eq(wasm_v128_and(bytes, bit), bit);
        code = wasm_v128_or(code, wasm_v128_and(set, weight));
        weight = wasm_i8x16_add(weight, weight);
      }
      const v128_t low = wasm_i32x4_dot_i16x8(wasm_u16x8_extend_low_u8x16(code), wasm_v128_load(query + d));
      const v128_t high = wasm_i32x4_dot_i16x8(wasm_u16x8_extend_high_u8x16(code), wasm_v128_load(query + d + 8));
      v = wasm_i32x4_add(v, wasm_i32x4_add(low, high));
    }
  }
  ANNEX_INLINE int32_t total() const {
    const v128_t two = wasm_i32x4_add(v, wasm_i32x4_shuffle(v, v, 2, 3, 0, 1));
    return static_cast<int32_t>(static_cast<uint32_t>(wasm_i32x4_extract_lane(two, 0)) +
                                static_cast<uint32_t>(wasm_i32x4_extract_lane(two, 1)));
  }
};

// clang-format off
#include "kernels/codes_quads.inl"
// clang-format on
