// Searches under a filter: the way that costs least, and scans of what is allowed.
#include <algorithm>
#include <cmath>
#include <new>

#include "base/of_thread.h"
#include "base/parallel.h"
#include "index/hnsw_work.h"
#include "index/row_scan.h"
#include "index/shortlist.h"

namespace annex {
namespace {

constexpr size_t kScanned = 2;                      // candidates of a scan by codes, in efSearch
constexpr size_t kShortlistKeys = size_t{1} << 17;  // of all queries that one thread has in hand
constexpr size_t kPolledRows = 4096;                // between looks at the flag
constexpr size_t kTileBytes = size_t{16} << 10;     // rows that several queries look at: they stay in L1
// Costs, in cache lines fetched.
constexpr double kHopLines = 85;      // of an expansion, whatever it finds
constexpr double kListLines = 6;      // of passing through a node
constexpr double kSharedLine = 0.3;   // of a line that several queries at a time have use for
constexpr double kFirstLines = 2;     // of a row; then it is seen where the next ones lie
constexpr double kNextLine = 0.4;     // of those
constexpr double kListed = 10;        // of a candidate that comes into a shortlist and is ranked
constexpr double kExactLines = 1024;  // a scan as short as this need not be shorter
constexpr double kSure = 1.5;         // how many times dearer a scan of rows may be than a walk, which may miss some
constexpr double kSurer = 2;          // the same of a scan of codes, which err most where all rows are far
constexpr double kResort = 4;    // how many times dearer a walk through all nodes may be than one through allowed ones
constexpr double kPatience = 3;  // how much longer than a scan a walk may be expected to take, once it has begun

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
  const double codes = coded ? rows * (1 + code_lines) * line + kScanned * pool * (row_lines + kListed) : exact;
  most_ = static_cast<size_t>(kPatience * std::min(exact, codes) / hop);
  // Steps over nodes that are not allowed miss more where a filter is sparse near the query: a last resort.
  const bool far_cheaper = kResort * hops < walk;
  const double graph = far_cheaper ? hops : walk;
  if (exact <= kExactLines || exact <= std::min(kSure * graph, kSurer * codes)) return Way::exact;
  if (codes <= graph) return Way::codes;
  return far_cheaper ? Way::allowed : Way::walk;
}

size_t HnswSearch::shortlisted() const { return std::min(kScanned * ef_, allowed_); }

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
  const size_t most = exact ? kGroup : std::clamp(kShortlistKeys / Shortlist::room(shortlisted()), size_t{1}, kGroup);
  const size_t size = std::min(most, (left + threads - 1) / threads);
  std::atomic<Status> outcome{Status::ok};
  parallel_for((left + size - 1) / size, threads, [&](size_t group) {
    if (outcome != Status::ok) return;
    Work& work = of_thread<Work>();
    const uint32_t* queries = left_ + group * size;
    const size_t count = std::min(size, left - group * size);
    if (!reserve(work, 1, 0) || !work.neighbors.resize(count * k_) ||
        (!exact && !work.keys.resize(count * Shortlist::room(shortlisted()))) ||
        (!exact && !work.queries.resize(count * state_.codes->coder.query_bytes()))) {
      outcome.store(Status::out_of_memory);
      return;
    }
    if (exact) {
      scan_rows(work, queries, count);
    } else {
      scan_codes(work, queries, count);
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
  // Eight rows at least: so many the kernels take side by side.
  const size_t tile = std::clamp(kTileBytes / state_.widest().shape().stride() / 8 * 8, size_t{8}, kScoredRows);
  for (size_t begin = 0; begin < allowed_; begin += tile) {
    if (begin % kPolledRows < tile && cancelled(request_.cancel)) return;
    const uint32_t* list = listed_ + begin;
    const size_t n = std::min(tile, allowed_ - begin);
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

// The best estimates come into shortlists, which are ranked like the pools of walks.
void HnswSearch::scan_codes(Work& work, const uint32_t* queries, size_t count) {
  static_assert(kScannedRows <= Shortlist::kOffered);
  const NibbleCoder& coder = state_.codes->coder;
  const Blocks::View codes = state_.codes->codes.view();
  const size_t lines = coder.lines(), query_bytes = coder.query_bytes();
  NibbleRowsQuery asked[kGroup];
  Shortlist best[kGroup];
  for (size_t i = 0; i < count; ++i) {
    const RowScorer::Query scored = scored_query(queries[i]);
    asked[i] = coder.query(static_cast<const float*>(scored.data), static_cast<float>(scored.norm),
                           work.space.work.data(), work.queries.data() + i * query_bytes);
    best[i] = Shortlist(work.keys.data() + i * Shortlist::room(shortlisted()), shortlisted());
  }
  const void* rows[2][kScannedRows];
  const auto ask = [&](size_t begin, const void** at) {
    const size_t n = std::min(kScannedRows, allowed_ - begin);
    for (size_t r = 0; r < n; ++r) {
      at[r] = codes.item(listed_[begin + r]);
      prefetch_bytes(at[r], lines * kNibbleLine);
    }
    load_lines(at, n, lines * kNibbleLine);
    return n;
  };
  size_t n = ask(0, rows[0]), turn = 0;
  for (size_t begin = 0, next = 0; begin < allowed_; begin += n, n = next, turn ^= 1) {
    if (begin % kPolledRows == 0 && cancelled(request_.cancel)) return;
    next = begin + n < allowed_ ? ask(begin + n, rows[turn ^ 1]) : 0;
    float distances[kGroup * kScannedRows];
    kernels().tile_nibbles(asked, count, rows[turn], n, lines, distances);
    for (size_t i = 0; i < count; ++i) best[i].offer(distances + i * n, listed_ + begin, n);
  }
  work.walk.scored += allowed_ * count;
  // Far from the query distances differ less than estimates err, and those that look best err most: all are ranked.
  for (size_t i = 0; i < count; ++i) {
    const size_t found = best[i].finish();
    (void)rank(work, best[i].keys(), queries[i], found, found);
  }
}

}  // namespace annex
