// IvfIndex against FlatIndex: with every list looked into, both give the same bits, whatever the storage, the metric,
// the number of queries and threads, and whatever was removed or replaced before. And what it refuses.
#include <algorithm>
#include <cmath>
#include <string>
#include <thread>

#include "file_testing.h"

using testing::Answer;
using testing::Index;
using testing::Random;

namespace {

const char* const kMetrics[] = {"l2", "ip", "cosine", "l1"};

AnnexInput input_of(int storage) {
  return storage == ANNEX_STORE_I8 ? ANNEX_I8 : storage == ANNEX_STORE_U8 ? ANNEX_U8 : ANNEX_F32;
}

struct Rows {
  size_t dim, n;
  AnnexInput type;
  std::vector<float> floats;
  std::vector<uint8_t> bytes;

  size_t row_bytes() const { return type == ANNEX_F32 ? dim * 4 : dim; }
  const uint8_t* row(size_t i) const {
    return (type == ANNEX_F32 ? reinterpret_cast<const uint8_t*>(floats.data()) : bytes.data()) + i * row_bytes();
  }
};

// Clustered, with duplicates.
Rows make_rows(Random& random, size_t n, size_t dim, AnnexInput type) {
  Rows rows{dim, n, type, std::vector<float>(n * dim), {}};
  std::vector<float> centers(8 * dim);
  for (float& c : centers) c = 3 * random.normal();
  for (size_t i = 0; i < n; ++i) {
    const float* center = centers.data() + random.below(8) * dim;
    for (size_t d = 0; d < dim; ++d) rows.floats[i * dim + d] = center[d] + random.normal();
    if (i % 50 == 49) std::copy_n(rows.floats.data() + (i - 7) * dim, dim, rows.floats.data() + i * dim);
  }
  if (type != ANNEX_F32) {
    rows.bytes.resize(n * dim);
    for (size_t i = 0; i < n * dim; ++i) {
      const float value = std::clamp(std::round(rows.floats[i] * 12), -128.0f, 127.0f);
      rows.bytes[i] = static_cast<uint8_t>(static_cast<int>(value) + (type == ANNEX_U8 ? 128 : 0));
    }
  }
  return rows;
}

std::vector<double> ivf_options(size_t dim, int metric, int storage, size_t nlist, std::vector<double> more = {}) {
  std::vector<double> options = {ANNEX_KEY_KIND,   ANNEX_IVF,      ANNEX_KEY_DIM,     static_cast<double>(dim),
                                 ANNEX_KEY_METRIC, double(metric), ANNEX_KEY_STORAGE, double(storage),
                                 ANNEX_KEY_NLIST,  double(nlist)};
  options.insert(options.end(), more.begin(), more.end());
  return options;
}

void expect_same(const Index& ivf, const Index& flat, const Rows& queries, size_t k, const std::string& name) {
  for (const size_t threads : {1, 2}) {
    const Answer expected = flat.search(queries.row(0), queries.n, k, threads);
    const Answer batch = ivf.search(queries.row(0), queries.n, k, threads);
    if (!CHECK(batch == expected)) std::printf("  batch, %zu threads: %s\n", threads, name.c_str());
    for (size_t q = 0; q < queries.n; ++q) {
      const Answer one = ivf.search(queries.row(q), 1, k, threads);
      const bool same = std::equal(one.ids.begin(), one.ids.end(), expected.ids.begin() + q * k) &&
                        std::memcmp(one.distances.data(), expected.distances.data() + q * k, k * 4) == 0;
      if (!CHECK(same)) std::printf("  single, %zu threads: %s\n", threads, name.c_str());
    }
  }
}

// The same operations on both; then the same answers.
void test_against_flat(size_t seed, size_t dim, int metric, int storage, std::vector<double> more, int flat_storage) {
  Random random(seed);
  const std::string name = std::string(kMetrics[metric]) + " storage " + std::to_string(storage) + " dim " +
                           std::to_string(dim) + " seed " + std::to_string(seed);
  const size_t nlist = 1 + random.below(24);
  const Rows rows = make_rows(random, 900, dim, input_of(storage));
  const Rows queries = make_rows(random, 21, dim, input_of(storage));
  Index ivf(ivf_options(dim, metric, storage, nlist, more), rows.type);
  Index flat(dim, metric, flat_storage, ANNEX_SIDECAR_NONE);
  if (!CHECK(ivf.status == ANNEX_OK)) std::printf("  %s: %s\n", name.c_str(), annex_last_error());
  ivf.params = {ANNEX_KEY_NPROBE, 1e6};
  CHECK(ivf.write(ANNEX_TRAIN, rows.row(0), 600, nullptr) == ANNEX_OK);
  const bool own_ids = seed % 2 != 0;
  std::vector<double> ids(rows.n);
  for (size_t i = 0; i < rows.n; ++i) ids[i] = own_ids ? static_cast<double>((i * 7919) % 100003) : double(i);
  const auto both = [&](AnnexWriteMode mode, size_t from, size_t n, const double* given) {
    CHECK(flat.write(mode, rows.row(from), n, given) == ANNEX_OK);
    if (!CHECK(ivf.write(mode, rows.row(from), n, given) == ANNEX_OK)) std::printf("  %s\n", annex_last_error());
  };
  both(ANNEX_ADD, 0, 400, own_ids ? ids.data() : nullptr);
  expect_same(ivf, flat, queries, 10, name + " after add");
  for (size_t i = 400; i < 500; i += 10) both(ANNEX_ADD, i, 10, own_ids ? ids.data() + i : nullptr);
  expect_same(ivf, flat, queries, 600, name + " after small adds, all rows");

  std::vector<double> gone;
  for (size_t i = 0; i < 500; i += 1 + random.below(9)) gone.push_back(ids[i]);
  size_t removed = 0, removed_flat = 0;
  CHECK(annex_remove(ivf.handle, gone.data(), gone.size(), &removed) == ANNEX_OK);
  CHECK(annex_remove(flat.handle, gone.data(), gone.size(), &removed_flat) == ANNEX_OK);
  CHECK(removed == gone.size() && removed_flat == removed);
  expect_same(ivf, flat, queries, 10, name + " after remove");
  // Present ids and new ones, with the rows of others.
  std::vector<double> replaced(ids.begin() + 100, ids.begin() + 400);
  both(ANNEX_UPSERT, 500, 300, replaced.data());
  expect_same(ivf, flat, queries, 25, name + " after upsert");
  AnnexWriter* writer = nullptr;
  CHECK(annex_writer_open(ivf.handle, ANNEX_COMPACT, &writer) == ANNEX_OK && annex_writer_commit(writer) == ANNEX_OK);
  expect_same(ivf, flat, queries, 1, name + " after compact");
  CHECK(annex_size(ivf.handle) == annex_size(flat.handle));

  // Out of a file, and changed there.
  const testing::Bytes file = testing::save(ivf.handle);
  annex_release(ivf.handle);
  CHECK(testing::open(file.data(), file.size(), &ivf.handle) == ANNEX_OK);
  CHECK(testing::save(ivf.handle) == file);
  expect_same(ivf, flat, queries, 10, name + " from a file");
  both(ANNEX_UPSERT, 800, 50, ids.data() + 30);
  expect_same(ivf, flat, queries, 10, name + " from a file, after upsert");

  // Filters that leave many, few and no rows.
  std::vector<uint32_t> bits(100003 / 32 + 1);
  for (uint32_t& word : bits) word = static_cast<uint32_t>(random.next());
  const auto filtered = [&](int kind, const void* filter, size_t count, const char* what) {
    const Answer expected = flat.search(queries.row(0), queries.n, 10, 1, kind, filter, count);
    const Answer answer = ivf.search(queries.row(0), queries.n, 10, 2, kind, filter, count);
    if (!CHECK(answer == expected)) std::printf("  %s: %s\n", what, name.c_str());
  };
  filtered(ANNEX_ALLOW_BITS, bits.data(), 100003, "half");
  filtered(ANNEX_ALLOW_IDS, ids.data() + 300, 12, "twelve");
  filtered(ANNEX_ALLOW_IDS, ids.data() + 890, 5, "none");
  // One list is looked into, and the search goes on until there are k.
  ivf.params = {ANNEX_KEY_NPROBE, 1};
  const Answer few = ivf.search(queries.row(0), queries.n, 10, 2, ANNEX_ALLOW_IDS, ids.data() + 200, 60);
  const Answer few_flat = flat.search(queries.row(0), queries.n, 10, 1, ANNEX_ALLOW_IDS, ids.data() + 200, 60);
  CHECK(few.counts == few_flat.counts);

  std::vector<uint8_t> got(rows.row_bytes()), got_flat(rows.row_bytes());
  uint8_t found = 0, found_flat = 0;
  for (size_t i = 0; i < rows.n; i += 13) {
    CHECK(annex_get(ivf.handle, &ids[i], 1, got.data(), &found) == ANNEX_OK);
    CHECK(annex_get(flat.handle, &ids[i], 1, got_flat.data(), &found_flat) == ANNEX_OK);
    CHECK(found == found_flat && got == got_flat);
  }
}

void test_storages() {
  size_t seed = 1;
  for (const size_t dim : {3, 8, 33, 64, 130}) {
    for (const int metric : {ANNEX_L2, ANNEX_IP, ANNEX_COSINE, ANNEX_L1}) {
      for (const int storage :
           {ANNEX_STORE_F32, ANNEX_STORE_F16, ANNEX_STORE_BF16, ANNEX_STORE_SQ8, ANNEX_STORE_I8, ANNEX_STORE_U8}) {
        const double spill = seed % 3 == 0;
        test_against_flat(++seed, dim, metric, storage, {ANNEX_KEY_SPILL, spill}, storage);
      }
      if (metric == ANNEX_L1) continue;
      for (const int rerank : {ANNEX_STORE_F32, ANNEX_STORE_F16, ANNEX_STORE_BF16}) {
        test_against_flat(++seed, dim, metric, ANNEX_STORE_SQ8, {ANNEX_KEY_RERANK, double(rerank)}, rerank);
      }
    }
  }
}

// Codes are not exact; but one query at a time, many, and any number of threads give the same, what is found is mostly
// right, and rows can be removed and replaced.
void test_codec(size_t seed, size_t dim, int metric, int storage, std::vector<double> more, double least_recall,
                bool exact_distances) {
  Random random(seed);
  const std::string name = std::string(kMetrics[metric]) + " codec " + std::to_string(storage) + " dim " +
                           std::to_string(dim) + " seed " + std::to_string(seed);
  const Rows rows = make_rows(random, 3000, dim, ANNEX_F32);
  const Rows queries = make_rows(random, 40, dim, ANNEX_F32);
  Index ivf(ivf_options(dim, metric, storage, 12, more), ANNEX_F32);
  Index flat(dim, metric, ANNEX_STORE_F32, ANNEX_SIDECAR_NONE);
  if (!CHECK(ivf.status == ANNEX_OK)) std::printf("  %s: %s\n", name.c_str(), annex_last_error());
  CHECK(ivf.write(ANNEX_TRAIN, rows.row(0), 3000, nullptr) == ANNEX_OK);
  std::vector<double> ids(rows.n);
  for (size_t i = 0; i < rows.n; ++i) ids[i] = double(i * 3 + 1);
  const size_t k = 10;
  const auto look = [&](const char* when) {
    ivf.params = {ANNEX_KEY_NPROBE, 12};
    const Answer expected = flat.search(queries.row(0), queries.n, k);
    const Answer answer = ivf.search(queries.row(0), queries.n, k, 1);
    if (!CHECK(ivf.search(queries.row(0), queries.n, k, 2) == answer)) std::printf("  threads: %s\n", name.c_str());
    size_t hits = 0;
    for (size_t q = 0; q < queries.n; ++q) {
      CHECK(answer.counts[q] == k);
      for (size_t i = 0; i < k; ++i) {
        const double id = answer.ids[q * k + i];
        CHECK(std::count(&answer.ids[q * k], &answer.ids[q * k] + k, id) == 1);
        const double* found = std::find(&expected.ids[q * k], &expected.ids[q * k] + k, id);
        if (found == &expected.ids[q * k] + k) continue;
        ++hits;
        const float distance = expected.distances[static_cast<size_t>(found - expected.ids.data())];
        if (exact_distances) CHECK(answer.distances[q * k + i] == distance);
      }
      for (const size_t threads : {1, 2}) {
        const Answer one = ivf.search(queries.row(q), 1, k, threads);
        if (!CHECK(std::equal(one.ids.begin(), one.ids.end(), &answer.ids[q * k]) &&
                   std::memcmp(one.distances.data(), &answer.distances[q * k], k * 4) == 0)) {
          std::printf("  single, %zu threads, %s: %s\n", threads, when, name.c_str());
        }
      }
    }
    const double recall = double(hits) / double(queries.n * k);
    if (!CHECK(recall >= least_recall)) std::printf("  recall %.3f %s: %s\n", recall, when, name.c_str());
    // Fewer lists and a filter: k of those that are allowed.
    ivf.params = {ANNEX_KEY_NPROBE, 1};
    CHECK(ivf.search(queries.row(0), queries.n, 20, 1, ANNEX_ALLOW_IDS, ids.data() + 1000, 15).counts ==
          flat.search(queries.row(0), queries.n, 20, 1, ANNEX_ALLOW_IDS, ids.data() + 1000, 15).counts);
  };
  const auto both = [&](AnnexWriteMode mode, size_t from, size_t n, const double* given) {
    CHECK(flat.write(mode, rows.row(from), n, given) == ANNEX_OK);
    CHECK(ivf.write(mode, rows.row(from), n, given) == ANNEX_OK);
  };
  both(ANNEX_ADD, 0, 2000, ids.data());
  look("after add");
  std::vector<double> gone;
  for (size_t i = 0; i < 2000; i += 1 + random.below(9)) gone.push_back(ids[i]);
  size_t removed = 0, removed_flat = 0;
  CHECK(annex_remove(ivf.handle, gone.data(), gone.size(), &removed) == ANNEX_OK && removed == gone.size());
  CHECK(annex_remove(flat.handle, gone.data(), gone.size(), &removed_flat) == ANNEX_OK);
  both(ANNEX_UPSERT, 2000, 1000, ids.data() + 900);
  look("after remove and upsert");
  // What is stored is near what was given.
  std::vector<float> got(dim), given(dim);
  uint8_t found = 0;
  double error = 0, size = 0;
  for (size_t i = 900; i < 1900; i += 7) {
    CHECK(annex_get(ivf.handle, &ids[i], 1, got.data(), &found) == ANNEX_OK && found == 1);
    CHECK(annex_get(flat.handle, &ids[i], 1, given.data(), &found) == ANNEX_OK && found == 1);
    double norm = 0;
    for (const float x : given) norm += double(x) * x;
    const double scale = metric == ANNEX_COSINE && !exact_distances ? 1 / std::sqrt(norm) : 1;
    for (size_t d = 0; d < dim; ++d) error += (got[d] - given[d] * scale) * (got[d] - given[d] * scale);
    size += norm * scale * scale;
  }
  if (!CHECK(error < (exact_distances ? 1e-9 : 0.2) * size)) std::printf("  %f: %s\n", error / size, name.c_str());
}

void test_codecs() {
  size_t seed = 100;
  for (const int metric : {ANNEX_L2, ANNEX_IP, ANNEX_COSINE}) {
    for (const double spill : {0, 1}) {
      const auto run = [&](size_t dim, int storage, std::vector<double> more, double recall, bool exact) {
        more.insert(more.end(), {ANNEX_KEY_SPILL, spill});
        if (spill != 0) recall *= exact ? 0.7 : 0.3;  // these clusters lie far apart: codes of second lists are coarse
        test_codec(++seed, dim, metric, storage, more, recall, exact);
      };
      run(40, ANNEX_STORE_PQ, {ANNEX_KEY_CODE_M, 20, ANNEX_KEY_CODE_BITS, 8}, 0.7, false);
      run(40, ANNEX_STORE_PQ, {ANNEX_KEY_CODE_M, 20, ANNEX_KEY_CODE_BITS, 4, ANNEX_KEY_RERANK, 0}, 0.85, true);
      run(36, ANNEX_STORE_PQ, {ANNEX_KEY_CODE_M, 18, ANNEX_KEY_CODE_BITS, 4, ANNEX_KEY_ROTATION, 1}, 0.4, false);
      run(40, ANNEX_STORE_RABITQ, {ANNEX_KEY_RERANK, 0}, 0.97, true);
      run(70, ANNEX_STORE_RABITQ, {ANNEX_KEY_CODE_BITS, 4}, 0.8, false);
      run(70, ANNEX_STORE_RABITQ, {ANNEX_KEY_CODE_BITS, 3, ANNEX_KEY_RERANK, 0}, 0.97, true);
    }
  }
}

std::string failure(AnnexStatus status, AnnexStatus expected) {
  CHECK(status == expected);
  return status == ANNEX_OK ? "" : annex_last_error();
}

bool says(const std::string& message, const char* part) {
  const bool found = message.find(part) != std::string::npos;
  if (!found) std::printf("  \"%s\" lacks \"%s\"\n", message.c_str(), part);
  return found;
}

void test_states() {
  Random random(5);
  const Rows rows = make_rows(random, 500, 16, ANNEX_F32);
  Index ivf(ivf_options(16, ANNEX_L2, ANNEX_STORE_F32, 10), ANNEX_F32);
  AnnexStats stats;
  annex_stats(ivf.handle, &stats);
  CHECK(stats.trained == 0);
  CHECK(says(failure(ivf.add(rows.row(0), 1), ANNEX_NOT_TRAINED), "train it first"));
  CHECK(says(failure(ivf.search(rows.row(0), 1, 1).status, ANNEX_NOT_TRAINED), "train it first"));
  CHECK(says(failure(ivf.write(ANNEX_TRAIN, rows.row(0), 9, nullptr), ANNEX_INVALID_ARGUMENT),
             "at least nlist (10); got 9"));
  // An abort leaves it untrained, and it can be trained then.
  AnnexWriter* writer = nullptr;
  AnnexWriter* second = nullptr;
  CHECK(annex_writer_open(ivf.handle, ANNEX_TRAIN, &writer) == ANNEX_OK);
  CHECK(annex_writer_open(ivf.handle, ANNEX_TRAIN, &second) == ANNEX_BUSY);
  CHECK(annex_writer_append(writer, ANNEX_F32, rows.row(0), 500, nullptr, nullptr) == ANNEX_OK);
  AnnexProgress progress;
  CHECK(annex_writer_step(writer, nullptr, &progress) == ANNEX_OK && progress.phase == ANNEX_PHASE_KMEANS);
  const int32_t cancel = 1;
  while (progress.finished == 0) {
    const AnnexStatus status = annex_writer_step(writer, &cancel, &progress);
    if (status != ANNEX_OK) {
      CHECK(status == ANNEX_ABORTED);
      break;
    }
  }
  annex_writer_abort(writer);
  CHECK(failure(ivf.add(rows.row(0), 1), ANNEX_NOT_TRAINED) != "");
  CHECK(ivf.write(ANNEX_TRAIN, rows.row(0), 500, nullptr) == ANNEX_OK);
  annex_stats(ivf.handle, &stats);
  CHECK(stats.trained == 1);
  CHECK(says(failure(ivf.write(ANNEX_TRAIN, rows.row(0), 500, nullptr), ANNEX_INVALID_ARGUMENT), "trained already"));
  CHECK(ivf.search(rows.row(0), 1, 3).counts[0] == 0);
  CHECK(ivf.add(rows.row(0), 500) == ANNEX_OK);
  CHECK(ivf.search(rows.row(0), 1, 500).counts[0] == 500);  // beyond nprobe, until there are k
  ivf.params = {ANNEX_KEY_RERANK_FACTOR, 4};
  CHECK(says(failure(ivf.search(rows.row(0), 1, 1).status, ANNEX_UNSUPPORTED), "leave rerankFactor out"));
  ivf.params = {ANNEX_KEY_NPROBE, 10, ANNEX_KEY_EARLY_STOP, 1};
  const Answer nearest = ivf.search(rows.row(0), 500, 1);
  ivf.params = {ANNEX_KEY_NPROBE, 1};
  CHECK(nearest == ivf.search(rows.row(0), 500, 1));

  // Constant and duplicate rows, and rows that are not finite.
  const std::vector<float> same(200 * 16, 1.5f);
  Index constant(ivf_options(16, ANNEX_COSINE, ANNEX_STORE_F32, 10), ANNEX_F32);
  CHECK(constant.write(ANNEX_TRAIN, same.data(), 200, nullptr) == ANNEX_OK);
  CHECK(constant.add(same.data(), 200) == ANNEX_OK);
  CHECK(constant.search(same.data(), 1, 200).counts[0] == 200);
  std::vector<float> bad(16, std::numeric_limits<float>::quiet_NaN());
  CHECK(says(failure(constant.add(bad.data(), 1), ANNEX_NOT_FINITE), "row 0"));
  CHECK(failure(constant.search(bad.data(), 1, 1).status, ANNEX_NOT_FINITE) != "");
  std::fill(bad.begin(), bad.end(), 0.0f);
  CHECK(says(failure(constant.add(bad.data(), 1), ANNEX_NOT_FINITE), "zero vector"));
}

// A graph over the centroids finds nearly the lists that looking at all of them finds, also out of a file.
void test_coarse() {
  Random random(9);
  const Rows rows = make_rows(random, 6000, 24, ANNEX_F32);
  for (const int metric : {ANNEX_L2, ANNEX_IP, ANNEX_COSINE}) {
    Index flat(ivf_options(24, metric, ANNEX_STORE_F32, 200), ANNEX_F32);
    Index graph(ivf_options(24, metric, ANNEX_STORE_F32, 200, {ANNEX_KEY_COARSE, ANNEX_COARSE_HNSW}), ANNEX_F32);
    for (Index* index : {&flat, &graph}) {
      CHECK(index->write(ANNEX_TRAIN, rows.row(0), rows.n, nullptr) == ANNEX_OK);
      CHECK(index->add(rows.row(0), rows.n) == ANNEX_OK);
      index->params = {ANNEX_KEY_NPROBE, 10};
    }
    const testing::Bytes file = testing::save(graph.handle);
    for (const bool reopened : {false, true}) {
      const Answer expected = flat.search(rows.row(0), 200, 10);
      const Answer answer = graph.search(rows.row(0), 200, 10, 2);
      CHECK(answer.status == ANNEX_OK && graph.search(rows.row(0), 200, 10, 1) == answer);
      size_t same = 0;
      for (size_t i = 0; i < expected.ids.size(); ++i) same += expected.ids[i] == answer.ids[i];
      CHECK(same * 10 >= expected.ids.size() * 9);
      if (reopened) break;
      annex_release(graph.handle);
      CHECK(testing::open(file.data(), file.size(), &graph.handle) == ANNEX_OK);
    }
  }
}

// Long lists, each visited by one query of a batch, on threads that have kept no memory of earlier searches.
void test_long_lists() {
  Random random(11);
  const size_t n = 3000;
  const auto look = [&](size_t dim, int storage, std::vector<double> more) {
    Rows rows = make_rows(random, 2 * n, dim, ANNEX_F32);
    for (size_t i = 0; i < n * dim; ++i) rows.floats[i] += 1000;
    Index ivf(ivf_options(dim, ANNEX_L2, storage, 2, more), ANNEX_F32);
    CHECK(ivf.write(ANNEX_TRAIN, rows.row(0), 2 * n, nullptr) == ANNEX_OK);
    CHECK(ivf.add(rows.row(0), 2 * n) == ANNEX_OK);
    ivf.params = {ANNEX_KEY_NPROBE, 1};
    for (const size_t k : {size_t{10}, n}) {
      std::thread([&] {
        const Answer pair = ivf.search(rows.row(n - 1), 2, k);
        for (size_t q = 0; q < 2; ++q) {
          const Answer one = ivf.search(rows.row(n - 1 + q), 1, k);
          CHECK(std::equal(one.ids.begin(), one.ids.end(), &pair.ids[q * k]) && one.ids[0] != -1);
        }
      }).join();
    }
  };
  look(8, ANNEX_STORE_F32, {});
  look(64, ANNEX_STORE_F32, {});
  look(64, ANNEX_STORE_SQ8, {ANNEX_KEY_RERANK, ANNEX_STORE_F32});
  look(64, ANNEX_STORE_RABITQ, {ANNEX_KEY_RERANK, ANNEX_STORE_F16});
  look(64, ANNEX_STORE_PQ, {ANNEX_KEY_CODE_M, 16, ANNEX_KEY_CODE_BITS, 8});
}

void test_options() {
  const auto refused = [](std::vector<double> options, AnnexStatus expected, const char* part) {
    AnnexIndex* index = nullptr;
    CHECK(says(failure(annex_create(options.data(), options.size() / 2, &index), expected), part));
  };
  refused(ivf_options(16, ANNEX_HAMMING, ANNEX_STORE_BITS, 4), ANNEX_UNSUPPORTED, "flat index");
  refused({ANNEX_KEY_KIND, ANNEX_IVF, ANNEX_KEY_DIM, 16}, ANNEX_INVALID_ARGUMENT, "nlist");
  refused(ivf_options(16, ANNEX_L2, ANNEX_STORE_F32, 4, {ANNEX_KEY_SPILL, 2}), ANNEX_INVALID_ARGUMENT, "spill is 2");
  refused(ivf_options(16, ANNEX_L2, ANNEX_STORE_F32, 4, {ANNEX_KEY_RERANK, 1}), ANNEX_UNSUPPORTED, "leave it out");
  refused(ivf_options(16, ANNEX_L2, ANNEX_STORE_SQ8, 4, {ANNEX_KEY_RERANK, 3}), ANNEX_INVALID_ARGUMENT, "wider");
  refused(ivf_options(16, ANNEX_L2, ANNEX_STORE_SQ8, 4, {ANNEX_KEY_RERANK, 4}), ANNEX_UNSUPPORTED, "rerank is i8");
  refused(ivf_options(16, ANNEX_L2, ANNEX_STORE_F32, 4, {ANNEX_KEY_M, 16}), ANNEX_INVALID_ARGUMENT, "no option");
  refused(ivf_options(16, ANNEX_L2, ANNEX_STORE_F32, 4, {ANNEX_KEY_CODE_M, 4}), ANNEX_INVALID_ARGUMENT, "takes no m");
  refused(ivf_options(16, ANNEX_L1, ANNEX_STORE_PQ, 4, {ANNEX_KEY_CODE_M, 4}), ANNEX_UNSUPPORTED, "not l1");
  refused(ivf_options(16, ANNEX_L2, ANNEX_STORE_PQ, 4, {ANNEX_KEY_CODE_M, 7}), ANNEX_INVALID_ARGUMENT, "4 and 8");
  refused(ivf_options(16, ANNEX_L2, ANNEX_STORE_PQ, 4, {ANNEX_KEY_CODE_BITS, 5}), ANNEX_INVALID_ARGUMENT, "4 or 8");

  // Options come back as they were given, with defaults.
  Index ivf(ivf_options(16, ANNEX_IP, ANNEX_STORE_SQ8, 7, {ANNEX_KEY_RERANK, 1, ANNEX_KEY_SEED, 9e15}), ANNEX_F32);
  double pairs[64];
  const size_t count = annex_options(ivf.handle, pairs, 32);
  CHECK(count == 12);
  for (size_t i = 0; i < count; ++i) {
    const int key = static_cast<int>(pairs[2 * i]);
    if (key == ANNEX_KEY_SEED) CHECK(pairs[2 * i + 1] == 9e15);
    if (key == ANNEX_KEY_RERANK) CHECK(pairs[2 * i + 1] == 1);
    if (key == ANNEX_KEY_SPILL) CHECK(pairs[2 * i + 1] == 0);
  }
}

}  // namespace

int main() {
  test_storages();
  test_codecs();
  test_states();
  test_options();
  test_coarse();
  test_long_lists();
  return testing::finish("ivf_test");
}
