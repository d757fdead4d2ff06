// Single rows in and out of the blocks of kernels/codes.h. Blocks begin zeroed.
#pragma once
#include <cstddef>
#include <cstdint>

#include "kernels/codes.h"

namespace annex {

/// Codes of m nibbles, the even ones in the low half of a byte; row i < 32 of a block.
void place_nibbles(const uint8_t* code, size_t m, uint8_t* block, size_t i);
void take_nibbles(const uint8_t* block, size_t m, size_t i, uint8_t* code);

/// Codes of m bytes.
void place_bytes(const uint8_t* code, size_t m, uint8_t* block, size_t i);
void take_bytes(const uint8_t* block, size_t m, size_t i, uint8_t* code);

/// factor_bytes(kind) of a row, in the order of CodeFactors; `columns` is where a block's factors begin.
void place_factors(const uint8_t* factors, CodeFactors kind, uint8_t* columns, size_t i);
void take_factors(const uint8_t* columns, CodeFactors kind, size_t i, uint8_t* factors);

}  // namespace annex
