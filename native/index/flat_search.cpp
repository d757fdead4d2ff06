#include "index/flat_search.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>

#include "base/parallel.h"
#include "index/input.h"
#include "kernels/dispatch.h"

namespace annex {
namespace {

constexpr size_t kGroup = 512;      // queries that share a pass over the rows: their codes and hits stay in L2
constexpr size_t kTileQueries = 8;  // from here on packing a tile costs less than it saves
constexpr size_t kFirstTile = 64;   // the first tiles are small: until k rows are known, every row is a hit
constexpr size_t kTileBytes = size_t{256} << 10;
constexpr size_t kLoneTileRows = 4096;
constexpr size_t kGatherRows = 64;
constexpr size_t kWorthThreads = size_t{1} << 20;  // bytes or multiplications below which one thread is faster
constexpr size_t kRowsApartQueries = 32;           // a thread with fewer queries than this shares rows instead

Op op_of(Metric metric) {
  switch (metric) {
    case Metric::l2: return Op::l2;
    case Metric::ip:
    case Metric::cosine: return Op::dot;
    case Metric::l1: return Op::l1;
    case Metric::hamming: return Op::hamming;
    default: return Op::jaccard;
  }
}

size_t round_up(size_t n, size_t unit) { return (n + unit - 1) / unit * unit; }

// Norms whose products neither vanish nor overflow as floats. Rows and queries beyond always pass the bounds of
// quant/sidecar.cpp and quant/tile_terms.cpp, or meet them with room to spare.
bool ordinary(double norm) { return norm > 1e-15 && norm < 1e15; }

}  // namespace

struct FlatSearch::Work {
  // Kept by the thread from one search to the next, so that a query allocates nothing.
  struct Scratch {
    Buffer<uint32_t> hits, counts, slots;
    Buffer<float> distances;
    Buffer<float> decoded;  // one row
    Buffer<uint8_t> panels;
    Buffer<float> terms;  // scale, a, b, c of a tile, and the sums of its rows
    Buffer<uint8_t> ones;
    Buffer<QueryTerms> query_terms;
    Buffer<Neighbor> neighbors;
    Buffer<TopK> heaps;
  };
  static Scratch& scratch() {
#if defined(__wasm__)
    static Scratch instance;
#else
    static thread_local Scratch instance;
#endif
    return instance;
  }

  Range queries;
  TopK* heaps;
  Scratch& memory = scratch();
  size_t tile = 0;  // capacity of hits per query, rows of a tile at most
  uint64_t scanned = 0;
  uint64_t rescored = 0;

  size_t size() const { return queries.end - queries.begin; }
  TopK& heap(size_t query) { return heaps[query - queries.begin]; }
  HitList hit_list() { return {memory.hits.data(), memory.counts.data(), static_cast<uint32_t>(tile)}; }
};

FlatSearch::FlatSearch(const RowStore& rows, const IdMap& ids, const SearchRequest& request)
    : rows_(rows),
      ids_(ids),
      request_(request),
      shape_(rows.shape()),
      kernels_(kernels()),
      query_bytes_(rows.shape().input_bytes()),
      k_(std::min(request.k, rows.size())),
      op_(op_of(rows.shape().metric)) {}

Status FlatSearch::run() {
  const Status status = check_input(shape_, request_.type, "query", request_.queries, request_.nq, 0);
  if (status != Status::ok) return status;
  for (size_t q = 0; q < request_.nq; ++q) {
    for (size_t i = 0; i < request_.k; ++i) {
      request_.ids[q * request_.k + i] = -1;
      request_.distances[q * request_.k + i] = std::numeric_limits<float>::infinity();
    }
    if (request_.counts != nullptr) request_.counts[q] = 0;
  }
  const Status prepared = prepare();
  if (prepared != Status::ok) return prepared;
  if (k_ == 0 || request_.nq == 0 || filter_.count() == 0) return Status::ok;

  size_t threads = request_.threads == 0 ? pool_threads() : std::min(request_.threads, pool_threads());
  const size_t row_bytes = shape_.sidecar ? shape_.dim : shape_.stride();
  if (request_.nq * filter_.count() * row_bytes < kWorthThreads) threads = 1;
  if (threads > 1 && request_.nq < threads * kRowsApartQueries) return run_rows_apart(threads);
  const size_t share = (request_.nq + threads - 1) / threads;
  const size_t groups = (share + kGroup - 1) / kGroup * threads;
  return run_queries_apart(threads, (request_.nq + groups - 1) / groups);
}

// Norms, the filter, the way to go, and the queries coded for it.
Status FlatSearch::prepare() {
  const size_t nq = request_.nq;
  if (!filter_.resolve(request_.filter, ids_)) return out_of_memory(rows_.size() * 5);
  if (filter_.list() != nullptr) {
    way_ = Way::gather;
  } else if (shape_.sidecar && rows_.size() > kFirstTile) {  // the rows of the first tile are rescored all the same
    way_ = Way::sidecar;
  } else if (nq >= kTileQueries && tile_serves(shape_.metric, shape_.scalar)) {
    way_ = Way::tile;
  }
  if (!shape_.has_norms()) return Status::ok;

  if (!norms_.resize(nq)) return out_of_memory(nq * sizeof(double));
  const bool floats = shape_.float_input();
  for (size_t q = 0; q < nq; ++q) {
    if (floats) {
      norms_[q] = norm_of(reinterpret_cast<const float*>(query(q)), shape_.dim);
    } else {
      float squares;
      kernels_.scan[static_cast<size_t>(shape_.scalar)][static_cast<size_t>(Op::dot)](query(q), query(q), 0, 1,
                                                                                      shape_.dim, &squares);
      norms_[q] = std::sqrt(static_cast<double>(squares));
    }
    if (shape_.metric == Metric::cosine && norms_[q] == 0) {
      return fail(Status::not_finite,
                  "query %zu is the zero vector, which has no direction: metric cosine needs a non-zero vector", q);
    }
  }

  const bool byte_tile = way_ == Way::tile && !floats;
  if (way_ != Way::sidecar && !byte_tile) return Status::ok;
  code_stride_ = round_up(shape_.dim, 4);
  if (!codes_.resize_zeroed(nq * code_stride_)) return out_of_memory(nq * code_stride_);
  if (way_ == Way::sidecar) {
    if (!sidecar_.resize(nq)) return out_of_memory(nq * sizeof(SidecarQuery));
    for (size_t q = 0; q < nq; ++q) {
      sidecar_[q] = sidecar_encode_query(shape_.metric, reinterpret_cast<const float*>(query(q)), norms_[q], shape_.dim,
                                         codes_.data() + q * code_stride_);
    }
    return Status::ok;
  }
  if (!code_sums_.resize(nq)) return out_of_memory(nq * sizeof(float));
  const int bias = shape_.scalar == Scalar::u8 ? 128 : 0;
  for (size_t q = 0; q < nq; ++q) {
    int8_t* codes = codes_.data() + q * code_stride_;
    int sum = 0;
    for (size_t d = 0; d < shape_.dim; ++d) {
      codes[d] = bias != 0 ? static_cast<int8_t>(query(q)[d] - bias) : static_cast<int8_t>(query(q)[d]);
      sum += codes[d];
    }
    code_sums_[q] = static_cast<float>(sum);
  }
  return Status::ok;
}

// Each task takes a group of queries through all rows.
Status FlatSearch::run_queries_apart(size_t threads, size_t group) {
  const size_t groups = (request_.nq + group - 1) / group;
  std::atomic<Status> outcome{Status::ok};
  parallel_for(groups, threads, [&](size_t g) {
    if (outcome != Status::ok) return;
    const Range queries{g * group, std::min(request_.nq, (g + 1) * group)};
    const size_t count = queries.end - queries.begin;
    auto& memory = Work::scratch();
    if (!memory.neighbors.resize(count * k_) || !memory.heaps.resize(count)) {
      outcome.store(Status::out_of_memory);
      return;
    }
    for (size_t i = 0; i < count; ++i) memory.heaps[i] = TopK(memory.neighbors.data() + i * k_, k_);
    const Status status = look(queries, {0, candidates()}, memory.heaps.data());
    if (status != Status::ok) outcome.store(status);
    for (size_t i = 0; i < count && status == Status::ok; ++i) write(queries.begin + i, memory.heaps[i]);
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
    write(q, best);
  }
  return Status::ok;
}

size_t FlatSearch::tile_rows(size_t queries) const {
  const size_t most = queries == 1 ? kLoneTileRows : size_t{512};
  const size_t row = way_ == Way::tile && shape_.float_input() ? shape_.dim * 4 : shape_.dim;
  const size_t fits = (queries == 1 ? 4 * kTileBytes : kTileBytes) / row / kPanelRows * kPanelRows;
  return std::clamp(fits, kPanelRows, most);
}

Status FlatSearch::look(Range queries, Range slots, TopK* heaps) {
  Work work{queries, heaps};
  work.tile = tile_rows(work.size());
  auto& memory = work.memory;
  if (!memory.hits.resize(work.size() * work.tile) || !memory.counts.resize(work.size()) ||
      !memory.query_terms.resize(work.size()) || !memory.distances.resize(work.tile) ||
      !memory.slots.resize(work.tile) || !memory.decoded.resize(shape_.dim)) {
    return Status::out_of_memory;
  }
  Status status = Status::ok;
  if (way_ == Way::gather) {
    status = look_gathered(work, slots);
  } else {
    size_t tile = kFirstTile;
    for (size_t slot = slots.begin; slot < slots.end && status == Status::ok;) {
      if (cancelled(request_.cancel)) return Status::aborted;
      const size_t left_in_block = rows_.block_rows() - slot % rows_.block_rows();
      const size_t n = std::min({tile, work.tile, slots.end - slot, left_in_block});
      switch (way_) {
        case Way::sidecar: look_sidecar(work, slot, n); break;
        case Way::tile: status = look_tile(work, slot, n); break;
        default: status = look_plain(work, slot, n); break;
      }
      work.scanned += n * work.size();
      slot += n;
      tile = std::min(tile * 2, work.tile);
    }
  }
  scanned_.fetch_add(work.scanned, std::memory_order_relaxed);
  rescored_.fetch_add(work.rescored, std::memory_order_relaxed);
  return status;
}

void FlatSearch::look_sidecar(Work& work, size_t slot, size_t n) {
  const RowBlock& block = rows_.block(slot / rows_.block_rows());
  const size_t r = slot % rows_.block_rows();
  auto& memory = work.memory;
  for (size_t i = 0; i < work.size(); ++i) {
    memory.query_terms[i] =
        sidecar_terms(shape_.metric, sidecar_[work.queries.begin + i], shape_.dim, work.heaps[i].threshold());
    memory.counts[i] = 0;
  }
  kernels_.hits_u8(codes_.data() + work.queries.begin * code_stride_, code_stride_, work.size(),
                   block.panels(shape_, r), n, shape_.dim, block.terms(r), memory.query_terms.data(), work.hit_list());
  rescore_hits(work, slot);
}

Status FlatSearch::look_tile(Work& work, size_t slot, size_t n) {
  const RowBlock& block = rows_.block(slot / rows_.block_rows());
  const size_t r = slot % rows_.block_rows();
  const size_t padded = round_up(n, kPanelRows);
  const bool floats = shape_.float_input();
  const size_t scalar = static_cast<size_t>(shape_.scalar);
  auto& memory = work.memory;
  const size_t panel_bytes = floats ? float_panel_bytes(shape_.dim) : byte_panel_bytes(shape_.dim);
  if (!memory.panels.resize(padded / kPanelRows * panel_bytes) || !memory.terms.resize(5 * padded)) {
    return Status::out_of_memory;
  }
  kernels_.pack[scalar](block.row(shape_, r), shape_.stride(), n, shape_.dim, memory.panels.data());
  float* terms = memory.terms.data();
  float* sums = terms + 4 * padded;
  if (shape_.scalar == Scalar::u8) {
    if (memory.ones.size() < shape_.dim) {
      if (!memory.ones.resize(shape_.dim)) return Status::out_of_memory;
      std::fill_n(memory.ones.data(), shape_.dim, uint8_t{1});
    }
    kernels_.scan[scalar][static_cast<size_t>(Op::dot)](memory.ones.data(), block.row(shape_, r), shape_.stride(), n,
                                                        shape_.dim, sums);
  }
  tile_row_terms(shape_.metric, shape_.scalar, block.norms() + r, sums, n,
                 {terms, terms + padded, terms + 2 * padded, terms + 3 * padded});
  for (size_t i = 0; i < work.size(); ++i) {
    const size_t q = work.queries.begin + i;
    memory.query_terms[i] = tile_query_terms(shape_.metric, shape_.scalar, {norms_[q], floats ? 0 : code_sums_[q]},
                                             shape_.dim, work.heaps[i].threshold());
    memory.counts[i] = 0;
  }
  const PanelTerms row_terms{terms, terms + padded, terms + 2 * padded, terms + 3 * padded};
  if (floats) {
    kernels_.hits_f32(reinterpret_cast<const float*>(query(work.queries.begin)), shape_.dim, work.size(),
                      reinterpret_cast<const float*>(memory.panels.data()), n, shape_.dim, row_terms,
                      memory.query_terms.data(), work.hit_list());
  } else {
    kernels_.hits_u8(codes_.data() + work.queries.begin * code_stride_, code_stride_, work.size(), memory.panels.data(),
                     n, shape_.dim, row_terms, memory.query_terms.data(), work.hit_list());
  }
  rescore_hits(work, slot);
  return Status::ok;
}

Status FlatSearch::look_plain(Work& work, size_t slot, size_t n) {
  const RowBlock& block = rows_.block(slot / rows_.block_rows());
  const size_t r = slot % rows_.block_rows();
  const ScanFn scan = kernels_.scan[static_cast<size_t>(shape_.scalar)][static_cast<size_t>(op_)];
  float* distances = work.memory.distances.data();
  uint32_t* passing = work.memory.hits.data();
  for (size_t q = work.queries.begin; q < work.queries.end; ++q) {
    scan(query(q), block.row(shape_, r), shape_.stride(), n, shape_.dim, distances);
    if (op_ == Op::dot) {
      for (size_t i = 0; i < n; ++i) distances[i] = finish(work, distances[i], q, slot + i);
    }
    TopK& heap = work.heap(q);
    const size_t count = kernels_.select_le(distances, n, heap.threshold(), passing);
    for (size_t i = 0; i < count; ++i) {
      const uint32_t at = static_cast<uint32_t>(slot) + passing[i];
      if (filter_.allows(at)) heap.push(distances[passing[i]], ids_.id_of(at));
    }
  }
  return Status::ok;
}

Status FlatSearch::look_gathered(Work& work, Range list) {
  for (size_t begin = list.begin; begin < list.end; begin += work.tile) {
    if (cancelled(request_.cancel)) return Status::aborted;
    const size_t n = std::min(work.tile, list.end - begin);
    for (size_t q = work.queries.begin; q < work.queries.end; ++q) score(work, q, filter_.list() + begin, n);
    work.scanned += n * work.size();
  }
  return Status::ok;
}

void FlatSearch::rescore_hits(Work& work, size_t slot) {
  auto& memory = work.memory;
  for (size_t i = 0; i < work.size(); ++i) {
    const uint32_t* hits = memory.hits.data() + i * work.tile;
    size_t kept = 0;
    for (size_t h = 0; h < memory.counts[i]; ++h) {
      const uint32_t at = static_cast<uint32_t>(slot) + hits[h];
      memory.slots[kept] = at;
      kept += filter_.allows(at);
    }
    if (kept != 0) score(work, work.queries.begin + i, memory.slots.data(), kept);
    work.rescored += kept;
  }
}

// The canonical distances of n slots, pushed onto the query's heap.
void FlatSearch::score(Work& work, size_t q, const uint32_t* slots, size_t n) {
  const GatherFn gather = kernels_.gather[static_cast<size_t>(shape_.scalar)][static_cast<size_t>(op_)];
  TopK& heap = work.heap(q);
  const void* rows[kGatherRows];
  float values[kGatherRows];
  for (size_t begin = 0; begin < n; begin += kGatherRows) {
    const size_t count = std::min(kGatherRows, n - begin);
    for (size_t i = 0; i < count; ++i) rows[i] = rows_.row(slots[begin + i]);
    gather(query(q), rows, count, shape_.dim, values);
    for (size_t i = 0; i < count; ++i) {
      const uint32_t slot = slots[begin + i];
      const float distance = op_ == Op::dot ? finish(work, values[i], q, slot) : values[i];
      if (!(distance > heap.threshold())) heap.push(distance, ids_.id_of(slot));
    }
  }
}

// From the canonical product to the distance.
float FlatSearch::finish(Work& work, float value, size_t q, size_t slot) const {
  if (shape_.metric == Metric::ip) return -value;
  const float row_norm = rows_.norm(slot);
  const double cosine = ordinary(row_norm) && ordinary(norms_[q]) ? value / (static_cast<double>(row_norm) * norms_[q])
                                                                  : cosine_in_double(work, q, slot);
  const float distance = static_cast<float>(1 - cosine);
  return distance < 0 ? 0.0f : distance > 2 ? 2.0f : distance;
}

// Where a float product or norm of a very short or very long vector would have vanished or overflowed.
double FlatSearch::cosine_in_double(Work& work, size_t q, size_t slot) const {
  const float* query_values = reinterpret_cast<const float*>(query(q));
  float* row_values = work.memory.decoded.data();
  kernels_.decode[static_cast<size_t>(shape_.scalar)](rows_.row(slot), shape_.dim, row_values);
  double product = 0;
  for (size_t d = 0; d < shape_.dim; ++d) product += static_cast<double>(query_values[d]) * row_values[d];
  return product / (norm_of(row_values, shape_.dim) * norms_[q]);
}

void FlatSearch::write(size_t q, TopK& heap) const {
  heap.sort();
  for (size_t i = 0; i < heap.size(); ++i) {
    request_.ids[q * request_.k + i] = static_cast<double>(heap[i].id);
    request_.distances[q * request_.k + i] = heap[i].distance;
  }
  if (request_.counts != nullptr) request_.counts[q] = static_cast<uint32_t>(heap.size());
}

}  // namespace annex
