// NEON, which every aarch64 processor has.
#include "kernels/isa.h"
#include "kernels/region.h"

#if defined(__aarch64__) || defined(_M_ARM64)
#include <arm_neon.h>

namespace annex {
namespace {
namespace neon {
// clang-format off
#include "kernels/common.inl"
#include "kernels/vec_neon.inl"
#include "kernels/vec_quads.inl"
#include "kernels/words_neon.inl"
#include "kernels/bytes_neon.inl"
#include "kernels/sums_neon.inl"
#include "kernels/rows.inl"
#include "kernels/nibbles_bytes.inl"
#include "kernels/nibbles.inl"
#include "kernels/panels.inl"
#include "kernels/codec.inl"
#include "kernels/nearest.inl"
#include "kernels/links_neon.inl"
#include "kernels/links_fours.inl"
#include "kernels/walk.inl"
#include "kernels/crc_tables.inl"
#include "kernels/codes_neon.inl"
#include "kernels/codes.inl"
#include "kernels/codes_bytes.inl"
#include "kernels/codes_tables.inl"
#include "kernels/table_codes.inl"
#include "kernels/table_bytes.inl"
#include "kernels/table.inl"
// clang-format on
}  // namespace neon
}  // namespace

const Kernels& neon_table() {
  static constexpr Kernels table = neon::make_table("neon");
  return table;
}
}  // namespace annex
#endif
