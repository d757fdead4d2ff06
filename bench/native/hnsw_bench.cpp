// HNSW beside exact answers: build time, then recall and queries per second of one thread, in a batch and one by one,
// for a sweep of efSearch; with a further argument also under filters, and with removed rows before and after compact.
//   hnsw_bench <base.f32> <query.f32> <dim> <metric: l2 ip cosine> [M efConstruction layout storage] [--more]
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "api/annex.h"

namespace {

constexpr size_t kNeighbors = 10;

std::vector<float> read(const char* path) {
  std::vector<float> items;
  if (FILE* file = std::fopen(path, "rb")) {
    std::fseek(file, 0, SEEK_END);
    items.resize(static_cast<size_t>(std::ftell(file)) / sizeof(float));
    std::rewind(file);
    if (std::fread(items.data(), sizeof(float), items.size(), file) != items.size()) items.clear();
    std::fclose(file);
  }
  return items;
}

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// Processor time of this thread: what else the machine does counts as little as it can.
double cpu() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

void must(AnnexStatus status) {
  if (status == ANNEX_OK) return;
  std::printf("%s\n", annex_last_error());
  std::exit(1);
}

struct Result {
  std::vector<double> ids;
  double rate = 0;
};

Result search(const AnnexIndex* index, const std::vector<float>& queries, size_t nq, int ef, int rounds,
              const std::vector<uint32_t>* filter, size_t at_a_time = SIZE_MAX) {
  Result result{std::vector<double>(nq * kNeighbors), 0};
  std::vector<float> distances(nq * kNeighbors);
  const double options[] = {ANNEX_KEY_THREADS, 1, ANNEX_KEY_EF_SEARCH, static_cast<double>(ef)};
  AnnexSearch search{};
  search.options = options;
  search.option_pairs = ef == 0 ? 1 : 2;
  search.nq = std::min(nq, at_a_time);
  search.k = kNeighbors;
  if (filter != nullptr) {
    search.filter = filter->data();
    search.filter_kind = ANNEX_ALLOW_BITS;
    search.filter_count = filter->size() * 32;
  }
  double best = 1e9;
  for (int round = 0; round < rounds; ++round) {
    const double before = cpu();
    for (size_t q = 0; q < nq; q += search.nq) {
      search.queries = queries.data() + q * (queries.size() / nq);
      search.ids = result.ids.data() + q * kNeighbors;
      search.distances = distances.data() + q * kNeighbors;
      must(annex_search(index, &search));
    }
    best = std::min(best, cpu() - before);
  }
  result.rate = static_cast<double>(nq) / best;
  return result;
}

double recall(const Result& exact, const Result& got) {
  size_t hits = 0;
  for (size_t i = 0; i < exact.ids.size(); ++i) {
    const size_t q = i / kNeighbors * kNeighbors;
    for (size_t j = 0; j < kNeighbors; ++j) hits += got.ids[q + j] == exact.ids[i];
  }
  return static_cast<double>(hits) / static_cast<double>(exact.ids.size());
}

AnnexIndex* create(std::vector<double> options) {
  AnnexIndex* index = nullptr;
  must(annex_create(options.data(), options.size() / 2, &index));
  return index;
}

void write(AnnexIndex* index, AnnexWriteMode mode, const float* rows, size_t n) {
  AnnexWriter* writer = nullptr;
  must(annex_writer_open(index, mode, &writer));
  if (rows != nullptr) must(annex_writer_append(writer, ANNEX_F32, rows, n, nullptr, nullptr));
  const double start = now();
  double longest = 0;
  AnnexProgress progress{};
  while (!progress.finished) {
    const double before = now();
    must(annex_writer_step(writer, nullptr, &progress));
    longest = std::max(longest, now() - before);
  }
  must(annex_writer_commit(writer));
  std::printf("%s %.2f s, longest step %.0f ms\n", mode == ANNEX_ADD ? "add" : "compact", now() - start, longest * 1e3);
}

void sweep(const AnnexIndex* index, const std::vector<float>& queries, size_t nq, const Result& exact) {
  for (const int ef : {0, 10, 16, 24, 32, 40, 48, 64, 80, 96, 128, 192, 256, 384}) {
    AnnexStats before, after;
    annex_stats(index, &before);
    const int rounds = 9;
    const Result got = search(index, queries, nq, ef, rounds, nullptr);
    annex_stats(index, &after);
    const double per = rounds * static_cast<double>(nq);
    std::printf("ef %3d  recall %.4f  %8.0f q/s, %8.0f one by one  hops %.1f  scored %.0f  rescored %.0f\n", ef,
                recall(exact, got), got.rate, search(index, queries, nq, ef, rounds, nullptr, 1).rate,
                (after.hops - before.hops) / per, (after.scanned - before.scanned) / per,
                (after.rescored - before.rescored) / per);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) {
    std::printf("usage: hnsw_bench base query dim metric [M efConstruction layout storage] [--more]\n");
    return 2;
  }
  const auto base = read(argv[1]), queries = read(argv[2]);
  const bool more = std::string(argv[argc - 1]) == "--more";
  const auto option = [&](int i, double otherwise) { return argc - more > i ? std::atof(argv[i]) : otherwise; };
  const size_t dim = static_cast<size_t>(std::atoi(argv[3])), n = base.size() / dim, nq = queries.size() / dim;
  const std::string name = argv[4];
  const double metric = name == "l2" ? ANNEX_L2 : name == "ip" ? ANNEX_IP : ANNEX_COSINE;
  const double dimensions = static_cast<double>(dim);
  AnnexIndex* flat = create({ANNEX_KEY_KIND, ANNEX_FLAT, ANNEX_KEY_DIM, dimensions, ANNEX_KEY_METRIC, metric});
  AnnexIndex* index = create({ANNEX_KEY_KIND, ANNEX_HNSW, ANNEX_KEY_DIM, dimensions, ANNEX_KEY_METRIC, metric,
                              ANNEX_KEY_M, option(5, 16), ANNEX_KEY_EF_CONSTRUCTION, option(6, 200), ANNEX_KEY_LAYOUT,
                              option(7, 0), ANNEX_KEY_STORAGE, option(8, 0)});
  write(flat, ANNEX_ADD, base.data(), n);
  write(index, ANNEX_ADD, base.data(), n);
  AnnexStats stats;
  annex_stats(index, &stats);
  const double rows = static_cast<double>(n);
  std::printf("bytes a row: %.1f; links %.1f, codes %.1f\n", stats.bytes_total / rows, stats.bytes_links / rows,
              stats.bytes_codes / rows);
  sweep(index, queries, nq, search(flat, queries, nq, 0, 1, nullptr));
  if (!more) return 0;

  for (const double share : {0.9, 0.5, 0.2, 0.1, 0.05, 0.01, 0.001}) {
    std::vector<uint32_t> filter(n / 32 + 1);
    uint64_t state = 1;
    for (size_t id = 0; id < n; ++id) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      if (static_cast<double>(state >> 40) * 0x1p-24 < share) filter[id / 32] |= uint32_t{1} << (id % 32);
    }
    const Result exact = search(flat, queries, nq, 0, 1, &filter);
    for (const int ef : {0, 128}) {
      AnnexStats before, after;
      annex_stats(index, &before);
      const Result got = search(index, queries, nq, ef, 3, &filter);
      annex_stats(index, &after);
      std::printf(
          "filter %5.1f %%  ef %3d  recall %.4f  %8.0f q/s (exact %.0f)  hops %.1f  scored %.0f  exact %.0f %%\n",
          share * 100, ef, recall(exact, got), got.rate, exact.rate, (after.hops - before.hops) / 3e3,
          (after.scanned - before.scanned) / 3e3, (after.exact_searches - before.exact_searches) / 30);
    }
  }
  std::vector<double> gone;
  for (size_t id = 0; id < n; ++id) {
    if (id * 2654435761u % 10 < 3) gone.push_back(static_cast<double>(id));
  }
  size_t removed = 0;
  must(annex_remove(flat, gone.data(), gone.size(), &removed));
  must(annex_remove(index, gone.data(), gone.size(), &removed));
  const Result exact = search(flat, queries, nq, 0, 1, nullptr);
  std::printf("%zu removed\n", removed);
  sweep(index, queries, nq, exact);
  write(index, ANNEX_COMPACT, nullptr, 0);
  sweep(index, queries, nq, exact);
  annex_release(flat);
  annex_release(index);
}
