#include "kernels/cpu.h"

#include <stdint.h>

#if defined(__x86_64__) || defined(_M_X64)
#if defined(_MSC_VER)
#include <immintrin.h>
#include <intrin.h>
#else
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#endif
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#elif defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>
#endif

namespace annex {

#if defined(__x86_64__) || defined(_M_X64)

namespace {

struct Leaf {
  uint32_t a = 0, b = 0, c = 0, d = 0;
};

Leaf cpuid(uint32_t leaf) {
  Leaf r;
#if defined(_MSC_VER)
  int highest[4], v[4];
  __cpuid(highest, 0);
  if (static_cast<uint32_t>(highest[0]) < leaf) return r;
  __cpuidex(v, static_cast<int>(leaf), 0);
  r.a = static_cast<uint32_t>(v[0]);
  r.b = static_cast<uint32_t>(v[1]);
  r.c = static_cast<uint32_t>(v[2]);
  r.d = static_cast<uint32_t>(v[3]);
#else
  __get_cpuid_count(leaf, 0, &r.a, &r.b, &r.c, &r.d);  // leaves zeros where the leaf does not exist
#endif
  return r;
}

uint64_t saved_state() {  // the register files that the operating system saves: XCR0
#if defined(_MSC_VER)
  return _xgetbv(0);
#else
  uint32_t low, high;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return static_cast<uint64_t>(high) << 32 | low;
#endif
}

bool permit_tiles() {
#if defined(__linux__) && defined(__x86_64__)
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

constexpr bool has(uint32_t word, uint32_t bits) { return (word & bits) == bits; }
constexpr uint32_t bit(int i) { return uint32_t{1} << i; }

}  // namespace

CpuFeatures cpu_features() {
  CpuFeatures f;
  const Leaf one = cpuid(1), seven = cpuid(7);
  // FMA, POPCNT, OSXSAVE, AVX, F16C
  if (!has(one.c, bit(12) | bit(23) | bit(27) | bit(28) | bit(29))) return f;
  const uint64_t state = saved_state();
  constexpr uint64_t kYmm = 0x06, kZmm = 0xe6;
  f.avx2 = (state & kYmm) == kYmm && has(seven.b, bit(5));
  // F, DQ, CD, BW, VL
  f.avx512 = f.avx2 && (state & kZmm) == kZmm && has(seven.b, bit(16) | bit(17) | bit(28) | bit(30) | bit(31));
  // VBMI, VPCLMULQDQ, VNNI, BITALG, VPOPCNTDQ
  f.avx512vnni = f.avx512 && has(seven.c, bit(1) | bit(10) | bit(11) | bit(12) | bit(14));
  // TILE, INT8; and the process must ask Linux for leave to use the tile registers.
  constexpr uint64_t kTiles = 0x60000;
  f.avx512amx = f.avx512vnni && (state & kTiles) == kTiles && has(seven.d, bit(24) | bit(25)) && permit_tiles();
  return f;
}

#elif defined(__aarch64__)

CpuFeatures cpu_features() {
  CpuFeatures f;
#if defined(__linux__)
  constexpr unsigned long kAsimdDotProduct = 1ul << 20;  // HWCAP_ASIMDDP
  f.dotprod = (getauxval(AT_HWCAP) & kAsimdDotProduct) != 0;
#elif defined(__APPLE__)
  int present = 0;
  size_t size = sizeof present;
  f.dotprod = sysctlbyname("hw.optional.arm.FEAT_DotProd", &present, &size, nullptr, 0) == 0 && present != 0;
#elif defined(__ARM_FEATURE_DOTPROD)
  f.dotprod = true;
#endif
  return f;
}

#else

CpuFeatures cpu_features() { return {}; }

#endif

}  // namespace annex
