// The sums of a panel, four at a time (four_sums of the byte words).

ANNEX_INLINE Lanes to_lanes(RowSums a) {
  return {{vcvtq_f32_s32(four_sums(a, 0)), vcvtq_f32_s32(four_sums(a, 1)), vcvtq_f32_s32(four_sums(a, 2)),
           vcvtq_f32_s32(four_sums(a, 3))}};
}
ANNEX_INLINE void store_sums(int32_t* p, RowSums a) {
  ANNEX_UNROLL
  for (int i = 0; i < 4; i++) vst1q_s32(p + 4 * i, four_sums(a, i));
}
