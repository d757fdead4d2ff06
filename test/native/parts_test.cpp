// Searches in parts of the rows find what a search of all rows at once finds, to the bit, also when rows change between
// two parts.
#include "testing.h"

namespace {

using testing::Answer;
using testing::Index;
using testing::Random;

constexpr size_t kDim = 40, kRows = 3000, kQueries = 11;

std::vector<float> numbers(size_t n, Random& random) {
  std::vector<float> out(n);
  for (float& x : out) x = static_cast<float>(random.below(7)) - 3;  // many equal distances
  return out;
}

/// One search in parts of random size. `between` is called after the first of them.
template <class Between>
Answer search_in_parts(const Index& index, const std::vector<float>& queries, size_t k, int filter_kind,
                       const std::vector<double>& filter, Random& random, Between between) {
  const size_t nq = queries.size() / kDim;
  // What is in the answers before the first part must not matter.
  Answer answer{std::vector<double>(nq * k, 5), std::vector<float>(nq * k, -1), std::vector<uint32_t>(nq, 99),
                ANNEX_OK};
  AnnexPart part{0, 0, 12345};
  AnnexSearch search{};
  search.queries = queries.data();
  search.filter = filter.data();
  search.filter_kind = filter_kind;
  search.filter_count = filter.size();
  search.ids = answer.ids.data();
  search.distances = answer.distances.data();
  search.counts = answer.counts.data();
  search.nq = nq;
  search.k = k;
  search.part = &part;
  size_t parts = 0;
  do {
    part.rows = parts == 0 ? 100 : random.below(900);
    answer.status = annex_search(index.handle, &search);
    if (++parts == 1) between();
  } while (answer.status == ANNEX_OK && part.first != 0 && parts < 10 * kRows);
  return answer;
}

void check_same(const Answer& a, const Answer& b) {
  CHECK(a.status == ANNEX_OK && b.status == ANNEX_OK);
  CHECK(a == b);
}

void test_equal_to_whole() {
  Random random(1);
  const std::vector<float> rows = numbers(kRows * kDim, random), queries = numbers(kQueries * kDim, random);
  std::vector<double> some;
  for (size_t i = 0; i < kRows; i += 3) some.push_back(static_cast<double>(i));
  for (const int metric : {ANNEX_L2, ANNEX_IP, ANNEX_L1}) {
    for (const int storage : {ANNEX_STORE_F32, ANNEX_STORE_F16, ANNEX_STORE_SQ8}) {
      for (const int sidecar : {ANNEX_SIDECAR_NONE, ANNEX_SIDECAR_AUTO}) {
        Index index(kDim, metric, storage, sidecar);
        CHECK(index.status == ANNEX_OK && index.add(rows.data(), kRows) == ANNEX_OK);
        CHECK(annex_divisible(index.handle) == 1);
        for (const size_t k : {size_t{1}, size_t{10}, size_t{500}, kRows + 7}) {
          for (const size_t nq : {size_t{1}, kQueries}) {
            const std::vector<float> asked(queries.begin(), queries.begin() + nq * kDim);
            const auto nothing = [] {};
            check_same(search_in_parts(index, asked, k, ANNEX_ALLOW_ALL, {}, random, nothing),
                       index.search(asked.data(), nq, k));
            check_same(search_in_parts(index, asked, k, ANNEX_ALLOW_IDS, some, random, nothing),
                       index.search(asked.data(), nq, k, 1, ANNEX_ALLOW_IDS, some.data(), some.size()));
          }
        }
      }
    }
  }
}

void test_changes_between_parts() {
  Random random(2);
  const std::vector<float> rows = numbers(kRows * kDim, random), queries = numbers(kQueries * kDim, random);
  for (int kind = 0; kind < 4; ++kind) {
    Index index(kDim, ANNEX_L2, ANNEX_STORE_F32, ANNEX_SIDECAR_AUTO);
    CHECK(index.add(rows.data(), kRows) == ANNEX_OK);
    const auto change = [&] {
      std::vector<double> ids;
      size_t removed = 0;
      if (kind == 0) {  // the last rows move into the places of the first
        for (size_t i = 0; i < 400; ++i) ids.push_back(static_cast<double>(i));
        CHECK(annex_remove(index.handle, ids.data(), ids.size(), &removed) == ANNEX_OK && removed == 400);
      } else if (kind == 1) {
        CHECK(index.add(rows.data(), 200) == ANNEX_OK);
      } else if (kind == 2) {
        ids = {0};
        CHECK(index.write(ANNEX_UPSERT, queries.data(), 1, ids.data()) == ANNEX_OK);
      } else {  // nothing is left
        for (size_t i = 0; i < kRows; ++i) ids.push_back(static_cast<double>(i));
        CHECK(annex_remove(index.handle, ids.data(), ids.size(), &removed) == ANNEX_OK && removed == kRows);
      }
    };
    const Answer parts = search_in_parts(index, queries, 10, ANNEX_ALLOW_ALL, {}, random, change);
    check_same(parts, index.search(queries.data(), kQueries, 10));
  }
}

void test_refusals() {
  Random random(3);
  const std::vector<float> rows = numbers(kRows * kDim, random);
  const std::vector<double> options = {ANNEX_KEY_KIND, ANNEX_HNSW, ANNEX_KEY_DIM, kDim};
  Index graph(options);
  CHECK(graph.status == ANNEX_OK && graph.add(rows.data(), 100) == ANNEX_OK);
  CHECK(annex_divisible(graph.handle) == 0);
  const std::vector<float> query(rows.begin(), rows.begin() + kDim);
  CHECK(search_in_parts(graph, query, 3, ANNEX_ALLOW_ALL, {}, random, [] {}).status == ANNEX_UNSUPPORTED);

  Index index(kDim, ANNEX_L2, ANNEX_STORE_F32, ANNEX_SIDECAR_AUTO);
  CHECK(index.add(rows.data(), 100) == ANNEX_OK);
  double id;
  float distance;
  AnnexPart part{0, 10, 0};
  AnnexSearch search{};
  search.queries = query.data();
  search.ids = &id;
  search.distances = &distance;
  search.nq = search.k = 1;
  search.part = &part;
  CHECK(annex_search(index.handle, &search) == ANNEX_INVALID_ARGUMENT);  // without counts
}

}  // namespace

int main() {
  test_equal_to_whole();
  test_changes_between_parts();
  test_refusals();
  return testing::finish("parts_test");
}
