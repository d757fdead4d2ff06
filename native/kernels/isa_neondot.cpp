// NEON with the dot product instructions (ARMv8.2 and later, which has the CRC instructions too). Floats are those
// of neon.
#include "kernels/isa.h"
#include "kernels/region.h"

#if defined(__aarch64__) || defined(_M_ARM64)
#include <arm_acle.h>
#include <arm_neon.h>

// Older clang declares the intrinsics only where the whole file is compiled for the instructions.
#if defined(__clang__) && __clang_major__ < 16 && !defined(__ARM_FEATURE_DOTPROD)
#define ANNEX_DOTPROD 0
#else
#define ANNEX_DOTPROD 1
#endif

#if ANNEX_DOTPROD
#if defined(__clang__)
ANNEX_REGION_BEGIN("dotprod,crc")
#else
ANNEX_REGION_BEGIN("arch=armv8.2-a+dotprod+crc")
#endif
namespace annex {
namespace {
namespace neondot {
// clang-format off
#include "kernels/common.inl"
#include "kernels/vec_neon.inl"
#include "kernels/vec_quads.inl"
#include "kernels/words_neon.inl"
#include "kernels/bytes_neondot.inl"
#include "kernels/sums_neon.inl"
#include "kernels/rows.inl"
#include "kernels/nibbles_bytes.inl"
#include "kernels/nibbles.inl"
#include "kernels/panels.inl"
#include "kernels/crc_neon.inl"
#include "kernels/crc_words.inl"
#include "kernels/table_bytes.inl"
// clang-format on

Kernels make_table() {
  Kernels table = neon_table();
  table.name = "neondot";
  set_bytes(table);
  table.crc32c = crc32c;
  return table;
}
}  // namespace neondot
}  // namespace

const Kernels* neondot_table() {
  static const Kernels table = neondot::make_table();
  return &table;
}
}  // namespace annex
ANNEX_REGION_END

#else
namespace annex {
const Kernels* neondot_table() { return nullptr; }
}  // namespace annex
#endif
#endif
