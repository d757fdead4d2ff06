#include "quant/code_blocks.h"

#include <cstring>

namespace annex {
namespace {

// Widths of the columns, in order.
struct Columns {
  size_t count, bytes[3];
};
Columns columns_of(CodeFactors kind) {
  switch (kind) {
    case CodeFactors::none: return {0, {}};
    case CodeFactors::add:
    case CodeFactors::scale: return {1, {4}};
    case CodeFactors::rescale_error: return {2, {2, 2}};
    case CodeFactors::add_rescale_error: return {3, {4, 2, 2}};
  }
  return {0, {}};
}

}  // namespace

void place_nibbles(const uint8_t* code, size_t m, uint8_t* block, size_t i) {
  const int shift = i < 16 ? 0 : 4;
  uint8_t* at = block + i % 16;
  for (size_t j = 0; j < m; ++j) {
    const int nibble = code[j / 2] >> (j % 2 * 4) & 15;
    at[16 * j] = static_cast<uint8_t>((at[16 * j] & (0xf0 >> shift)) | nibble << shift);
  }
}

void take_nibbles(const uint8_t* block, size_t m, size_t i, uint8_t* code) {
  const int shift = i < 16 ? 0 : 4;
  const uint8_t* at = block + i % 16;
  for (size_t j = 0; j + 2 <= m; j += 2) {
    code[j / 2] = static_cast<uint8_t>((at[16 * j] >> shift & 15) | (at[16 * j + 16] >> shift & 15) << 4);
  }
  if (m % 2 != 0) code[m / 2] = static_cast<uint8_t>(at[16 * (m - 1)] >> shift & 15);
}

void place_bytes(const uint8_t* code, size_t m, uint8_t* block, size_t i) {
  for (size_t j = 0; j < m; ++j) block[kCodeRows * j + i] = code[j];
}

void take_bytes(const uint8_t* block, size_t m, size_t i, uint8_t* code) {
  for (size_t j = 0; j < m; ++j) code[j] = block[kCodeRows * j + i];
}

void place_factors(const uint8_t* factors, CodeFactors kind, uint8_t* columns, size_t i) {
  const Columns all = columns_of(kind);
  for (size_t c = 0; c < all.count; ++c) {
    std::memcpy(columns + i * all.bytes[c], factors, all.bytes[c]);
    columns += kCodeRows * all.bytes[c];
    factors += all.bytes[c];
  }
}

void take_factors(const uint8_t* columns, CodeFactors kind, size_t i, uint8_t* factors) {
  const Columns all = columns_of(kind);
  for (size_t c = 0; c < all.count; ++c) {
    std::memcpy(factors, columns + i * all.bytes[c], all.bytes[c]);
    columns += kCodeRows * all.bytes[c];
    factors += all.bytes[c];
  }
}

}  // namespace annex
