// Enters the kernels of whole bytes into a table. Included after the bodies, inside the namespace and region.

constexpr size_t at(Scalar s) { return static_cast<size_t>(s); }
constexpr size_t at(Op o) { return static_cast<size_t>(o); }

template <class K>
constexpr void set_rows(Kernels& k, Scalar s, Op o) {
  k.scan[at(s)][at(o)] = scan<K>;
  k.gather[at(s)][at(o)] = gather<K>;
}

template <Scalar S>
constexpr void set_byte_rows(Kernels& k) {
  set_rows<ByteKernel<S, Op::dot>>(k, S, Op::dot);
  set_rows<ByteKernel<S, Op::l2>>(k, S, Op::l2);
  set_rows<ByteKernel<S, Op::l1>>(k, S, Op::l1);
}

constexpr void set_bytes(Kernels& k) {
  set_byte_rows<Scalar::i8>(k);
  set_byte_rows<Scalar::u8>(k);
  set_rows<ByteKernel<Scalar::bits, Op::hamming>>(k, Scalar::bits, Op::hamming);
  set_rows<ByteKernel<Scalar::bits, Op::jaccard>>(k, Scalar::bits, Op::jaccard);
  k.gather_nibbles = gather_nibbles;
  k.tile_nibbles = tile_nibbles;
  k.hits_u8 = hits_u8;
  k.sums_u8 = sums_u8;
}
