// Kernels that look for the nearest of many centroids or codewords. Part of the table in kernels.h; the same rules
// hold.
#pragma once
#include <stddef.h>
#include <stdint.h>

namespace annex {

struct PanelTerms;

/// Per query and lane the two best rows so far: float[4][16], lane j standing for rows ≡ j modulo 16.
///   [0] the greatest value, [1] its panel (row / 16, as a float: exact below 2²⁴), [2] [3] those of the next greatest
/// Of equal values the smaller row comes first.
struct BestRows {
  float* lanes;  // 64 floats for each query
};
inline constexpr size_t kBestFloats = 64;

/// Updates the bests of nq queries with n rows (a multiple of 16), the first of which is row 16 · first_panel:
///   value = scale[r] * sum(q, r) + a[r] * u[2q] + b[r] * u[2q + 1]
/// where sums lie as FloatSumsFn and ByteSumsFn write them and terms (scale, a, b alone) begin at the first of the n
/// rows. first_panel 0 starts the bests. Terms of rows that do not exist make their value -Infinity or least.
using BestFloatsFn = void (*)(const float* sums, size_t nq, size_t n, size_t first_panel, const PanelTerms& terms,
                              const float* u, const BestRows& best);
using BestIntsFn = void (*)(const int32_t* sums, size_t nq, size_t n, size_t first_panel, const PanelTerms& terms,
                            const float* u, const BestRows& best);

/// What quantize_i8 says of a row.
struct ByteRowTerms {
  float scale;    // x ≈ scale · code; 0 where x is all zeros
  float sum;      // Σ code, exact
  float squares;  // Σ x², in any order
};
/// Codes x as int8, scale = greatest |x| / 127. Writes zeros behind dim up to a multiple of 16.
using QuantizeBytesFn = void (*)(const float* x, size_t dim, int8_t* codes, ByteRowTerms* terms);

/// For each point the codeword with the greatest ⟨point, codeword⟩ - bias; of equals the first. Lanes are points:
/// element d of point i lies at points[i / 16 * panel_stride + d * line_stride + i % 16] (strides in floats; panels
/// have panel_stride = 16 dim, line_stride = 16). n is a multiple of 16; 1 ≤ k ≤ 256. values may be null.
using NearestCodesFn = void (*)(const float* points, size_t panel_stride, size_t line_stride, size_t n, size_t dim,
                                const float* codewords, const float* bias, size_t k, uint8_t* codes, float* values);

/// out[part][code] = factor * ⟨query part, codeword⟩ for m parts of `part` dimensions and k codewords each (a multiple
/// of 16) in float panels, part after part. A fixed order of summation, fused where the instruction set fuses.
using PartTablesFn = void (*)(const float* query, const float* panels, size_t m, size_t k, size_t part, float factor,
                              float* out);

struct NearestKernels {
  BestFloatsFn best_f32;
  BestIntsFn best_i32;
  QuantizeBytesFn quantize_i8;
  NearestCodesFn nearest_codes;
  PartTablesFn part_tables;
};

}  // namespace annex
