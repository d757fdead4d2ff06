#include "file/saver.h"

#include <algorithm>
#include <cstring>
#include <new>

namespace annex {
namespace {

constexpr size_t kMostOptions = 64;
constexpr size_t kNoSection = SIZE_MAX;
constexpr uint8_t kZeros[kPage] = {};
constexpr size_t kCached = 256 << 10;  // what is copied while still in the cache from its checksum

uint64_t place(uint64_t at, uint64_t bytes) { return align_up(at, bytes >= kPageAligned ? kPage : kSectionAlignment); }

}  // namespace

Status Saver::open(Index& index, const char* creator, const void* metadata, size_t metadata_bytes, Saver** out) {
  Saver* saver = new (std::nothrow) Saver(index);
  if (saver == nullptr) return out_of_memory(sizeof(Saver));
  const Status status = saver->prepare(creator, metadata, metadata_bytes);
  if (status == Status::ok) {
    *out = saver;
  } else {
    delete saver;
  }
  return status;
}

Saver::~Saver() {
  if (saving_) index_.end_save();
}

Status Saver::prepare(const char* creator, const void* metadata, size_t metadata_bytes) {
  const Status status = index_.begin_save(&body_);
  if (status != Status::ok) return status;
  saving_ = true;
  Option options[kMostOptions];
  const size_t pairs = index_.options(options, kMostOptions);
  if (pairs > kMostOptions) return fail(Status::internal, "an index has more than %zu options", kMostOptions);
  const FileInfo info{index_.size(), index_.next_id()};
  head_.begin(kOptionsTag);
  head_.copy(options, pairs * sizeof(Option));
  head_.begin(kInfoTag);
  head_.copy(&info, sizeof info);
  if (metadata != nullptr) {
    head_.begin(kMetadataTag, 1, false);
    head_.copy(metadata, metadata_bytes);
  }
  if (!head_.ok() || !body_.ok()) return out_of_memory(4096);
  return plan(creator);
}

const Span& Saver::span(size_t section, size_t i) const {
  return section < head_.size() ? head_.span(i) : body_.span(i);
}

// Appends a piece of zeros up to position `to`.
bool Saver::pad(uint64_t to) {
  const bool ok = to == size_ || pieces_.push({kZeros, to - size_, kNoSection});
  size_ = to;
  return ok;
}

Status Saver::plan(const char* creator) {
  const size_t count = head_.size() + body_.size();
  if (count > kMostSections) return fail(Status::internal, "an index has more than %zu sections", kMostSections);
  if (!table_.resize_zeroed(count) || !checksums_.resize_zeroed(count + 1)) return out_of_memory(count * 64);
  uint64_t at = sizeof(FileHeader) + count * sizeof(FileEntry);
  for (size_t s = 0; s < count; ++s) {
    const Sections::Section& from = section(s);
    at = place(at, from.bytes);
    const uint16_t flags = from.critical ? kCritical : 0;
    table_[s] = {from.tag, from.version, flags, at, from.bytes, 0};
    at += from.bytes;
  }
  std::memcpy(header_.magic, kMagic, sizeof kMagic);
  header_.version = kFormatVersion;
  header_.sections = static_cast<uint32_t>(count);
  header_.checksums = align_up(at, kSectionAlignment);
  header_.length = header_.checksums + checksums_bytes(count);
  std::strncpy(header_.creator, creator, sizeof header_.creator - 1);
  header_.table_crc = checksum(0, table_.data(), count * sizeof(FileEntry));
  header_.header_crc = checksum(0, &header_, offsetof(FileHeader, header_crc));

  bool ok = pieces_.push({reinterpret_cast<const uint8_t*>(&header_), sizeof header_, kNoSection}) &&
            pieces_.push({reinterpret_cast<const uint8_t*>(table_.data()), count * sizeof(FileEntry), kNoSection});
  size_ = sizeof header_ + count * sizeof(FileEntry);
  for (size_t s = 0; s < count && ok; ++s) {
    ok = pad(table_[s].offset);
    const Sections::Section& from = section(s);
    for (size_t i = from.first; i < from.first + from.spans && ok; ++i) {
      const Span& part = span(s, i);
      ok = pieces_.push({static_cast<const uint8_t*>(part.data), part.bytes, s});
    }
    size_ += from.bytes;
  }
  ok = ok && pad(header_.checksums) &&
       pieces_.push({reinterpret_cast<const uint8_t*>(checksums_.data()), checksums_bytes(count), kNoSection});
  size_ = header_.length;
  return ok ? Status::ok : out_of_memory(pieces_.bytes() * 2);
}

// All sections have passed: the list of checksums can be sealed with its own.
void Saver::seal() {
  const size_t count = table_.size();
  checksums_[count] = checksum(0, checksums_.data(), count * sizeof(uint32_t));
}

Span Saver::next(size_t most) {
  while (piece_ < pieces_.size() && within_ == pieces_[piece_].bytes) {
    ++piece_;
    within_ = 0;
  }
  if (piece_ == pieces_.size()) return {nullptr, 0};
  if (piece_ == pieces_.size() - 1 && within_ == 0) seal();
  const Piece& piece = pieces_[piece_];
  const Span part{piece.data + within_, static_cast<size_t>(std::min<uint64_t>(most, piece.bytes - within_))};
  if (piece.section != kNoSection) {
    checksums_[piece.section] = checksum(checksums_[piece.section], part.data, part.bytes);
  }
  within_ += part.bytes;
  position_ += part.bytes;
  return part;
}

size_t Saver::read(uint8_t* buffer, size_t room) {
  size_t written = 0;
  while (written < room) {
    const Span part = next(std::min(room - written, kCached));
    if (part.bytes == 0) break;
    std::memcpy(buffer + written, part.data, part.bytes);
    written += part.bytes;
  }
  return written;
}

}  // namespace annex
