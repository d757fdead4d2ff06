// What the processor and the operating system let us run.
#pragma once

namespace annex {

struct CpuFeatures {
  bool avx2 = false;        // AVX2, FMA, F16C, POPCNT
  bool avx512 = false;      // besides: AVX-512 F, BW, DQ, VL, CD
  bool avx512vnni = false;  // besides: VNNI, VBMI, VPOPCNTDQ, BITALG, VPCLMULQDQ
  bool avx512amx = false;   // besides: AMX-TILE and AMX-INT8, with the system's leave
  bool dotprod = false;     // aarch64: SDOT and UDOT
};

CpuFeatures cpu_features();

}  // namespace annex
