// Four packed links by NEON (kernels/links_fours.inl).

// Those `kSkipped` bytes from `packed`: into the high bytes of dwords, then shifted down with the mark, which fills the
// places between it and the slot.
template <int kSkipped>
ANNEX_INLINE void unpack_four(const uint8_t* packed, uint32_t* links) {
  constexpr uint8_t s = kSkipped;
  // The lowest byte of a dword is shifted out, whatever it is.
  static constexpr uint8_t places[16] = {0, s,     s + 1, s + 2, 0, s + 3, s + 4,  s + 5,
                                         0, s + 6, s + 7, s + 8, 0, s + 9, s + 10, s + 11};
  const int32x4_t spread = vshrq_n_s32(vreinterpretq_s32_u8(vqtbl1q_u8(vld1q_u8(packed), vld1q_u8(places))), 8);
  const uint32x4_t none = vceqq_s32(spread, vdupq_n_s32(-1));
  const uint32x4_t kept = vandq_u32(vreinterpretq_u32_s32(spread), vdupq_n_u32(kTreeBit | kNarrowMask));
  vst1q_u32(links, vorrq_u32(kept, none));
}
