// Files: what is saved opens to the same answers, in every way of opening; no damage gets through, and none hurts.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <string>

#include "file_seeds.h"

using testing::Bytes;
using testing::Index;
using testing::Parts;
using testing::Random;

namespace {

std::vector<uint8_t> make_rows(int storage, size_t n, size_t dim, uint64_t seed) {
  Random random(seed);
  if (storage == ANNEX_STORE_I8 || storage == ANNEX_STORE_U8 || storage == ANNEX_STORE_BITS) {
    std::vector<uint8_t> bytes(n * (storage == ANNEX_STORE_BITS ? dim / 8 : dim));
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random.next());
    return bytes;
  }
  std::vector<uint8_t> bytes(n * dim * 4);
  for (size_t i = 0; i < n * dim; ++i) {
    const float value = random.normal();
    std::memcpy(bytes.data() + 4 * i, &value, 4);
  }
  return bytes;
}

/// The handle of a test index, replaced by what was opened.
struct Opened {
  Opened(const Index& original, AnnexIndex* handle) : index(1, ANNEX_L2, ANNEX_STORE_F32, 0) {
    annex_release(index.handle);
    index.handle = handle;
    index.type = original.type;
  }
  Index index;
};

AnnexStatus open_path(const std::string& path, int32_t flags, AnnexIndex** index) {
  *index = nullptr;
  AnnexOpener* opener = nullptr;
  AnnexStatus status = annex_opener_open(flags, &opener);
  if (status == ANNEX_OK) status = annex_opener_path(opener, path.c_str());
  AnnexProgress progress{};
  while (status == ANNEX_OK && progress.finished == 0) status = annex_opener_step(opener, nullptr, &progress);
  if (status == ANNEX_OK) status = annex_opener_finish(opener, index);
  annex_opener_close(opener);
  return status;
}

AnnexStatus save_path(AnnexIndex* index, const std::string& path, const int32_t* cancel = nullptr) {
  AnnexSaver* saver = nullptr;
  AnnexStatus status = annex_saver_open(index, nullptr, 0, &saver);
  if (status != ANNEX_OK) return status;
  status = annex_saver_target(saver, path.c_str());
  AnnexProgress progress{};
  while (status == ANNEX_OK && progress.finished == 0) status = annex_saver_step(saver, cancel, &progress);
  annex_saver_close(saver);
  return status;
}

std::string scratch(const char* name) {
  const char* directory = std::getenv("TMPDIR");
  return std::string(directory != nullptr ? directory : "/tmp") + "/annex_file_test_" + name;
}

void write_file(const std::string& path, const Bytes& bytes) {
  FILE* file = std::fopen(path.c_str(), "wb");
  if (!CHECK(file != nullptr)) return;
  CHECK(bytes.empty() || std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size());
  std::fclose(file);
}

void check_same(const Index& a, AnnexIndex* opened, const void* queries, size_t nq) {
  const Opened other(a, opened);
  CHECK(annex_size(a.handle) == annex_size(opened));
  CHECK(annex_next_id(a.handle) == annex_next_id(opened));
  double left[128] = {}, right[128] = {};
  CHECK(annex_options(a.handle, left, 64) == annex_options(opened, right, 64));
  CHECK(std::memcmp(left, right, sizeof left) == 0);
  CHECK(a.search(queries, nq, 10) == other.index.search(queries, nq, 10));
  CHECK(a.search(queries, 1, 3, 0) == other.index.search(queries, 1, 3, 0));
}

void test_round_trips() {
  const std::string path = scratch("round.annex");
  for (int storage = ANNEX_STORE_F32; storage <= ANNEX_STORE_BITS; ++storage) {
    for (int metric = ANNEX_L2; metric <= ANNEX_JACCARD; ++metric) {
      if ((storage == ANNEX_STORE_BITS) != (metric >= ANNEX_HAMMING)) continue;
      for (const size_t n : {size_t{0}, size_t{1}, size_t{16}, size_t{777}, size_t{9000}}) {
        const size_t dim = storage == ANNEX_STORE_BITS ? 72 : n == 777 ? 97 : 64;
        Index index(dim, metric, storage, ANNEX_SIDECAR_AUTO);
        const auto rows = make_rows(storage, n, dim, 1);
        const auto queries = make_rows(storage, 9, dim, 2);
        std::vector<double> ids(n);
        for (size_t i = 0; i < n; ++i) ids[i] = static_cast<double>(n - i) * 1001;
        CHECK(index.add(rows.data(), n, n % 2 == 1 ? ids.data() : nullptr) == ANNEX_OK);
        if (n == 9000) {
          const double gone[] = {0, 17, 8999, 4};
          size_t removed = 0;
          CHECK(annex_remove(index.handle, gone, 4, &removed) == ANNEX_OK && removed == 4);
        }
        const Bytes bytes = testing::save(index.handle, "{\"model\":\"m\"}");
        CHECK(bytes == testing::save(index.handle, "{\"model\":\"m\"}", 1 << 20));
        CHECK(Parts(bytes).file().size() == bytes.size());
        AnnexIndex* opened = nullptr;
        std::string metadata;
        CHECK(testing::open(bytes.data(), bytes.size(), &opened, &metadata, 0, 1009, n != 16) == ANNEX_OK);
        CHECK(metadata == "{\"model\":\"m\"}");
        if (opened == nullptr) continue;
        // What was opened can be changed and saved as what it came from.
        const auto more = make_rows(storage, 50, dim, 3);
        Index copy(dim, metric, storage, ANNEX_SIDECAR_AUTO);
        CHECK(testing::save(opened, "{\"model\":\"m\"}") == bytes);
        annex_retain(opened);
        check_same(index, opened, queries.data(), 9);
        {
          Opened other(index, opened);
          CHECK(index.add(more.data(), 50) == ANNEX_OK && other.index.add(more.data(), 50) == ANNEX_OK);
          CHECK(testing::save(index.handle) == testing::save(opened));
          annex_retain(opened);
        }
        check_same(index, opened, queries.data(), 9);
        CHECK(save_path(index.handle, path) == ANNEX_OK);
        for (const int32_t flags : {0, int{ANNEX_OPEN_LAZY}, int{ANNEX_OPEN_MMAP}, ANNEX_OPEN_MMAP | ANNEX_OPEN_LAZY,
                                    ANNEX_OPEN_MMAP | ANNEX_OPEN_LAZY | ANNEX_OPEN_READ_ONLY}) {
          CHECK(open_path(path, flags, &opened) == ANNEX_OK);
          if (opened == nullptr) continue;
          size_t removed = 0;
          const double none = 5;
          if ((flags & ANNEX_OPEN_READ_ONLY) != 0) {
            CHECK(annex_remove(opened, &none, 1, &removed) == ANNEX_UNSUPPORTED);
          }
          check_same(index, opened, queries.data(), 9);
        }
      }
    }
  }
  std::remove(path.c_str());
}

/// A small file of every kind that there is.
const std::vector<testing::Seed>& seeds() {
  static const std::vector<testing::Seed> made = testing::seeds();
  return made;
}

std::vector<Bytes> small_files() {
  std::vector<Bytes> files;
  for (const testing::Seed& seed : seeds()) files.push_back(seed.bytes);
  return files;
}

void test_cut_and_flipped() {
  for (const Bytes& whole : small_files()) {
    AnnexIndex* index = nullptr;
    for (size_t n = 0; n < whole.size(); ++n) {
      const Bytes cut(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(n));
      CHECK(testing::open(cut.data(), n, &index, nullptr, 0, 1 << 20, n % 2 == 0) == ANNEX_CORRUPT);
      CHECK(testing::open(cut.data(), n, &index, nullptr, ANNEX_OPEN_LAZY) == ANNEX_CORRUPT);
    }
    Bytes longer = whole;
    longer.push_back(0);
    CHECK(testing::open(longer.data(), longer.size(), &index) == ANNEX_CORRUPT);
    CHECK(testing::open(longer.data(), longer.size(), &index, nullptr, 0, 100, false) == ANNEX_CORRUPT);
    Bytes bytes = whole;
    for (size_t at = 0; at < bytes.size(); ++at) {
      for (const uint8_t change : {1, 128}) {
        bytes[at] ^= change;
        const AnnexStatus status = testing::open(bytes.data(), bytes.size(), &index);
        CHECK(status == ANNEX_CORRUPT);
        CHECK(std::strlen(annex_last_error()) > 10);
        if (status == ANNEX_OK) annex_release(index);
        (void)testing::open_and_use(bytes.data(), bytes.size(), ANNEX_OPEN_LAZY);
        bytes[at] ^= change;
      }
    }
  }
}

bool names(const char* what) { return std::strstr(annex_last_error(), what) != nullptr; }

/// Content that is wrong under checksums that are right.
void test_forged() {
  const std::vector<Bytes> files = small_files();
  AnnexIndex* index = nullptr;
  const auto expect = [&](const Bytes& bytes, AnnexStatus status, const char* what) {
    const AnnexStatus got = testing::open(bytes.data(), bytes.size(), &index);
    if (!CHECK(got == status)) std::printf("  %s: status %d, %s\n", what, got, annex_last_error());
    if (!CHECK(status == ANNEX_OK || names(what))) std::printf("  %s: %s\n", what, annex_last_error());
    if (got == ANNEX_OK) annex_release(index);
    (void)testing::open_and_use(bytes.data(), bytes.size(), ANNEX_OPEN_LAZY);
  };
  expect(Parts(files[0]).file(), ANNEX_OK, "");

  for (size_t s = 0; s < Parts(files[0]).sections.size(); ++s) {
    Parts parts(files[0]);
    const uint32_t tag = parts.sections[s].tag;
    char name[5] = {};
    std::memcpy(name, &tag, 4);
    parts.sections.erase(parts.sections.begin() + static_cast<ptrdiff_t>(s));
    if (tag == Parts::tag("META")) continue;
    // Without ids they are 0, 1, 2 …; the next id is still larger than those.
    expect(parts.file(), tag == Parts::tag("IDS ") ? ANNEX_OK : ANNEX_CORRUPT, name);
    parts = Parts(files[0]);
    parts.sections[s].content.push_back(0);
    expect(parts.file(), ANNEX_CORRUPT, name);
    parts = Parts(files[0]);
    parts.sections[s].content.clear();
    expect(parts.file(), ANNEX_CORRUPT, tag == Parts::tag("OPTS") ? "dim" : name);
    parts = Parts(files[0]);
    parts.sections[s].version = 9;
    expect(parts.file(), ANNEX_UNSUPPORTED, name);
    parts = Parts(files[0]);
    parts.sections.push_back(parts.sections[s]);
    expect(parts.file(), ANNEX_CORRUPT, name);
  }

  Parts parts(files[0]);
  parts.version = 2;
  expect(parts.file(), ANNEX_UNSUPPORTED, "format 2");
  parts = Parts(files[0]);
  parts.sections.push_back({Parts::tag("NEW!"), 1, 1, Bytes(10, 1)});
  expect(parts.file(), ANNEX_UNSUPPORTED, "NEW!");
  // Skipped where it is not critical, and kept in the next file.
  parts.sections.back().flags = 0;
  const Bytes kept = parts.file();
  expect(kept, ANNEX_OK, "");
  CHECK(testing::open(kept.data(), kept.size(), &index) == ANNEX_OK);
  Parts again(testing::save(index));
  CHECK(again.find("NEW!") != nullptr && again.find("NEW!")->content == Bytes(10, 1));
  annex_release(index);

  const auto forge = [&](const char* section, size_t at, auto value, AnnexStatus status, const char* what) {
    Parts forged(files[0]);
    testing::poke(forged.find(section)->content, at, value);
    expect(forged.file(), status, what);
  };
  for (const uint64_t rows : {uint64_t{4}, uint64_t{6}, uint64_t{UINT32_MAX}, uint64_t{1} << 32, UINT64_MAX,
                              uint64_t{1} << 63, uint64_t{1} << 62, (uint64_t{1} << 62) + 5}) {
    forge("INFO", 0, rows, ANNEX_CORRUPT, "section");
  }
  for (const int64_t next : {int64_t{-1}, int64_t{12}, INT64_MIN, INT64_MAX, (int64_t{1} << 53) + 1}) {
    forge("INFO", 8, next, ANNEX_CORRUPT, "INFO");
  }
  for (const int64_t id : {int64_t{-1}, int64_t{9}, int64_t{1} << 53, INT64_MIN}) {
    forge("IDS ", 0, id, ANNEX_CORRUPT, "IDS");
  }
  forge("ROWS", 8, std::nanf(""), ANNEX_CORRUPT, "ROWS");
  forge("ROWS", 4 * (33 * 5 - 1), HUGE_VALF, ANNEX_CORRUPT, "row 4");
  forge("NORM", 4, -1.0f, ANNEX_CORRUPT, "NORM");
  forge("NORM", 4, std::nanf(""), ANNEX_CORRUPT, "NORM");
  for (const double value : {-1.0, 0.0, 32.0, 32769.0, 1e300, std::nan(""), 0.5}) {
    forge("OPTS", 24, value, ANNEX_CORRUPT, "section");  // dim
  }
  for (const double value : {-1.0, 99.0, 4e9, std::nan(""), 1e300}) {
    forge("OPTS", 8, value, ANNEX_CORRUPT, "OPTS");   // kind
    forge("OPTS", 16, value, ANNEX_CORRUPT, "OPTS");  // a key
  }

  // Sections in places where they cannot be.
  const auto misplaced = [&](void (*edit)(Bytes&), const char* what) {
    expect(Parts(files[0]).file(edit), ANNEX_CORRUPT, what);
  };
  misplaced([](Bytes& f) { testing::poke<uint64_t>(f, 64 + 32 + 8, 0); }, "INFO");
  misplaced([](Bytes& f) { testing::poke<uint64_t>(f, 64 + 32 + 8, 1); }, "INFO");
  misplaced([](Bytes& f) { testing::poke<uint64_t>(f, 64 + 32 + 8, UINT64_MAX - 63); }, "INFO");
  misplaced([](Bytes& f) { testing::poke<uint64_t>(f, 64 + 32 + 16, UINT64_MAX); }, "INFO");
  misplaced([](Bytes& f) { testing::poke<uint64_t>(f, 64 + 32 + 16, 1 << 20); }, "INFO");
  misplaced([](Bytes& f) { testing::poke<uint64_t>(f, 64 + 8, testing::peek<uint64_t>(f, 64 + 32 + 8)); }, "section");
  misplaced([](Bytes& f) { testing::poke<uint32_t>(f, 12, 0); }, "header");
  misplaced([](Bytes& f) { testing::poke<uint32_t>(f, 12, UINT32_MAX); }, "header");
  misplaced([](Bytes& f) { testing::poke<uint32_t>(f, 12, 1000); }, "header");
  misplaced([](Bytes& f) { testing::poke<uint64_t>(f, 16, UINT64_MAX); }, "header");
  misplaced([](Bytes& f) { testing::poke<uint64_t>(f, 24, UINT64_MAX - 63); }, "header");
  misplaced([](Bytes& f) { testing::poke<uint64_t>(f, 24, 64); }, "header");
  for (size_t shuffle = 0; shuffle < 1000; ++shuffle) {
    Random random(shuffle);
    Parts mixed(files[shuffle % files.size()]);
    for (auto& section : mixed.sections) {
      auto& other = mixed.sections[random.below(mixed.sections.size())];
      if (shuffle % 2 == 0) {
        std::swap(section, other);
      } else {
        std::swap(section.content, other.content);
      }
    }
    const Bytes bytes = mixed.file();
    const AnnexStatus status = testing::open(bytes.data(), bytes.size(), &index);
    CHECK(status == ANNEX_OK || status == ANNEX_CORRUPT || status == ANNEX_UNSUPPORTED);
    CHECK(shuffle % 2 != 0 || status == ANNEX_OK);  // the order of sections is free
    if (status == ANNEX_OK) annex_release(index);
    (void)testing::open_and_use(bytes.data(), bytes.size());
    (void)testing::open_and_use(bytes.data(), bytes.size(), ANNEX_OPEN_LAZY);
  }
}

// Links with right checksums that lead somewhere else, or would once the graph grows.
void test_forged_links() {
  for (const testing::Seed& one : seeds()) {
    if (one.name != "hnsw_plain" && one.name != "hnsw_removed" && one.name != "hnsw_sq8") continue;
    const bool wide = Parts(one.bytes).find("LNK3") == nullptr;
    CHECK(wide == (one.name != "hnsw_sq8"));
    // Calls forge(link, place) for the links of a section; the lists of these files have 8 places, above the bottom 4.
    const auto expect = [&](const char* section, auto&& forge) {
      Parts parts(one.bytes);
      Bytes& links = parts.find(section)->content;
      const bool narrow = std::strcmp(section, "LNK3") == 0;
      const size_t width = narrow ? annex::kNarrowBytes : 4;
      for (size_t i = 0; i * width < links.size(); ++i) {
        uint8_t* at = links.data() + i * width;
        const uint32_t link = narrow ? annex::unpack_link(at) : testing::peek<uint32_t>(links, i * width);
        const uint32_t forged = forge(link, i);
        narrow ? annex::pack_link(forged, at) : testing::poke(links, i * width, forged);
      }
      const Bytes bad = parts.file();
      for (const int32_t flags : {0, int32_t{ANNEX_OPEN_LAZY}}) {
        CHECK(testing::open_and_use(bad.data(), bad.size(), flags) == ANNEX_CORRUPT && names(section));
      }
    };
    const char* bottom = wide ? "LNK0" : "LNK3";
    for (const uint32_t wrong : {0x797474u, 40u, annex::kNarrowNodes - 1}) {
      // Behind the end of a list.
      expect(bottom, [&](uint32_t link, size_t i) { return i % 8 == 7 && link == annex::kNoLink ? wrong : link; });
      expect("LNKU", [&](uint32_t link, size_t i) { return i % 4 == 3 && link == annex::kNoLink ? wrong : link; });
    }
    // A node that is on the bottom layer alone.
    const Bytes levels = Parts(one.bytes).find("LEVL")->content;
    const auto ground = static_cast<uint32_t>(std::find(levels.begin(), levels.end(), 0) - levels.begin());
    CHECK(ground < levels.size());
    expect("LNKU", [&](uint32_t link, size_t i) { return i == 0 ? ground : link; });
    // All links of the tree: none of them could give way to those of a new node.
    expect(bottom,
           [&](uint32_t link, size_t) { return link == annex::kNoLink ? annex::kTreeBit : link | annex::kTreeBit; });
    // One place alone, wherever links are looked at in parts.
    const size_t places = Parts(one.bytes).find(bottom)->content.size() / (wide ? 4 : annex::kNarrowBytes);
    for (size_t place = 0; place < places; ++place) {
      expect(bottom, [&](uint32_t link, size_t i) { return i == place ? 1000 : link; });
    }
  }
}

// The same graph with links in four bytes: the same answers, and nothing is lost when it is saved again.
void test_wide_links() {
  for (const testing::Seed& one : seeds()) {
    const Bytes wide = testing::with_wide_links(one.bytes);
    if (wide.empty()) continue;
    CHECK(testing::open_and_use(wide.data(), wide.size()) == ANNEX_OK);
    AnnexIndex* index = nullptr;
    if (!CHECK(testing::open(wide.data(), wide.size(), &index) == ANNEX_OK)) continue;
    Parts again(testing::save(index, "{}"));
    CHECK(again.find("LNK3") == nullptr);
    CHECK(again.find("LNK0")->content == Parts(wide).find("LNK0")->content);
    annex_release(index);
  }
}

// A norm that no row of bytes has: the query, of bytes as well, is not to be taken for floats.
void test_forged_norm() {
  const auto rows = make_rows(ANNEX_STORE_I8, 4, 5, 1);
  Index index(5, ANNEX_COSINE, ANNEX_STORE_I8, ANNEX_SIDECAR_NONE);
  CHECK(index.add(rows.data(), 4) == ANNEX_OK);
  for (const float norm : {1e-30f, 1e30f, 0.0f}) {
    Parts parts(testing::save(index.handle));
    testing::poke(parts.find("NORM")->content, 4, norm);
    const Bytes bytes = parts.file();
    CHECK(testing::open_and_use(bytes.data(), bytes.size()) == ANNEX_OK);
    AnnexIndex* opened = nullptr;
    CHECK(testing::open(bytes.data(), bytes.size(), &opened) == ANNEX_OK);
    const Opened other(index, opened);
    const testing::Answer expected = index.search(rows.data() + 5, 1, 4),
                          got = other.index.search(rows.data() + 5, 1, 4);
    CHECK(got.ids == expected.ids);
    CHECK(std::abs(got.distances[0] - expected.distances[0]) < 1e-6f && got.ids[0] == 1);
  }
}

// Mapped and lazy: a wrong checksum of what steers is found at the first call that needs it, and at all later ones; of
// rows and codes, only when all is verified.
// Rows that are read in several stretches, of which one holds what is no number.
void test_forged_stretches() {
  constexpr size_t kDim = 256, kRows = 5000;  // 5 MB
  const auto rows = make_rows(ANNEX_STORE_F32, kRows, kDim, 1);
  Index index(kDim, ANNEX_L2, ANNEX_STORE_F32, ANNEX_SIDECAR_NONE);
  CHECK(index.add(rows.data(), kRows) == ANNEX_OK);
  const Bytes bytes = testing::save(index.handle);
  for (const size_t row : {size_t{0}, size_t{3000}, kRows - 1}) {
    Parts forged(bytes);
    testing::poke(forged.find("ROWS")->content, row * kDim * sizeof(float), std::nanf(""));
    const Bytes bad = forged.file();
    AnnexIndex* opened = nullptr;
    char what[32];
    std::snprintf(what, sizeof what, "row %zu holds", row);
    CHECK(testing::open(bad.data(), bad.size(), &opened) == ANNEX_CORRUPT && names(what));
  }
}

void test_damaged_maps() {
  const std::string path = scratch("damaged_map.annex");
  const char* const payload[] = {"ROWS", "NORM", "PANL", "TERM", "WROW", "WNRM",
                                 "CROW", "CNRM", "CPAN", "CTRM", "LIST", "CODE"};
  AnnexIndex* index = nullptr;
  for (const testing::Seed& one : seeds()) {
    const Parts parts(one.bytes);
    const size_t sums = static_cast<size_t>(testing::peek<uint64_t>(one.bytes, 24));
    for (size_t s = 0; s < parts.sections.size(); ++s) {
      char tag[5] = {};
      std::memcpy(tag, &parts.sections[s].tag, 4);
      if (std::strcmp(tag, "OPTS") == 0 || std::strcmp(tag, "INFO") == 0 || std::strcmp(tag, "META") == 0) continue;
      const bool steers = std::none_of(std::begin(payload), std::end(payload),
                                       [&](const char* name) { return std::strcmp(name, tag) == 0; });
      Bytes bad = one.bytes;
      testing::poke(bad, sums + 4 * s, testing::peek<uint32_t>(bad, sums + 4 * s) ^ 1);
      const size_t count = parts.sections.size();
      testing::poke(bad, sums + 4 * count, testing::crc32c(bad.data() + sums, 4 * count));
      write_file(path, bad);
      CHECK(open_path(path, ANNEX_OPEN_MMAP, &index) == ANNEX_CORRUPT && names(tag));
      if (!CHECK(open_path(path, ANNEX_OPEN_MMAP | ANNEX_OPEN_LAZY, &index) == ANNEX_OK)) continue;
      const double id = 1;
      uint8_t found;
      for (int again = 0; again < 2; ++again) {
        const bool as_wanted =
            annex_has(index, &id, 1, &found) == (steers ? ANNEX_CORRUPT : ANNEX_OK) && (!steers || names(tag));
        if (!CHECK(as_wanted)) std::printf("  %s, section %s\n", one.name.c_str(), tag);
      }
      annex_release(index);
    }
  }
  std::remove(path.c_str());
}

void test_paths() {
  const std::string path = scratch("paths.annex");
  AnnexIndex* index = nullptr;
  std::remove(path.c_str());
  CHECK(open_path(path, 0, &index) == ANNEX_IO && names("annex_file_test_paths"));
  CHECK(open_path(path, ANNEX_OPEN_MMAP, &index) == ANNEX_IO);
  CHECK(open_path("/", 0, &index) == ANNEX_IO);
  CHECK(open_path("/dev/zero", 0, &index) == ANNEX_IO);
  write_file(path, {});
  CHECK(open_path(path, 0, &index) == ANNEX_CORRUPT);
  CHECK(open_path(path, ANNEX_OPEN_MMAP, &index) == ANNEX_CORRUPT);
  write_file(path, Bytes(1000, 'a'));
  CHECK(open_path(path, 0, &index) == ANNEX_CORRUPT && names("saved"));

  Index flat(40, ANNEX_COSINE, ANNEX_STORE_F32, ANNEX_SIDECAR_AUTO);
  const auto rows = make_rows(ANNEX_STORE_F32, 30000, 40, 1);
  CHECK(flat.add(rows.data(), 30000) == ANNEX_OK);
  CHECK(save_path(flat.handle, "/nowhere/at/all.annex") == ANNEX_IO);
  CHECK(save_path(flat.handle, "/") == ANNEX_IO);
  CHECK(save_path(flat.handle, "/dev/null") == ANNEX_IO);
  CHECK(save_path(flat.handle, path) == ANNEX_OK);
  const Bytes bytes = testing::save(flat.handle);
  // A cancelled save leaves the old file.
  const int32_t cancel = 1;
  size_t removed = 0;
  const double first = 0;
  CHECK(annex_remove(flat.handle, &first, 1, &removed) == ANNEX_OK);
  CHECK(save_path(flat.handle, path, &cancel) == ANNEX_ABORTED);
  CHECK(open_path(path, 0, &index) == ANNEX_OK);
  CHECK(testing::save(index) == bytes);
  annex_release(index);
  // A mapped index goes on when its file is replaced, and its changes stay its own.
  CHECK(open_path(path, ANNEX_OPEN_MMAP | ANNEX_OPEN_LAZY, &index) == ANNEX_OK);
  CHECK(save_path(flat.handle, path) == ANNEX_OK);
  CHECK(testing::save(index) == bytes);
  CHECK(annex_remove(index, &first, 1, &removed) == ANNEX_OK && removed == 1);
  CHECK(testing::save(index) == testing::save(flat.handle));
  CHECK(save_path(index, path) == ANNEX_OK);
  annex_release(index);
  // Damage to positions is found at first touch of a mapped index, damage to rows when all is verified.
  const double ids[] = {5, 6};
  Index two(8, ANNEX_L2, ANNEX_STORE_F32, ANNEX_SIDECAR_NONE);
  CHECK(two.add(rows.data(), 2, ids) == ANNEX_OK);
  const Bytes good = testing::save(two.handle);
  Parts parts(good);
  for (size_t s = 0; s < parts.sections.size(); ++s) {
    Bytes bad = good;
    const size_t at = static_cast<size_t>(testing::peek<uint64_t>(good, 64 + 32 * s + 8));
    bad[at] ^= 64;
    write_file(path, bad);
    CHECK(open_path(path, ANNEX_OPEN_MMAP, &index) == ANNEX_CORRUPT);
    const uint32_t tag = parts.sections[s].tag;
    const bool early = tag == Parts::tag("OPTS") || tag == Parts::tag("INFO");
    const AnnexStatus status = open_path(path, ANNEX_OPEN_MMAP | ANNEX_OPEN_LAZY, &index);
    CHECK(status == (early ? ANNEX_CORRUPT : ANNEX_OK));
    if (status != ANNEX_OK) continue;
    CHECK(annex_size(index) == 2);
    uint8_t found[2];
    for (int again = 0; again < 2; ++again) {
      CHECK(annex_has(index, ids, 2, found) == (tag == Parts::tag("IDS ") ? ANNEX_CORRUPT : ANNEX_OK));
      CHECK(tag != Parts::tag("IDS ") || names("IDS"));
    }
    annex_release(index);
  }
  std::remove(path.c_str());
}

void test_states() {
  Index index(4, ANNEX_L2, ANNEX_STORE_F32, ANNEX_SIDECAR_NONE);
  const float rows[] = {1, 2, 3, 4};
  CHECK(index.add(rows, 1) == ANNEX_OK);
  AnnexSaver *saver = nullptr, *second = nullptr;
  CHECK(annex_saver_open(index.handle, nullptr, 0, &saver) == ANNEX_OK);
  CHECK(annex_saver_open(index.handle, nullptr, 0, &second) == ANNEX_BUSY);
  CHECK(index.add(rows, 1) == ANNEX_BUSY);
  CHECK(index.search(rows, 1, 1).ids[0] == 0);
  annex_saver_close(saver);
  CHECK(index.add(rows, 1) == ANNEX_OK);
  AnnexWriter* writer = nullptr;
  CHECK(annex_writer_open(index.handle, ANNEX_ADD, &writer) == ANNEX_OK);
  CHECK(annex_saver_open(index.handle, nullptr, 0, &saver) == ANNEX_BUSY);
  annex_writer_abort(writer);
  AnnexOpener* opener = nullptr;
  AnnexIndex* opened = nullptr;
  AnnexProgress progress;
  CHECK(annex_opener_open(64, &opener) == ANNEX_INVALID_ARGUMENT);
  CHECK(annex_opener_open(0, &opener) == ANNEX_OK);
  CHECK(annex_opener_finish(opener, &opened) == ANNEX_INVALID_ARGUMENT);
  CHECK(annex_opener_step(opener, nullptr, &progress) == ANNEX_CORRUPT);
  CHECK(annex_opener_append(opener, rows, 4) == ANNEX_INVALID_ARGUMENT);
  annex_opener_close(opener);
}

}  // namespace

int main() {
  CHECK(small_files().size() >= 5);
  test_round_trips();
  test_cut_and_flipped();
  test_forged();
  test_forged_links();
  test_wide_links();
  test_forged_norm();
  test_forged_stretches();
  test_damaged_maps();
  test_paths();
  test_states();
  return testing::finish("file_test");
}
