// What the native tests share: checks that count, and a thin C++ face over the C ABI.
#pragma once
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>
#include <vector>

#include "api/annex.h"

namespace testing {

inline std::atomic<size_t> checks{0};
inline std::atomic<size_t> failures{0};

inline bool check(bool ok, const char* what, const char* file, int line) {
  ++checks;
  if (!ok && ++failures <= 20) std::printf("FAILED %s:%d: %s\n", file, line, what);
  return ok;
}
#define CHECK(condition) ::testing::check((condition), #condition, __FILE__, __LINE__)

/// Prints the one summary line of a test and gives its exit code.
inline int finish(const char* name) {
  std::printf("%s: %zu checks, %zu failed\n", name, checks.load(), failures.load());
  return failures == 0 ? 0 : 1;
}

/// A small generator: the same numbers on every platform.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 2 + 1) {}
  uint64_t next() {  // splitmix64
    uint64_t z = (state_ += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }
  size_t below(size_t n) { return static_cast<size_t>(next() % n); }
  float uniform() { return static_cast<float>(next() >> 40) * 0x1p-24f; }
  float normal() {  // the sum of twelve uniforms
    float sum = -6;
    for (int i = 0; i < 12; ++i) sum += uniform();
    return sum;
  }

 private:
  uint64_t state_;
};

/// Rows around `count` centres, as embeddings lie; wide(c) is how far from centre c. The values do not depend on how
/// many rows are made.
template <class Wide>
std::vector<float> around_centres(size_t n, size_t dim, size_t count, uint64_t seed, Wide&& wide, float shift = 0) {
  Random centres(7), random(seed);
  std::vector<float> centre(count * dim), rows(n * dim);
  for (float& x : centre) x = shift + centres.normal();
  for (size_t i = 0; i < n; ++i) {
    const size_t c = random.below(count);
    const float width = wide(c);
    for (size_t d = 0; d < dim; ++d) rows[i * dim + d] = centre[c * dim + d] + width * random.normal();
  }
  return rows;
}

struct Answer {
  std::vector<double> ids;
  std::vector<float> distances;
  std::vector<uint32_t> counts;
  AnnexStatus status;
  bool operator==(const Answer& other) const {
    return status == other.status && ids == other.ids && counts == other.counts &&
           std::memcmp(distances.data(), other.distances.data(), distances.size() * 4) == 0;
  }
};

class Index {
 public:
  Index(size_t dim, int metric, int storage, int sidecar) {
    const double options[] = {ANNEX_KEY_KIND,    ANNEX_FLAT,     ANNEX_KEY_DIM,     static_cast<double>(dim),
                              ANNEX_KEY_METRIC,  double(metric), ANNEX_KEY_STORAGE, double(storage),
                              ANNEX_KEY_SIDECAR, double(sidecar)};
    status = annex_create(options, 5, &handle);
    type = storage == ANNEX_STORE_I8     ? ANNEX_I8
           : storage == ANNEX_STORE_U8   ? ANNEX_U8
           : storage == ANNEX_STORE_BITS ? ANNEX_BITS
                                         : ANNEX_F32;
  }
  /// Of any kind, from (key, value) pairs.
  explicit Index(const std::vector<double>& options, AnnexInput rows = ANNEX_F32) : type(rows) {
    status = annex_create(options.data(), options.size() / 2, &handle);
  }
  ~Index() { annex_release(handle); }
  Index(const Index&) = delete;

  AnnexStatus write(AnnexWriteMode mode, const void* rows, size_t n, const double* ids) {
    AnnexWriter* writer = nullptr;
    AnnexStatus outcome = annex_writer_open(handle, mode, &writer);
    if (outcome != ANNEX_OK) return outcome;
    if (rows != nullptr) outcome = annex_writer_append(writer, type, rows, n, ids, nullptr);
    if (outcome == ANNEX_OK) return annex_writer_commit(writer);
    annex_writer_abort(writer);
    return outcome;
  }
  AnnexStatus add(const void* rows, size_t n, const double* ids = nullptr) { return write(ANNEX_ADD, rows, n, ids); }

  Answer search(const void* queries, size_t nq, size_t k, size_t threads = 1, int filter_kind = ANNEX_ALLOW_ALL,
                const void* filter = nullptr, size_t filter_count = 0, size_t ef = 0) const {
    Answer answer{std::vector<double>(nq * k), std::vector<float>(nq * k), std::vector<uint32_t>(nq), ANNEX_OK};
    std::vector<double> options = params;
    options.insert(options.end(), {ANNEX_KEY_THREADS, static_cast<double>(threads)});
    if (ef != 0) options.insert(options.end(), {ANNEX_KEY_EF_SEARCH, static_cast<double>(ef)});
    AnnexSearch search{};
    search.queries = queries;
    search.options = options.data();
    search.option_pairs = options.size() / 2;
    search.filter = filter;
    search.filter_kind = filter_kind;
    search.filter_count = filter_count;
    search.ids = answer.ids.data();
    search.distances = answer.distances.data();
    search.counts = answer.counts.data();
    search.nq = nq;
    search.k = k;
    search.type = type;
    answer.status = annex_search(handle, &search);
    return answer;
  }

  AnnexIndex* handle = nullptr;
  AnnexStatus status = ANNEX_OK;
  AnnexInput type;
  std::vector<double> params;  // of every search, beside threads
};

}  // namespace testing
