// Lookup tables of floats as bytes, for the scans of kernels/codes.h.
#pragma once
#include <cstddef>
#include <cstdint>

namespace annex {

/// What byte tables stand for: Σ table ≈ scale · Σ lut + bias.
struct LookupScale {
  float scale = 0;
  float bias = 0;
  float error = 0;  // standard deviation of what rounding does to the sum
};

/// Rounds m tables of `width` entries to bytes of which no two tables' largest add up to more than 255. Entries that
/// overflow make all sums NaN.
LookupScale round_tables(const float* tables, size_t m, size_t width, uint8_t* lut);

/// The same from below: scale · Σ lut + bias is at most the sum of the float entries, added one by one.
LookupScale floor_tables(const float* tables, size_t m, size_t width, uint8_t* lut);

}  // namespace annex
