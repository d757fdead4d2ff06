// AVX-512 of Skylake-X and later: F, BW, DQ, VL, CD.
#include "kernels/isa.h"
#include "kernels/region.h"

#if defined(__x86_64__) || defined(_M_X64)
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"  // from the compiler's own headers: _mm512_undefined_ps()
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>

ANNEX_REGION_BEGIN("avx2,fma,f16c,popcnt,avx512f,avx512bw,avx512dq,avx512vl,avx512cd")
namespace annex {
namespace {
namespace avx512 {
// clang-format off
#include "kernels/common.inl"
#include "kernels/vec_avx512.inl"
#include "kernels/bytes512.inl"
#include "kernels/bytes_avx512.inl"
#include "kernels/rows.inl"
#include "kernels/nibbles_bytes.inl"
#include "kernels/nibbles.inl"
#include "kernels/panels.inl"
#include "kernels/codec.inl"
#include "kernels/nearest.inl"
#include "kernels/walk_avx512.inl"
#include "kernels/crc_x86.inl"
#include "kernels/crc_words.inl"
#include "kernels/codes_avx512.inl"
#include "kernels/codes.inl"
#include "kernels/codes_bytes.inl"
#include "kernels/codes_tables.inl"
#include "kernels/table_codes.inl"
#include "kernels/table_bytes.inl"
#include "kernels/table.inl"
// clang-format on
}  // namespace avx512
}  // namespace

const Kernels& avx512_table() {
  static constexpr Kernels table = avx512::make_table("avx512");
  return table;
}
}  // namespace annex
ANNEX_REGION_END
#endif
