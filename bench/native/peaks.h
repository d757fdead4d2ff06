// What the processor can do at best, measured: reading, fused multiply-adds, byte dot products. The floors of
// kernels_bench.cpp. Included once.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/region.h"

#if defined(__x86_64__) || defined(_M_X64)
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"  // from the compiler's own headers
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>
#endif

namespace peaks {

/// Reads all bytes (a multiple of 1024) and returns something that depends on them.
using Read = uint64_t (*)(const uint8_t* bytes, size_t n);
/// Runs that many rounds of kChains independent operations; returns something that depends on them.
using Compute = float (*)(size_t rounds);

struct Peaks {
  Read read;
  Compute fma;        // null where there is none
  double fma_round;   // multiply-adds of one round
  Compute byte_dot;   // the fastest exact byte dot product the instruction set has; null where not measured
  double byte_round;  // byte products of one round
  Compute lookup;     // tables of 16 bytes in registers; null where not measured
  double lookup_round;
  Compute byte_lookup;  // tables of 256 entries, the fastest way; null where not measured
  double byte_lookup_round;
  Compute row_dot = nullptr;  // byte_dot of one row at a time, without tiles
  double row_round = 0;
};

inline uint64_t read_plain(const uint8_t* bytes, size_t n) {
  uint64_t sum[8] = {};
  for (size_t i = 0; i < n; i += 64) {
    uint64_t x[8];
    std::memcpy(x, bytes + i, 64);
    for (int j = 0; j < 8; j++) sum[j] += x[j];
  }
  return sum[0] + sum[1] + sum[2] + sum[3] + sum[4] + sum[5] + sum[6] + sum[7];
}

#if defined(__x86_64__) || defined(_M_X64)
ANNEX_REGION_BEGIN("avx2,fma")
namespace avx2 {
inline uint64_t read(const uint8_t* bytes, size_t n) {
  __m256i sum[8] = {};
  for (size_t i = 0; i < n; i += 256) {
    ANNEX_UNROLL
    for (int j = 0; j < 8; j++) {
      const void* p = bytes + i + 32 * j;
      sum[j] = _mm256_add_epi64(sum[j], _mm256_loadu_si256(static_cast<const __m256i*>(p)));
    }
  }
  ANNEX_UNROLL
  for (int j = 1; j < 8; j++) sum[0] = _mm256_add_epi64(sum[0], sum[j]);
  return static_cast<uint64_t>(_mm256_extract_epi64(sum[0], 0) + _mm256_extract_epi64(sum[0], 3));
}
inline float fma(size_t rounds) {
  __m256 a[12];
  const __m256 x = _mm256_set1_ps(0.999f), y = _mm256_set1_ps(0.001f);
  ANNEX_UNROLL
  for (int j = 0; j < 12; j++) a[j] = y;
  for (size_t i = 0; i < rounds; i++) {
    ANNEX_UNROLL
    for (int j = 0; j < 12; j++) {
      a[j] = _mm256_fmadd_ps(a[j], x, y);
      asm("" : "+x"(a[j]));
    }
  }
  ANNEX_UNROLL
  for (int j = 1; j < 12; j++) a[0] = _mm256_add_ps(a[0], a[j]);
  return _mm256_cvtss_f32(a[0]);
}
// Sixteen 16-bit products and their addition to the sums.
inline float byte_dot(size_t rounds) {
  __m256i a[12];
  __m256i x = _mm256_set1_epi16(3);
  ANNEX_UNROLL
  for (int j = 0; j < 12; j++) a[j] = x;
  for (size_t i = 0; i < rounds; i++) {
    ANNEX_UNROLL
    for (int j = 0; j < 12; j++) {
      asm("" : "+x"(x));
      a[j] = _mm256_add_epi32(a[j], _mm256_madd_epi16(x, x));
      asm("" : "+x"(a[j]));
    }
  }
  ANNEX_UNROLL
  for (int j = 1; j < 12; j++) a[0] = _mm256_add_epi32(a[0], a[j]);
  return static_cast<float>(_mm256_extract_epi32(a[0], 0));
}
inline float lookup(size_t rounds) {
  __m256i a[8];
  const __m256i table = _mm256_set1_epi8(3);
  ANNEX_UNROLL
  for (int j = 0; j < 8; j++) a[j] = table;
  for (size_t i = 0; i < rounds; i++) {
    ANNEX_UNROLL
    for (int j = 0; j < 8; j++) {
      a[j] = _mm256_shuffle_epi8(table, a[j]);
      asm("" : "+x"(a[j]));
    }
  }
  ANNEX_UNROLL
  for (int j = 1; j < 8; j++) a[0] = _mm256_add_epi32(a[0], a[j]);
  return static_cast<float>(_mm256_extract_epi32(a[0], 0));
}
// Four codes in one load, then four entries from memory.
inline float byte_lookup(size_t rounds) {
  alignas(64) static const float table[2048] = {};
  alignas(64) static const uint8_t codes[4096] = {};
  float sums[8] = {};
  for (size_t i = 0; i < rounds; i++) {
    uint32_t low, high;
    std::memcpy(&low, codes + 8 * (i % 512), 4);
    std::memcpy(&high, codes + 8 * (i % 512) + 4, 4);
    const float* t = table + 256 * (i % 8);
    ANNEX_UNROLL
    for (int j = 0; j < 4; j++) {
      sums[j] += t[low >> 8 * j & 255];
      sums[4 + j] += t[high >> 8 * j & 255];
    }
  }
  return sums[0] + sums[1] + sums[2] + sums[3] + sums[4] + sums[5] + sums[6] + sums[7];
}
}  // namespace avx2
ANNEX_REGION_END

ANNEX_REGION_BEGIN("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")
namespace avx512 {
inline uint64_t read(const uint8_t* bytes, size_t n) {
  __m512i sum[8] = {};
  for (size_t i = 0; i < n; i += 512) {
    ANNEX_UNROLL
    for (int j = 0; j < 8; j++) sum[j] = _mm512_add_epi64(sum[j], _mm512_loadu_si512(bytes + i + 64 * j));
  }
  ANNEX_UNROLL
  for (int j = 1; j < 8; j++) sum[0] = _mm512_add_epi64(sum[0], sum[j]);
  return static_cast<uint64_t>(_mm512_reduce_add_epi64(sum[0]));
}
inline float fma(size_t rounds) {
  __m512 a[16];
  const __m512 x = _mm512_set1_ps(0.999f), y = _mm512_set1_ps(0.001f);
  ANNEX_UNROLL
  for (int j = 0; j < 16; j++) a[j] = y;
  for (size_t i = 0; i < rounds; i++) {
    ANNEX_UNROLL
    for (int j = 0; j < 16; j++) {
      a[j] = _mm512_fmadd_ps(a[j], x, y);
      asm("" : "+v"(a[j]));
    }
  }
  ANNEX_UNROLL
  for (int j = 1; j < 16; j++) a[0] = _mm512_add_ps(a[0], a[j]);
  return _mm512_cvtss_f32(a[0]);
}
inline float byte_dot(size_t rounds) {
  __m512i a[16];
  __m512i x = _mm512_set1_epi16(3);
  ANNEX_UNROLL
  for (int j = 0; j < 16; j++) a[j] = x;
  for (size_t i = 0; i < rounds; i++) {
    ANNEX_UNROLL
    for (int j = 0; j < 16; j++) {
      asm("" : "+v"(x));
      a[j] = _mm512_add_epi32(a[j], _mm512_madd_epi16(x, x));
      asm("" : "+v"(a[j]));
    }
  }
  ANNEX_UNROLL
  for (int j = 1; j < 16; j++) a[0] = _mm512_add_epi32(a[0], a[j]);
  return static_cast<float>(_mm512_reduce_add_epi32(a[0]));
}
inline float lookup(size_t rounds) {
  __m512i a[8];
  const __m512i table = _mm512_set1_epi8(3);
  ANNEX_UNROLL
  for (int j = 0; j < 8; j++) a[j] = table;
  for (size_t i = 0; i < rounds; i++) {
    ANNEX_UNROLL
    for (int j = 0; j < 8; j++) {
      a[j] = _mm512_shuffle_epi8(table, a[j]);
      asm("" : "+v"(a[j]));
    }
  }
  ANNEX_UNROLL
  for (int j = 1; j < 8; j++) a[0] = _mm512_add_epi32(a[0], a[j]);
  return static_cast<float>(_mm512_reduce_add_epi32(a[0]));
}
inline float byte_dot_vnni(size_t rounds) {
  __m512i a[16];
  const __m512i x = _mm512_set1_epi8(3);
  ANNEX_UNROLL
  for (int j = 0; j < 16; j++) a[j] = x;
  for (size_t i = 0; i < rounds; i++) {
    ANNEX_UNROLL
    for (int j = 0; j < 16; j++) {
      a[j] = _mm512_dpbusd_epi32(a[j], x, x);
      asm("" : "+v"(a[j]));
    }
  }
  ANNEX_UNROLL
  for (int j = 1; j < 16; j++) a[0] = _mm512_add_epi32(a[0], a[j]);
  return static_cast<float>(_mm512_reduce_add_epi32(a[0]));
}
}  // namespace avx512
ANNEX_REGION_END

ANNEX_REGION_BEGIN("avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi")
namespace vbmi {
// Tables of 256 bytes in four registers: two lookups in pairs of them, and a choice.
inline float byte_lookup(size_t rounds) {
  __m512i a[8];
  const __m512i table = _mm512_set1_epi8(3), other = _mm512_set1_epi8(5);
  ANNEX_UNROLL
  for (int j = 0; j < 8; j++) a[j] = table;
  for (size_t i = 0; i < rounds; i++) {
    ANNEX_UNROLL
    for (int j = 0; j < 8; j++) {
      const __m512i low = _mm512_permutex2var_epi8(table, a[j], other);
      const __m512i high = _mm512_permutex2var_epi8(other, a[j], table);
      a[j] = _mm512_mask_mov_epi8(low, _mm512_movepi8_mask(a[j]), high);
      asm("" : "+v"(a[j]));
    }
  }
  ANNEX_UNROLL
  for (int j = 1; j < 8; j++) a[0] = _mm512_add_epi32(a[0], a[j]);
  return static_cast<float>(_mm512_reduce_add_epi32(a[0]));
}
}  // namespace vbmi
ANNEX_REGION_END

ANNEX_REGION_BEGIN("avx512f,amx-tile,amx-int8")
namespace amx {
struct alignas(64) TileConfig {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
inline float byte_dot(size_t rounds) {
  static const TileConfig config;
  alignas(64) int32_t sums[256];
  _tile_loadconfig(&config);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  _tile_zero(4);
  _tile_zero(5);
  for (size_t i = 0; i < rounds; i++) {
    _tile_dpbsud(0, 4, 5);
    _tile_dpbsud(1, 4, 5);
    _tile_dpbsud(2, 4, 5);
    _tile_dpbsud(3, 4, 5);
  }
  _tile_stored(0, sums, 64);
  _tile_release();
  return static_cast<float>(sums[0]);
}
}  // namespace amx
ANNEX_REGION_END
#endif

/// The peaks of the instruction set of a table.
inline Peaks of(const char* table) {
#if defined(__x86_64__) || defined(_M_X64)
  Peaks wide = {avx512::read, avx512::fma,       16 * 16, avx512::byte_dot, 16 * 32, avx512::lookup,
                8 * 64,       avx2::byte_lookup, 8};
  if (std::strcmp(table, "avx2") == 0) {
    return {avx2::read, avx2::fma,         12 * 8, avx2::byte_dot, 12 * 16, avx2::lookup,
            8 * 32,     avx2::byte_lookup, 8,      avx2::byte_dot, 12 * 16};
  }
  if (std::strncmp(table, "avx512", 6) == 0) {
    if (std::strcmp(table, "avx512") != 0) {
      wide.byte_dot = avx512::byte_dot_vnni;
      wide.byte_round = 16 * 64;
      wide.byte_lookup = vbmi::byte_lookup;
      wide.byte_lookup_round = 8 * 64;
    }
    wide.row_dot = wide.byte_dot;
    wide.row_round = wide.byte_round;
    if (std::strcmp(table, "avx512amx") == 0) {
      wide.byte_dot = amx::byte_dot;
      wide.byte_round = 4 * 16 * 16 * 64;
    }
    return wide;
  }
#endif
  (void)table;
  return {read_plain, nullptr, 0, nullptr, 0, nullptr, 0, nullptr, 0};
}

}  // namespace peaks
