#include "file/container.h"

#include <cstring>

namespace annex {
namespace {

double number(uint64_t n) { return static_cast<double>(n); }

Status damaged(const char* what) { return fail(Status::corrupt, "%s; the file is damaged: use another copy", what); }

}  // namespace

Status Container::read_header(const uint8_t* bytes, uint64_t known) {
  FileHeader& h = header_;
  std::memcpy(&h, bytes, sizeof h);
  if (std::memcmp(h.magic, kMagic, sizeof kMagic) != 0) {
    const bool almost = std::memcmp(h.magic + 1, kMagic + 1, 3) == 0;
    return fail(Status::corrupt, almost
                                     ? "header: its first bytes were changed, as by a transfer as text: transfer the "
                                       "file as binary data"
                                     : "header: expected a file that annex has saved, got something else");
  }
  if (h.header_crc != checksum(0, bytes, offsetof(FileHeader, header_crc))) {
    return damaged("header: its checksum does not match");
  }
  if (h.version > kFormatVersion) {
    return fail(Status::unsupported,
                "header: format %u, written by %.23s, and this annex reads up to format %u: update it", h.version,
                h.creator, kFormatVersion);
  }
  if (h.version == 0) return damaged("header: format 0");
  if (h.sections > kMostSections) {
    return fail(Status::corrupt, "header: %u sections, expected at most %zu", h.sections, kMostSections);
  }
  const uint64_t least = sizeof h + h.sections * sizeof(FileEntry);
  if (h.checksums < least || h.checksums % kSectionAlignment != 0 || h.checksums > (uint64_t{1} << 60) ||
      h.length != h.checksums + checksums_bytes(h.sections)) {
    return damaged("header: its lengths contradict each other");
  }
  if (known != 0 && known < h.length) {
    return fail(Status::corrupt, "expected %.0f bytes, got %.0f: the file was cut off; use a whole copy",
                number(h.length), number(known));
  }
  if (known > h.length) {
    return fail(Status::corrupt, "expected %.0f bytes, got %.0f: something follows the end of the file",
                number(h.length), number(known));
  }
  return Status::ok;
}

Status Container::read_table(const uint8_t* bytes) {
  const size_t count = header_.sections;
  if (!table_.resize(count)) return out_of_memory(count * sizeof(FileEntry));
  if (count != 0) std::memcpy(table_.data(), bytes, table_bytes());
  if (header_.table_crc != checksum(0, bytes, table_bytes())) {
    return damaged("section table: its checksum does not match");
  }
  uint64_t end = sizeof(FileHeader) + table_bytes();
  for (size_t i = 0; i < count; ++i) {
    const FileEntry& entry = table_[i];
    const char* wrong = nullptr;
    if (entry.offset % kSectionAlignment != 0) wrong = "its offset is no multiple of 64";
    if (entry.offset < end) wrong = "it lies over what comes before it";
    if (entry.offset > header_.checksums || entry.length > header_.checksums - entry.offset) {
      wrong = "it reaches beyond the end of the file";
    }
    for (size_t before = 0; before < i; ++before) {
      if (table_[before].tag == entry.tag) wrong = "there are two of it";
    }
    if (wrong != nullptr) {
      return corrupt(entry.tag, "%s (offset %.0f, length %.0f)", wrong, number(entry.offset), number(entry.length));
    }
    end = entry.offset + entry.length;
  }
  return Status::ok;
}

Status Container::read_checksums(const uint8_t* bytes) {
  const size_t count = table_.size();
  if (!checksums_.resize(count + 1)) return out_of_memory(count * sizeof(uint32_t));
  std::memcpy(checksums_.data(), bytes, checksums_bytes(count));
  if (checksums_[count] != checksum(0, checksums_.data(), count * sizeof(uint32_t))) {
    return damaged("list of checksums: its own does not match");
  }
  return Status::ok;
}

size_t Container::find(Tag tag) const {
  for (size_t i = 0; i < table_.size(); ++i) {
    if (table_[i].tag == tag) return i;
  }
  return npos;
}

}  // namespace annex
