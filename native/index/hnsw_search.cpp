#include "index/hnsw_search.h"

#include <algorithm>
#include <cmath>
#include <new>
#include <type_traits>

#include "base/of_thread.h"
#include "base/parallel.h"
#include "index/input.h"
#include "index/row_scan.h"

namespace annex {
namespace {

constexpr size_t kDefaultEf = 96;
constexpr size_t kTaskQueries = 32;
constexpr size_t kLanes = 6;  // walks in turns
constexpr size_t kScoredRows = 64;
constexpr size_t kLanePool = 4096;  // longer pools need their cache for themselves
constexpr size_t kScannedRows = 16;
constexpr size_t kPolledRows = 4096;  // between looks at the flag
constexpr size_t kSeeds = 16;         // of a walk through allowed rows alone
// Costs, in cache lines.
constexpr double kHopLines = 60;      // of an expansion, whatever it finds
constexpr double kListLines = 6;      // of passing through a node
constexpr double kExactLines = 8192;  // a scan as short as this need not be shorter
constexpr size_t kFewQueries = 4;     // fewer are faster on one thread
constexpr size_t kRankedMore = 6;     // candidates beyond k that are always looked at
constexpr size_t kRankedRows = 8;     // then so many at a time
constexpr double kDeviations = 3;     // of the error of estimates, within which a candidate is looked at

}  // namespace

// What one thread needs; kept from one search to the next.
struct HnswSearch::Work {
  struct Lane {
    WalkMemory walk;
    SpaceMemory space;
  };
  Lane lanes[kLanes];
  WalkMemory& walk = lanes[0].walk;  // of a search by itself
  SpaceMemory& space = lanes[0].space;
  Buffer<Neighbor> neighbors;
  Buffer<uint32_t> slots;
  Buffer<float> distances, estimates, decoded;
};

HnswSearch::HnswSearch(const HnswState& state, const SearchRequest& request)
    : state_(state),
      request_(request),
      shape_(state.rows.shape()),
      decide_(state.widest()),
      query_bytes_(state.rows.shape().input_bytes()) {}

Status HnswSearch::run() {
  Status status = check_input(shape_, request_.type, "query", request_.queries, request_.nq, 0);
  if (status != Status::ok) return status;
  clear_answers(request_);
  for (size_t q = 0; q < request_.nq && shape_.metric == Metric::cosine; ++q) {
    status = check_direction(shape_, query_norm(shape_, query(q)), q);
    if (status != Status::ok) return status;
  }
  status = prepare();
  if (status != Status::ok || k_ == 0 || request_.nq == 0) return status;

  size_t threads = request_.params.threads == 0 ? pool_threads() : std::min(request_.params.threads, pool_threads());
  if (request_.nq < kFewQueries) threads = 1;
  const size_t share = std::clamp((request_.nq + threads - 1) / threads, size_t{1}, kTaskQueries);
  std::atomic<Status> outcome{Status::ok};
  parallel_for((request_.nq + share - 1) / share, threads, [&](size_t task) {
    Work& work = of_thread<Work>();
    if (outcome != Status::ok) return;
    const size_t begin = task * share, end = std::min(request_.nq, begin + share);
    const bool in_turns = kPrefetchWorks && way_ == Way::walk && end - begin > 1 && pool_ <= kLanePool;
    const Status searched = in_turns ? search_in_turns(work, begin, end) : search_apart(work, begin, end);
    if (searched != Status::ok) outcome.store(searched);
    for (Work::Lane& lane : work.lanes) {
      hops_.fetch_add(lane.walk.hops, std::memory_order_relaxed);
      scanned_.fetch_add(lane.walk.scored, std::memory_order_relaxed);
      lane.walk.hops = lane.walk.scored = 0;
    }
  });
  if (outcome == Status::out_of_memory) return out_of_memory(pool_ * 32);
  return outcome == Status::aborted ? aborted() : outcome.load();
}

// The filter, and the way that costs least. What things cost is counted in cache lines fetched, roughly.
Status HnswSearch::prepare() {
  const HnswGraph& graph = state_.graph;
  if (!filter_.resolve(request_.filter, state_.ids)) return out_of_memory(graph.nodes * 5);
  allowed_ = filter_.all() ? state_.live() : filter_.count();
  k_ = std::min(request_.k, allowed_);
  if (k_ == 0) return Status::ok;
  const size_t ef = std::max(request_.params.ef_search == 0 ? kDefaultEf : request_.params.ef_search, k_);
  // Nodes that may not be returned take places in the pool.
  const double share = static_cast<double>(allowed_) / static_cast<double>(graph.nodes);
  const double wide = std::ceil(static_cast<double>(ef) / share);
  pool_ = static_cast<size_t>(std::min(wide, static_cast<double>(graph.nodes)));
  if (filter_.all()) return Status::ok;

  const bool coded = state_.codes != nullptr;
  const double row_lines = static_cast<double>(state_.widest().shape().stride()) / kCacheLine;
  const double code_lines = coded ? static_cast<double>(state_.codes->coder.lines()) : row_lines;
  const double m = static_cast<double>(graph.m), rows = static_cast<double>(allowed_);
  const double walk = wide * (kHopLines + m / 2 * code_lines);
  const double hops = static_cast<double>(ef + kSeeds) * (kHopLines + 2 * m * kListLines + m / 2 * code_lines);
  const double graph_cost = std::min(walk, hops);
  const double scan_cost = rows * (1 + row_lines);
  const double code_cost = coded ? rows * (1 + code_lines) + static_cast<double>(ef) * row_lines : scan_cost;
  if (scan_cost <= kExactLines || (scan_cost <= graph_cost && scan_cost <= code_cost)) {
    way_ = Way::exact;
  } else if (code_cost <= graph_cost) {
    way_ = Way::codes;
  } else if (hops < walk) {
    way_ = Way::allowed;
  }
  if (way_ != Way::walk) pool_ = std::min(ef, graph.nodes);
  if (way_ != Way::exact && way_ != Way::codes) return Status::ok;
  if (!slots_.reserve(allowed_)) return out_of_memory(allowed_ * 4);
  for (uint32_t slot = 0; slot < graph.nodes; ++slot) {
    if (allowed(slot)) (void)slots_.push(slot);
  }
  return Status::ok;
}

bool HnswSearch::reserve(Work& work, size_t lanes, size_t pool) const {
  const HnswGraph& graph = state_.graph;
  for (size_t i = 0; i < lanes; ++i) {
    if (!work.lanes[i].walk.prepare(graph.nodes, std::max(pool, kSeeds), graph.bottom_room()) ||
        !work.lanes[i].space.prepare(shape_.dim, graph.bottom_room())) {
      return false;
    }
  }
  return work.neighbors.resize(k_) && work.decoded.resize(shape_.dim) && work.slots.resize(kScoredRows) &&
         work.distances.resize(kScoredRows) && work.estimates.resize(kScoredRows);
}

Status HnswSearch::search_apart(Work& work, size_t begin, size_t end) {
  Status status = Status::ok;
  for (size_t q = begin; q < end && status == Status::ok; ++q) {
    status = cancelled(request_.cancel) ? Status::aborted : search_one(work, q);
  }
  return status;
}

// Several walks in turns: see LaneWalk.
Status HnswSearch::search_in_turns(Work& work, size_t begin, size_t end) {
  const size_t count = std::min(end - begin, kLanes);
  if (!reserve(work, count, pool_)) return Status::out_of_memory;
  Status status = Status::ok;
  with_space(state_.rows, state_.codes.get(), work.lanes[0].space, [&](auto& first) {
    using Space = std::remove_reference_t<decltype(first)>;
    struct Run {
      Run(const Space& like, Work::Lane& lane, const HnswGraph& graph)
          : memory(lane.walk), space(like, lane.space), walk(space, graph, lane.walk) {}
      WalkMemory& memory;
      Space space;
      LaneWalk<Space, HnswGraph> walk;
      size_t q = SIZE_MAX;
    };
    alignas(Run) uint8_t room[kLanes * sizeof(Run)];
    Run* runs = reinterpret_cast<Run*>(room);
    for (size_t i = 0; i < count; ++i) new (runs + i) Run(first, work.lanes[i], state_.graph);
    size_t next = begin, running = count;
    const auto start = [&](Run& run) {
      if (next == end) {
        run.q = SIZE_MAX;
        --running;
        return;
      }
      run.q = next++;
      run.space.set_query(query(run.q), scored_query(run.q).norm);
      run.walk.start(state_.graph.entry, state_.graph.top, pool_);
    };
    for (size_t i = 0; i < count; ++i) start(runs[i]);
    while (running != 0) {
      for (size_t i = 0; i < count; ++i) {
        Run& run = runs[i];
        if (run.q == SIZE_MAX || run.walk.advance()) continue;
        if (status == Status::ok && !rank(work, run.memory, run.q, run.walk.found())) {
          status = scan_allowed(work, run.q);
        }
        if (cancelled(request_.cancel)) status = Status::aborted;
        if (status != Status::ok) next = end;
        start(run);
      }
    }
  });
  return status;
}

Status HnswSearch::search_one(Work& work, size_t q) {
  const size_t nodes = state_.graph.nodes;
  // Where the pool held too few that may be returned, a longer one; in the end all rows.
  for (size_t pool = pool_; way_ != Way::exact; pool = std::min(nodes, 4 * pool)) {
    if (!reserve(work, 1, pool)) return Status::out_of_memory;
    if (rank(work, work.walk, q, fill_pool(work, q, pool))) return Status::ok;
    if (pool >= nodes / 4 || way_ == Way::codes) break;
  }
  return reserve(work, 1, kSeeds) ? scan_allowed(work, q) : Status::out_of_memory;
}

// The pool of candidates, by one of the ways; returns how many it holds.
size_t HnswSearch::fill_pool(Work& work, size_t q, size_t pool) {
  const HnswGraph& graph = state_.graph;
  size_t found = 0;
  with_space(state_.rows, state_.codes.get(), work.space, [&](auto& space) {
    WalkMemory& memory = work.walk;
    space.set_query(query(q), scored_query(q).norm);
    if (way_ == Way::codes) {
      found = scan_codes(work, space);
      return;
    }
    space.score(&graph.entry, 1, memory.distances.data());
    memory.pool[0] = descend(space, graph, memory, pool_key(memory.distances[0], graph.entry), graph.top, 1);
    if (way_ == Way::walk) {
      found = search_layer(space, graph, memory, 0, pool, 1);
    } else {
      found = search_layer(space, graph, memory, 0, kSeeds, 1);
      found = search_allowed(space, graph, memory, pool, found, [&](uint32_t slot) { return allowed(slot); });
    }
  });
  return found;
}

// The best of the pool, by the distances that are reported. Estimates order the pool: candidates are looked at from
// the first on, until the estimate lies beyond the k-th best distance by more than estimates are seen to err.
bool HnswSearch::rank(Work& work, const WalkMemory& memory, size_t q, size_t pooled) {
  TopK heap(work.neighbors.data(), k_);
  const RowScorer::Query scored = scored_query(q);
  const bool estimates = state_.codes != nullptr || state_.has_wide;
  const float unit = state_.codes != nullptr ? state_.codes->coder.unit() : 1;
  const size_t at_least = k_ + kRankedMore;
  const uint64_t* pool = memory.pool.data();
  double errors = 0, squares = 0;
  size_t taken = 0, i = 0;
  while (i < pooled) {
    size_t n = 0;
    for (; i < pooled && n < (taken == 0 ? std::min(at_least, kScoredRows) : kRankedRows); ++i) {
      const uint32_t slot = key_slot(pool[i]);
      if (!allowed(slot)) continue;
      if (estimates && taken + n >= at_least) {
        const double count = static_cast<double>(taken), mean = errors / count;
        const double deviation = std::sqrt(std::max(0.0, squares / count - mean * mean));
        const double estimate = static_cast<double>(unit) * key_distance(pool[i]);
        if (estimate + mean - kDeviations * deviation > heap.threshold()) i = pooled;
        if (i == pooled) break;
      }
      work.estimates[n] = unit * key_distance(pool[i]);
      work.slots[n++] = slot;
    }
    decide_.distances(scored, work.slots.data(), n, work.decoded.data(), work.distances.data());
    for (size_t r = 0; r < n; ++r) {
      heap.push(work.distances[r], state_.ids.id_of(work.slots[r]));
      const double error = static_cast<double>(work.distances[r]) - work.estimates[r];
      errors += error;
      squares += error * error;
    }
    taken += n;
  }
  rescored_.fetch_add(taken, std::memory_order_relaxed);
  if (heap.size() < k_) return false;
  write_answer(request_, q, heap);
  return true;
}

// The estimates of all allowed rows, the best of them into the pool; returns how many it holds.
template <class Space>
size_t HnswSearch::scan_codes(Work& work, Space& space) {
  WalkMemory& memory = work.walk;
  const uint32_t* list = slots_.data();
  size_t size = 0;
  for (size_t begin = 0; begin < slots_.size(); begin += kScannedRows) {
    const size_t n = std::min(kScannedRows, slots_.size() - begin);
    const size_t ahead = std::min(slots_.size(), begin + 2 * kScannedRows);
    for (size_t i = begin + n; i < ahead; ++i) space.prefetch_row(list[i]);
    float distances[kScannedRows];
    space.score(list + begin, n, distances);
    for (size_t i = 0; i < n; ++i) {
      pool_insert(memory.pool.data(), &size, pool_, pool_key(distances[i], list[begin + i]));
    }
  }
  memory.scored += slots_.size();
  return size;
}

// Exact: the distances of all allowed rows.
Status HnswSearch::scan_allowed(Work& work, size_t q) {
  TopK heap(work.neighbors.data(), k_);
  const RowScorer::Query scored = scored_query(q);
  const auto score = [&](const uint32_t* slots, size_t n) {
    decide_.distances(scored, slots, n, work.decoded.data(), work.distances.data());
    for (size_t i = 0; i < n; ++i) heap.push(work.distances[i], state_.ids.id_of(slots[i]));
    work.walk.scored += n;
  };
  if (way_ == Way::exact) {
    for (size_t begin = 0; begin < slots_.size(); begin += kScoredRows) {
      if (begin % kPolledRows == 0 && cancelled(request_.cancel)) return Status::aborted;
      score(slots_.data() + begin, std::min(kScoredRows, slots_.size() - begin));
    }
  } else {
    size_t n = 0;
    for (size_t slot = 0; slot < state_.graph.nodes; ++slot) {
      if (slot % kPolledRows == 0 && cancelled(request_.cancel)) return Status::aborted;
      if (!allowed(slot)) continue;
      work.slots[n++] = static_cast<uint32_t>(slot);
      if (n < kScoredRows) continue;
      score(work.slots.data(), n);
      n = 0;
    }
    score(work.slots.data(), n);
  }
  exact_.fetch_add(1, std::memory_order_relaxed);
  write_answer(request_, q, heap);
  return Status::ok;
}

}  // namespace annex
