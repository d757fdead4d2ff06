// How far walks look: efSearch candidates on the average whatever the rows are like, better answers for the same work
// than from the nearest efSearch for every query, the same answers from a file, and nothing believed that cannot be.
#include <algorithm>
#include <cmath>
#include <string>

#include "file_testing.h"
#include "index/hnsw.h"
#include "testing.h"

using testing::Answer;
using testing::Bytes;
using testing::Index;
using testing::Parts;

namespace {

constexpr size_t kRows = 6000, kDim = 24, kQueries = 200, kNeighbors = 10;
constexpr size_t kRatios = 12, kUsual = 372;  // where they start in the section

// Heaps of very different density: some queries have many near neighbors, others few.
std::vector<float> heaps(size_t n, uint64_t seed, float shift = 0) {
  const auto wide = [](size_t c) { return 0.05f * std::exp(0.1f * static_cast<float>(c)); };
  return testing::around_centres(n, kDim, 40, seed, wide, shift);
}

std::vector<double> options(int metric, int layout, int storage = ANNEX_STORE_F32) {
  return {ANNEX_KEY_KIND,
          ANNEX_HNSW,
          ANNEX_KEY_DIM,
          double(kDim),
          ANNEX_KEY_METRIC,
          double(metric),
          ANNEX_KEY_SEED,
          1,
          ANNEX_KEY_STORAGE,
          double(storage),
          ANNEX_KEY_LAYOUT,
          double(layout),
          ANNEX_KEY_M,
          8,
          ANNEX_KEY_EF_CONSTRUCTION,
          60};
}

double recall(const Answer& exact, const Answer& got) {
  size_t hits = 0;
  for (size_t i = 0; i < exact.ids.size(); ++i) {
    const auto begin = exact.ids.begin() + static_cast<ptrdiff_t>(i / kNeighbors * kNeighbors);
    hits += std::find(begin, begin + kNeighbors, got.ids[i]) != begin + kNeighbors;
  }
  return static_cast<double>(hits) / static_cast<double>(exact.ids.size());
}

double hops(AnnexIndex* index) {
  AnnexStats stats;
  annex_stats(index, &stats);
  return stats.hops;
}

Answer search(AnnexIndex* handle, const std::vector<float>& queries, size_t ef, size_t k = kNeighbors) {
  Index borrowed(std::vector<double>{});
  borrowed.handle = handle;
  const Answer answer = borrowed.search(queries.data(), queries.size() / kDim, k, 1, 0, nullptr, 0, ef);
  borrowed.handle = nullptr;
  return answer;
}

// What is behind a handle: its first member.
const annex::HnswReach& reach_of(const Index& index) {
  annex::Index* held;
  std::memcpy(&held, index.handle, sizeof held);
  return static_cast<annex::HnswIndex*>(held)->state().reach;
}

void test_work_and_recall() {
  const auto rows = heaps(kRows, 1), queries = heaps(kQueries, 2);
  for (const int metric : {ANNEX_L2, ANNEX_IP, ANNEX_COSINE, ANNEX_L1}) {
    Index flat(kDim, metric, ANNEX_STORE_F32, ANNEX_SIDECAR_NONE);
    CHECK(flat.add(rows.data(), kRows) == ANNEX_OK);
    const Answer exact = flat.search(queries.data(), kQueries, kNeighbors);
    for (const int layout : {ANNEX_LAYOUT_PLAIN, ANNEX_LAYOUT_AUTO}) {
      Index index(options(metric, layout));
      CHECK(index.add(rows.data(), kRows) == ANNEX_OK);
      CHECK(reach_of(index).known());
      const Bytes whole = testing::save(index.handle);
      Parts without(whole);
      CHECK(without.find("RCHD") != nullptr);
      without.sections.erase(without.sections.begin() + (without.find("RCHD") - without.sections.data()));
      const Bytes file = without.file();
      AnnexIndex *fixed = nullptr, *opened = nullptr;
      CHECK(testing::open(file.data(), file.size(), &fixed) == ANNEX_OK);
      CHECK(testing::open(whole.data(), whole.size(), &opened) == ANNEX_OK);
      CHECK(testing::save(opened) == whole && Parts(testing::save(fixed)).find("RCHD") == nullptr);
      double learnt = 0, nearest = 0;
      for (const size_t ef : {24, 40, 80, 160}) {
        const double before = hops(index.handle), fixed_before = hops(fixed);
        const Answer got = search(index.handle, queries, ef), other = search(fixed, queries, ef);
        const double work = hops(index.handle) - before, fixed_work = hops(fixed) - fixed_before;
        if (!CHECK(work < 1.5 * fixed_work && work > 0.6 * fixed_work))
          std::printf("metric %d layout %d ef %zu: %.0f hops, %.0f\n", metric, layout, ef, work, fixed_work);
        learnt += recall(exact, got);
        nearest += recall(exact, other);
        CHECK(search(opened, queries, ef) == got);
        // Alone a query finds what it finds among others.
        const std::vector<float> one(queries.begin() + 3 * kDim, queries.begin() + 4 * kDim);
        const Answer alone = search(index.handle, one, ef);
        CHECK(std::equal(alone.ids.begin(), alone.ids.end(), got.ids.begin() + 3 * kNeighbors));
      }
      // Where distances differ less from query to query there is less to gain.
      const double gain = metric == ANNEX_L2 && layout == ANNEX_LAYOUT_PLAIN ? 0.02 : -0.03;
      if (!CHECK(learnt / 4 > nearest / 4 + gain))
        std::printf("metric %d layout %d: recall %.4f, %.4f\n", metric, layout, learnt / 4, nearest / 4);
      if (layout == ANNEX_LAYOUT_PLAIN) CHECK(recall(exact, search(index.handle, queries, kRows)) > 0.999);
      annex_release(fixed);
      annex_release(opened);
    }
  }
}

// Ratios grow with efSearch.
void test_ratios() {
  const auto rows = heaps(kRows, 3);
  Index index(options(ANNEX_L2, ANNEX_LAYOUT_AUTO));
  CHECK(index.add(rows.data(), 500) == ANNEX_OK);
  CHECK(!reach_of(index).known());
  const annex::Reach before = reach_of(index).of(10, 40, 500, false);
  CHECK(before.most == 40 && before.least == 40);
  CHECK(index.add(rows.data() + 500 * kDim, kRows - 500) == ANNEX_OK);
  const annex::HnswReach& reach = reach_of(index);
  for (const size_t k : {1, 3, 10, 100, 256, 1000, 5000}) {
    float last = 1;
    for (size_t ef = k; ef < kRows; ef += 1 + ef / 3) {
      const annex::Reach of = reach.of(k, ef, kRows, false);
      CHECK(of.ratio >= last && std::isfinite(of.ratio) && of.place < of.least && of.least <= kRows + 16);
      CHECK(of.most >= std::min(ef, kRows) && of.most <= 4 * ef);
      last = of.ratio;
    }
    CHECK(reach.of(k, k, kRows, false).ratio == 1);
  }
  CHECK(reach.of(10, kRows, kRows, false).most == kRows && reach.of(10, kRows, kRows, false).least == kRows);
  // It is learnt anew when the index has grown, and when it is compacted.
  const Bytes first = testing::save(index.handle);
  CHECK(index.add(rows.data(), 1000) == ANNEX_OK);
  CHECK(Parts(first).find("RCHD")->content == Parts(testing::save(index.handle)).find("RCHD")->content);
  CHECK(index.add(rows.data(), 5000) == ANNEX_OK);
  CHECK(Parts(first).find("RCHD")->content != Parts(testing::save(index.handle)).find("RCHD")->content);
  std::vector<double> gone(9000);
  for (size_t i = 0; i < gone.size(); ++i) gone[i] = static_cast<double>(i);
  size_t removed = 0;
  CHECK(annex_remove(index.handle, gone.data(), gone.size(), &removed) == ANNEX_OK && removed == gone.size());
  CHECK(search(index.handle, heaps(20, 4), 30).counts == std::vector<uint32_t>(20, kNeighbors));
  CHECK(index.write(ANNEX_COMPACT, nullptr, 0, nullptr) == ANNEX_OK && reach_of(index).known());
  CHECK(search(index.handle, heaps(20, 4), 30).counts == std::vector<uint32_t>(20, kNeighbors));
}

// What a pool keeps, and how many of that are expanded, against a definition by counting; and what it does not let in
// would not have been kept.
void test_trim() {
  testing::Random random(5);
  for (int round = 0; round < 3000; ++round) {
    annex::Reach reach = annex::Reach::nearest(1 + random.below(20));
    reach.least = 1 + random.below(reach.most);
    reach.place = random.below(reach.least);
    reach.ratio =
        random.below(4) == 0 ? std::numeric_limits<float>::infinity() : 1 + 0.25f * static_cast<float>(random.below(8));
    reach.more = random.below(8);
    std::vector<uint64_t> keys(1 + random.below(reach.room()));
    for (uint64_t& key : keys)
      key = annex::pool_key(static_cast<float>(random.below(40)), static_cast<uint32_t>(random.below(1000)));
    std::sort(keys.begin(), keys.end());
    const auto expanded_of = [&](const std::vector<uint64_t>& pool) {
      size_t n = 0;
      while (n < std::min(pool.size(), reach.most) &&
             (n < reach.least || pool[n] <= reach.limit(pool.data(), pool.size())))
        ++n;
      return n;
    };
    std::vector<uint64_t> trimmed = keys;
    annex::Candidates pool{trimmed.data(), keys.size(), reach.room(), UINT64_MAX, random.below(keys.size() + 1)};
    size_t expanded = random.below(keys.size() + 1);
    reach.trim(annex::kernels().walk, &pool, &expanded);
    CHECK(expanded == expanded_of(keys));
    CHECK(pool.size == std::min(keys.size(), expanded + reach.more) && pool.next <= pool.size);
    if (pool.size == pool.most || pool.limit == UINT64_MAX) continue;
    std::vector<uint64_t> more(keys.begin(), keys.begin() + static_cast<ptrdiff_t>(pool.size));
    more.push_back(pool.limit + 1);
    CHECK(expanded_of(more) == expanded && expanded + reach.more < more.size());
  }
}

// Where no efSearch is given, one that was learnt finds about so many neighbors whatever the rows are like.
void test_usual() {
  for (const int metric : {ANNEX_L2, ANNEX_IP, ANNEX_COSINE, ANNEX_L1}) {
    for (const bool one_heap : {false, true}) {
      const auto make = [&](size_t n, uint64_t seed) {
        return one_heap ? testing::around_centres(n, kDim, 1, seed, [](size_t) { return 1.0f; }) : heaps(n, seed);
      };
      const auto rows = make(kRows, 10), queries = make(kQueries, 11);
      Index exact(kDim, metric, ANNEX_STORE_F32, ANNEX_SIDECAR_NONE), index(options(metric, ANNEX_LAYOUT_AUTO));
      CHECK(exact.add(rows.data(), kRows) == ANNEX_OK);
      CHECK(index.add(rows.data(), 500) == ANNEX_OK && reach_of(index).usual() == 0);
      CHECK(search(index.handle, queries, 0) == search(index.handle, queries, 96));
      CHECK(index.add(rows.data() + 500 * kDim, kRows - 500) == ANNEX_OK);
      const size_t usual = reach_of(index).usual();
      CHECK(usual >= 32 && usual <= 256);
      const Answer got = search(index.handle, queries, 0);
      CHECK(got == search(index.handle, queries, usual));
      const double found = recall(exact.search(queries.data(), kQueries, kNeighbors), got);
      if (!CHECK(found > 0.92)) std::printf("metric %d, usual %zu: recall %.4f\n", metric, usual, found);
      CHECK(search(index.handle, queries, 0, 20) == search(index.handle, queries, std::max<size_t>(usual, 96), 20));
    }
  }
}

// Rows that are all equal, rows of which half are, and queries far from all of them.
void test_extremes() {
  for (const int metric : {ANNEX_L2, ANNEX_IP, ANNEX_COSINE, ANNEX_L1}) {
    for (const size_t equal : {kRows, kRows / 2}) {
      auto rows = heaps(kRows, 5, 3);
      for (size_t i = 0; i < equal * kDim; ++i) rows[i] = 1;
      Index index(options(metric, ANNEX_LAYOUT_AUTO));
      CHECK(index.add(rows.data(), kRows) == ANNEX_OK);
      for (const float shift : {0.0f, 3.0f, -1e18f, 1e18f}) {
        const Answer got = search(index.handle, heaps(20, 6, shift), 20);
        CHECK(got.status == ANNEX_OK && got.counts == std::vector<uint32_t>(20, kNeighbors));
      }
      CHECK(search(index.handle, std::vector<float>(kDim, 1.0f), 20).counts[0] == kNeighbors);
    }
  }
}

void test_forged() {
  const auto rows = heaps(kRows, 8), queries = heaps(kQueries, 9);
  Index index(options(ANNEX_IP, ANNEX_LAYOUT_AUTO));
  CHECK(index.add(rows.data(), kRows) == ANNEX_OK);
  const Parts parts(testing::save(index.handle));
  const auto forged = [&](size_t at, auto value) {
    Parts changed = parts;
    testing::poke(changed.find("RCHD")->content, at, value);
    const Bytes bytes = changed.file();
    AnnexIndex* opened = nullptr;
    const AnnexStatus status = testing::open(bytes.data(), bytes.size(), &opened);
    if (status == ANNEX_OK) {
      CHECK(search(opened, queries, 40).counts == std::vector<uint32_t>(kQueries, kNeighbors));
      annex_release(opened);
    } else {
      CHECK(std::string(annex_last_error()).find("RCHD") != std::string::npos);
    }
    return status;
  };
  for (size_t ratio = 0; ratio < 90; ratio += 7) {
    const size_t at = kRatios + 4 * ratio;
    CHECK(forged(at, std::nanf("")) == ANNEX_CORRUPT && forged(at, 0.5f) == ANNEX_CORRUPT);
    CHECK(forged(at, -HUGE_VALF) == ANNEX_CORRUPT && forged(at, 2e6f) == ANNEX_CORRUPT);
    CHECK(forged(at, 1e6f) == ANNEX_OK && forged(at, 1.0f) == ANNEX_OK);
  }
  CHECK(forged(8, -1.0f) == ANNEX_CORRUPT && forged(8, HUGE_VALF) == ANNEX_CORRUPT);
  CHECK(forged(8, 3e38f) == ANNEX_OK && forged(8, 0.0f) == ANNEX_OK);
  CHECK(forged(kUsual, 257u) == ANNEX_CORRUPT && forged(kUsual, UINT32_MAX) == ANNEX_CORRUPT);
  CHECK(forged(kUsual, 256u) == ANNEX_OK && forged(kUsual, 0u) == ANNEX_OK);
  CHECK(forged(0, uint64_t{0}) == ANNEX_CORRUPT && forged(0, UINT64_MAX) == ANNEX_OK);
}

}  // namespace

int main() {
  test_work_and_recall();
  test_ratios();
  test_trim();
  test_usual();
  test_extremes();
  test_forged();
  return testing::finish("hnsw_reach_test");
}
