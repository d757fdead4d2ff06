// CRC-32C by an instruction that takes eight bytes with a latency of three cycles: three runs side by side, joined by
// multiplying with x^(8 · run) through a table. Included inside the namespace and region of an instruction set that has
// `crc_word(crc, word)` and `crc_byte(crc, byte)`.
#include "kernels/crc_algebra.inl"

constexpr size_t kCrcRun = 2048;  // bytes of a run; three of them stay in the first-level cache

struct CrcShift {
  uint32_t byte[4][256];
};

constexpr CrcShift make_crc_shift(uint64_t zeros) {
  CrcShift shift{};
  const uint32_t power = crc_zeros(zeros);
  for (int k = 0; k < 4; k++) {
    uint32_t bit[8] = {};
    for (int i = 0; i < 8; i++) bit[i] = crc_multiply(power, uint32_t{1} << (8 * k + i));
    for (uint32_t b = 0; b < 256; b++) {
      uint32_t sum = 0;
      for (int i = 0; i < 8; i++) sum ^= (b >> i & 1) != 0 ? bit[i] : 0;
      shift.byte[k][b] = sum;
    }
  }
  return shift;
}

constexpr CrcShift kCrcOneRun = make_crc_shift(kCrcRun);
constexpr CrcShift kCrcTwoRuns = make_crc_shift(2 * kCrcRun);

ANNEX_INLINE uint32_t crc_shift(const CrcShift& shift, uint32_t crc) {
  return shift.byte[0][crc & 255] ^ shift.byte[1][crc >> 8 & 255] ^ shift.byte[2][crc >> 16 & 255] ^
         shift.byte[3][crc >> 24];
}

ANNEX_INLINE uint64_t crc_read(const uint8_t* p) {
  uint64_t word;
  memcpy(&word, p, 8);
  return word;
}

inline uint32_t crc32c(uint32_t crc, const void* data, size_t n) {
  const uint8_t* p = static_cast<const uint8_t*>(data);
  crc = ~crc;
  for (; n >= 3 * kCrcRun; n -= 3 * kCrcRun, p += 3 * kCrcRun) {
    uint32_t a = crc, b = 0, c = 0;
    for (size_t i = 0; i < kCrcRun; i += 8) {
      a = crc_word(a, crc_read(p + i));
      b = crc_word(b, crc_read(p + kCrcRun + i));
      c = crc_word(c, crc_read(p + 2 * kCrcRun + i));
    }
    crc = crc_shift(kCrcTwoRuns, a) ^ crc_shift(kCrcOneRun, b) ^ c;
  }
  for (; n >= 8; n -= 8, p += 8) crc = crc_word(crc, crc_read(p));
  for (; n != 0; n--, p++) crc = crc_byte(crc, *p);
  return ~crc;
}
