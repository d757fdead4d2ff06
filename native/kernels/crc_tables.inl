// CRC-32C by tables, eight bytes a step (Kounavis and Berry, "A Systematic Approach to Building High Performance
// Software-Based CRC Generators", 2005: slicing-by-8). Included inside the namespace and region of an instruction set
// without an instruction for it.
#include "kernels/crc_algebra.inl"

struct CrcTables {
  uint32_t after[8][256];  // after[k][b]: the CRC of byte b with k zero bytes behind it
};

constexpr CrcTables make_crc_tables() {
  CrcTables t{};
  for (uint32_t b = 0; b < 256; b++) {
    uint32_t crc = b;
    for (int i = 0; i < 8; i++) crc = (crc & 1) != 0 ? (crc >> 1) ^ kCrcPolynomial : crc >> 1;
    t.after[0][b] = crc;
  }
  for (uint32_t b = 0; b < 256; b++) {
    for (int k = 1; k < 8; k++) t.after[k][b] = (t.after[k - 1][b] >> 8) ^ t.after[0][t.after[k - 1][b] & 255];
  }
  return t;
}

constexpr CrcTables kCrcTables = make_crc_tables();

inline uint32_t crc32c(uint32_t crc, const void* data, size_t n) {
  const uint8_t* p = static_cast<const uint8_t*>(data);
  const auto& t = kCrcTables.after;
  crc = ~crc;
  for (; n >= 8; n -= 8, p += 8) {
    const uint32_t a = crc ^ (p[0] | p[1] << 8 | p[2] << 16 | static_cast<uint32_t>(p[3]) << 24);
    crc = t[7][a & 255] ^ t[6][a >> 8 & 255] ^ t[5][a >> 16 & 255] ^ t[4][a >> 24] ^ t[3][p[4]] ^ t[2][p[5]] ^
          t[1][p[6]] ^ t[0][p[7]];
  }
  for (; n != 0; n--, p++) crc = (crc >> 8) ^ t[0][(crc ^ *p) & 255];
  return ~crc;
}
