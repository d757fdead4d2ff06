// What codes.inl is written in, in plain C++: what every word means.

struct Words {  // sixteen uint32
  uint32_t v[16];
};
constexpr int kNibbleQueries = 1;  // queries that share the loads of codes

ANNEX_INLINE Lanes to_lanes(Words a) {
  Lanes r;
  for (int j = 0; j < 16; j++) r.v[j] = static_cast<float>(a.v[j]);
  return r;
}
ANNEX_INLINE void store_words(uint32_t* p, Words a) { memcpy(p, a.v, 64); }

// Sums of the table entries of 32 rows, for Q queries.
template <int Q>
ANNEX_INLINE void sum_nibbles(const uint8_t* codes, size_t m, const uint8_t* const (&luts)[Q], Words (&out)[Q][2]) {
  for (int q = 0; q < Q; q++) {
    out[q][0] = out[q][1] = Words{};
    for (size_t j = 0; j < m; j++) {
      const uint8_t *c = codes + 16 * j, *lut = luts[q] + 16 * j;
      for (int i = 0; i < 16; i++) {
        out[q][0].v[i] += lut[c[i] & 15];
        out[q][1].v[i] += lut[c[i] >> 4];
      }
    }
  }
}

// Σ query[d] · code_d over 64 elements, or the first n, a multiple of 8, of a last group.
struct PlaneSum {
  uint32_t v;
  ANNEX_INLINE void clear() { v = 0; }
  ANNEX_INLINE void add(const int16_t* query, const uint8_t* planes, size_t n, size_t count) {
    for (size_t d = 0; d < n; d++) {
      uint32_t code = 0;
      for (size_t b = 0; b < count; b++) code |= static_cast<uint32_t>(planes[b * n / 8 + d / 8] >> d % 8 & 1) << b;
      v += static_cast<uint32_t>(query[d]) * code;
    }
  }
  ANNEX_INLINE int32_t total() const { return static_cast<int32_t>(v); }
};

// H₁₆ x by butterflies of span 8, 4, 2, 1.
ANNEX_INLINE Lanes hadamard_16(Lanes x) {
  for (int span = 8; span > 0; span /= 2) {
    for (int j = 0; j < 16; j++) {
      if (j & span) continue;
      const float a = x.v[j], b = x.v[j + span];
      x.v[j] = a + b;
      x.v[j + span] = a - b;
    }
  }
  return x;
}
