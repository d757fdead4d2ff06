// AVX-512 of Ice Lake, Zen 4 and later: VNNI, VBMI, VPOPCNTDQ, BITALG and VPCLMULQDQ besides. Floats are those of
// avx512.
#include "kernels/isa.h"
#include "kernels/region.h"

#if defined(__x86_64__) || defined(_M_X64)
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"  // from the compiler's own headers: _mm512_undefined_ps()
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>

ANNEX_REGION_BEGIN(
    "avx2,fma,f16c,popcnt,avx512f,avx512bw,avx512dq,avx512vl,avx512cd,avx512vnni,avx512vbmi,avx512vpopcntdq,"
    "avx512bitalg,vpclmulqdq")
namespace annex {
namespace {
namespace avx512vnni {
// clang-format off
#include "kernels/common.inl"
#include "kernels/vec_avx512.inl"
#include "kernels/bytes512.inl"
#include "kernels/bytes_avx512vnni.inl"
#include "kernels/rows.inl"
#include "kernels/nibbles_bytes.inl"
#include "kernels/nibbles.inl"
#include "kernels/nibbles_avx512vnni.inl"
#include "kernels/panels.inl"
#include "kernels/crc_x86.inl"
#include "kernels/crc_words.inl"
#include "kernels/crc_folds.inl"
#include "kernels/codes_avx512vnni.inl"
#include "kernels/codes.inl"
#include "kernels/codes_avx512vnni_bytes.inl"
#include "kernels/codes_tables.inl"
#include "kernels/table_codes.inl"
#include "kernels/table_bytes.inl"
// clang-format on

Kernels make_table() {
  Kernels table = avx512_table();
  table.name = "avx512vnni";
  set_bytes(table);
  table.tile_nibbles = tile_nibbles_abreast;
  table.crc32c = crc32c_by_folds;
  table.codes = make_code_kernels();
  return table;
}
}  // namespace avx512vnni
}  // namespace

const Kernels& avx512vnni_table() {
  static const Kernels table = avx512vnni::make_table();
  return table;
}
}  // namespace annex
ANNEX_REGION_END
#endif
