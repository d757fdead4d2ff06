// The CRC-32C instructions of ARMv8.1. Included before crc_words.inl.
ANNEX_INLINE uint32_t crc_word(uint32_t crc, uint64_t word) { return __crc32cd(crc, word); }
ANNEX_INLINE uint32_t crc_byte(uint32_t crc, uint8_t byte) { return __crc32cb(crc, byte); }
