// Nibbles as two vectors of bytes, where bytes are multiplied by bytes. Included inside the namespace and region of the
// instruction set, after its bytes.

struct QueryNibbles {
  Bytes low, high;
};
struct Nibbles {
  Bytes low, high;
};
ANNEX_INLINE QueryNibbles query_nibbles(const int8_t* low, const int8_t* high) {
  return {load_row(low), load_row(high)};
}
ANNEX_INLINE Nibbles nibble_masks(const uint8_t* low, const uint8_t* high) { return {load_row(low), load_row(high)}; }
ANNEX_INLINE Nibbles load_nibbles(const uint8_t* p, const Nibbles& masks) {
  const Bytes x = load_row(p);
  return {bit_and(x, masks.low), bit_and(shift_nibbles(x), masks.high)};
}
ANNEX_INLINE Ints add_products(Ints acc, const QueryNibbles& q, const Nibbles& x) {
  return add_dot_nibbles(add_dot_nibbles(acc, q.low, x.low), q.high, x.high);
}
ANNEX_INLINE Ints add_squares(Ints acc, const Nibbles& x) {
  return add_dot_nibbles(add_dot_nibbles(acc, x.low, x.low), x.high, x.high);
}
