// Searches, writes and reads of one index from several threads at once: run under ThreadSanitizer. Rows are kept such
// that any answer tells whether it saw a consistent state.
#include <atomic>
#include <thread>

#include "testing.h"

using testing::Answer;
using testing::Index;
using testing::Random;

namespace {

constexpr size_t kDim = 48;

// Every component is a function of the id, so a torn or foreign row would give itself away by its distance.
void make_row(double id, float* row) {
  Random random(static_cast<uint64_t>(id));
  for (size_t d = 0; d < kDim; ++d) row[d] = random.normal();
}

void reader(const Index& index, const std::atomic<bool>& stop, size_t seed) {
  Random random(seed);
  std::vector<float> query(kDim * 20), row(kDim);
  for (size_t round = 0; !stop; ++round) {
    for (size_t q = 0; q < 20; ++q) make_row(static_cast<double>(random.below(3000)), &query[q * kDim]);
    const size_t nq = round % 2 == 0 ? 1 : 20;
    const Answer answer = index.search(query.data(), nq, 5, 1 + round % 2);
    CHECK(answer.status == ANNEX_OK);
    for (size_t q = 0; q < nq; ++q) {
      for (size_t i = 0; i < answer.counts[q]; ++i) {
        make_row(answer.ids[q * 5 + i], row.data());
        double distance = 0;
        for (size_t d = 0; d < kDim; ++d) {
          const double difference = query[q * kDim + d] - row[d];
          distance += difference * difference;
        }
        const double got = answer.distances[q * 5 + i];
        CHECK(got >= distance * 0.9999 - 1e-6 && got <= distance * 1.0001 + 1e-6);
      }
    }
    const double id = static_cast<double>(random.below(3000));
    uint8_t found = 0;
    std::vector<float> stored(kDim);
    CHECK(annex_get(index.handle, &id, 1, stored.data(), &found) == ANNEX_OK);
    make_row(id, row.data());
    if (found) CHECK(stored == row);
    AnnexStats stats;
    annex_stats(index.handle, &stats);
    CHECK(stats.size <= 3000 && annex_size(index.handle) <= 3000);
  }
}

}  // namespace

int main() {
  const double dim = kDim;
  const std::vector<double> kinds[] = {
      {ANNEX_KEY_KIND, ANNEX_FLAT, ANNEX_KEY_DIM, dim, ANNEX_KEY_SIDECAR, ANNEX_SIDECAR_NONE},
      {ANNEX_KEY_KIND, ANNEX_FLAT, ANNEX_KEY_DIM, dim, ANNEX_KEY_SIDECAR, ANNEX_SIDECAR_I8},
      {ANNEX_KEY_KIND, ANNEX_HNSW, ANNEX_KEY_DIM, dim, ANNEX_KEY_M, 6, ANNEX_KEY_EF_CONSTRUCTION, 30},
      {ANNEX_KEY_KIND, ANNEX_HNSW, ANNEX_KEY_DIM, dim, ANNEX_KEY_M, 6, ANNEX_KEY_LAYOUT, ANNEX_LAYOUT_PLAIN}};
  for (const std::vector<double>& kind : kinds) {
    Index index(kind);
    std::atomic<bool> stop{false};
    std::thread first([&] { reader(index, stop, 1); });
    std::thread second([&] { reader(index, stop, 2); });
    // Two writers, which find each other busy at times.
    std::atomic<size_t> busy{0};
    const auto write = [&](size_t seed) {
      Random random(seed);
      std::vector<float> rows(kDim * 200);
      std::vector<double> ids(200);
      for (size_t round = 0; round < 60; ++round) {
        const size_t n = 1 + random.below(200), start = random.below(2800);
        for (size_t i = 0; i < n; ++i) {
          ids[i] = static_cast<double>(start + i);
          make_row(ids[i], &rows[i * kDim]);
        }
        AnnexStatus status;
        if (round % 20 == 19) {
          status = index.write(ANNEX_COMPACT, nullptr, 0, nullptr);
        } else if (round % 3 == 2) {
          size_t removed = 0;
          status = annex_remove(index.handle, ids.data(), n, &removed);
        } else {
          status = index.write(ANNEX_UPSERT, rows.data(), n, ids.data());
        }
        CHECK(status == ANNEX_OK || status == ANNEX_BUSY);
        busy += status == ANNEX_BUSY;
      }
    };
    std::thread writer([&] { write(3); });
    write(4);
    writer.join();
    stop = true;
    first.join();
    second.join();
    std::printf("%zu of 120 writes found the index busy\n", busy.load());
  }
  return testing::finish("threads_test");
}
