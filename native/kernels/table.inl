// The whole table. Included last, inside the namespace and region.

template <Scalar S>
constexpr void set_float_rows(Kernels& k) {
  set_rows<FloatKernel<S, Op::dot>>(k, S, Op::dot);
  set_rows<FloatKernel<S, Op::l2>>(k, S, Op::l2);
  set_rows<FloatKernel<S, Op::l1>>(k, S, Op::l1);
}

constexpr Kernels make_table(const char* name) {
  Kernels k{};
  k.name = name;
  set_float_rows<Scalar::f32>(k);
  set_float_rows<Scalar::f16>(k);
  set_float_rows<Scalar::bf16>(k);
  set_float_rows<Scalar::sq8>(k);
  set_bytes(k);
  k.pack[at(Scalar::f32)] = pack_float<Scalar::f32>;
  k.pack[at(Scalar::f16)] = pack_float<Scalar::f16>;
  k.pack[at(Scalar::bf16)] = pack_float<Scalar::bf16>;
  k.pack[at(Scalar::sq8)] = pack_float<Scalar::sq8>;
  k.pack[at(Scalar::i8)] = pack_bytes<128>;
  k.pack[at(Scalar::u8)] = pack_bytes<0>;
  k.hits_f32 = hits_f32;
  k.sums_f32 = sums_f32;
  k.encode[at(Scalar::f32)] = encode_f32;
  k.encode[at(Scalar::f16)] = encode_half<false>;
  k.encode[at(Scalar::bf16)] = encode_half<true>;
  k.encode[at(Scalar::sq8)] = encode_sq8;
  k.decode[at(Scalar::f32)] = decode_f32;
  k.decode[at(Scalar::f16)] = decode<FloatRow<Scalar::f16>>;
  k.decode[at(Scalar::bf16)] = decode<FloatRow<Scalar::bf16>>;
  k.decode[at(Scalar::sq8)] = decode<FloatRow<Scalar::sq8>>;
  k.decode[at(Scalar::i8)] = decode<ByteRow<Scalar::i8>>;
  k.decode[at(Scalar::u8)] = decode<ByteRow<Scalar::u8>>;
  k.quantize = quantize;
  k.project = project;
  k.first_nonfinite = first_nonfinite;
  k.select_le = select_le;
  k.nearest = nearest_table();
  k.walk = {take_unseen, take_unlisted,  unpack_links, count_links,
            nearest_key, add_candidates, count_within, survey_links};
  k.crc32c = crc32c;
  k.codes = make_code_kernels();
  return k;
}
