// Words of codes.inl that the 128-bit instruction sets share.

// H₁₆ of sixteen lanes: across the quads, then within them by way of a transposition.
ANNEX_INLINE void cross_quads(Quad (&m)[4]) {
  const Quad a = quad_add(m[0], m[2]), b = quad_add(m[1], m[3]);
  const Quad c = quad_sub(m[0], m[2]), d = quad_sub(m[1], m[3]);
  m[0] = quad_add(a, b);
  m[1] = quad_sub(a, b);
  m[2] = quad_add(c, d);
  m[3] = quad_sub(c, d);
}
ANNEX_INLINE Lanes hadamard_16(Lanes x) {
  cross_quads(x.q);
  quad_transpose(x.q);
  cross_quads(x.q);
  quad_transpose(x.q);
  return x;
}

constexpr size_t kGroup = 512;  // sub-quantizers whose entries add up to less than 2¹⁶

// Two sub-quantizers at a time, whose entries add up to at most 255 and are added as bytes. The instruction set defines
// Quarter (sixteen bytes), ByteSums, load_quarter, low_nibbles, high_nibbles, look_up and add_bytes.
template <int Q>
ANNEX_INLINE void add_nibbles_2(Quarter a, Quarter b, const uint8_t* const (&luts)[Q], size_t at,
                                ByteSums (&sums)[Q][2]) {
  const Quarter a0 = low_nibbles(a), a1 = high_nibbles(a), b0 = low_nibbles(b), b1 = high_nibbles(b);
  unroll<Q>([&](auto q) ANNEX_INLINE_LAMBDA {
    const Quarter t = load_quarter(luts[q] + at), u = load_quarter(luts[q] + at + 16);
    sums[q][0].add(add_bytes(look_up(t, a0), look_up(u, b0)));
    sums[q][1].add(add_bytes(look_up(t, a1), look_up(u, b1)));
  });
}

template <int Q>
ANNEX_INLINE void sum_nibbles(const uint8_t* codes, size_t m, const uint8_t* const (&luts)[Q], Words (&out)[Q][2]) {
  for (size_t first = 0; first < m || first == 0; first += kGroup) {
    const size_t last = m - first < kGroup ? m : first + kGroup;
    ByteSums sums[Q][2];
    unroll<Q>([&](auto q) ANNEX_INLINE_LAMBDA {
      sums[q][0].clear();
      sums[q][1].clear();
    });
    size_t j = first;
    for (; j + 2 <= last; j += 2) {
      add_nibbles_2<Q>(load_quarter(codes + 16 * j), load_quarter(codes + 16 * j + 16), luts, 16 * j, sums);
    }
    if (j < last) {  // the table behind the last is zero
      const Quarter a = load_quarter(codes + 16 * j);
      add_nibbles_2<Q>(a, a, luts, 16 * j, sums);
    }
    unroll<Q>([&](auto q) ANNEX_INLINE_LAMBDA {
      unroll<2>([&](auto h) ANNEX_INLINE_LAMBDA {
        out[q][h] = first == 0 ? sums[q][h].words() : add(out[q][h], sums[q][h].words());
      });
    });
  }
}
