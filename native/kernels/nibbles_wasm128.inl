// Nibbles as four vectors of words: WebAssembly multiplies and adds words, and has no product of bytes. The nibbles of
// a word, from its low bits on, are those of the low half of a line, of the high one, and of either for the byte above.
// Included inside the namespace and region of the instruction set, after its bytes.

struct QueryNibbles {
  v128_t words[4];
};
struct Nibbles {
  v128_t words[4];
};
ANNEX_INLINE QueryNibbles query_nibbles(const int8_t* low, const int8_t* high) {
  const v128_t a = wasm_v128_load(low), b = wasm_v128_load(high);
  return {{wasm_i16x8_shr(wasm_i16x8_shl(a, 8), 8), wasm_i16x8_shr(wasm_i16x8_shl(b, 8), 8), wasm_i16x8_shr(a, 8),
           wasm_i16x8_shr(b, 8)}};
}
ANNEX_INLINE Nibbles nibble_masks(const uint8_t* low, const uint8_t* high) {
  const v128_t a = wasm_v128_load(low), b = wasm_v128_load(high), byte = wasm_i16x8_splat(255);
  return {{wasm_v128_and(a, byte), wasm_v128_and(b, byte), wasm_u16x8_shr(a, 8), wasm_u16x8_shr(b, 8)}};
}
ANNEX_INLINE Nibbles load_nibbles(const uint8_t* p, const Nibbles& masks) {
  const v128_t x = wasm_v128_load(p);
  return {{wasm_v128_and(x, masks.words[0]), wasm_v128_and(wasm_u16x8_shr(x, 4), masks.words[1]),
           wasm_v128_and(wasm_u16x8_shr(x, 8), masks.words[2]), wasm_v128_and(wasm_u16x8_shr(x, 12), masks.words[3])}};
}
ANNEX_INLINE Ints add_products(Ints acc, const v128_t (&q)[4], const v128_t (&x)[4]) {
  const v128_t a = wasm_i32x4_add(wasm_i32x4_dot_i16x8(q[0], x[0]), wasm_i32x4_dot_i16x8(q[1], x[1]));
  const v128_t b = wasm_i32x4_add(wasm_i32x4_dot_i16x8(q[2], x[2]), wasm_i32x4_dot_i16x8(q[3], x[3]));
  return {wasm_i32x4_add(acc.v, wasm_i32x4_add(a, b))};
}
ANNEX_INLINE Ints add_products(Ints acc, const QueryNibbles& q, const Nibbles& x) {
  return add_products(acc, q.words, x.words);
}
ANNEX_INLINE Ints add_squares(Ints acc, const Nibbles& x) { return add_products(acc, x.words, x.words); }
