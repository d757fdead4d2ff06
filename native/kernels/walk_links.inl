// A loop that compilers make SIMD of (kernels/walk.h): so it is faster under the instruction sets than in baseline
// code. Included inside the namespace and region of the instruction set.

inline LinkSurvey survey_links(const uint32_t* links, size_t n, uint32_t nodes) {
  uint32_t astray = 0, marks = 0;
  for (size_t i = 0; i < n; i++) {
    const uint32_t is_link = static_cast<uint32_t>(links[i] != kNoLink);
    astray |= static_cast<uint32_t>((links[i] & kSlotMask) >= nodes) & is_link;
    marks += links[i] >> 31 & is_link;
  }
  return {astray != 0, marks};
}
