#include "index/ivf_search.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/of_thread.h"
#include "base/parallel.h"
#include "base/round.h"
#include "index/input.h"
#include "kernels/dispatch.h"

namespace annex {
namespace {

constexpr size_t kGroup = 512;                       // queries that go through the lists together
constexpr size_t kProductQueries = 8;                // from here on packing a list costs less than it saves
constexpr size_t kLoneRows = 4096;                   // rows of a list that a query looks at in one go
constexpr size_t kTogetherRows = 512;                // rows that several queries look at in one go
constexpr size_t kFirstRows = 64;                    // of a list that fills the candidates
constexpr size_t kTogetherQueries = 64;              // queries that do
constexpr size_t kPreparedBytes = size_t{16} << 10;  // prepared queries beyond this fill the cache by themselves
constexpr size_t kWorthThreads = size_t{1} << 20;    // bytes of lists below which one thread is faster
constexpr float kRerankFactor = 10;
constexpr double kFilterSlack = 1.5;  // as a filter's rows spread more than in proportion
constexpr double kByAddress = 4;      // times what a byte costs that is read in sequence

}  // namespace

// Kept by the thread from one search to the next, so that a query allocates nothing.
struct IvfSearch::Scratch {
  RowScan::Scratch& rows = of_thread<RowScan::Scratch>();
  Buffer<Neighbor> neighbors, sorted;
  Buffer<TopK> heaps;  // of the group's queries
  Buffer<Probe> probes;
  Buffer<uint32_t> starts, numbers;
  Buffer<uint8_t> prepared, codec;
  Buffer<CodeHit> hits;
  Buffer<CodeScan> scans;
  Buffer<float> distances;  // to the list's centroid
  Buffer<float> lengths;    // without residuals: what a query's distance is counted from (codec.h)
  Buffer<double> all_lists;
  Buffer<float> all_distances;
  size_t first = 0;  // query of the group
  uint64_t scanned = 0, rescored = 0;
  TopK& heap(size_t query) { return heaps[query - first]; }
  uint8_t* prepared_query(size_t query, const Codec& codec_of) {
    return prepared.data() + (query - first) * codec_of.query_bytes();
  }
};

IvfSearch::IvfSearch(const IvfIndex& index, const SearchRequest& request)
    : index_(index),
      request_(request),
      shape_(index.shape_),
      k_(std::min(request.k, index.ids_.size())),
      copies_(index.copies()),
      scan_(index.shape_, &index.store_, index.ids_, filter_) {
  if (index.codec_ != nullptr && index.codec_->options().metric != shape_.metric)
    code_scale_ = 2;  // |q - x|² of 1 - qx
  if (index.codec_ == nullptr) {
    finish_ = Finish::exact;
  } else if (!index.options_.reranks) {
    finish_ = Finish::estimate;
  } else {
    finish_ = index.codec_->has_bounds() && request.params.rerank_factor == 0 ? Finish::bound : Finish::factor;
  }
}

Status IvfSearch::run() {
  Status status = check_input(shape_, request_.type, "query", request_.queries, request_.nq, 0);
  if (status != Status::ok) return status;
  clear_answers(request_);
  if (!filter_.resolve(request_.filter, index_.ids_)) return out_of_memory(index_.ids_.size() * 5);
  const size_t threads =
      request_.params.threads == 0 ? pool_threads() : std::min(request_.params.threads, pool_threads());
  status = prepare(threads);
  if (status != Status::ok) return status;
  if (k_ == 0 || request_.nq == 0 || filter_.count() == 0) return Status::ok;
  if (weigh_filter()) return run_allowed(threads);
  status = index_.options_.flat ? measure_centre() : find_lists(threads);
  if (status != Status::ok) return status;
  const size_t bytes =
      index_.lists_.layout().list_bytes(index_.lists_.entries() / index_.options_.nlist + 1) * nprobe_ * request_.nq;
  const size_t useful = bytes < kWorthThreads ? 1 : threads;
  return useful > 1 && request_.nq < useful * 2 ? run_lists_apart(useful) : run_queries_apart(useful);
}

// Queries as floats and as the scan wants them, and how many lists and candidates there will be.
Status IvfSearch::prepare(size_t) {
  const IvfOptions& options = index_.options_;
  const size_t nq = request_.nq;
  const size_t dim = shape_.dim;
  way_ = options.entry() == IvfOptions::Entry::narrow                         ? RowScan::Way::sidecar
         : nq >= kProductQueries && tile_serves(shape_.metric, shape_.scalar) ? RowScan::Way::product
                                                                              : RowScan::Way::plain;
  Status status = scan_.prepare(request_.queries, nq, way_);
  if (status != Status::ok) return status;
  const bool unit = options.entry() == IvfOptions::Entry::codes && shape_.metric == Metric::cosine;
  if (shape_.float_input() && !unit) {
    queries_ = static_cast<const float*>(request_.queries);
  } else {
    if (!plan_->wide.resize(nq * dim)) return out_of_memory(nq * dim * sizeof(float));
    const DecodeFn decode = kernels().decode[static_cast<size_t>(shape_.float_input() ? Scalar::f32 : shape_.scalar)];
    for (size_t q = 0; q < nq; ++q) {
      float* out = plan_->wide.data() + q * dim;
      decode(static_cast<const uint8_t*>(request_.queries) + q * shape_.input_bytes(), dim, out);
      const double norm = unit ? norm_of(out, dim) : 1;
      for (size_t d = 0; d < dim && unit; ++d) out[d] = static_cast<float>(out[d] / norm);
    }
    queries_ = plan_->wide.data();
  }
  const size_t nprobe = request_.params.nprobe;
  nprobe_ =
      std::min(options.nlist,
               nprobe != 0 ? nprobe : static_cast<size_t>(std::ceil(std::sqrt(static_cast<double>(options.nlist)))));
  const float factor = request_.params.rerank_factor == 0 ? kRerankFactor : request_.params.rerank_factor;
  const double wanted = finish_ == Finish::factor ? std::ceil(static_cast<double>(factor) * static_cast<double>(k_))
                                                  : static_cast<double>(k_);
  const size_t rows = index_.ids_.size();
  heap_k_ = wanted < static_cast<double>(rows) ? static_cast<size_t>(wanted) : rows;
  heap_k_ *= copies_;
  together_ = nq > 1 && (index_.codec_ == nullptr || index_.codec_->query_bytes() <= kPreparedBytes);
  return Status::ok;
}

// True where the rows that a filter allows are to be looked at one by one, and no lists. Allowed rows lie further apart
// than rows do: with the default nprobe as many of them are looked at as there would be rows without a filter.
bool IvfSearch::weigh_filter() {
  if (filter_.all()) return false;
  const double rows = static_cast<double>(index_.ids_.size()), allowed = static_cast<double>(filter_.count());
  if (request_.params.nprobe == 0) {
    const double wide = std::ceil(static_cast<double>(nprobe_) * kFilterSlack * rows / allowed);
    nprobe_ = static_cast<size_t>(std::min(wide, static_cast<double>(index_.options_.nlist)));
  }
  if (filter_.list() == nullptr || !index_.options_.has_store()) return false;
  const double share = static_cast<double>(nprobe_) / static_cast<double>(index_.options_.nlist);
  const double entries = static_cast<double>(index_.lists_.entries());
  // The caller's nprobe may be too low for a filter: where the lists hold many more rows, all allowed ones cost little.
  if (filter_.count() <= k_ || (request_.params.nprobe != 0 && kByAddress * allowed <= share * entries)) return true;
  const double listed = share * static_cast<double>(index_.lists_.layout().list_bytes(index_.lists_.entries()));
  const double by_address = index_.options_.flat ? 1 : kByAddress;  // of a flat index few rows are to be exact
  return by_address * allowed * static_cast<double>(shape_.stride()) <= listed;
}

Status IvfSearch::find_lists(size_t threads) {
  const size_t nq = request_.nq;
  if (!plan_->lists.resize(nq * nprobe_) || !plan_->distances.resize(nq * nprobe_) ||
      !plan_->probes.resize(nq * nprobe_) || !plan_->reach.resize(nq)) {
    return out_of_memory(nq * nprobe_ * 24);
  }
  const Status status = index_.nearest_lists(queries_, nq, nprobe_, threads, request_.cancel, plan_->lists.data(),
                                             plan_->distances.data());
  if (status != Status::ok) return status;
  for (size_t p = 0; p < nq * nprobe_; ++p) {
    plan_->probes[p] = {static_cast<uint32_t>(p / nprobe_), static_cast<uint32_t>(plan_->lists[p]),
                        plan_->distances[p]};
  }
  // Early stop goes by Euclidean lengths, whatever the metric: |q - c|² from the product and the norms.
  const double times = request_.params.early_stop;
  for (size_t q = 0; q < nq; ++q) {
    plan_->reach[q] = static_cast<uint32_t>(nprobe_);
    if (times == 0) continue;
    const Probe* own = probes(q);
    const double norm = shape_.metric == Metric::ip ? norm_of(query(q), shape_.dim) : 0;
    const auto squared = [&](const Probe& probe) {
      if (shape_.metric != Metric::ip) return static_cast<double>(probe.distance);
      const double length = index_.centroids_.norm(probe.list);
      return std::max(0.0, norm * norm + 2 * static_cast<double>(probe.distance) + length * length);
    };
    const double limit = squared(own[0]) * times * times;
    uint32_t reach = 1;
    while (reach < nprobe_ && squared(own[reach]) <= limit) ++reach;
    plan_->reach[q] = reach;
  }
  return Status::ok;
}

// A flat index has one list, whose centre is as far from a query as its codec says.
Status IvfSearch::measure_centre() {
  if (!plan_->probes.resize(request_.nq) || !plan_->reach.resize(request_.nq)) return out_of_memory(request_.nq * 16);
  const float* centre = index_.centroid(0);
  const Metric metric = index_.codec_->options().metric;
  for (size_t q = 0; q < request_.nq; ++q) {
    double product = 0, squares = 0;
    for (size_t d = 0; d < shape_.dim; ++d) {
      const double x = query(q)[d], c = centre[d];
      product += x * c;
      squares += (x - c) * (x - c);
    }
    const double distance = metric == Metric::l2 ? squares : metric == Metric::ip ? -product : 1 - product;
    plan_->probes[q] = {static_cast<uint32_t>(q), 0, static_cast<float>(distance / code_scale_)};
    plan_->reach[q] = 1;
  }
  return Status::ok;
}

Status IvfSearch::begin_group(Scratch& scratch, Range queries, size_t heaps) const {
  const size_t count = queries.end - queries.begin;
  scratch.first = queries.begin;
  scratch.scanned = scratch.rescored = 0;
  scratch.rows.scanned = scratch.rows.rescored = 0;
  if (!scratch.neighbors.resize(heaps * heap_k_) || !scratch.heaps.resize(heaps)) return Status::out_of_memory;
  for (size_t h = 0; h < heaps; ++h) scratch.heaps[h] = TopK(scratch.neighbors.data() + h * heap_k_, heap_k_);
  // Many queries look at few rows in one go; but a list that only one of them visits is looked at as by a lone one.
  const size_t together = std::min(count, kTogetherQueries);
  const size_t pairs = std::max(kLoneRows, together * kTogetherRows);
  if (!scratch.rows.reserve(shape_, kLoneRows, together, pairs) || !scratch.numbers.resize(together) ||
      !scratch.distances.resize(together))
    return Status::out_of_memory;
  const Codec* codec = index_.codec_;
  if (codec == nullptr) return Status::ok;
  if (!scratch.prepared.resize(count * codec->query_bytes()) || !scratch.codec.resize(codec->scratch_bytes()) ||
      !scratch.hits.resize(pairs) || !scratch.scans.resize(together)) {
    return Status::out_of_memory;
  }
  for (size_t q = queries.begin; q < queries.end; ++q) {
    codec->prepare(query(q), scratch.prepared_query(q, *codec), scratch.codec.data());
  }
  if (index_.options_.residual) return Status::ok;
  if (!scratch.lengths.resize(count)) return Status::out_of_memory;
  for (size_t q = queries.begin; q < queries.end; ++q) {
    const double norm = shape_.metric == Metric::l2 ? norm_of(query(q), shape_.dim) : 0;
    scratch.lengths[q - queries.begin] = shape_.metric == Metric::cosine ? 1.0f : static_cast<float>(norm * norm);
  }
  return Status::ok;
}

// Each task takes a group of queries through their lists.
Status IvfSearch::run_queries_apart(size_t threads) {
  const size_t nq = request_.nq;
  const size_t share = (nq + threads - 1) / threads;
  const size_t size = together_ ? std::min(share, kGroup) : 1;
  std::atomic<Status> outcome{Status::ok};
  parallel_for((nq + size - 1) / size, threads, [&](size_t g) {
    if (outcome != Status::ok) return;
    const Range queries{g * size, std::min(nq, (g + 1) * size)};
    Scratch& scratch = of_thread<Scratch>();
    Status status = begin_group(scratch, queries, queries.end - queries.begin);
    if (status == Status::ok && queries.end - queries.begin == 1) {
      status = probe_alone(scratch, queries.begin, 0, nprobe_, 1);
    } else if (status == Status::ok) {
      // The nearest lists first: they make the bounds of the others tight.
      status = probe_together(scratch, queries, 0, 1);
      if (status == Status::ok) status = probe_together(scratch, queries, 1, nprobe_);
    }
    for (size_t q = queries.begin; q < queries.end && status == Status::ok; ++q) {
      status = probe_on(scratch, q);
      if (status == Status::ok) status = answer(scratch, q);
    }
    scanned_.fetch_add(scratch.scanned + scratch.rows.scanned, std::memory_order_relaxed);
    rescored_.fetch_add(scratch.rescored + scratch.rows.rescored, std::memory_order_relaxed);
    if (status != Status::ok) outcome.store(status);
  });
  if (outcome == Status::out_of_memory) return out_of_memory(size * heap_k_ * sizeof(Neighbor));
  return outcome == Status::aborted ? aborted() : outcome.load();
}

// Few queries: each task takes every threads-th list of a query, or a share of the only one; then the shares'
// candidates are merged.
Status IvfSearch::run_lists_apart(size_t threads) {
  Buffer<Neighbor> neighbors;
  Buffer<uint32_t> counts;
  if (!neighbors.resize(threads * heap_k_) || !counts.resize(threads)) {
    return out_of_memory(threads * heap_k_ * sizeof(Neighbor));
  }
  for (size_t q = 0; q < request_.nq; ++q) {
    std::atomic<Status> outcome{Status::ok};
    parallel_for(threads, threads, [&](size_t t) {
      Scratch& scratch = of_thread<Scratch>();
      Status status = begin_group(scratch, {q, q + 1}, 1);
      if (status == Status::ok && index_.options_.flat) {
        const size_t rows = index_.ids_.size(), share = round_up((rows + threads - 1) / threads, kCodeRows);
        const Range own{std::min(rows, t * share), std::min(rows, (t + 1) * share)};
        status = visit(scratch, probes(q), 1, own);
      } else if (status == Status::ok) {
        status = probe_alone(scratch, q, t, nprobe_, threads);
      }
      if (status != Status::ok) {
        outcome.store(status);
        return;
      }
      const TopK& heap = scratch.heaps[0];
      counts[t] = static_cast<uint32_t>(heap.size());
      for (size_t i = 0; i < heap.size(); ++i) neighbors[t * heap_k_ + i] = heap[i];
      scanned_.fetch_add(scratch.scanned + scratch.rows.scanned, std::memory_order_relaxed);
      rescored_.fetch_add(scratch.rescored + scratch.rows.rescored, std::memory_order_relaxed);
    });
    Scratch& scratch = of_thread<Scratch>();
    Status status = outcome;
    if (status == Status::ok) status = begin_group(scratch, {q, q + 1}, 1);
    for (size_t t = 0; t < threads && status == Status::ok; ++t) {
      for (size_t i = 0; i < counts[t]; ++i) {
        scratch.heaps[0].push(neighbors[t * heap_k_ + i].distance, neighbors[t * heap_k_ + i].id);
      }
    }
    if (status == Status::ok) status = probe_on(scratch, q);
    if (status == Status::ok) status = answer(scratch, q);
    scanned_.fetch_add(scratch.scanned + scratch.rows.scanned, std::memory_order_relaxed);
    rescored_.fetch_add(scratch.rescored + scratch.rows.rescored, std::memory_order_relaxed);
    if (status == Status::out_of_memory) return out_of_memory(heap_k_ * sizeof(Neighbor));
    if (status != Status::ok) return status == Status::aborted ? aborted() : status;
  }
  return Status::ok;
}

// The canonical distances of all rows that the filter allows.
Status IvfSearch::run_allowed(size_t threads) {
  std::atomic<Status> outcome{Status::ok};
  const bool few = request_.nq * filter_.count() * shape_.stride() < kWorthThreads;
  parallel_for(request_.nq, few ? 1 : threads, [&](size_t q) {
    Scratch& scratch = of_thread<Scratch>();
    if (outcome != Status::ok) return;
    if (!scratch.neighbors.resize(k_) || !scratch.rows.reserve(shape_, RowScan::kGatherRows, 1, RowScan::kGatherRows)) {
      outcome.store(Status::out_of_memory);
      return;
    }
    TopK heap(scratch.neighbors.data(), k_);
    for (size_t at = 0; at < filter_.count(); at += kLoneRows) {
      if (cancelled(request_.cancel)) {
        outcome.store(Status::aborted);
        return;
      }
      RowTile tile;
      tile.n = std::min(kLoneRows, filter_.count() - at);
      tile.slots = filter_.list() + at;
      scan_.score(tile, nullptr, tile.n, q, heap, scratch.rows);
    }
    scanned_.fetch_add(filter_.count(), std::memory_order_relaxed);
    exact_.fetch_add(1, std::memory_order_relaxed);
    write_answer(request_, q, heap);
  });
  if (outcome == Status::out_of_memory) return out_of_memory(k_ * sizeof(Neighbor));
  return outcome == Status::aborted ? aborted() : outcome.load();
}

Status IvfSearch::probe_together(Scratch& scratch, Range queries, size_t from, size_t to) const {
  const size_t nlist = index_.options_.nlist;
  if (!scratch.starts.resize(nlist + 1)) return Status::out_of_memory;
  // A counting sort by list.
  uint32_t* starts = scratch.starts.data();
  std::fill_n(starts, nlist + 1, 0u);
  size_t total = 0;
  for (size_t q = queries.begin; q < queries.end; ++q) {
    for (size_t p = from; p < std::min<size_t>(to, plan_->reach[q]); ++p, ++total) ++starts[probes(q)[p].list + 1];
  }
  if (!scratch.probes.resize(total)) return Status::out_of_memory;
  for (size_t l = 0; l < nlist; ++l) starts[l + 1] += starts[l];
  for (size_t q = queries.begin; q < queries.end; ++q) {
    for (size_t p = from; p < std::min<size_t>(to, plan_->reach[q]); ++p) {
      scratch.probes[starts[probes(q)[p].list]++] = probes(q)[p];
    }
  }
  for (size_t begin = 0; begin < total;) {
    if (cancelled(request_.cancel)) return Status::aborted;
    size_t end = begin + 1;
    while (end < total && end - begin < kTogetherQueries && scratch.probes[end].list == scratch.probes[begin].list)
      ++end;
    const Status status = visit(scratch, scratch.probes.data() + begin, end - begin);
    if (status != Status::ok) return status;
    begin = end;
  }
  return Status::ok;
}

Status IvfSearch::probe_alone(Scratch& scratch, size_t q, size_t from, size_t to, size_t step) const {
  for (size_t p = from; p < std::min<size_t>(to, plan_->reach[q]); p += step) {
    if (cancelled(request_.cancel)) return Status::aborted;
    const Status status = visit(scratch, probes(q) + p, 1);
    if (status != Status::ok) return status;
  }
  return Status::ok;
}

Status IvfSearch::probe_on(Scratch& scratch, size_t q) const {
  TopK& heap = scratch.heap(q);
  const size_t wanted = std::min(k_, filter_.count());
  const size_t nlist = index_.options_.nlist;
  if (heap.size() >= wanted * copies_ || plan_->reach[q] == nlist) return Status::ok;
  if (copies_ > 1) drop_repeats(heap, scratch);
  if (heap.size() >= wanted) return Status::ok;
  if (!scratch.all_lists.resize(nlist) || !scratch.all_distances.resize(nlist)) return Status::out_of_memory;
  const Status found = index_.nearest_lists(query(q), 1, nlist, 1, request_.cancel, scratch.all_lists.data(),
                                            scratch.all_distances.data());
  if (found != Status::ok) return found;
  for (size_t p = plan_->reach[q]; p < nlist && heap.size() < wanted; ++p) {
    if (cancelled(request_.cancel)) return Status::aborted;
    const Probe probe{static_cast<uint32_t>(q), static_cast<uint32_t>(scratch.all_lists[p]), scratch.all_distances[p]};
    const Status status = visit(scratch, &probe, 1);
    if (status != Status::ok) return status;
    if (copies_ > 1) drop_repeats(heap, scratch);
  }
  return Status::ok;
}

bool IvfSearch::any_allowed(size_t list, Range rows) const {
  const uint32_t* slots = index_.lists_.slots(list);
  if (slots == nullptr) return filter_.any(rows.begin, rows.end);
  for (size_t r = rows.begin; r < rows.end; ++r) {
    if (filter_.allows(slots[r])) return true;
  }
  return false;
}

Status IvfSearch::visit(Scratch& scratch, const Probe* probes, size_t n) const {
  return visit(scratch, probes, n, {0, index_.lists_.size(probes[0].list)});
}

Status IvfSearch::visit(Scratch& scratch, const Probe* probes, size_t n, Range all) const {
  const size_t list = probes[0].list;
  // Small tiles where few rows are allowed, so that most need not be looked at; and the first ones of codes, whose rows
  // all pass until there are enough candidates.
  const size_t most = filter_.list() != nullptr ? kCodeRows : n == 1 ? kLoneRows : kTogetherRows;
  const bool starts = index_.codec_ != nullptr && scratch.heap(probes[0].query).room() != 0;
  size_t tile = starts ? std::min(kFirstRows, most) : most;
  for (size_t r = all.begin; r < all.end; r += tile, tile = std::min(2 * tile, most)) {
    const Range rows{r, std::min(all.end, r + tile)};
    if (cancelled(request_.cancel)) return Status::aborted;
    if (filter_.list() != nullptr && !any_allowed(list, rows)) continue;
    if (index_.codec_ != nullptr) {
      visit_codes(scratch, probes, n, rows);
    } else {
      const Status status = visit_rows(scratch, probes, n, rows);
      if (status != Status::ok) return status;
    }
  }
  return Status::ok;
}

Status IvfSearch::visit_rows(Scratch& scratch, const Probe* probes, size_t n, Range rows) const {
  const IvfLists& lists = index_.lists_;
  const size_t list = probes[0].list;
  const float* terms = lists.terms(list) + rows.begin;
  const size_t capacity = lists.capacity(list);
  RowTile tile;
  tile.n = rows.end - rows.begin;
  tile.slots = lists.slots(list) + rows.begin;
  RowScan::Way way = way_;
  if (way == RowScan::Way::sidecar) {
    tile.panels = lists.codes(list) + rows.begin / kPanelRows * byte_panel_bytes(shape_.dim);
    tile.reach = lists.reach(list);
    tile.terms = {terms, terms + capacity, terms + 2 * capacity, terms + 3 * capacity};
  } else {
    tile.rows = lists.codes(list) + rows.begin * shape_.stride();
    if (shape_.has_norms()) tile.norms = terms;
    if (n < kProductQueries) way = RowScan::Way::plain;
  }
  for (size_t i = 0; i < n; ++i) {
    scratch.numbers[i] = probes[i].query;
    scratch.distances[i] = probes[i].distance;
  }
  const QueryGroup group{scratch.first, n, scratch.numbers.data(), scratch.heaps.data(), scratch.distances.data()};
  return scan_.look(way, tile, group, scratch.rows);
}

void IvfSearch::visit_codes(Scratch& scratch, const Probe* probes, size_t n, Range rows) const {
  const IvfLists& lists = index_.lists_;
  const Codec& codec = *index_.codec_;
  const size_t list = probes[0].list;
  const size_t count = rows.end - rows.begin;
  const bool residual = index_.options_.residual;
  for (size_t i = 0; i < n; ++i) {
    const float distance =
        residual ? probes[i].distance * code_scale_ : scratch.lengths[probes[i].query - scratch.first];
    scratch.scans[i] = {scratch.prepared_query(probes[i].query, codec), distance,
                        scratch.heap(probes[i].query).threshold() * code_scale_, scratch.hits.data() + i * count, 0};
  }
  codec.scan(lists.codes(list) + rows.begin / kCodeRows * codec.block_bytes(), count, scratch.scans.data(), n);
  scratch.scanned += count * n;
  for (size_t i = 0; i < n; ++i) {
    take_hits(scratch, list, rows.begin, probes[i].query, scratch.scans[i].hits, scratch.scans[i].count);
  }
}

void IvfSearch::take_hits(Scratch& scratch, size_t list, size_t first, size_t q, CodeHit* hits, size_t n) const {
  RowTile tile;
  tile.first = static_cast<uint32_t>(first);
  if (const uint32_t* slots = index_.lists_.slots(list); slots != nullptr) tile.slots = slots + first;
  TopK& heap = scratch.heap(q);
  if (!filter_.all()) {
    size_t kept = 0;
    for (size_t h = 0; h < n; ++h) {
      if (filter_.allows(tile.slot(hits[h].row))) hits[kept++] = hits[h];
    }
    n = kept;
  }
  if (finish_ != Finish::bound) {
    // Candidates for reranking go by slot, answers by id.
    for (size_t h = 0; h < n; ++h) {
      const float estimate = hits[h].estimate / code_scale_;
      if (estimate > heap.threshold()) continue;
      const uint32_t slot = tile.slot(hits[h].row);
      heap.push(estimate, finish_ == Finish::factor ? slot : index_.ids_.id_of(slot));
    }
    return;
  }
  // The most promising first, so that the bounds of the others suffice. What is kept is the greater of the canonical
  // distance and its bound: so a row whose bound is above the k-th best is out in any order of rows.
  if (n > heap_k_) {
    std::nth_element(hits, hits + heap_k_, hits + n,
                     [](const CodeHit& a, const CodeHit& b) { return a.estimate < b.estimate; });
  }
  uint32_t rows[RowScan::kGatherRows];
  float bounds[RowScan::kGatherRows], distances[RowScan::kGatherRows];
  for (size_t h = 0; h < n;) {
    const float threshold = heap.threshold();
    size_t count = 0;
    const size_t most = std::min<size_t>(RowScan::kGatherRows, h < heap_k_ ? heap_k_ - h : 8);
    for (; h < n && count < most; ++h) {
      if (hits[h].bound > threshold) continue;
      rows[count] = hits[h].row;
      bounds[count++] = hits[h].bound;
    }
    scan_.measure(tile, rows, count, q, distances, scratch.rows);
    scratch.rescored += count;
    for (size_t i = 0; i < count; ++i) {
      const float key = std::max(distances[i], bounds[i]);
      if (!(key > heap.threshold())) heap.push(key, index_.ids_.id_of(tile.slot(rows[i])));
    }
  }
}

// Of rows that are in two lists, the better candidate stays.
void IvfSearch::drop_repeats(TopK& heap, Scratch& scratch) const {
  const size_t n = heap.size();
  if (n == 0 || !scratch.sorted.resize(n)) return;
  Neighbor* sorted = scratch.sorted.data();
  for (size_t i = 0; i < n; ++i) sorted[i] = heap[i];
  std::sort(sorted, sorted + n,
            [](const Neighbor& a, const Neighbor& b) { return a.id != b.id ? a.id < b.id : a.distance < b.distance; });
  TopK fresh(scratch.neighbors.data() + (&heap - scratch.heaps.data()) * heap_k_, heap_k_);
  for (size_t i = 0; i < n; ++i) {
    if (i == 0 || sorted[i].id != sorted[i - 1].id) fresh.push(sorted[i].distance, sorted[i].id);
  }
  heap = fresh;
}

Status IvfSearch::answer(Scratch& scratch, size_t q) const {
  TopK& heap = scratch.heap(q);
  if (copies_ > 1) drop_repeats(heap, scratch);
  heap.sort();
  const size_t n = heap.size();
  if (finish_ == Finish::exact || finish_ == Finish::estimate) {
    const size_t found = std::min(n, k_);
    for (size_t i = 0; i < found; ++i) {
      request_.ids[q * request_.k + i] = static_cast<double>(heap[i].id);
      request_.distances[q * request_.k + i] = heap[i].distance;
    }
    if (request_.counts != nullptr) request_.counts[q] = static_cast<uint32_t>(found);
    return Status::ok;
  }
  // Reranked: the candidates are slots, or ids whose canonical distance is to be known once more.
  const size_t candidates = finish_ == Finish::bound ? std::min(n, k_) : std::min(n, heap_k_ / copies_);
  Buffer<uint32_t>& slots = scratch.numbers;
  if (!scratch.sorted.resize(k_) || !slots.resize(std::max(candidates, slots.size()))) {
    return Status::out_of_memory;
  }
  TopK best(scratch.sorted.data(), k_);
  for (size_t i = 0; i < candidates; ++i) {
    slots[i] = finish_ == Finish::bound ? index_.ids_.find(heap[i].id) : static_cast<uint32_t>(heap[i].id);
  }
  RowTile tile;
  tile.n = candidates;
  tile.slots = slots.data();
  scan_.score(tile, nullptr, candidates, q, best, scratch.rows);
  if (finish_ == Finish::factor) scratch.rescored += candidates;
  write_answer(request_, q, best);
  return Status::ok;
}

}  // namespace annex
