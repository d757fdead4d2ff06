// The bytes of a file, as FORMAT.md describes them.
#pragma once
#include <cstddef>
#include <cstdint>

#include "base/sections.h"

namespace annex {

inline constexpr uint8_t kMagic[8] = {0x89, 'A', 'N', 'X', '\r', '\n', 0x1A, '\n'};
inline constexpr uint32_t kFormatVersion = 1;
inline constexpr size_t kSectionAlignment = 64;
inline constexpr size_t kPage = 4096;              // what larger sections are aligned to
inline constexpr uint64_t kPageAligned = 1 << 16;  // from this length on
inline constexpr size_t kMostSections = 1024;
inline constexpr uint16_t kCritical = 1;

inline constexpr Tag kOptionsTag = make_tag("OPTS");
inline constexpr Tag kInfoTag = make_tag("INFO");
inline constexpr Tag kMetadataTag = make_tag("META");

struct FileHeader {
  uint8_t magic[8];
  uint32_t version;
  uint32_t sections;
  uint64_t length;     // of the whole file
  uint64_t checksums;  // offset of the list of checksums, which ends the file
  char creator[24];    // padded with zeros
  uint32_t table_crc;
  uint32_t header_crc;  // of the bytes before it
};
static_assert(sizeof(FileHeader) == 64);

struct FileEntry {
  Tag tag;
  uint16_t version;
  uint16_t flags;
  uint64_t offset;
  uint64_t length;
  uint64_t reserved;
};
static_assert(sizeof(FileEntry) == 32);

struct FileInfo {
  uint64_t rows;
  int64_t next_id;
};
static_assert(sizeof(FileInfo) == 16);

/// Bytes of the list of checksums: one a section, and its own.
constexpr uint64_t checksums_bytes(size_t sections) { return (sections + 1) * sizeof(uint32_t); }

constexpr uint64_t align_up(uint64_t n, uint64_t unit) { return (n + unit - 1) / unit * unit; }

/// CRC-32C of what follows what `crc` is the CRC of.
uint32_t checksum(uint32_t crc, const void* data, size_t bytes);
/// The CRC of A followed by B, from that of each and the length of B.
uint32_t join_checksums(uint32_t a, uint32_t b, uint64_t bytes_b);

}  // namespace annex
