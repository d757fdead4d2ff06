// The tables of the instruction sets. Each getter exists only in builds for its architecture, and may be called only
// when the processor has the instruction set (cpu.h).
#pragma once
#include "kernels/kernels.h"

namespace annex {

const Kernels& scalar_table();
const Kernels& avx2_table();
const Kernels& avx512_table();
const Kernels& avx512vnni_table();
const Kernels& avx512amx_table();
const Kernels& neon_table();
const Kernels* neondot_table();  // null where the compiler lacks the instructions
const Kernels& wasm128_table();

}  // namespace annex
