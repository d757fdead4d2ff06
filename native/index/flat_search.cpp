#include "index/flat_search.h"

#include <algorithm>

#include "base/of_thread.h"
#include "base/parallel.h"
#include "base/round.h"
#include "index/input.h"

namespace annex {
namespace {

constexpr size_t kGroup = 512;      // queries that share a pass over the rows: their codes and hits stay in L2
constexpr size_t kTileQueries = 8;  // from here on packing a tile costs less than it saves
constexpr size_t kFirstTile = 64;   // the first tiles are small: until k rows are known, every row is a hit
constexpr size_t kTileBytes = size_t{256} << 10;
constexpr size_t kLoneTileRows = 4096;
constexpr size_t kWorthThreads = size_t{1} << 20;  // bytes or multiplications below which one thread is faster
constexpr size_t kRowsApartQueries = 32;           // a thread with fewer queries than this shares rows instead

// Heaps that the thread keeps from one search to the next.
struct Heaps {
  Buffer<Neighbor> neighbors;
  Buffer<TopK> heaps;
};

}  // namespace

FlatSearch::FlatSearch(const RowStore& rows, const IdMap& ids, const SearchRequest& request)
    : rows_(rows),
      request_(request),
      shape_(rows.shape()),
      k_(std::min(request.k, rows.size())),
      ids_(ids),
      scan_(rows.shape(), &rows, ids, filter_) {}

Status FlatSearch::run() {
  const Status status = check_input(shape_, request_.type, "query", request_.queries, request_.nq, 0);
  if (status != Status::ok) return status;
  if (request_.part == nullptr || request_.part->first == 0) clear_answers(request_);
  const Status prepared = prepare();
  if (prepared != Status::ok) return prepared;
  if (k_ == 0 || request_.nq == 0 || filter_.count() == 0) return Status::ok;
  if (request_.part != nullptr) return run_part(*request_.part);

  size_t threads = request_.params.threads == 0 ? pool_threads() : std::min(request_.params.threads, pool_threads());
  const size_t row_bytes = shape_.sidecar ? shape_.dim : shape_.stride();
  if (request_.nq * filter_.count() * row_bytes < kWorthThreads) threads = 1;
  if (threads > 1 && request_.nq < threads * kRowsApartQueries) return run_rows_apart(threads);
  const size_t share = (request_.nq + threads - 1) / threads;
  const size_t groups = (share + kGroup - 1) / kGroup * threads;
  return run_queries_apart(threads, (request_.nq + groups - 1) / groups);
}

// The filter, the way to go, and the queries coded for it.
Status FlatSearch::prepare() {
  if (!filter_.resolve(request_.filter, ids_)) return out_of_memory(rows_.size() * 5);
  if (filter_.list() != nullptr) {
    gathers_ = true;
  } else if (shape_.sidecar && rows_.size() > kFirstTile) {  // the rows of the first tile are rescored all the same
    way_ = RowScan::Way::sidecar;
  } else if (request_.nq >= kTileQueries && tile_serves(shape_.metric, shape_.scalar)) {
    way_ = RowScan::Way::product;
  }
  return scan_.prepare(request_.queries, request_.nq, way_);
}

// Each task takes a group of queries through all rows.
Status FlatSearch::run_queries_apart(size_t threads, size_t group) {
  const size_t groups = (request_.nq + group - 1) / group;
  std::atomic<Status> outcome{Status::ok};
  parallel_for(groups, threads, [&](size_t g) {
    if (outcome != Status::ok) return;
    const Range queries{g * group, std::min(request_.nq, (g + 1) * group)};
    const size_t count = queries.end - queries.begin;
    Heaps& memory = of_thread<Heaps>();
    if (!memory.neighbors.resize(count * k_) || !memory.heaps.resize(count)) {
      outcome.store(Status::out_of_memory);
      return;
    }
    for (size_t i = 0; i < count; ++i) memory.heaps[i] = TopK(memory.neighbors.data() + i * k_, k_);
    const Status status = look(queries, {0, candidates()}, memory.heaps.data());
    if (status != Status::ok) outcome.store(status);
    for (size_t i = 0; i < count && status == Status::ok; ++i) {
      write_answer(request_, queries.begin + i, memory.heaps[i]);
    }
  });
  if (outcome == Status::out_of_memory) return out_of_memory(group * k_ * sizeof(Neighbor));
  return outcome == Status::aborted ? aborted() : outcome.load();
}

// Few queries: each task takes all of them through a share of the rows; then the shares' answers are merged.
Status FlatSearch::run_rows_apart(size_t threads) {
  const size_t nq = request_.nq;
  const size_t total = candidates();
  const size_t share = round_up((total + threads - 1) / threads, kPanelRows);
  const size_t shares = (total + share - 1) / share;
  Buffer<Neighbor> neighbors;
  Buffer<TopK> heaps;
  if (!neighbors.resize(shares * nq * k_) || !heaps.resize(shares * nq)) {
    return out_of_memory(shares * nq * k_ * sizeof(Neighbor));
  }
  for (size_t i = 0; i < shares * nq; ++i) heaps[i] = TopK(neighbors.data() + i * k_, k_);
  std::atomic<Status> outcome{Status::ok};
  parallel_for(shares, threads, [&](size_t s) {
    const Status status = look({0, nq}, {s * share, std::min(total, (s + 1) * share)}, heaps.data() + s * nq);
    if (status != Status::ok) outcome.store(status);
  });
  if (outcome == Status::out_of_memory) return out_of_memory(kTileBytes * nq);
  if (outcome != Status::ok) return aborted();
  for (size_t q = 0; q < nq; ++q) {
    TopK& best = heaps[q];
    for (size_t s = 1; s < shares; ++s) {
      const TopK& other = heaps[s * nq + q];
      for (size_t i = 0; i < other.size(); ++i) best.push(other[i].distance, other[i].id);
    }
    write_answer(request_, q, best);
  }
  return Status::ok;
}

// All queries through the rows of the part, their heaps filled with what was found before.
Status FlatSearch::run_part(SearchPart& part) {
  const size_t nq = request_.nq, total = candidates();
  const size_t begin = std::min(part.first, total);
  const size_t end = begin + std::min(round_up(std::clamp<size_t>(part.rows, 1, total), kPanelRows), total - begin);
  Heaps& memory = of_thread<Heaps>();
  if (!memory.neighbors.resize(nq * k_) || !memory.heaps.resize(nq)) return out_of_memory(nq * k_ * sizeof(Neighbor));
  for (size_t q = 0; q < nq; ++q) {
    TopK& heap = memory.heaps[q] = TopK(memory.neighbors.data() + q * k_, k_);
    const size_t found = begin == 0 ? 0 : std::min<size_t>(request_.counts[q], k_);
    for (size_t i = q * request_.k; i < q * request_.k + found; ++i) {
      heap.push(request_.distances[i], static_cast<int64_t>(request_.ids[i]));
    }
  }
  const Status status = look({0, nq}, {begin, end}, memory.heaps.data());
  if (status == Status::out_of_memory) return out_of_memory(kTileBytes * nq);
  if (status != Status::ok) return aborted();
  for (size_t q = 0; q < nq; ++q) write_answer(request_, q, memory.heaps[q]);
  part.next = end < total ? end : 0;
  return Status::ok;
}

size_t FlatSearch::tile_rows(size_t queries) const {
  const size_t most = queries == 1 ? kLoneTileRows : size_t{512};
  const size_t row = way_ == RowScan::Way::product && shape_.float_input() ? shape_.dim * 4 : shape_.dim;
  const size_t fits = (queries == 1 ? 4 * kTileBytes : kTileBytes) / row / kPanelRows * kPanelRows;
  return std::clamp(fits, kPanelRows, most);
}

Status FlatSearch::look(Range queries, Range slots, TopK* heaps) {
  const QueryGroup group{queries.begin, queries.end - queries.begin, nullptr, heaps};
  const size_t most = tile_rows(group.count);
  RowScan::Scratch& scratch = of_thread<RowScan::Scratch>();
  if (!scratch.reserve(shape_, most, group.count, most * group.count)) return Status::out_of_memory;
  scratch.scanned = scratch.rescored = 0;
  Status status = Status::ok;
  const size_t first = heaps[0].room() == 0 ? most : kFirstTile;
  for (size_t at = slots.begin, rows = first; at < slots.end && status == Status::ok;) {
    if (cancelled(request_.cancel)) return Status::aborted;
    RowTile tile;
    if (gathers_) {
      tile.n = std::min(most, slots.end - at);
      tile.slots = filter_.list() + at;
      for (size_t i = 0; i < group.count; ++i) {
        scan_.score(tile, nullptr, tile.n, queries.begin + i, heaps[i], scratch);
      }
      scratch.scanned += tile.n * group.count;
    } else {
      const RowBlock& block = rows_.block(at / rows_.block_rows());
      const size_t r = at % rows_.block_rows();
      tile.n = std::min({rows, most, slots.end - at, rows_.block_rows() - r});
      tile.first = static_cast<uint32_t>(at);
      tile.rows = block.row(shape_, r);
      if (shape_.has_norms()) tile.norms = block.norms() + r;
      if (way_ == RowScan::Way::sidecar) {
        tile.panels = block.panels(shape_, r);
        tile.terms = block.terms(r);
      }
      status = scan_.look(way_, tile, group, scratch);
      rows = std::min(rows * 2, most);
    }
    at += tile.n;
  }
  scanned_.fetch_add(scratch.scanned, std::memory_order_relaxed);
  rescored_.fetch_add(scratch.rescored, std::memory_order_relaxed);
  return status;
}

}  // namespace annex
