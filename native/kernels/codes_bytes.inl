// Scans of 8-bit codes with tables in memory. Included after codes.inl.

// Eight rows at a time: eight chains of additions hide each other's latency, and one load brings eight codes.
ANNEX_INLINE void sum_bytes_8(const uint8_t* codes, size_t m, const float* table, float* out) {
  float sums[8] = {};
  for (size_t j = 0; j < m; j++) {
    uint32_t low, high;
    memcpy(&low, codes + kCodeRows * j, 4);
    memcpy(&high, codes + kCodeRows * j + 4, 4);
    const float* t = table + 256 * j;
    sums[0] += t[low & 255];
    sums[1] += t[low >> 8 & 255];
    sums[2] += t[low >> 16 & 255];
    sums[3] += t[low >> 24];
    sums[4] += t[high & 255];
    sums[5] += t[high >> 8 & 255];
    sums[6] += t[high >> 16 & 255];
    sums[7] += t[high >> 24];
  }
  memcpy(out, sums, sizeof sums);
}

inline void scan_bytes(const CodeBlocks& blocks, ByteQuery* queries, size_t nq) {
  const bool has_add = blocks.factors == CodeFactors::add, has_scale = blocks.factors == CodeFactors::scale;
  for (size_t row = 0; row < blocks.n; row += kCodeRows) {
    const uint8_t* block = blocks.data + row / kCodeRows * blocks.stride;
    for (size_t q = 0; q < nq; q++) {
      ByteQuery& query = queries[q];
      float sums[kCodeRows];
      for (size_t i = 0; i < kCodeRows; i += 8) sum_bytes_8(block + i, blocks.m, query.table, sums + i);
      for (size_t h = 0; h < kCodeRows; h += 16) {
        RowValues values;
        values.sum = load_f32(sums + h);
        Lanes base = fill(query.g);
        const uint8_t* factors = block + kCodeRows * blocks.m + 4 * h;
        if (has_add) base = add(base, load_f32(factors));
        values.estimate = add(base, values.sum);
        if (has_scale) values.estimate = mul(load_f32(factors), values.estimate);
        values.bound = values.estimate;
        const uint32_t mask = mask_not_greater(values.bound, fill(query.threshold)) & rows_below(blocks.n, row + h);
        if (mask) query.count += append_hits(values, mask, static_cast<uint32_t>(row + h), query.hits + query.count);
      }
    }
  }
}
