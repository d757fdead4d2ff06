// Plain C++: the reference of all other tables, and the fallback. WebAssembly always has simd128 and leaves it out.
#include "kernels/isa.h"
#include "kernels/region.h"

#if !defined(__wasm__)
#include <math.h>

namespace annex {
namespace {
namespace scalar {
// clang-format off
#include "kernels/common.inl"
#include "kernels/vec_scalar.inl"
#include "kernels/rows.inl"
#include "kernels/nibbles_bytes.inl"
#include "kernels/nibbles.inl"
#include "kernels/panels.inl"
#include "kernels/codec.inl"
#include "kernels/nearest.inl"
#include "kernels/links_scalar.inl"
#include "kernels/walk.inl"
#include "kernels/crc_tables.inl"
#include "kernels/codes_scalar.inl"
#include "kernels/codes.inl"
#include "kernels/codes_bytes.inl"
#include "kernels/codes_tables.inl"
#include "kernels/table_codes.inl"
#include "kernels/table_bytes.inl"
#include "kernels/table.inl"
// clang-format on
}  // namespace scalar
}  // namespace

const Kernels& scalar_table() {
  static constexpr Kernels table = scalar::make_table("scalar");
  return table;
}
}  // namespace annex
#endif
