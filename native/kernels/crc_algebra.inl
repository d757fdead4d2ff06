// The algebra of CRC-32C: polynomials over GF(2) modulo 0x1EDC6F41, bits reflected (bit 31 is x^0). Included inside a
// namespace of the includer's own.

constexpr uint32_t kCrcPolynomial = 0x82F63B78;

/// a · b.
constexpr uint32_t crc_multiply(uint32_t a, uint32_t b) {
  uint32_t product = 0;
  for (uint32_t bit = uint32_t{1} << 31; bit != 0; bit >>= 1) {
    if ((a & bit) != 0) product ^= b;
    b = (b & 1) != 0 ? (b >> 1) ^ kCrcPolynomial : b >> 1;
  }
  return product;
}

/// x^(8 n): what a CRC is multiplied with when n zero bytes follow.
constexpr uint32_t crc_zeros(uint64_t n) {
  uint32_t power = uint32_t{1} << 31;
  uint32_t square = uint32_t{1} << 23;  // x^8
  for (; n != 0; n >>= 1) {
    if ((n & 1) != 0) power = crc_multiply(power, square);
    square = crc_multiply(square, square);
  }
  return power;
}
