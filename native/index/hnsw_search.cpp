#include "index/hnsw_search.h"

#include <algorithm>
#include <cmath>
#include <new>
#include <type_traits>

#include "base/of_thread.h"
#include "base/parallel.h"
#include "index/hnsw_filtered.h"
#include "index/hnsw_work.h"
#include "index/input.h"
#include "index/row_scan.h"
#include "kernels/dispatch.h"

namespace annex {
namespace {

constexpr size_t kTaskQueries = 32;
constexpr size_t kLanePool = 4096;  // longer pools need their cache for themselves
constexpr size_t kFirstLook = 32;   // expansions after which a walk under a filter is asked whether to go on
constexpr size_t kTold = 8;         // how many times fewer than expected are allowed where it is not
constexpr size_t kRankedRows = 8;   // then so many at a time
constexpr double kDeviations = 3;   // of the error of estimates, within which a candidate is looked at

}  // namespace

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
  if (request_.nq < kFewQueries) {
    threads = 1;
  } else {
    if (!many_left_.resize(request_.nq)) return out_of_memory(request_.nq * 4);
    left_ = many_left_.data();
  }
  if (way_ == Way::walk || way_ == Way::allowed) {
    status = walk_all(threads);
    if (status == Status::ok && left_count_ != 0 && !list_allowed()) status = Status::out_of_memory;
  } else {
    for (size_t q = 0; q < request_.nq; ++q) leave(q);
  }
  if (status == Status::ok && left_count_ != 0) status = scan_left(threads);
  if (status == Status::out_of_memory) return out_of_memory(pool_ * 32);
  return status == Status::aborted ? aborted() : status;
}

// Queries that need more than a walk come into left_.
Status HnswSearch::walk_all(size_t threads) {
  const size_t share = std::clamp((request_.nq + threads - 1) / threads, size_t{1}, kTaskQueries);
  std::atomic<Status> outcome{Status::ok};
  parallel_for((request_.nq + share - 1) / share, threads, [&](size_t task) {
    Work& work = of_thread<Work>();
    if (outcome != Status::ok) return;
    const size_t begin = task * share, end = std::min(request_.nq, begin + share);
    const bool in_turns = kPrefetchWorks && way_ == Way::walk && end - begin > 1 && reach_.most <= kLanePool;
    const Status searched = in_turns ? search_in_turns(work, begin, end) : search_apart(work, begin, end);
    if (searched != Status::ok) outcome.store(searched);
    count(work);
  });
  return outcome;
}

// What a thread's work came to, once.
void HnswSearch::count(Work& work) {
  for (Work::Lane& lane : work.lanes) {
    hops_.fetch_add(lane.walk.hops, std::memory_order_relaxed);
    scanned_.fetch_add(lane.walk.scored, std::memory_order_relaxed);
    lane.walk.hops = lane.walk.scored = 0;
  }
}

bool HnswSearch::reserve(Work& work, size_t lanes, size_t pool) const {
  const HnswGraph& graph = state_.graph;
  for (size_t i = 0; i < lanes; ++i) {
    if (!work.lanes[i].walk.prepare(graph.nodes, std::max(pool, kSeeds), graph.bottom_room(), lanes == 1) ||
        !work.lanes[i].space.prepare(shape_.dim, std::max(graph.bottom_room(), kScannedRows))) {
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
  if (!reserve(work, count, reach_.room())) return Status::out_of_memory;
  Status status = Status::ok;
  uint32_t again[kTaskQueries];
  size_t again_count = 0;
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
      run.walk.start(state_.graph.entry, state_.graph.top, reach_for(run.q));
    };
    for (size_t i = 0; i < count; ++i) start(runs[i]);
    while (running != 0) {
      for (size_t i = 0; i < count; ++i) {
        Run& run = runs[i];
        if (run.q == SIZE_MAX) continue;
        const bool more = run.walk.advance();
        const size_t found = run.walk.found();
        const bool look = more && !filter_.all() && run.walk.expansions() == kFirstLook;
        if (more && (!look || promising(run.memory, found))) continue;
        if (more) run.walk.abandon();
        if (more || !enough(run.memory, found) || !rank(work, run.memory.pool.data(), run.q, found)) {
          again[again_count++] = static_cast<uint32_t>(run.q);
        }
        if (cancelled(request_.cancel)) status = Status::aborted;
        if (status != Status::ok) next = end;
        start(run);
      }
    }
  });
  for (size_t i = 0; i < again_count && status == Status::ok; ++i) status = search_one(work, again[i]);
  return status;
}

Status HnswSearch::search_one(Work& work, size_t q) {
  if (!reserve(work, 1, std::max(reach_.room(), most_))) return Status::out_of_memory;
  const size_t found = fill_pool(work, q);
  // Where what may be returned lies far from the query, distances differ less than estimates err: then all are ranked.
  if (!rank(work, work.walk.pool.data(), q, found, filter_.all() ? 0 : found)) leave(q);
  return Status::ok;
}

// The pool of candidates, by one of the ways; returns how many it holds, or 0 where too few of them may be returned.
size_t HnswSearch::fill_pool(Work& work, size_t q) {
  const HnswGraph& graph = state_.graph;
  const auto may_return = [&](uint32_t slot) { return allowed(slot); };
  size_t found = 0;
  with_space(state_.rows, state_.codes.get(), work.space, [&](auto& space) {
    WalkMemory& memory = work.walk;
    space.set_query(query(q), scored_query(q).norm);
    space.score(&graph.entry, 1, memory.distances.data());
    const uint64_t near = descend(space, graph, memory, pool_key(memory.distances[0], graph.entry), graph.top, 1);
    memory.pool[0] = near;
    if (way_ == Way::allowed) {
      found = search_layer(space, graph, memory, 0, Reach::nearest(kSeeds), 1);
      found = search_allowed(space, graph, memory, pool_, found, may_return);
      if (found < std::min(ef_, allowed_)) found = 0;
      return;
    }
    if (filter_.all()) {
      found = search_layer(space, graph, memory, 0, reach_for(q), 1);
      if (enough(memory, found)) return;
      memory.pool[0] = near;
    }
    found = search_filtered(space, graph, memory, std::min(ef_, allowed_), 1, most_, may_return);
  });
  return found;
}

// What a walk to a query keeps, where no filter is in its way.
Reach HnswSearch::reach_for(size_t q) const {
  Reach reach = reach_;
  if (shape_.metric == Metric::ip && reach.most != reach.least) {
    const Scalar scalar = shape_.float_input() ? Scalar::f32 : shape_.scalar;
    float squares;
    kernels().scan[static_cast<size_t>(scalar)][static_cast<size_t>(Op::dot)](query(q), query(q), 0, 1, shape_.dim,
                                                                              &squares);
    reach.offset = state_.reach.longest() * std::sqrt(squares);
  }
  return reach;
}

// Whether a pool holds about as many that may be returned as the graph does on the average. It does not where most
// nodes near the query are removed.
bool HnswSearch::enough(const WalkMemory& memory, size_t pooled) const {
  if (filter_.all() && state_.removed_count == 0) return true;
  return held(memory, pooled) >= std::min(allowed_, std::max(k_, pooled * allowed_ / state_.graph.nodes / 2));
}

// Whether a walk that has begun may be expected to come to enough: not where hardly any node near the query may be
// returned, though many of all may.
bool HnswSearch::promising(const WalkMemory& memory, size_t pooled) const {
  const size_t expected = pooled * allowed_ / state_.graph.nodes;
  return expected < kTold || held(memory, pooled) >= expected / kTold;
}

size_t HnswSearch::held(const WalkMemory& memory, size_t pooled) const {
  size_t count = 0;
  for (size_t i = 0; i < pooled; ++i) count += allowed(key_slot(memory.pool[i]));
  return count;
}

// The best of the pool, by the distances that are reported. Estimates order the pool: candidates are looked at from
// the first on, until the estimate lies beyond the k-th best distance by more than estimates are seen to err.
bool HnswSearch::rank(Work& work, const uint64_t* pool, size_t q, size_t pooled, size_t at_least) {
  TopK heap(work.neighbors.data(), k_);
  const RowScorer::Query scored = scored_query(q);
  const bool estimates = state_.estimates();
  const float unit = state_.codes != nullptr ? state_.codes->coder.unit() : 1;
  at_least = std::max(at_least, k_ + HnswReach::kSpare);
  double errors = 0, squares = 0;
  size_t taken = 0, i = 0;
  while (i < pooled) {
    size_t n = 0;
    for (; i < pooled && n < (taken < at_least ? std::min(at_least - taken, kScoredRows) : kRankedRows); ++i) {
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

}  // namespace annex
