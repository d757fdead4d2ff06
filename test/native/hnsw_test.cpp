// HNSW against exact answers and against a model: recall, any sequence of writes, aborts, connection of the graph, and
// the same bytes for any number of threads.
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string>

#include "index/hnsw.h"
#include "index/hnsw_order.h"
#include "index/hnsw_walk.h"
#include "kernels/dispatch.h"
#include "testing.h"

using testing::Answer;
using testing::Index;
using testing::Random;

namespace {

std::vector<float> clustered(size_t n, size_t dim, uint64_t seed) {
  return testing::around_centres(n, dim, 50, seed, [](size_t) { return 0.5f; });
}

std::vector<double> hnsw(size_t dim, int metric, int storage, int layout, double m = 16, double seed = 1) {
  return {ANNEX_KEY_KIND,    ANNEX_HNSW,
          ANNEX_KEY_DIM,     double(dim),
          ANNEX_KEY_METRIC,  double(metric),
          ANNEX_KEY_STORAGE, double(storage),
          ANNEX_KEY_LAYOUT,  double(layout),
          ANNEX_KEY_M,       m,
          ANNEX_KEY_SEED,    seed};
}

double recall(const Answer& exact, const Answer& got, size_t nq, size_t k) {
  size_t hits = 0;
  for (size_t q = 0; q < nq; ++q) {
    for (size_t i = 0; i < k; ++i) {
      const auto begin = exact.ids.begin() + static_cast<ptrdiff_t>(q * k), end = begin + static_cast<ptrdiff_t>(k);
      hits += std::find(begin, end, got.ids[q * k + i]) != end;
    }
  }
  return static_cast<double>(hits) / static_cast<double>(nq * k);
}

// What is behind a handle: its first member.
const annex::HnswState& inside(const Index& index) {
  annex::Index* held;
  std::memcpy(&held, index.handle, sizeof held);
  return static_cast<annex::HnswIndex*>(held)->state();
}

// Every list holds other nodes, none twice; tree edges go both ways; the bottom layer is connected from its entry.
void check_graph(const Index& index) {
  const annex::HnswState& state = inside(index);
  const annex::HnswGraph& graph = state.graph;
  const size_t n = graph.nodes;
  if (n == 0) return;
  CHECK(graph.entry < n && graph.top == graph.level(graph.entry));
  std::vector<uint8_t> reached(n);
  std::vector<uint32_t> stack = {graph.entry};
  reached[graph.entry] = 1;
  size_t count = 0, tree = 0;
  while (!stack.empty()) {
    const uint32_t slot = stack.back();
    stack.pop_back();
    ++count;
    annex::LinkRoom links, back;
    const size_t length = read_links(graph.list(slot, 0), links);
    for (size_t i = 0; i < length; ++i) {
      const uint32_t other = links[i] & annex::kSlotMask;
      if (!CHECK(other < n && other != slot)) continue;
      if (links[i] & annex::kTreeBit) {
        ++tree;
        const size_t back_length = read_links(graph.list(other, 0), back);
        CHECK(std::count(back, back + back_length, slot | annex::kTreeBit) == 1);
      }
      for (size_t j = 0; j < i; ++j) CHECK((links[j] & annex::kSlotMask) != other);
      if (!reached[other]) stack.push_back(other);
      reached[other] = 1;
    }
  }
  CHECK(count == n);
  CHECK(tree == 2 * (n - 1));
  for (uint32_t slot = 0; slot < n; ++slot) {
    for (int layer = 1; layer <= graph.level(slot); ++layer) {
      annex::LinkRoom links;
      const size_t length = read_links(graph.list(slot, layer), links);
      for (size_t i = 0; i < length; ++i) {
        CHECK(links[i] < n && links[i] != slot && graph.level(links[i]) >= layer);
      }
    }
  }
}

bool sanitized() { return std::getenv("ANNEX_FEWER_ROWS") != nullptr; }
// Fewer under sanitizers, which look at the code, not at recall; even.
size_t rows_of(size_t n) { return sanitized() ? n / 4 : n; }

void test_recall() {
  const size_t n = rows_of(4000), nq = 100, k = 10;
  for (const size_t dim : {17, 64, 160}) {
    for (const int metric : {ANNEX_L2, ANNEX_IP, ANNEX_COSINE, ANNEX_L1}) {
      for (const int storage : {ANNEX_STORE_F32, ANNEX_STORE_F16, ANNEX_STORE_BF16, ANNEX_STORE_SQ8}) {
        if (dim != 64 && storage != ANNEX_STORE_F32) continue;
        for (const int layout : {ANNEX_LAYOUT_PLAIN, ANNEX_LAYOUT_AUTO}) {
          const auto rows = clustered(n, dim, 1), queries = clustered(nq, dim, 2);
          Index flat(dim, metric, storage, ANNEX_SIDECAR_NONE), index(hnsw(dim, metric, storage, layout));
          CHECK(flat.add(rows.data(), n) == ANNEX_OK);
          CHECK(index.add(rows.data(), n / 2) == ANNEX_OK);
          CHECK(index.add(rows.data() + n / 2 * dim, n / 2) == ANNEX_OK);
          const Answer exact = flat.search(queries.data(), nq, k);
          const Answer got = index.search(queries.data(), nq, k);
          const double r = recall(exact, got, nq, k);
          if (!CHECK(r >= 0.95))
            std::printf("dim %zu metric %d storage %d layout %d: recall %.4f\n", dim, metric, storage, layout, r);
          CHECK(index.search(queries.data(), nq, k, 2) == got);
          check_graph(index);
        }
      }
    }
  }
}

void test_bytes_and_bits() {
  const size_t n = 3000, dim = 64, nq = 50, k = 10;
  Random random(5);
  std::vector<uint8_t> rows(n * dim), queries(nq * dim);
  for (size_t i = 0; i < n * dim; ++i) rows[i] = static_cast<uint8_t>(random.below(16) + (i / dim % 20) * 5);
  for (size_t i = 0; i < nq * dim; ++i) queries[i] = static_cast<uint8_t>(random.below(16) + (i / dim % 20) * 5);
  struct Case {
    int metric, storage;
    AnnexInput input;
  };
  const Case cases[] = {{ANNEX_L2, ANNEX_STORE_U8, ANNEX_U8},          {ANNEX_L1, ANNEX_STORE_I8, ANNEX_I8},
                        {ANNEX_COSINE, ANNEX_STORE_I8, ANNEX_I8},      {ANNEX_IP, ANNEX_STORE_U8, ANNEX_U8},
                        {ANNEX_HAMMING, ANNEX_STORE_BITS, ANNEX_BITS}, {ANNEX_JACCARD, ANNEX_STORE_BITS, ANNEX_BITS}};
  for (const Case& c : cases) {
    const size_t d = c.input == ANNEX_BITS ? dim * 8 : dim;
    Index flat(d, c.metric, c.storage, ANNEX_SIDECAR_NONE),
        index(hnsw(d, c.metric, c.storage, ANNEX_LAYOUT_AUTO), c.input);
    CHECK(flat.add(rows.data(), n) == ANNEX_OK && index.add(rows.data(), n) == ANNEX_OK);
    const Answer exact = flat.search(queries.data(), nq, k);
    const Answer got = index.search(queries.data(), nq, k, 1, ANNEX_ALLOW_ALL, nullptr, 0, 200);
    // Of equal distances any may be the answer.
    size_t good = 0;
    for (size_t i = 0; i < nq * k; ++i) good += got.distances[i] <= exact.distances[i / k * k + k - 1];
    if (!CHECK(good >= nq * k * 90 / 100))
      std::printf("metric %d storage %d: %zu of %zu\n", c.metric, c.storage, good, nq * k);
    check_graph(index);
  }
}

// Any sequence of writes, against a flat index that does the same. The plain layout with a pool of all nodes is exact.
void test_model() {
  const size_t dim = 12, most = 600;
  for (uint64_t seed = 0; seed < 6; ++seed) {
    Random random(seed);
    const int layout = seed % 2 == 0 ? ANNEX_LAYOUT_PLAIN : ANNEX_LAYOUT_CODES;
    const double m = seed % 3 == 0 ? 2 : 8;
    Index flat(dim, ANNEX_L2, ANNEX_STORE_F32, ANNEX_SIDECAR_NONE),
        index(hnsw(dim, ANNEX_L2, ANNEX_STORE_F32, layout, m));
    for (size_t round = 0; round < 120; ++round) {
      const size_t n = 1 + random.below(40);
      std::vector<float> rows(n * dim);
      for (float& x : rows) x = random.below(8) == 0 ? 0.0f : random.normal();  // with repeated rows
      if (random.below(4) == 0) std::fill(rows.begin(), rows.end(), 1.0f);
      std::vector<double> ids(n);
      const size_t start = random.below(most);
      for (size_t i = 0; i < n; ++i) ids[i] = static_cast<double>(start + i);
      switch (random.below(6)) {
        case 0:
        case 1: {
          const AnnexStatus a = flat.write(ANNEX_UPSERT, rows.data(), n, ids.data());
          CHECK(a == index.write(ANNEX_UPSERT, rows.data(), n, ids.data()) && a == ANNEX_OK);
          break;
        }
        case 2: CHECK(flat.add(rows.data(), n) == index.add(rows.data(), n)); break;
        case 3: {
          size_t a = 0, b = 0;
          CHECK(annex_remove(flat.handle, ids.data(), n, &a) == ANNEX_OK);
          CHECK(annex_remove(index.handle, ids.data(), n, &b) == ANNEX_OK);
          CHECK(a == b);
          break;
        }
        case 4: {  // given up, at any point
          AnnexWriter* writer = nullptr;
          CHECK(annex_writer_open(index.handle, random.below(2) ? ANNEX_UPSERT : ANNEX_ADD, &writer) == ANNEX_OK);
          const AnnexStatus status = annex_writer_append(writer, ANNEX_F32, rows.data(), n, ids.data(), nullptr);
          AnnexProgress progress{};
          for (size_t steps = random.below(5); status == ANNEX_OK && steps > 0; --steps) {
            CHECK(annex_writer_step(writer, nullptr, &progress) == ANNEX_OK);
          }
          int32_t cancel = 1;
          if (status == ANNEX_OK && !progress.finished && random.below(2)) {
            CHECK(annex_writer_step(writer, &cancel, &progress) == ANNEX_ABORTED);
          }
          annex_writer_abort(writer);
          break;
        }
        default: {
          CHECK(index.write(ANNEX_COMPACT, nullptr, 0, nullptr) == ANNEX_OK);
          CHECK(inside(index).graph.nodes == annex_size(index.handle) && inside(index).removed_count == 0);
          break;
        }
      }
      CHECK(annex_size(flat.handle) == annex_size(index.handle));
      const size_t size = annex_size(flat.handle), k = 1 + random.below(20);
      std::vector<float> queries(3 * dim);
      for (float& x : queries) x = random.normal();
      std::vector<double> allowed;
      for (size_t i = 0; i < most; ++i) {
        if (random.below(3) == 0) allowed.push_back(static_cast<double>(i));
      }
      const int kind = random.below(2) ? ANNEX_ALLOW_IDS : ANNEX_ALLOW_ALL;
      const Answer exact = flat.search(queries.data(), 3, k, 1, kind, allowed.data(), allowed.size());
      const Answer got = index.search(queries.data(), 3, k, 1, kind, allowed.data(), allowed.size(), 100000);
      CHECK(got.status == ANNEX_OK && got.counts == exact.counts);
      if (layout == ANNEX_LAYOUT_PLAIN) CHECK(got == exact);
      if (layout != ANNEX_LAYOUT_PLAIN) CHECK(recall(exact, got, 3, k) >= 0.5 || size < 50);
      std::vector<double> listed(size + 5), expected(size + 5);
      CHECK(annex_ids(index.handle, 0, size + 5, listed.data()) == size);
      CHECK(annex_ids(flat.handle, 0, size + 5, expected.data()) == size);
      if (size > 3) CHECK(annex_ids(index.handle, 3, 1, &expected[size]) == 1 && expected[size] == listed[3]);
      std::vector<double> sorted(listed.begin(), listed.begin() + static_cast<ptrdiff_t>(size));
      std::sort(sorted.begin(), sorted.end());
      std::sort(expected.begin(), expected.begin() + static_cast<ptrdiff_t>(size));
      CHECK(std::equal(sorted.begin(), sorted.end(), expected.begin()));
      std::vector<float> a(size * dim), b(size * dim);
      std::vector<uint8_t> found(size);
      CHECK(annex_get(flat.handle, sorted.data(), size, a.data(), found.data()) == ANNEX_OK);
      CHECK(annex_get(index.handle, sorted.data(), size, b.data(), found.data()) == ANNEX_OK);
      CHECK(a == b);
      if (round % 10 == 9) check_graph(index);
    }
    check_graph(index);
  }
}

// Filters of any selectivity find k of what they allow, and nothing else; so do searches with a third removed.
void test_filters() {
  const size_t n = rows_of(20000), dim = 32, nq = 40, k = 10;
  const auto rows = clustered(n, dim, 4), queries = clustered(nq, dim, 5);
  for (const int layout : {ANNEX_LAYOUT_PLAIN, ANNEX_LAYOUT_AUTO}) {
    Index flat(dim, ANNEX_L2, ANNEX_STORE_F32, ANNEX_SIDECAR_NONE), index(hnsw(dim, ANNEX_L2, ANNEX_STORE_F32, layout));
    CHECK(flat.add(rows.data(), n) == ANNEX_OK && index.add(rows.data(), n) == ANNEX_OK);
    for (int round = 0; round < 3; ++round) {  // as built; with removed rows; after compact
      if (round == 1) {
        std::vector<double> gone;
        for (size_t i = 0; i < n; i += 3) gone.push_back(static_cast<double>(i));
        size_t removed = 0;
        CHECK(annex_remove(flat.handle, gone.data(), gone.size(), &removed) == ANNEX_OK);
        CHECK(annex_remove(index.handle, gone.data(), gone.size(), &removed) == ANNEX_OK && removed == gone.size());
      }
      if (round == 2) {
        CHECK(index.write(ANNEX_COMPACT, nullptr, 0, nullptr) == ANNEX_OK);
        check_graph(index);
      }
      const Answer all = flat.search(queries.data(), nq, k);
      CHECK(recall(all, index.search(queries.data(), nq, k), nq, k) >= 0.95);
      CHECK(index.search(queries.data(), nq, k, 1, ANNEX_ALLOW_ALL, nullptr, 0, 1).counts == all.counts);
      for (const double share : {0.9, 0.5, 0.2, 0.05, 0.01, 0.0004}) {
        Random random(9);
        std::vector<uint32_t> bits(n / 32 + 1);
        for (size_t id = 0; id < n; ++id) bits[id / 32] |= uint32_t{random.uniform() < share} << (id % 32);
        const Answer exact = flat.search(queries.data(), nq, k, 1, ANNEX_ALLOW_BITS, bits.data(), n);
        const Answer got = index.search(queries.data(), nq, k, 1, ANNEX_ALLOW_BITS, bits.data(), n);
        CHECK(got.counts == exact.counts);
        size_t hits = 0, possible = 0;
        for (size_t q = 0; q < nq; ++q) {
          for (size_t i = 0; i < got.counts[q]; ++i) {
            const double id = got.ids[q * k + i];
            CHECK(bits[static_cast<size_t>(id) / 32] >> (static_cast<size_t>(id) % 32) & 1);
            const auto begin = exact.ids.begin() + static_cast<ptrdiff_t>(q * k);
            hits += std::find(begin, begin + static_cast<ptrdiff_t>(k), id) != begin + static_cast<ptrdiff_t>(k);
          }
          possible += exact.counts[q];
        }
        const double found = static_cast<double>(hits) / static_cast<double>(possible);
        if (!CHECK(found >= 0.95)) std::printf("layout %d round %d share %g: %.4f\n", layout, round, share, found);
      }
    }
  }
}

// The least M: a list holds fewer links than a scan of codes takes rows at a time. First of all, while the thread has
// no larger rooms; the sizes are such that a quarter of the rows is scanned.
void test_few_links() {
  const size_t n = 20000, dim = 256, nq = 8, k = 5;
  const auto rows = clustered(n, dim, 4), queries = clustered(nq, dim, 5);
  auto options = hnsw(dim, ANNEX_L2, ANNEX_STORE_F32, ANNEX_LAYOUT_CODES, 2);
  options.insert(options.end(), {ANNEX_KEY_EF_CONSTRUCTION, 8});
  Index index(options);
  CHECK(index.add(rows.data(), n) == ANNEX_OK);
  for (const size_t step : {4, 5, 30}) {
    std::vector<double> allowed;
    for (size_t id = 0; id < n; id += step) allowed.push_back(static_cast<double>(id));
    const Answer got = index.search(queries.data(), nq, k, 1, ANNEX_ALLOW_IDS, allowed.data(), allowed.size());
    CHECK(got.status == ANNEX_OK && got.counts == std::vector<uint32_t>(nq, k));
  }
}

// Each node is one that most of the last 64 lead to; then upper layers come first.
void test_order() {
  const size_t n = 3000, dim = 8;
  const auto rows = clustered(n, dim, 6);
  Index index(hnsw(dim, ANNEX_L2, ANNEX_STORE_F32, ANNEX_LAYOUT_PLAIN, 6));
  CHECK(index.add(rows.data(), n) == ANNEX_OK);
  const annex::HnswGraph& graph = inside(index).graph;
  annex::Buffer<uint32_t> left_out;
  CHECK(left_out.resize_zeroed(n / 64));  // fewer bits than slots
  Random random(7);
  size_t open_nodes = n;
  std::vector<uint8_t> open(n, 1);
  for (size_t slot = 0; slot < n / 2; ++slot) {
    if (random.below(4) != 0 || slot / 32 >= left_out.size()) continue;
    left_out[slot / 32] |= uint32_t{1} << (slot % 32);
    open[slot] = 0;
    --open_nodes;
  }
  annex::HnswOrder order;
  CHECK(!order.finished() && order.begin(graph, left_out, open_nodes));
  for (size_t steps = 0; !order.finished(); ++steps) {
    order.step(1 + random.below(500));
    CHECK(order.done() <= open_nodes && steps < n);
  }
  std::vector<uint32_t> slots(open_nodes);
  order.write(slots.data());
  for (size_t i = 1; i < open_nodes; ++i) CHECK(graph.level(slots[i - 1]) >= graph.level(slots[i]));

  const std::vector<uint32_t> placed(order.placed(), order.placed() + open_nodes);
  CHECK(std::is_permutation(placed.begin(), placed.end(), slots.begin()));
  std::vector<uint32_t> score(n);
  for (size_t i = 0; i < open_nodes; ++i) {
    uint32_t most = 0;
    for (size_t slot = 0; slot < n; ++slot) {
      if (open[slot] && score[slot] > most) most = score[slot];
    }
    if (!CHECK(open[placed[i]] && score[placed[i]] == most)) return;
    open[placed[i]] = 0;
    const auto add = [&](uint32_t slot, uint32_t count) {
      annex::LinkRoom links;
      const size_t length = read_links(graph.list(slot, 0), links);
      for (size_t l = 0; l < length; ++l) score[links[l] & annex::kSlotMask] += count;
    };
    add(placed[i], 1);
    if (i >= 64) add(placed[i - 64], UINT32_MAX);
  }
}

// Compact lays a large graph out anew, where nothing was removed too: the same graph, the same answers.
void test_layout() {
  const size_t n = (size_t{1} << 17) + 100, dim = 4, nq = 50, k = 5;
  const auto rows = testing::around_centres(n, dim, 2000, 8, [](size_t) { return 0.1f; });
  auto options = hnsw(dim, ANNEX_L2, ANNEX_STORE_F32, ANNEX_LAYOUT_PLAIN, 4);
  options.insert(options.end(), {ANNEX_KEY_EF_CONSTRUCTION, 8});
  Index index(options);
  index.params = {ANNEX_KEY_EF_SEARCH, 40};
  CHECK(index.add(rows.data(), n) == ANNEX_OK);
  const auto ids = [&] {
    std::vector<double> list(inside(index).live());
    CHECK(annex_ids(index.handle, 0, list.size(), list.data()) == list.size());
    return list;
  };
  const auto in_layers = [&] {
    const annex::HnswGraph& graph = inside(index).graph;
    bool sorted = true;
    for (uint32_t slot = 1; slot < graph.nodes; ++slot) sorted = sorted && graph.level(slot - 1) >= graph.level(slot);
    return sorted;
  };
  const Answer before = index.search(rows.data(), nq, k);
  CHECK(!in_layers());
  CHECK(index.write(ANNEX_COMPACT, nullptr, 0, nullptr) == ANNEX_OK);
  CHECK(in_layers());
  check_graph(index);
  CHECK(index.search(rows.data(), nq, k) == before);
  std::vector<double> laid = ids(), sorted = laid;
  std::sort(sorted.begin(), sorted.end());
  for (size_t i = 0; i < n; ++i) CHECK(sorted[i] == static_cast<double>(i));
  std::vector<float> got(n * dim);
  std::vector<uint8_t> found(n);
  CHECK(annex_get(index.handle, sorted.data(), n, got.data(), found.data()) == ANNEX_OK && got == rows);

  CHECK(index.write(ANNEX_COMPACT, nullptr, 0, nullptr) == ANNEX_OK);
  CHECK(ids() == laid);
  size_t removed = 0;  // too few are left for another layout, and none is needed
  CHECK(annex_remove(index.handle, laid.data(), 200, &removed) == ANNEX_OK && removed == 200);
  CHECK(index.write(ANNEX_COMPACT, nullptr, 0, nullptr) == ANNEX_OK);
  laid.erase(laid.begin(), laid.begin() + 200);
  CHECK(ids() == laid && in_layers());
  check_graph(index);
  CHECK(index.add(rows.data(), 300) == ANNEX_OK && !in_layers());
  CHECK(annex_remove(index.handle, laid.data() + 1000, 100, &removed) == ANNEX_OK && removed == 100);
  CHECK(index.write(ANNEX_COMPACT, nullptr, 0, nullptr) == ANNEX_OK && in_layers());
  check_graph(index);
}

#if defined(__GLIBC__)
double resident_megabytes() {
  long pages = 0;
  FILE* file = std::fopen("/proc/self/statm", "r");
  CHECK(file != nullptr && std::fscanf(file, "%*d %ld", &pages) == 1);
  if (file != nullptr) std::fclose(file);
  return static_cast<double>(pages) * static_cast<double>(sysconf(_SC_PAGESIZE)) / (1 << 20);
}

// What an index took goes back to the system, also where the allocator has come to keep blocks of such a size. That of
// a sanitizer keeps what was freed.
void test_memory() {
  void* volatile large = std::malloc(size_t{30} << 20);
  std::free(large);
  const size_t n = 120'000, dim = 128;
  std::vector<float> rows(n * dim);
  Random random(10);
  for (float& x : rows) x = random.uniform();
  const double before = resident_megabytes();
  {
    auto options = hnsw(dim, ANNEX_L2, ANNEX_STORE_F32, ANNEX_LAYOUT_PLAIN, 4);
    options.insert(options.end(), {ANNEX_KEY_EF_CONSTRUCTION, 4});
    Index index(options);
    CHECK(index.add(rows.data(), n) == ANNEX_OK);
    CHECK(resident_megabytes() - before > 60);
    size_t removed = 0;
    const double gone = 5;
    CHECK(annex_remove(index.handle, &gone, 1, &removed) == ANNEX_OK);
    CHECK(index.write(ANNEX_COMPACT, nullptr, 0, nullptr) == ANNEX_OK);
    CHECK(resident_megabytes() - before < 90);
  }
  CHECK(resident_megabytes() - before < 15);
}
#endif

uint64_t fold(uint64_t sum, const void* data, size_t bytes) {
  const auto* p = static_cast<const uint8_t*>(data);
  for (size_t i = 0; i < bytes; ++i) sum = (sum ^ p[i]) * 0x100000001B3u;
  return sum;
}

// A number of everything that an index holds, after adds, removals and compact.
uint64_t fingerprint() {
  const size_t n = 6000, dim = 32;
  const auto rows = clustered(n, dim, 3);
  Index index(hnsw(dim, ANNEX_L2, ANNEX_STORE_F32, ANNEX_LAYOUT_AUTO));
  index.add(rows.data(), 3000);
  index.add(rows.data() + 3000 * dim, 2000);
  std::vector<double> gone;
  for (size_t i = 0; i < 5000; i += 3) gone.push_back(static_cast<double>(i));
  size_t removed = 0;
  annex_remove(index.handle, gone.data(), gone.size(), &removed);
  index.write(ANNEX_COMPACT, nullptr, 0, nullptr);
  index.add(rows.data() + 5000 * dim, 1000);
  const annex::HnswState& state = inside(index);
  uint64_t sum = 0xCBF29CE484222325u;
  for (uint32_t slot = 0; slot < state.graph.nodes; ++slot) {
    for (int layer = 0; layer <= state.graph.level(slot); ++layer) {
      const annex::LinkList list = state.graph.list(slot, layer);
      sum = fold(sum, list.links, list.bytes());
    }
    if (state.codes != nullptr) sum = fold(sum, state.codes->codes.item(slot), state.codes->codes.stride());
  }
  return fold(sum, &state.graph.entry, sizeof state.graph.entry);
}

// The program calls itself with other numbers of threads.
void test_threads(const char* program) {
  const uint64_t here = fingerprint();
  for (const char* threads : {"1", "2", "5"}) {
    const std::string command = std::string("ANNEX_THREADS=") + threads + " " + program + " --fingerprint";
    FILE* pipe = popen(command.c_str(), "r");
    unsigned long long there = 0;
    CHECK(pipe != nullptr && std::fscanf(pipe, "%llu", &there) == 1);
    if (pipe != nullptr) pclose(pipe);
    CHECK(there == here);
  }
}

void test_options() {
  const auto refused = [](std::vector<double> options, std::vector<double> more, AnnexStatus expected) {
    options.insert(options.end(), more.begin(), more.end());
    const Index index(options);
    CHECK(index.status == expected);
  };
  const std::vector<double> plain = {ANNEX_KEY_KIND, ANNEX_HNSW, ANNEX_KEY_DIM, 32};
  for (const double m : {0.0, 1.0, 513.0, 2.5}) refused(plain, {ANNEX_KEY_M, m}, ANNEX_INVALID_ARGUMENT);
  refused(plain, {ANNEX_KEY_EF_CONSTRUCTION, 0}, ANNEX_INVALID_ARGUMENT);
  refused(plain, {ANNEX_KEY_NLIST, 4}, ANNEX_INVALID_ARGUMENT);
  refused(plain, {ANNEX_KEY_STORAGE, ANNEX_STORE_BITS}, ANNEX_UNSUPPORTED);
  refused(plain, {ANNEX_KEY_STORAGE, ANNEX_STORE_PQ}, ANNEX_UNSUPPORTED);
  refused(plain, {ANNEX_KEY_METRIC, ANNEX_L1, ANNEX_KEY_LAYOUT, ANNEX_LAYOUT_CODES}, ANNEX_UNSUPPORTED);
  refused(plain, {ANNEX_KEY_RERANK, ANNEX_STORE_F32}, ANNEX_UNSUPPORTED);
  refused(plain, {ANNEX_KEY_STORAGE, ANNEX_STORE_SQ8, ANNEX_KEY_RERANK, ANNEX_STORE_F16}, ANNEX_OK);
  Index index(plain);
  AnnexWriter* writer = nullptr;
  CHECK(annex_writer_open(index.handle, ANNEX_TRAIN, &writer) == ANNEX_UNSUPPORTED);
  const std::vector<float> row(32, 1.0f);
  CHECK(index.search(row.data(), 1, 3).counts[0] == 0);
  CHECK(index.add(row.data(), 1) == ANNEX_OK);
  CHECK(index.search(row.data(), 1, 3, 1, ANNEX_ALLOW_ALL, nullptr, 0, 1).counts[0] == 1);
  index.params = {ANNEX_KEY_RERANK_FACTOR, 4};
  CHECK(index.search(row.data(), 1, 3).status == ANNEX_INVALID_ARGUMENT);
  CHECK(std::string(annex_last_error()).find("leave rerankFactor out") != std::string::npos);
}

// More nodes than links of three bytes lead to.
void test_widening() {
  annex::HnswGraph graph(2, true);
  CHECK(graph.reserve(annex::kNarrowNodes, 0) && graph.narrow());
  graph.open_node(0, 0, 0);
  graph.open_node(1, 0, 0);
  graph.nodes = 2;
  const uint32_t one[] = {1 | annex::kTreeBit, annex::kNarrowNodes - 1}, none[] = {0};
  graph.put(0, 0, one, 2);
  graph.put(1, 0, none, 0);
  CHECK(graph.reserve(annex::kNarrowNodes + 1, 0) && !graph.narrow());
  annex::LinkRoom links;
  CHECK(read_links(graph.list(0, 0), links) == 2 && links[0] == one[0] && links[1] == one[1]);
  CHECK(read_links(graph.list(1, 0), links) == 0);
  CHECK(graph.list(0, 0).bytes() == 4 * sizeof(uint32_t) && graph.widen());
}

// Links of four bytes: all that is done with a graph comes to the same as by three.
void test_wide() {
  const size_t n = rows_of(2000), dim = 16, nq = 50, k = 5;
  const auto rows = clustered(n, dim, 8), queries = clustered(nq, dim, 9);
  for (const int layout : {ANNEX_LAYOUT_PLAIN, ANNEX_LAYOUT_CODES}) {
    const auto options = hnsw(dim, ANNEX_L2, ANNEX_STORE_SQ8, layout, 5);
    Index narrow(options), wide(options);
    CHECK(const_cast<annex::HnswGraph&>(inside(wide).graph).widen());
    const auto same = [&] {
      const annex::HnswGraph &a = inside(narrow).graph, &b = inside(wide).graph;
      annex::LinkRoom of_a, of_b;
      for (uint32_t slot = 0; slot < a.nodes; ++slot) {
        for (int layer = 0; layer <= a.level(slot); ++layer) {
          const size_t length = read_links(a.list(slot, layer), of_a);
          CHECK(read_links(b.list(slot, layer), of_b) == length && std::equal(of_a, of_a + length, of_b));
        }
      }
      CHECK(narrow.search(queries.data(), nq, k) == wide.search(queries.data(), nq, k));
      CHECK(narrow.search(queries.data(), 1, k) == wide.search(queries.data(), 1, k));
      for (const double step : {2.0, 50.0}) {
        std::vector<double> allowed;
        for (double id = 0; id < static_cast<double>(n); id += step) allowed.push_back(id);
        const auto filtered = [&](Index& of) {
          return of.search(queries.data(), nq, k, 1, ANNEX_ALLOW_IDS, allowed.data(), allowed.size());
        };
        CHECK(filtered(narrow) == filtered(wide));
      }
    };
    for (Index* index : {&narrow, &wide}) {
      CHECK(index->add(rows.data(), n / 2) == ANNEX_OK && index->add(rows.data() + n / 2 * dim, n / 2) == ANNEX_OK);
    }
    CHECK(inside(narrow).graph.narrow() && !inside(wide).graph.narrow());
    check_graph(wide);
    same();
    std::vector<double> gone;
    for (size_t i = 0; i < n; i += 3) gone.push_back(static_cast<double>(i));
    for (Index* index : {&narrow, &wide}) {
      size_t removed = 0;
      CHECK(annex_remove(index->handle, gone.data(), gone.size(), &removed) == ANNEX_OK && removed == gone.size());
    }
    same();
    for (Index* index : {&narrow, &wide}) CHECK(index->write(ANNEX_COMPACT, nullptr, 0, nullptr) == ANNEX_OK);
    CHECK(inside(wide).graph.narrow());  // made anew, and small
    same();
  }
}

}  // namespace

// Walks short and long through graphs small and large, by lists and one by one, against a plain set: a table that fills
// up hands over to a bitmap, and nothing of one walk is left for the next, whichever way a bitmap is cleared.
void test_visited() {
  Random random(9);
  annex::Visited visited;
  for (const size_t nodes : {1, 5000, 200'000, 600'000, 3'000'000, 100'000, 600'000, 3'000'000}) {
    for (const size_t sees : {10, 1000, 3000, 6000, 40'000}) {
      CHECK(visited.prepare(nodes, sees < 6000 ? sees : 1000, sees == 3000 || nodes == 600'000));
      std::vector<uint8_t> reference(nodes);
      size_t wrong = 0;
      for (size_t seen = 0; seen < sees;) {
        uint32_t links[20], fresh[21], expected[20];
        const size_t n = random.below(21), place = random.below(nodes);
        size_t count = 0;
        for (size_t i = 0; i < n; ++i) {
          // Half of them in a row, where hashes and bits might meet.
          links[i] = static_cast<uint32_t>(i % 2 == 0 ? (place + i) % nodes : random.below(nodes));
          if (!reference[links[i]]) expected[count++] = links[i];
          reference[links[i]] = 1;
        }
        if (n < 20) links[n] = annex::kNoLink;
        seen += n;
        if (n % 3 != 0) {
          wrong += visited.add_links(annex::kernels().walk, {reinterpret_cast<const uint8_t*>(links), 20, false},
                                     fresh) != count;
          wrong += !std::equal(expected, expected + count, fresh);
        } else {
          size_t added = 0;
          for (size_t i = 0; i < n; ++i) added += visited.add(links[i]);
          wrong += added != count;
        }
      }
      CHECK(wrong == 0);
      visited.clear();
    }
  }
}

int main(int argc, char** argv) {
  if (argc > 1 && std::string(argv[1]) == "--fingerprint") {
    std::printf("%llu\n", static_cast<unsigned long long>(fingerprint()));
    return 0;
  }
  test_visited();
  test_few_links();
#if defined(__GLIBC__)
  if (!sanitized()) test_memory();
#endif
  test_widening();
  test_wide();
  test_order();
  test_layout();
  test_options();
  test_recall();
  test_bytes_and_bits();
  test_model();
  test_filters();
  test_threads(argv[0]);
  return testing::finish("hnsw_test");
}
