// Kernels of coded rows: scans of 4-bit codes with tables in registers, 8-bit codes with tables in memory, products of
// bit planes, the Hadamard transform. Part of the table in kernels.h; the same rules hold.
//
// Rows lie in blocks of 32, so that a table lookup serves many rows at once. A block is its codes, then its factors:
//   nibbles  uint8_t[m][16]   byte i of sub-quantizer j: code of row i in the low half, of row i + 16 in the high half
//   bytes    uint8_t[m][32]   byte i of sub-quantizer j: code of row i
// Blocks lie `stride` bytes apart, wherever in memory. The codes of rows beyond n in the last block may be anything.
#pragma once
#include <stddef.h>
#include <stdint.h>

namespace annex {

inline constexpr size_t kCodeRows = 32;  // rows of a block

/// What each block holds behind its codes, column by column, 32 entries each.
enum class CodeFactors : uint8_t {
  none,
  add,                // float add
  scale,              // float scale, not negative
  rescale_error,      // bfloat16 rescale, bfloat16 error
  add_rescale_error,  // float add, bfloat16 rescale, bfloat16 error
};

constexpr size_t factor_bytes(CodeFactors factors) {  // of one row
  switch (factors) {
    case CodeFactors::none: return 0;
    case CodeFactors::add:
    case CodeFactors::scale:
    case CodeFactors::rescale_error: return 4;
    case CodeFactors::add_rescale_error: return 8;
  }
  return 0;
}

constexpr size_t nibble_block_bytes(size_t m, CodeFactors factors) {
  return kCodeRows * (m + 2 * factor_bytes(factors)) / 2;
}
constexpr size_t byte_block_bytes(size_t m, CodeFactors factors) { return kCodeRows * (m + factor_bytes(factors)); }

struct CodeBlocks {
  const uint8_t* data;
  size_t stride;  // bytes from block to block; what lies behind the factors is not read
  size_t n;       // rows
  size_t m;       // sub-quantizers
  CodeFactors factors;
};

/// A row that a scan lets pass.
struct CodeHit {
  uint32_t row;
  float estimate;  // of the distance
  float bound;     // estimate, less what it may be too large by; the estimate itself where the codec has no bound
  float sum;       // of the table entries
};

/// One query of a scan of nibbles. With missing factors add = 0, rescale = 1, error = 0:
///   estimate = (g + add) + rescale * (scale * sum + bias)      sum = Σ_j lut[j][code_j], exact
///   bound    = estimate - (error * ge + |rescale| * slack)
/// but with scale:
///   estimate = row scale * (g + (scale * sum + bias)),  bound = estimate - row scale * slack
/// in float, fused where the instruction set fuses. A row is a hit unless bound > threshold (so NaN is one).
struct NibbleQuery {
  /// uint8_t[m rounded up to 4][16], zeros behind m, 64 bytes aligned or not. The largest entries of any two
  /// sub-quantizers add up to at most 255: so two lookups may be added as bytes.
  const uint8_t* lut;
  float scale, bias, slack;  // slack: how far scale * sum + bias may lie from the sum of the exact tables
  float g, ge, threshold;
  CodeHit* hits;   // room for all n rows behind `count`
  uint32_t count;  // hits are appended here, ascending in row
};

/// One query of a scan of bytes. value = (g + add) + Σ_j table[j][code_j], summed in order of j from +0, or with scale
/// row scale * (g + the sum); estimate, bound = value, sum = the sum. A row is a hit unless value > threshold.
struct ByteQuery {
  const float* table;  // float[m][256]
  /// uint8_t[m][256] with scale * Σ_j lut[j][code_j] + bias ≤ Σ_j table[j][code_j] for all codes, and lut obeying what
  /// NibbleQuery says of two sub-quantizers: instruction sets may look there first.
  const uint8_t* lut;
  float scale, bias;
  float g, threshold;
  CodeHit* hits;
  uint32_t count;
};

/// Several queries over the same rows share the loads of the codes.
using ScanNibblesFn = void (*)(const CodeBlocks& blocks, NibbleQuery* queries, size_t nq);
using ScanBytesFn = void (*)(const CodeBlocks& blocks, ByteQuery* queries, size_t nq);

/// Estimates and bounds of all rows, whatever the threshold: float[n rounded up to 32]; unset behind n.
using EstimateNibblesFn = void (*)(const CodeBlocks& blocks, const NibbleQuery& query, float* estimates, float* bounds);

/// Plain sums: out[n rounded up to 32].
using SumNibblesFn = void (*)(const CodeBlocks& blocks, const uint8_t* lut, uint32_t* out);

/// Codes of `planes` (1 … 7) bits as bit planes: the elements go in groups of 64, a group is one plane behind the
/// other, lowest bit first, element i of the group being bit i % 8 of byte i / 8. dim is a multiple of 16; the last
/// group is as short as it is. A row has plane_bytes().
constexpr size_t plane_bytes(size_t dim, size_t planes) { return dim / 8 * planes; }
/// out[i] = Σ_d query[d] * code_d(row i), modulo 2³². query: int16_t[dim rounded up to 64], zeros behind dim.
using PlaneProductsFn = void (*)(const int16_t* query, const uint8_t* const* rows, size_t n, size_t dim, size_t planes,
                                 int32_t* out);

/// x ← H x for the Hadamard matrix of n = 2^i ≥ 16 rows (entries ±1, natural order), by butterflies of span n/2 first:
/// (a, b) ← (a + b, a - b). The same bytes on every instruction set.
using HadamardFn = void (*)(float* x, size_t n);

// Tables of queries, and codes of rows. What these give may differ between instruction sets by the rounding of
// products.

/// Least and greatest entries of m tables of `width` floats, a multiple of 16.
using TableExtentsFn = void (*)(const float* tables, size_t m, size_t width, float* low, float* high);
/// lut = (table - low[j]) * inverse + offset, to the nearest; the caller sees to it that this lies in 0 … 255.
using QuantizeTablesFn = void (*)(const float* tables, size_t m, size_t width, const float* low, float inverse,
                                  float offset, uint8_t* lut);
/// Tables of the sums of each four elements: lut[j][c] = Σ of query[4j + k] over the set bits k of c, less the least of
/// them, times inverse, to the nearest; at most 255.
using SignTablesFn = void (*)(const float* query, size_t m, float inverse, uint8_t* lut);
/// For x ≥ 0 and levels l = min(⌊t x⌋, most) + 1/2 (either neighbour where t x is whole): Σ x l and Σ l². n is a
/// multiple of 16.
using FitLevelsFn = void (*)(const float* x, size_t n, float t, float most, float* dot, float* square);

struct CodeKernels {
  ScanNibblesFn scan_nibbles;
  EstimateNibblesFn estimate_nibbles;
  SumNibblesFn sum_nibbles;
  ScanBytesFn scan_bytes;
  PlaneProductsFn plane_products;
  HadamardFn hadamard;
  TableExtentsFn table_extents;
  QuantizeTablesFn quantize_tables;
  SignTablesFn sign_tables;
  FitLevelsFn fit_levels;
};

}  // namespace annex
