// Vocabulary of 128-bit instruction sets: sixteen float lanes are four quads. The instruction set defines Quad and its
// words (quad_…) before. See vec_scalar.inl for the meaning of the words here.

struct Lanes {
  Quad q[4];
};

template <Quad (*F)(Quad)>
ANNEX_INLINE Lanes each(Lanes a) {
  return {{F(a.q[0]), F(a.q[1]), F(a.q[2]), F(a.q[3])}};
}
template <Quad (*F)(Quad, Quad)>
ANNEX_INLINE Lanes each(Lanes a, Lanes b) {
  return {{F(a.q[0], b.q[0]), F(a.q[1], b.q[1]), F(a.q[2], b.q[2]), F(a.q[3], b.q[3])}};
}
template <Quad (*F)(const uint8_t*), size_t kBytes>
ANNEX_INLINE Lanes each(const void* from) {
  const uint8_t* p = static_cast<const uint8_t*>(from);
  return {{F(p), F(p + kBytes), F(p + 2 * kBytes), F(p + 3 * kBytes)}};
}
template <void (*F)(uint8_t*, Quad), size_t kBytes>
ANNEX_INLINE void each(void* to, Lanes a) {
  uint8_t* p = static_cast<uint8_t*>(to);
  F(p, a.q[0]);
  F(p + kBytes, a.q[1]);
  F(p + 2 * kBytes, a.q[2]);
  F(p + 3 * kBytes, a.q[3]);
}

ANNEX_INLINE Lanes fill(float x) { return {{quad_fill(x), quad_fill(x), quad_fill(x), quad_fill(x)}}; }
ANNEX_INLINE Lanes zeros() { return fill(0.0f); }
ANNEX_INLINE Lanes add(Lanes a, Lanes b) { return each<quad_add>(a, b); }
ANNEX_INLINE Lanes sub(Lanes a, Lanes b) { return each<quad_sub>(a, b); }
ANNEX_INLINE Lanes mul(Lanes a, Lanes b) { return each<quad_mul>(a, b); }
ANNEX_INLINE Lanes div(Lanes a, Lanes b) { return each<quad_div>(a, b); }
ANNEX_INLINE Lanes min(Lanes a, Lanes b) { return each<quad_min>(a, b); }
ANNEX_INLINE Lanes max(Lanes a, Lanes b) { return each<quad_max>(a, b); }
ANNEX_INLINE Lanes abs(Lanes a) { return each<quad_abs>(a); }
ANNEX_INLINE Lanes fma(Lanes a, Lanes b, Lanes c) {
  return {{quad_fma(a.q[0], b.q[0], c.q[0]), quad_fma(a.q[1], b.q[1], c.q[1]), quad_fma(a.q[2], b.q[2], c.q[2]),
           quad_fma(a.q[3], b.q[3], c.q[3])}};
}

ANNEX_INLINE Lanes choose_greater(Lanes a, Lanes b, Lanes x, Lanes y) {
  return {{quad_choose_greater(a.q[0], b.q[0], x.q[0], y.q[0]), quad_choose_greater(a.q[1], b.q[1], x.q[1], y.q[1]),
           quad_choose_greater(a.q[2], b.q[2], x.q[2], y.q[2]), quad_choose_greater(a.q[3], b.q[3], x.q[3], y.q[3])}};
}

ANNEX_INLINE Lanes load_f32(const void* p) { return each<quad_load, 16>(p); }
ANNEX_INLINE Lanes load_f32(const void* p, size_t n) { return load_f32(PaddedBytes<64>(p, 4 * n).bytes); }
ANNEX_INLINE Lanes load_f16(const void* p) { return each<quad_load_f16, 8>(p); }
ANNEX_INLINE Lanes load_f16(const void* p, size_t n) { return load_f16(PaddedBytes<32>(p, 2 * n).bytes); }
ANNEX_INLINE Lanes load_bf16(const void* p) { return each<quad_load_bf16, 8>(p); }
ANNEX_INLINE Lanes load_bf16(const void* p, size_t n) { return load_bf16(PaddedBytes<32>(p, 2 * n).bytes); }
ANNEX_INLINE Lanes load_u8_as_f32(const void* p) { return each<quad_load_u8, 4>(p); }
ANNEX_INLINE Lanes load_u8_as_f32(const void* p, size_t n) { return load_u8_as_f32(PaddedBytes<16>(p, n).bytes); }
ANNEX_INLINE Lanes load_i8_as_f32(const void* p) { return each<quad_load_i8, 4>(p); }
ANNEX_INLINE Lanes load_i8_as_f32(const void* p, size_t n) { return load_i8_as_f32(PaddedBytes<16>(p, n).bytes); }

ANNEX_INLINE Lanes load_i32_as_f32(const int32_t* p) { return each<quad_load_i32, 16>(p); }
ANNEX_INLINE void store_f32(void* p, Lanes a) { each<quad_store, 16>(p, a); }
ANNEX_INLINE void store_f32(void* p, Lanes a, size_t n) {
  uint8_t all[64];
  store_f32(all, a);
  copy_small<64>(p, all, 4 * n);
}
ANNEX_INLINE void store_f16(void* p, Lanes a) { each<quad_store_f16, 8>(p, a); }
ANNEX_INLINE void store_bf16(void* p, Lanes a) { each<quad_store_bf16, 8>(p, a); }
ANNEX_INLINE Lanes keep(Lanes a, size_t n) {
  uint8_t all[64];
  store_f32(all, a);
  return load_f32(all, n);
}

ANNEX_INLINE uint32_t append_indices(uint32_t mask, uint32_t base, uint32_t* to) { return append_bits(mask, base, to); }

// 16→4 of one row: one quad.
ANNEX_INLINE Quad fold_16_to_4(Lanes a) { return quad_add(quad_add(a.q[0], a.q[2]), quad_add(a.q[1], a.q[3])); }

template <int R>
ANNEX_INLINE void sum_rows(const Lanes (&a)[R], float* out) {
  ANNEX_UNROLL
  for (int r = 0; r < R; r += 4) {
    const int last = R - 1;
    const Quad ab = quad_fold_4_to_2(fold_16_to_4(a[r]), fold_16_to_4(a[r + 1 < R ? r + 1 : last]));
    const Quad cd =
        r + 2 < R ? quad_fold_4_to_2(fold_16_to_4(a[r + 2]), fold_16_to_4(a[r + 3 < R ? r + 3 : last])) : ab;
    uint8_t sums[16];
    quad_store(sums, quad_fold_2_to_1(ab, cd));
    memcpy(out + r, sums, 4 * (R - r < 4 ? R - r : 4));
  }
}

// By way of memory, and rolled: 64 quads exceed the registers, and unrolled this would be most of a small module.
constexpr bool kTransposesInRegisters = false;
ANNEX_NOINLINE void store_transposed(const Lanes (&rows)[16], float* to) {
  ANNEX_ROLL
  for (int r = 0; r < 16; r += 4) {
    ANNEX_ROLL
    for (int c = 0; c < 4; c++) {
      Quad block[4] = {rows[r].q[c], rows[r + 1].q[c], rows[r + 2].q[c], rows[r + 3].q[c]};
      quad_transpose(block);
      uint8_t* column = reinterpret_cast<uint8_t*>(to + 64 * c + r);
      quad_store(column, block[0]);
      quad_store(column + 64, block[1]);
      quad_store(column + 128, block[2]);
      quad_store(column + 192, block[3]);
    }
  }
}

ANNEX_INLINE Lanes load_bytes(const void* p, uint8_t flip) {
  Lanes a = load_f32(p);
  ANNEX_UNROLL
  for (int i = 0; i < 4; i++) a.q[i] = quad_flip_bytes(a.q[i], flip);
  return a;
}
ANNEX_INLINE Lanes load_bytes(const void* p, size_t n, uint8_t flip) {
  PaddedBytes<64> padded(p, n);
  for (size_t i = 0; i < n; i++) padded.bytes[i] ^= flip;
  return load_f32(padded.bytes);
}
