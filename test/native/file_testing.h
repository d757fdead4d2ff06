// Saving to bytes and opening them, over the C ABI.
#pragma once
#include <string>
#include <vector>

#include "kernels/walk.h"
#include "testing.h"

namespace testing {

using Bytes = std::vector<uint8_t>;

/// The file of an index, pulled in portions of an odd size.
inline Bytes save(AnnexIndex* index, const std::string& metadata = "", size_t portion = 4093) {
  AnnexSaver* saver = nullptr;
  if (!CHECK(annex_saver_open(index, metadata.empty() ? nullptr : metadata.data(), metadata.size(), &saver) ==
             ANNEX_OK)) {
    return {};
  }
  const size_t size = static_cast<size_t>(annex_saver_size(saver));
  Bytes bytes(size + 1);
  size_t at = 0;
  for (size_t written = 1; written != 0; at += written) {
    const size_t room = bytes.size() - at < portion ? bytes.size() - at : portion;
    CHECK(annex_saver_read(saver, bytes.data() + at, room, &written) == ANNEX_OK);
    if (at + written == bytes.size()) break;
  }
  CHECK(at == size);
  bytes.resize(size);
  annex_saver_close(saver);
  return bytes;
}

/// The outcome of opening; *index is set after success only.
inline AnnexStatus open(const uint8_t* bytes, size_t n, AnnexIndex** index, std::string* metadata = nullptr,
                        int32_t flags = 0, size_t portion = 1 << 20, bool expect = true) {
  *index = nullptr;
  AnnexOpener* opener = nullptr;
  AnnexStatus status = annex_opener_open(flags, &opener);
  if (status == ANNEX_OK && expect) status = annex_opener_expect(opener, static_cast<double>(n));
  for (size_t at = 0; at < n && status == ANNEX_OK; at += portion) {
    status = annex_opener_append(opener, bytes + at, n - at < portion ? n - at : portion);
  }
  AnnexProgress progress{};
  while (status == ANNEX_OK && progress.finished == 0) status = annex_opener_step(opener, nullptr, &progress);
  if (status == ANNEX_OK && metadata != nullptr) {
    metadata->resize(annex_opener_metadata(opener, nullptr, 0));
    annex_opener_metadata(opener, metadata->data(), metadata->size());
  }
  if (status == ANNEX_OK) status = annex_opener_finish(opener, index);
  annex_opener_close(opener);
  return status;
}

/// Opens what may be anything, and uses what comes out in every way: nothing may crash or hang.
inline AnnexStatus open_and_use(const uint8_t* bytes, size_t n, int32_t flags = 0) {
  AnnexIndex* index = nullptr;
  const AnnexStatus status = open(bytes, n, &index, nullptr, flags);
  if (status != ANNEX_OK) return status;
  double options[128];
  const size_t pairs = annex_options(index, options, 64);
  size_t dim = 0, storage = 0;
  for (size_t i = 0; i < pairs; ++i) {
    const int key = static_cast<int>(options[2 * i]);
    if (key == ANNEX_KEY_DIM) dim = static_cast<size_t>(options[2 * i + 1]);
    if (key == ANNEX_KEY_STORAGE) storage = static_cast<size_t>(options[2 * i + 1]);
  }
  AnnexSearch search{};
  std::vector<float> rows(2 * dim + 1, 0.25f);
  double ids[10];
  float distances[10];
  search.queries = rows.data();
  search.nq = 2;
  search.k = 5;
  search.ids = ids;
  search.distances = distances;
  search.type = storage == ANNEX_STORE_I8     ? ANNEX_I8
                : storage == ANNEX_STORE_U8   ? ANNEX_U8
                : storage == ANNEX_STORE_BITS ? ANNEX_BITS
                                              : ANNEX_F32;
  (void)annex_search(index, &search);
  const double allowed[] = {0, 1, 3, 1e15};
  search.filter = allowed;
  search.filter_kind = ANNEX_ALLOW_IDS;
  search.filter_count = 4;
  (void)annex_search(index, &search);
  uint8_t found[4];
  std::vector<float> out(4 * dim + 1);
  (void)annex_get(index, allowed, 4, out.data(), found);
  double listed[8];
  annex_ids(index, 0, 8, listed);
  AnnexStats stats;
  annex_stats(index, &stats);
  AnnexWriter* writer = nullptr;
  if (annex_writer_open(index, ANNEX_UPSERT, &writer) == ANNEX_OK) {
    const double given[] = {1, 77};
    const AnnexStatus appended =
        annex_writer_append(writer, static_cast<AnnexInput>(search.type), rows.data(), 2, given, nullptr);
    if (appended == ANNEX_OK) {
      (void)annex_writer_commit(writer);
    } else {
      annex_writer_abort(writer);
    }
  }
  size_t removed = 0;
  (void)annex_remove(index, allowed, 3, &removed);
  (void)annex_search(index, &search);
  AnnexSaver* saver = nullptr;
  if (annex_saver_open(index, nullptr, 0, &saver) == ANNEX_OK) {
    uint8_t buffer[512];
    size_t written = 1;
    while (written != 0 && annex_saver_read(saver, buffer, sizeof buffer, &written) == ANNEX_OK) {
    }
    annex_saver_close(saver);
  }
  annex_release(index);
  return status;
}

/// A little-endian number in a file.
template <class T>
T peek(const Bytes& bytes, size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}
template <class T>
void poke(Bytes& bytes, size_t at, T value) {
  std::memcpy(bytes.data() + at, &value, sizeof value);
}

inline uint32_t crc32c(const uint8_t* data, size_t n) {
  static const std::vector<uint32_t> table = [] {
    std::vector<uint32_t> made(256);
    for (uint32_t b = 0; b < 256; ++b) {
      uint32_t crc = b;
      for (int bit = 0; bit < 8; ++bit) crc = (crc & 1) != 0 ? (crc >> 1) ^ 0x82F63B78u : crc >> 1;
      made[b] = crc;
    }
    return made;
  }();
  uint32_t crc = UINT32_MAX;
  for (size_t i = 0; i < n; ++i) crc = (crc >> 8) ^ table[(crc ^ data[i]) & 255];
  return ~crc;
}

/// A file taken apart, by FORMAT.md alone, and put together again with all its checksums right.
struct Parts {
  struct Section {
    uint32_t tag;
    uint16_t version, flags;
    Bytes content;
  };
  uint32_t version = 1;
  Bytes creator = Bytes(24, 0);
  std::vector<Section> sections;

  static uint32_t tag(const char* name) {
    uint32_t value;
    std::memcpy(&value, name, 4);
    return value;
  }
  Section* find(const char* name) {
    for (Section& section : sections) {
      if (section.tag == tag(name)) return &section;
    }
    return nullptr;
  }

  explicit Parts(const Bytes& file) {
    const size_t count = peek<uint32_t>(file, 12);
    for (size_t i = 0; i < count; ++i) {
      const size_t at = 64 + 32 * i;
      const size_t offset = static_cast<size_t>(peek<uint64_t>(file, at + 8));
      const size_t length = static_cast<size_t>(peek<uint64_t>(file, at + 16));
      sections.push_back({peek<uint32_t>(file, at), peek<uint16_t>(file, at + 4), peek<uint16_t>(file, at + 6),
                          Bytes(file.begin() + static_cast<ptrdiff_t>(offset),
                                file.begin() + static_cast<ptrdiff_t>(offset + length))});
    }
  }

  /// `edit`, where given, changes the file before the checksums of header and table are made.
  Bytes file(void (*edit)(Bytes&) = nullptr) const {
    Bytes out(64 + 32 * sections.size());
    const uint8_t magic[] = {0x89, 'A', 'N', 'X', '\r', '\n', 0x1A, '\n'};
    std::memcpy(out.data(), magic, 8);
    poke<uint32_t>(out, 8, version);
    poke<uint32_t>(out, 12, static_cast<uint32_t>(sections.size()));
    std::memcpy(out.data() + 32, creator.data(), 24);
    Bytes sums;
    for (size_t i = 0; i < sections.size(); ++i) {
      const Section& s = sections[i];
      const size_t unit = s.content.size() >= 65536 ? 4096 : 64;
      out.resize((out.size() + unit - 1) / unit * unit);
      const size_t at = 64 + 32 * i;
      poke<uint32_t>(out, at, s.tag);
      poke<uint16_t>(out, at + 4, s.version);
      poke<uint16_t>(out, at + 6, s.flags);
      poke<uint64_t>(out, at + 8, out.size());
      poke<uint64_t>(out, at + 16, s.content.size());
      out.insert(out.end(), s.content.begin(), s.content.end());
      sums.resize(sums.size() + 4);
      poke<uint32_t>(sums, 4 * i, crc32c(s.content.data(), s.content.size()));
    }
    out.resize((out.size() + 63) / 64 * 64);
    poke<uint64_t>(out, 24, out.size());
    const uint32_t sum = crc32c(sums.data(), sums.size());
    sums.resize(sums.size() + 4);
    poke<uint32_t>(sums, sums.size() - 4, sum);
    out.insert(out.end(), sums.begin(), sums.end());
    poke<uint64_t>(out, 16, out.size());
    if (edit != nullptr) edit(out);
    poke<uint32_t>(out, 56, crc32c(out.data() + 64, 32 * sections.size()));
    poke<uint32_t>(out, 60, crc32c(out.data(), 60));
    return out;
  }
};

/// The file of a graph, its links in four bytes each, as very large graphs and older files have them.
inline Bytes with_wide_links(const Bytes& file) {
  Parts parts(file);
  Parts::Section* links = parts.find("LNK3");
  if (links == nullptr) return {};
  Bytes wide;
  for (size_t at = 0; at < links->content.size(); at += annex::kNarrowBytes) {
    const uint32_t link = annex::unpack_link(links->content.data() + at);
    wide.resize(wide.size() + 4);
    poke(wide, wide.size() - 4, link);
  }
  links->content = wide;
  links->tag = Parts::tag("LNK0");
  return parts.file();
}

}  // namespace testing
