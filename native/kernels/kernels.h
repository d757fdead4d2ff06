// The SIMD contract: one table of batch functions per instruction set, chosen once (dispatch.h).
//
// Nothing here is called per distance. A kernel file includes this header, <stddef.h>, <stdint.h> and the
// intrinsics of its ISA; never a std container, so no wide instruction can leak into baseline code.
//
// Canonical distances. `scan` and `gather` compute THE distance of a (query, row) pair: the number that is
// reported and that decides every comparison. For float codings it is defined without reference to an ISA:
//   * sixteen lanes; lane j accumulates elements j, j+16, j+32 … in that order, starting at +0, each step one fused
//     multiply-add (dot: acc = fma(q, x, acc); l2: t = q - x, acc = fma(t, t, acc); l1: acc = acc + |q - x|);
//     the missing elements of the last step contribute nothing;
//   * lanes are summed as a tree: 16→8 (j with j+8), 8→4 (j with j+4), 4→2 (j with j+2), 2→1.
// So scalar, AVX2, AVX-512 and NEON agree to the bit, whatever the batch, the order or the thread. WebAssembly has
// no fused multiply-add: there a step is a rounded product and a rounded sum, and the same order holds.
// For i8, u8 and bits all arithmetic is exact integers, converted (round to nearest) to float once at the end.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "kernels/codes.h"
#include "kernels/nearest.h"
#include "kernels/walk.h"

namespace annex {

/// How a stored row is coded. Row bytes: row_bytes() below.
enum class Scalar : uint8_t {
  f32,   // dim × float
  f16,   // dim × IEEE binary16
  bf16,  // dim × bfloat16 (upper half of a float)
  sq8,   // float lo, float step, then dim × uint8 code: x = fma(step, code, lo)
  i8,    // dim × int8, exact
  u8,    // dim × uint8, exact
  bits,  // dim / 8 bytes, packed bits
};
inline constexpr size_t kScalars = 7;

/// What is accumulated. dot, l2 (squared), l1: every coding but bits. hamming, jaccard: bits only.
enum class Op : uint8_t { dot, l2, l1, hamming, jaccard };
inline constexpr size_t kOps = 5;

inline constexpr size_t kMaxDim = 32768;  // 255² × 32,768 < 2³¹: integer sums of bytes never overflow int32
inline constexpr size_t kPanelRows = 16;  // rows side by side in a panel

constexpr size_t row_bytes(Scalar scalar, size_t dim) {
  switch (scalar) {
    case Scalar::f32: return dim * 4;
    case Scalar::f16:
    case Scalar::bf16: return dim * 2;
    case Scalar::sq8: return dim + 8;
    case Scalar::i8:
    case Scalar::u8: return dim;
    case Scalar::bits: return dim / 8;
  }
  return 0;
}

/// Queries are float for f32, f16, bf16 and sq8 rows, and of the row's own type for i8, u8 and bits.
/// `dim` is always the number of dimensions (bits for packed bits, a multiple of 8). No alignment is assumed of
/// queries or rows, and nothing is read past the last element of a row.

/// One query × n rows lying `stride` bytes apart; out[i] = op(query, row i).
using ScanFn = void (*)(const void* query, const void* rows, size_t stride, size_t n, size_t dim, float* out);

/// One query × n rows anywhere in memory; prefetches ahead. Same numbers as ScanFn, to the bit.
using GatherFn = void (*)(const void* query, const void* const* rows, size_t n, size_t dim, float* out);

// Panels: rows laid side by side so that SIMD lanes are rows and no horizontal sum is needed. They serve tiles
// (many queries × many rows) and the narrow sidecar. A panel product is fast but not canonical; it only decides
// which rows are rescored, with a proven error bound folded into the terms below.
//   float panel: float[dim][16]                      (element d of rows 0…15 side by side)
//   byte panel:  uint8_t[ceil(dim / 4)][16][4]       (elements 4g…4g+3 of row 0, then of row 1 …; padding is 0)
// Panel p follows panel p-1 without a gap. The last panel is zero-filled up to 16 rows.

constexpr size_t float_panel_bytes(size_t dim) { return dim * kPanelRows * 4; }
constexpr size_t byte_panel_bytes(size_t dim) { return (dim + 3) / 4 * kPanelRows * 4; }

/// Packs n rows into ceil(n / 16) panels. f32, f16, bf16, sq8 → float panels of decoded values;
/// u8 → byte panels unchanged; i8 → byte panels of x + 128. `bits` has no panels (null).
using PackFn = void (*)(const void* rows, size_t stride, size_t n, size_t dim, void* panels);

/// Per-row terms of the pass test, structure of arrays, each padded to a multiple of 16 entries (finite padding).
struct PanelTerms {
  const float* scale;
  const float* a;
  const float* b;
  const float* c;
};

/// Per-query terms. Row r passes for query q unless
///   scale[r] * sum(q, r) + a[r] * u[0] + b[r] * u[1] + c[r] * u[2] < bound      (so NaN passes)
/// evaluated in float in any order of operations, fused or not: callers leave slack for that.
struct QueryTerms {
  float u[3];
  float bound;
};

/// Where passing rows go: rows[q * capacity + counts[q]++] = r, ascending in r for each q. capacity ≥ n.
/// The kernel appends; the caller zeroes counts.
struct HitList {
  uint32_t* rows;
  uint32_t* counts;
  uint32_t capacity;
};

/// nq float queries (`query_stride` floats apart) × n rows in float panels. sum = Σ q·x in any order.
using FloatHitsFn = void (*)(const float* queries, size_t query_stride, size_t nq, const float* panels, size_t n,
                             size_t dim, const PanelTerms& terms, const QueryTerms* query_terms, const HitList& hits);

/// nq int8 queries (values -127…127, `query_stride` bytes apart, each readable and zero up to the next multiple of 4
/// elements) × n rows in byte panels. sum = Σ q·code, exact in int32, then converted to float.
/// Used with nq = 1 for the single-query scan, so nq = 1 must run at memory speed.
using ByteHitsFn = void (*)(const int8_t* queries, size_t query_stride, size_t nq, const uint8_t* panels, size_t n,
                            size_t dim, const PanelTerms& terms, const QueryTerms* query_terms, const HitList& hits);

/// Plain sums, for parity tests, the micro-bench and later users: out[q * ceil16(n) + r] = sum(q, r).
using FloatSumsFn = void (*)(const float* queries, size_t query_stride, size_t nq, const float* panels, size_t n,
                             size_t dim, float* out);
using ByteSumsFn = void (*)(const int8_t* queries, size_t query_stride, size_t nq, const uint8_t* panels, size_t n,
                            size_t dim, int32_t* out);

/// Codes one float row (f32 copies; f16 and bf16 round to nearest even, overflow to ±inf as IEEE does;
/// sq8: lo = min, step = (max - min) / 255, or 0 when all are equal (and for rows whose range overflows, step is
/// computed as max/255 - min/255); code = round-to-nearest-even((x - lo) / step) clamped to 0…255).
/// The same bytes on every ISA. Null for i8, u8 and bits, which are stored as they come.
using EncodeFn = void (*)(const float* x, size_t dim, void* row);
/// Widens one row to float: exact for f32, f16, bf16, i8, u8; fma(step, code, lo) for sq8. Null for bits.
using DecodeFn = void (*)(const void* row, size_t dim, float* x);

/// Rows of codes of four bits, and of seven: lines of 64 bytes; byte j of line l holds code 128 l + j in its lower half
/// and code 128 l + 64 + j in its upper half, or code 128 l + j alone. Masks tell which: 64 of a line for its bytes,
/// then 64 for these shifted right by four, either 15 and 15 or 127 and 0. Codes beyond the dimension are 0.
inline constexpr size_t kNibbleLine = 64;

/// A query against them: 128 × lines int8 values (-127…127), as many masks, and what makes of the sums a value.
struct NibbleRowsQuery {
  const int8_t* codes;
  const uint8_t* masks;
  float base, dot, square;
};

/// out[i] = base + dot × Σ q·x + square × Σ x·x for row i, in this order; the sums are exact in int32. Nothing is
/// prefetched: the caller knows the rows before.
using NibbleGatherFn = void (*)(const NibbleRowsQuery& query, const void* const* rows, size_t n, size_t lines,
                                float* out);

/// The same for nq queries, with one `square` or none of them: out[q * n + i].
using NibbleTileFn = void (*)(const NibbleRowsQuery* queries, size_t nq, const void* const* rows, size_t n,
                              size_t lines, float* out);

/// A vector as bytes, and what goes with them.
struct QuantizedFloats {
  float scale;    // of the codes: 127 / max |x|
  float product;  // Σ x·y
  int32_t sum;    // Σ codes
};
/// codes[i] = x[i] × scale, rounded to the nearest: -127…127. n is a multiple of 16. Where nothing is above 1e-30 in
/// size, the scale is 1. The same on every ISA, but for numbers that are not finite, which yield anything: the product
/// in sixteen lanes, never fused, and summed by the tree.
using QuantizeFn = QuantizedFloats (*)(const float* x, const float* y, size_t n, int8_t* codes);

/// y[r] = Σ x[d] × axis r at d, for the rows of `panels` float panels. Products and sums are rounded one by one, from
/// the first d to the last, so every ISA has the same.
using ProjectFn = void (*)(const float* x, size_t dim, const float* axes, size_t panels, float* y);

struct Kernels {
  const char* name;                 // "scalar", "avx2", "avx512", "avx512vnni", "neon", "wasm128" …
  ScanFn scan[kScalars][kOps];      // null where the pair has no meaning
  GatherFn gather[kScalars][kOps];  // null where the pair has no meaning
  PackFn pack[kScalars];
  FloatHitsFn hits_f32;
  ByteHitsFn hits_u8;
  FloatSumsFn sums_f32;
  ByteSumsFn sums_u8;
  NibbleGatherFn gather_nibbles;
  NibbleTileFn tile_nibbles;
  EncodeFn encode[kScalars];
  DecodeFn decode[kScalars];
  QuantizeFn quantize;
  ProjectFn project;
  /// Index of the first NaN or ±Infinity in x[0…n), or n.
  size_t (*first_nonfinite)(const float* x, size_t n);
  /// Writes the indices i with !(x[i] > limit), ascending, to out (room for n); returns how many.
  size_t (*select_le)(const float* x, size_t n, float limit, uint32_t* out);
  NearestKernels nearest;
  WalkKernels walk;
  /// CRC-32C (Castagnoli) of what `crc` is the CRC of (0 for nothing) followed by n bytes at `data`.
  uint32_t (*crc32c)(uint32_t crc, const void* data, size_t n);
  CodeKernels codes;
};

}  // namespace annex
