// Four packed links by WebAssembly simd128 (kernels/links_fours.inl).

// Those `kSkipped` bytes from `packed`: into the high bytes of dwords, then shifted down with the mark, which fills the
// places between it and the slot.
template <int kSkipped>
ANNEX_INLINE void unpack_four(const uint8_t* packed, uint32_t* links) {
  constexpr int s = kSkipped;
  const v128_t bytes = wasm_v128_load(packed);
  // The lowest byte of a dword is shifted out, whatever it is.
  const v128_t spread = wasm_i32x4_shr(wasm_i8x16_shuffle(bytes, bytes, 0, s, s + 1, s + 2, 0, s + 3, s + 4, s + 5, 0,
                                                          s + 6, s + 7, s + 8, 0, s + 9, s + 10, s + 11),
                                       8);
  const v128_t none = wasm_i32x4_eq(spread, wasm_i32x4_splat(-1));
  const v128_t kept = wasm_v128_and(spread, wasm_i32x4_splat(static_cast<int>(kTreeBit | kNarrowMask)));
  wasm_v128_store(links, wasm_v128_or(kept, none));
}
