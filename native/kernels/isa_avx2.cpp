// AVX2 with FMA and F16C: Haswell, Zen and later.
#include "kernels/isa.h"
#include "kernels/region.h"

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>

ANNEX_REGION_BEGIN("avx2,fma,f16c,popcnt")
namespace annex {
namespace {
namespace avx2 {
// clang-format off
#include "kernels/common.inl"
#include "kernels/vec_avx2.inl"
#include "kernels/bytes_avx2.inl"
#include "kernels/rows.inl"
#include "kernels/nibbles_bytes.inl"
#include "kernels/nibbles.inl"
#include "kernels/panels.inl"
#include "kernels/codec.inl"
#include "kernels/nearest.inl"
#include "kernels/links_avx2.inl"
#include "kernels/links_fours.inl"
#include "kernels/walk.inl"
#include "kernels/crc_x86.inl"
#include "kernels/crc_words.inl"
#include "kernels/codes_avx2.inl"
#include "kernels/codes.inl"
#include "kernels/codes_bytes.inl"
#include "kernels/codes_tables.inl"
#include "kernels/table_codes.inl"
#include "kernels/table_bytes.inl"
#include "kernels/table.inl"
// clang-format on
}  // namespace avx2
}  // namespace

const Kernels& avx2_table() {
  static constexpr Kernels table = avx2::make_table("avx2");
  return table;
}
}  // namespace annex
ANNEX_REGION_END
#endif
