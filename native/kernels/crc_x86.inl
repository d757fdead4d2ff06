// The CRC-32C instructions of SSE4.2, which every processor with AVX2 has. Included before crc_words.inl.
ANNEX_INLINE uint32_t crc_word(uint32_t crc, uint64_t word) { return static_cast<uint32_t>(_mm_crc32_u64(crc, word)); }
ANNEX_INLINE uint32_t crc_byte(uint32_t crc, uint8_t byte) { return _mm_crc32_u8(crc, byte); }
