#include "index/hnsw.h"

#include <algorithm>
#include <new>

#include "index/hnsw_compact.h"
#include "index/hnsw_search.h"
#include "index/hnsw_writer.h"
#include "index/options.h"
#include "index/staging.h"

namespace annex {
namespace {

constexpr size_t kMaxEf = size_t{1} << 20;
constexpr double kMaxSeed = 9007199254740991.0;  // 2^53 - 1
constexpr size_t kCodedDim = 16;                 // below, codes are hardly smaller than rows

struct Shapes {
  RowShape rows, wide;
  HnswOptions options;
  bool has_wide, coded;
};

Status read_rerank(double value, const CommonOptions& common, Shapes* out) {
  if (value == -1) return Status::ok;
  size_t storage = 0;
  const Status status = read_whole("rerank", value, 0, 2, &storage);
  if (status != Status::ok) return status;
  out->wide = out->rows;
  out->wide.scalar = static_cast<Scalar>(storage);
  if (!out->rows.float_input() || row_bytes(out->wide.scalar, common.dim) <= row_bytes(out->rows.scalar, common.dim)) {
    return fail(Status::unsupported,
                "rerank %s is no wider than storage %s: leave it out, or choose a narrower storage",
                storage_name(static_cast<Storage>(storage)), storage_name(common.storage));
  }
  out->has_wide = true;
  return Status::ok;
}

Status read_shapes(const Option* options, size_t count, Shapes* out) {
  CommonOptions common;
  Status status = read_common(options, count, &common);
  if (status != Status::ok) return status;
  if (common.storage > Storage::bits) {
    return fail(Status::unsupported, "an HNSW index takes storage f32, f16, bf16, sq8, i8, u8 or bits, not %s",
                storage_name(common.storage));
  }
  out->rows = {common.metric, static_cast<Scalar>(common.storage), common.dim, false};
  out->wide = out->rows;
  size_t layout = 0;
  double rerank = -1, seed = 0;
  for (size_t i = 0; i < count && status == Status::ok; ++i) {
    const double value = options[i].value;
    const Key key = key_of(options[i].key);
    if (is_common(key)) continue;
    switch (key) {
      case Key::m: status = read_whole("M", value, kMinM, kMaxM, &out->options.m); break;
      case Key::ef_construction:
        status = read_whole("efConstruction", value, 1, kMaxEf, &out->options.ef_construction);
        break;
      case Key::seed:
        status = read_number("seed", value, 0, kMaxSeed, &seed);
        out->options.seed = static_cast<uint64_t>(seed);
        break;
      case Key::layout: status = read_whole("layout", value, 0, 2, &layout); break;
      case Key::rerank: rerank = value; break;
      default: return fail(Status::invalid_argument, "an HNSW index takes no option with key %g", options[i].key);
    }
  }
  if (status == Status::ok) status = read_rerank(rerank, common, out);
  if (status != Status::ok) return status;
  const bool possible = NibbleCoder::serves(common.metric) && out->rows.float_input();
  const auto choice = static_cast<HnswLayout>(layout);
  if (choice == HnswLayout::codes && !possible) {
    return fail(Status::unsupported,
                "layout codes serves storage f32, f16, bf16 and sq8 under metric l2, ip and cosine, not storage %s "
                "under metric %s; leave the option out",
                storage_name(common.storage), metric_name(common.metric));
  }
  const bool pays = common.storage <= Storage::bf16 && common.dim >= kCodedDim;
  out->coded = choice == HnswLayout::codes || (choice == HnswLayout::automatic && possible && pays);
  return Status::ok;
}

}  // namespace

Status HnswIndex::create(const Option* options, size_t count, Index** out) {
  Shapes shapes{};
  const Status status = read_shapes(options, count, &shapes);
  if (status != Status::ok) return status;
  auto* index = new (std::nothrow) HnswIndex(shapes.rows, shapes.wide, shapes.options);
  if (index == nullptr) return out_of_memory(sizeof(HnswIndex));
  index->coded_ = shapes.coded;
  index->state_.has_wide = shapes.has_wide;
  *out = index;
  return Status::ok;
}

int64_t HnswIndex::next_id() const {
  const BriefReadGuard guard(lock_);
  return state_.ids.next_id();
}

size_t HnswIndex::options(Option* out, size_t room) const {
  const RowShape& shape = state_.rows.shape();
  OptionList list(out, room);
  list.add(Key::kind, 1);
  list.add(Key::dim, shape.dim);
  list.add(Key::metric, shape.metric);
  list.add(Key::storage, shape.scalar);
  list.add(Key::m, options_.m);
  list.add(Key::ef_construction, options_.ef_construction);
  list.add(Key::seed, options_.seed);
  list.add(Key::rerank, state_.has_wide ? static_cast<double>(state_.wide.shape().scalar) : -1.0);
  list.add(Key::layout, coded_ ? HnswLayout::codes : HnswLayout::plain);
  return list.count();
}

Stats HnswIndex::stats() const {
  const BriefReadGuard guard(lock_);
  Stats stats{};
  stats.size = state_.live();
  stats.bytes_vectors = state_.rows.bytes_vectors();
  stats.bytes_norms = state_.rows.bytes_norms() + state_.wide.bytes_norms();
  stats.bytes_rerank = state_.wide.bytes_vectors();
  stats.bytes_ids = state_.ids.bytes() + state_.removed.bytes();
  stats.bytes_links = state_.graph.bytes();
  stats.bytes_codes = state_.codes == nullptr ? 0 : state_.codes->bytes();
  stats.bytes_total = sizeof *this + stats.bytes_vectors + stats.bytes_norms + stats.bytes_rerank + stats.bytes_ids +
                      stats.bytes_links + stats.bytes_codes;
  stats.removed = state_.removed_count;
  stats.scanned = scanned_.load(std::memory_order_relaxed);
  stats.rescored = rescored_.load(std::memory_order_relaxed);
  stats.hops = hops_.load(std::memory_order_relaxed);
  stats.exact_searches = exact_searches_.load(std::memory_order_relaxed);
  stats.code_searches = code_searches_.load(std::memory_order_relaxed);
  stats.trained = true;
  return stats;
}

void HnswState::swap(HnswState& other) noexcept {
  rows.swap(other.rows);
  wide.swap(other.wide);
  codes.swap(other.codes);
  graph.swap(other.graph);
  std::swap(reach, other.reach);
  ids.swap(other.ids);
  removed.swap(other.removed);
  std::swap(removed_count, other.removed_count);
  std::swap(ordered, other.ordered);
}

Status HnswIndex::open_writer(WriteMode mode, Writer** out) {
  if (mode == WriteMode::train) {
    return fail(Status::unsupported, "an HNSW index needs no training: add the vectors");
  }
  const Status status = gate_.enter();
  if (status != Status::ok) return status;
  if (mode == WriteMode::compact) {
    *out = new (std::nothrow) HnswCompactWriter(*this);
  } else {
    *out = new (std::nothrow) HnswWriter(*this, mode);
  }
  if (*out != nullptr) return Status::ok;
  gate_.leave();
  return out_of_memory(sizeof(HnswWriter));
}

// The rows stay as nodes that searches pass through, until compact.
Status HnswIndex::remove(const double* ids, size_t n, size_t* removed) {
  *removed = 0;
  const GateGuard gate(gate_);
  Status status = gate.status();
  if (status != Status::ok) return status;
  Buffer<uint32_t> slots;
  status = find_removed(state_.ids, ids, n, &slots);
  if (status != Status::ok) return status;
  const bool any = std::any_of(slots.data(), slots.data() + n, [](uint32_t slot) { return slot != kNoSlot; });
  if (!any) return Status::ok;
  IdMap aside;
  const bool rebuild = state_.ids.identity();
  if (rebuild && (!aside.copy_from(state_.ids, 0) || !aside.reserve(0, false))) {
    return out_of_memory(state_.ids.size() * 16);
  }
  Buffer<uint32_t> marks;
  if (!marks.resize_zeroed(state_.graph.nodes / 32 + 1)) return out_of_memory(state_.graph.nodes / 8);

  const WriteGuard guard(lock_);
  std::copy_n(state_.removed.data(), state_.removed.size(), marks.data());
  state_.removed.swap(marks);
  if (rebuild) state_.ids.swap(aside);
  for (size_t i = 0; i < n; ++i) {
    if (slots[i] == kNoSlot) continue;
    state_.ids.vacate(slots[i]);
    state_.mark_removed(slots[i]);
    ++*removed;
  }
  size_.store(state_.live(), std::memory_order_release);
  return Status::ok;
}

Status HnswIndex::has(const double* ids, size_t n, uint8_t* found) const {
  const BriefReadGuard guard(lock_);
  return has_ids(state_.ids, ids, n, found);
}

Status HnswIndex::get(const double* ids, size_t n, void* rows, uint8_t* found) const {
  const BriefReadGuard guard(lock_);
  return get_rows(state_.widest(), state_.ids, ids, n, rows, found);
}

size_t HnswIndex::ids(size_t start, size_t n, double* out) const {
  const BriefReadGuard guard(lock_);
  return list_ids(state_.ids, start, n, out);
}

Status HnswIndex::search(const SearchRequest& request) const {
  const SearchParams& params = request.params;
  if (params.nprobe != 0 || params.early_stop != 0) {
    return fail(Status::invalid_argument, "a graph has no lists: a search takes efSearch, threads and filter");
  }
  if (params.rerank_factor != 0) {
    return fail(Status::invalid_argument,
                "a graph finds out by itself how many candidates are worth reranking: leave rerankFactor out; a larger "
                "efSearch finds more");
  }
  const ReadGuard guard(lock_);
  HnswSearch search(state_, request);
  const Status status = search.run();
  scanned_.fetch_add(search.scanned(), std::memory_order_relaxed);
  rescored_.fetch_add(search.rescored(), std::memory_order_relaxed);
  hops_.fetch_add(search.hops(), std::memory_order_relaxed);
  exact_searches_.fetch_add(search.exact_searches(), std::memory_order_relaxed);
  code_searches_.fetch_add(search.code_searches(), std::memory_order_relaxed);
  return status;
}

}  // namespace annex
