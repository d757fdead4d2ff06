// Searches under a filter: the way that costs least, and scans of what is allowed.
#include <algorithm>
#include <cmath>
#include <new>

#include "base/of_thread.h"
#include "base/parallel.h"
#include "index/hnsw_work.h"
#include "index/row_scan.h"

namespace annex {
namespace {

constexpr size_t kScanned = 2;        // candidates of a scan by codes, in efSearch
constexpr size_t kPolledRows = 4096;  // between looks at the flag
// Costs, in cache lines fetched.
constexpr double kHopLines = 85;      // of an expansion, whatever it finds
constexpr double kListLines = 6;      // of passing through a node
constexpr double kSharedLine = 0.3;   // of a line that several queries at a time have use for
constexpr double kFirstLines = 2;     // of a row; then it is seen where the next ones lie
constexpr double kNextLine = 0.4;     // of those
constexpr double kCodedLine = 0.7;    // of one of codes, which take longer to score than to fetch
constexpr double kPooled = 25;        // of a candidate that comes into the pool and is ranked
constexpr double kExactLines = 1024;  // a scan as short as this need not be shorter
constexpr double kSure = 1.5;         // how many times dearer a scan of rows may be than what goes by codes, which err
constexpr double kResort = 4;  // how many times dearer a walk through all nodes may be than one through allowed ones
constexpr double kPatience = 1.5;  // how much longer than a scan a walk may be expected to take, once it has begun

}  // namespace

// The filter, and the way that costs least.
Status HnswSearch::prepare() {
  const HnswGraph& graph = state_.graph;
  if (!filter_.resolve(request_.filter, state_.ids)) return out_of_memory(graph.nodes * 5);
  allowed_ = filter_.all() ? state_.live() : filter_.count();
  k_ = std::min(request_.k, allowed_);
  if (k_ == 0) return Status::ok;
  ef_ = std::max(request_.params.ef_search == 0 ? default_ef() : request_.params.ef_search, k_);
  const Way cheapest_way = cheapest(ef_);
  if (!filter_.all()) way_ = cheapest_way;
  // Nodes that may not be returned take places in the pool. The more neighbors are looked for, the fewer candidates
  // each of them takes.
  const double share = static_cast<double>(allowed_) / static_cast<double>(graph.nodes);
  const double wide = std::ceil(std::max(static_cast<double>(ef_) / std::sqrt(share), static_cast<double>(k_) / share));
  pool_ = static_cast<size_t>(std::min(wide, static_cast<double>(graph.nodes)));
  if (way_ != Way::walk) pool_ = std::min(ef_, graph.nodes);
  if (way_ == Way::walk) {
    const auto with_others = [&](size_t n) { return static_cast<size_t>(std::ceil(static_cast<double>(n) / share)); };
    reach_ = state_.reach.of(std::min(with_others(k_), pool_), pool_, graph.nodes, state_.estimates());
  }
  most_ = std::clamp(most_, std::min(2 * pool_, graph.nodes), graph.nodes);
  const bool scans = way_ == Way::exact || way_ == Way::codes;
  return scans && !list_allowed() ? out_of_memory(allowed_ * 4) : Status::ok;
}

// What was learnt is for ten neighbors among all rows: more of them, or a filter, want no less than what is usual.
size_t HnswSearch::default_ef() const {
  const size_t usual = state_.reach.usual();
  if (usual == 0) return kDefaultEf;
  return k_ <= 10 && filter_.all() ? usual : std::max(usual, kDefaultEf);
}

// Also how far a walk may go.
HnswSearch::Way HnswSearch::cheapest(size_t ef) {
  const bool coded = state_.codes != nullptr;
  const double line = request_.nq < kLanes ? 1 : kSharedLine;
  const double row_lines = static_cast<double>(state_.widest().shape().stride()) / kCacheLine;
  const double code_lines = coded ? static_cast<double>(state_.codes->coder.lines()) : row_lines;
  const double m = static_cast<double>(state_.graph.m), rows = static_cast<double>(allowed_);
  const double share = rows / static_cast<double>(state_.graph.nodes), pool = static_cast<double>(ef);
  const double hop = kHopLines + m / 2 * code_lines;
  const double walk = pool / share * hop;
  const double hops = (pool + kSeeds) * (hop + 2 * m * kListLines);
  const double apart = std::min(row_lines, kFirstLines);
  const double row = line == 1 ? apart + (row_lines - apart) * kNextLine : row_lines;
  const double exact = rows * (1 + row) * line;
  const double codes =
      coded ? rows * (1 + code_lines) * std::max(line, kCodedLine) + kScanned * pool * (row_lines + kPooled) : exact;
  most_ = static_cast<size_t>(kPatience * std::min(exact, codes) / hop);
  // Steps over nodes that are not allowed miss more where a filter is sparse near the query: a last resort.
  const bool far_cheaper = kResort * hops < walk;
  const double graph = far_cheaper ? hops : walk;
  if (exact <= kExactLines || exact <= kSure * std::min(codes, graph)) return Way::exact;
  if (codes <= graph) return Way::codes;
  return far_cheaper ? Way::allowed : Way::walk;
}

bool HnswSearch::list_allowed() {
  if (filter_.all()) {
    if (!slots_.reserve(allowed_)) return false;
    for (uint32_t slot = 0; slot < state_.graph.nodes; ++slot) {
      if (!state_.is_removed(slot)) (void)slots_.push(slot);
    }
  } else if (filter_.list() != nullptr) {
    listed_ = filter_.list();
    return true;
  } else if (!filter_.list_all(&slots_)) {
    return false;
  }
  listed_ = slots_.data();
  return true;
}

// Some queries at a time go through what is allowed together, so that a row comes from memory once for all of them.
Status HnswSearch::scan_left(size_t threads) {
  const size_t left = left_count_;
  const bool exact = way_ == Way::exact || state_.codes == nullptr;
  (exact ? exact_ : coded_).fetch_add(left, std::memory_order_relaxed);
  const size_t size = exact ? std::min(kGroup, (left + threads - 1) / threads) : kLanes;
  std::atomic<Status> outcome{Status::ok};
  parallel_for((left + size - 1) / size, threads, [&](size_t group) {
    if (outcome != Status::ok) return;
    Work& work = of_thread<Work>();
    const uint32_t* queries = left_.data() + group * size;
    const size_t count = std::min(size, left - group * size);
    if (!reserve(work, exact ? 1 : count, kScanned * ef_) || !work.neighbors.resize(count * k_)) {
      outcome.store(Status::out_of_memory);
      return;
    }
    if (exact) {
      scan_rows(work, queries, count);
    } else {
      scan_codes(work, NibbleSpace(state_.rows, state_.codes->coder, state_.codes->codes.view(), work.space), queries,
                 count);
    }
    this->count(work);
    if (cancelled(request_.cancel)) outcome.store(Status::aborted);
  });
  return outcome;
}

void HnswSearch::scan_rows(Work& work, const uint32_t* queries, size_t count) {
  TopK heaps[kGroup];
  RowScorer::Query scored[kGroup];
  for (size_t i = 0; i < count; ++i) {
    heaps[i] = TopK(work.neighbors.data() + i * k_, k_);
    scored[i] = scored_query(queries[i]);
  }
  for (size_t begin = 0; begin < allowed_; begin += kScoredRows) {
    if (begin % kPolledRows == 0 && cancelled(request_.cancel)) return;
    const uint32_t* list = listed_ + begin;
    const size_t n = std::min(kScoredRows, allowed_ - begin);
    for (size_t i = 0; i < count; ++i) {
      decide_.distances(scored[i], list, n, work.decoded.data(), work.distances.data());
      float threshold = heaps[i].threshold();
      for (size_t r = 0; r < n; ++r) {
        if (work.distances[r] > threshold) continue;
        heaps[i].push(work.distances[r], state_.ids.id_of(list[r]));
        threshold = heaps[i].threshold();
      }
    }
  }
  work.walk.scored += allowed_ * count;
  for (size_t i = 0; i < count; ++i) write_answer(request_, queries[i], heaps[i]);
}

// The best estimates come into pools, which are ranked like those of walks.
template <class Space>
void HnswSearch::scan_codes(Work& work, const Space& like, const uint32_t* queries, size_t count) {
  alignas(Space) uint8_t memory[kLanes * sizeof(Space)];
  Space* spaces = reinterpret_cast<Space*>(memory);
  size_t sizes[kLanes] = {};
  for (size_t i = 0; i < count; ++i) {
    new (spaces + i) Space(like, work.lanes[i].space);
    spaces[i].set_query(query(queries[i]), scored_query(queries[i]).norm);
  }
  const uint32_t* list = listed_;
  for (size_t begin = 0; begin < allowed_; begin += kScannedRows) {
    if (begin % kPolledRows == 0 && cancelled(request_.cancel)) return;
    const size_t n = std::min(kScannedRows, allowed_ - begin);
    const size_t ahead = std::min(allowed_, begin + 2 * kScannedRows);
    for (size_t i = begin + n; i < ahead; ++i) like.prefetch_row(list[i]);
    for (size_t i = 0; i < count; ++i) {
      uint64_t* pool = work.lanes[i].walk.pool.data();
      float distances[kScannedRows];
      spaces[i].score(list + begin, n, distances);
      for (size_t r = 0; r < n; ++r) {
        (void)pool_insert(pool, &sizes[i], kScanned * ef_, pool_key(distances[r], list[begin + r]));
      }
    }
  }
  work.walk.scored += allowed_ * count;
  // Far from the query distances differ less than estimates err, and those that look best err most: all are ranked.
  for (size_t i = 0; i < count; ++i) (void)rank(work, work.lanes[i].walk, queries[i], sizes[i], sizes[i]);
}

}  // namespace annex
