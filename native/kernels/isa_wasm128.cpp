// WebAssembly simd128: the only table of that build.
#include "kernels/isa.h"
#include "kernels/region.h"

#if defined(__wasm_simd128__)
#include <wasm_simd128.h>

namespace annex {
namespace {
namespace wasm128 {
// clang-format off
#include "kernels/common.inl"
#include "kernels/vec_wasm128.inl"
#include "kernels/vec_quads.inl"
#include "kernels/words_wasm128.inl"
#include "kernels/rows.inl"
#include "kernels/nibbles_wasm128.inl"
#include "kernels/nibbles.inl"
#include "kernels/panels.inl"
#include "kernels/codec.inl"
#include "kernels/nearest.inl"
#include "kernels/links_wasm128.inl"
#include "kernels/links_fours.inl"
#include "kernels/walk.inl"
#include "kernels/crc_tables.inl"
#include "kernels/codes_wasm128.inl"
#include "kernels/codes.inl"
#include "kernels/codes_bytes.inl"
#include "kernels/codes_tables.inl"
#include "kernels/table_codes.inl"
#include "kernels/table_bytes.inl"
#include "kernels/table.inl"
// clang-format on
}  // namespace wasm128
}  // namespace

const Kernels& wasm128_table() {
  static constexpr Kernels table = wasm128::make_table("wasm128");
  return table;
}
}  // namespace annex
#endif
