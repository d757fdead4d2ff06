#include "index/ivf_coarse.h"

#include <algorithm>
#include <atomic>
#include <limits>

#include "base/of_thread.h"
#include "base/parallel.h"
#include "kernels/dispatch.h"

namespace annex {
namespace {

constexpr size_t kQueries = 32;                    // at once
constexpr size_t kRows = 512;                      // at once
constexpr size_t kSpare = 8;                       // chosen beyond `count`, and a quarter of it
constexpr size_t kGroupsEach = 4;                  // groups of centroids for each one that is chosen
constexpr size_t kWorthThreads = size_t{1} << 22;  // multiplications below which one thread is faster
// Error of a query's code, of its length, beyond which it does not choose well: that of even a peaked distribution of
// its elements is a fraction.
constexpr double kGoodError = 0.03;

}  // namespace

struct CoarseSearch::Scratch {
  RowScan::Scratch& rows = of_thread<RowScan::Scratch>();
  Buffer<float> order;  // of each query, all centroids
  Buffer<float> least;  // of the groups
  Buffer<uint32_t> chosen;
  Buffer<Neighbor> found;
};

CoarseSearch::CoarseSearch(const RowStore& centroids, const IdMap& ids, const float* queries, size_t n, size_t count)
    : centroids_(centroids),
      queries_(queries),
      n_(n),
      count_(count),
      wanted_(count + count / 4 + kSpare),
      scan_(centroids.shape(), &centroids, ids, all_) {}

bool CoarseSearch::serves() const {
  return centroids_.shape().sidecar && wanted_ * kGroupsEach * 2 <= centroids_.size();
}

Status CoarseSearch::run(size_t threads, const int32_t* cancel, double* lists, float* distances) {
  const Status status = scan_.prepare(queries_, n_, RowScan::Way::sidecar);
  if (status != Status::ok) return status;
  const bool few = n_ * centroids_.size() * centroids_.shape().dim < kWorthThreads;
  std::atomic<Status> outcome{Status::ok};
  parallel_for((n_ + kQueries - 1) / kQueries, few ? 1 : threads, [&](size_t group) {
    if (outcome != Status::ok) return;
    Scratch& scratch = of_thread<Scratch>();
    const size_t first = group * kQueries, n = std::min(kQueries, n_ - first);
    Status done = cancelled(cancel) ? Status::aborted : order(scratch, first, n);
    for (size_t i = 0; i < n && done == Status::ok; ++i) {
      const size_t q = first + i;
      const size_t chosen =
          choose(scratch, scratch.order.data() + i * centroids_.size(), scan_.code_error(q) > kGoodError);
      answer(scratch, q, chosen, lists + q * count_, distances + q * count_);
    }
    if (done != Status::ok) outcome.store(done);
  });
  if (outcome == Status::out_of_memory) return out_of_memory(kQueries * centroids_.size() * sizeof(float));
  return outcome == Status::aborted ? aborted() : outcome.load();
}

Status CoarseSearch::order(Scratch& scratch, size_t first, size_t n) const {
  const size_t size = centroids_.size();
  if (!scratch.rows.reserve(centroids_.shape(), kRows, n, kRows) || !scratch.order.resize(n * size) ||
      !scratch.least.resize(wanted_ * kGroupsEach) || !scratch.chosen.resize(size) || !scratch.found.resize(size)) {
    return Status::out_of_memory;
  }
  const QueryGroup group{first, n, nullptr, nullptr};
  for (size_t at = 0; at < size;) {
    const RowBlock& block = centroids_.block(at / centroids_.block_rows());
    const size_t r = at % centroids_.block_rows();
    RowTile tile;
    tile.n = std::min({kRows, size - at, centroids_.block_rows() - r});
    tile.panels = block.panels(centroids_.shape(), r);
    tile.terms = block.terms(r);
    if (!scan_.order(tile, group, scratch.rows, scratch.order.data() + at, size)) return Status::out_of_memory;
    at += tile.n;
  }
  return Status::ok;
}

// Of wanted · kGroupsEach groups the least elements: as many elements as are wanted lie below the wanted-th of those,
// and few more do.
size_t CoarseSearch::choose(Scratch& scratch, const float* order, bool all) const {
  const size_t size = centroids_.size(), groups = wanted_ * kGroupsEach;
  float limit = std::numeric_limits<float>::infinity();
  if (!all) {
    float* least = scratch.least.data();
    std::fill_n(least, groups, limit);
    for (size_t at = 0; at < size; at += groups) {
      const size_t count = std::min(groups, size - at);
      for (size_t g = 0; g < count; ++g) least[g] = order[at + g] < least[g] ? order[at + g] : least[g];
    }
    std::nth_element(least, least + wanted_ - 1, least + groups);
    limit = least[wanted_ - 1];
  }
  return kernels().select_le(order, size, limit, scratch.chosen.data());
}

void CoarseSearch::answer(Scratch& scratch, size_t query, size_t chosen, double* lists, float* distances) const {
  Neighbor* found = scratch.found.data();
  RowTile tile;
  float exact[RowScan::kGatherRows];
  for (size_t at = 0; at < chosen; at += RowScan::kGatherRows) {
    const size_t n = std::min(RowScan::kGatherRows, chosen - at);
    const uint32_t* rows = scratch.chosen.data() + at;
    scan_.measure(tile, rows, n, query, exact, scratch.rows);
    for (size_t i = 0; i < n; ++i) {
      const bool number = exact[i] == exact[i];
      found[at + i] = {number ? exact[i] : std::numeric_limits<float>::infinity(), static_cast<int64_t>(rows[i])};
    }
  }
  std::partial_sort(found, found + count_, found + chosen, better);
  for (size_t i = 0; i < count_; ++i) {
    lists[i] = static_cast<double>(found[i].id);
    distances[i] = found[i].distance;
  }
}

}  // namespace annex
