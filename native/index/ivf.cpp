#include "index/ivf.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "index/flat_search.h"
#include "index/hnsw.h"
#include "index/input.h"
#include "index/ivf_coarse.h"
#include "index/ivf_search.h"
#include "index/ivf_train.h"
#include "index/ivf_writer.h"
#include "index/row_scorer.h"
#include "index/staging.h"
#include "kernels/dispatch.h"

namespace annex {
namespace {

// Queries times lists that one search plans for with a filter, and queries at least.
constexpr size_t kMostPlanned = size_t{1} << 22, kLeastPlanned = 64;

}  // namespace

IvfIndex::IvfIndex(const IvfOptions& options, Codec* codec)
    : options_(options),
      shape_(options.shape()),
      codec_(codec),
      centroids_(options.centroid_shape()),
      lists_(EntryLayout(options, codec), options.nlist),
      store_(options.shape()) {}

IvfIndex::~IvfIndex() {
  delete graph_;
  delete codec_;
}

Status IvfIndex::create(const Option* options, size_t count, Index** out) { return create(options, count, false, out); }

Status IvfIndex::create_flat(const Option* options, size_t count, Index** out) {
  return create(options, count, true, out);
}

Status IvfIndex::create(const Option* options, size_t count, bool flat, Index** out) {
  IvfOptions read;
  Status status = read_ivf_options(options, count, flat, &read);
  Codec* codec = nullptr;
  if (status == Status::ok && is_codec(read.common.storage)) status = Codec::create(read.codec, &codec);
  if (status != Status::ok) return status;
  IvfIndex* index = new (std::nothrow) IvfIndex(read, codec);
  if (index == nullptr) {
    delete codec;
    return out_of_memory(sizeof(IvfIndex));
  }
  if (!index->lists_.begin()) {
    delete index;
    return out_of_memory(read.nlist * 16);
  }
  *out = index;
  return Status::ok;
}

Status IvfIndex::not_trained(const char* what) const {
  if (options_.flat) {
    return fail(Status::not_trained,
                "%s: this flat index is not trained, which storage %s needs; train it first, on %zu rows or more", what,
                storage_name(options_.common.storage), kGoodCodeRows);
  }
  return fail(Status::not_trained,
              "%s: this ivf index is not trained; train it first, on 39 rows a list or more (%zu for its %zu lists)",
              what, 39 * options_.nlist, options_.nlist);
}

int64_t IvfIndex::next_id() const {
  const BriefReadGuard guard(lock_);
  return ids_.next_id();
}

size_t IvfIndex::options(Option* out, size_t room) const { return list_ivf_options(options_, out, room); }

Stats IvfIndex::stats() const {
  const BriefReadGuard guard(lock_);
  Stats stats{};
  stats.size = ids_.size();
  const size_t codes = lists_.bytes_codes();
  const size_t apart = store_.bytes_vectors();
  switch (options_.entry()) {
    case IvfOptions::Entry::rows: stats.bytes_vectors = codes; break;
    case IvfOptions::Entry::narrow:
      (options_.reranks ? stats.bytes_codes : stats.bytes_sidecar) = codes;
      (options_.reranks ? stats.bytes_rerank : stats.bytes_vectors) = apart;
      break;
    case IvfOptions::Entry::codes:
      stats.bytes_codes = codes;
      stats.bytes_rerank = apart;
      break;
  }
  stats.bytes_norms = store_.bytes_norms();
  stats.bytes_ids = ids_.bytes() + lists_.bytes_slots() + places_.bytes();
  stats.bytes_codebooks = centroids_.bytes_vectors() + centroids_.bytes_sidecar() + centroids_.bytes_norms();
  if (codec_ != nullptr) stats.bytes_codebooks += codec_->bytes();
  if (graph_ != nullptr) stats.bytes_links = graph_->stats().bytes_total;
  stats.bytes_total = stats.bytes_links + sizeof *this + stats.bytes_vectors + stats.bytes_sidecar + stats.bytes_codes +
                      stats.bytes_rerank + stats.bytes_norms + stats.bytes_ids + stats.bytes_codebooks +
                      lists_.bytes_fixed();
  stats.scanned = scanned_.load(std::memory_order_relaxed);
  stats.rescored = rescored_.load(std::memory_order_relaxed);
  stats.exact_searches = exact_searches_.load(std::memory_order_relaxed);
  stats.trained = options_.learns_centre() || trained_.load(std::memory_order_acquire);
  return stats;
}

Status IvfIndex::open_writer(WriteMode mode, Writer** out) {
  Status status = gate_.enter();
  if (status != Status::ok) return status;
  if (mode == WriteMode::train && options_.learns_centre()) {
    status = fail(Status::unsupported, "a flat index of storage %s needs no training: add the vectors",
                  storage_name(options_.common.storage));
  } else if (mode == WriteMode::train && trained_) {
    status = fail(Status::invalid_argument,
                  "this index is trained already, and its rows depend on that: create another one to train anew");
  } else if ((mode == WriteMode::add || mode == WriteMode::upsert) && !trained_ && !options_.learns_centre()) {
    status = not_trained(mode == WriteMode::add ? "add" : "upsert");
  } else {
    Writer* writer = nullptr;
    if (mode == WriteMode::train) {
      writer = new (std::nothrow) IvfTrainer(*this);
    } else {
      writer = new (std::nothrow) IvfWriter(*this, mode);
    }
    *out = writer;
    if (writer != nullptr) return Status::ok;
    status = out_of_memory(sizeof(IvfWriter));
  }
  gate_.leave();
  return status;
}

Status IvfIndex::nearest_lists(const float* rows, size_t n, size_t count, size_t threads, const int32_t* cancel,
                               double* lists, float* distances) const {
  SearchRequest request{};
  request.queries = rows;
  request.type = Input::f32;
  request.nq = n;
  request.k = count;
  request.params.threads = threads;
  request.cancel = cancel;
  request.ids = lists;
  request.distances = distances;
  if (graph_ != nullptr && count <= options_.nlist / 8) {
    request.params.ef_search = std::max<size_t>(2 * count, 64);
    const Status status = graph_->search(request);
    if (status != Status::ok) return status;
    bool complete = true;
    for (size_t i = 0; i < n * count && complete; ++i) complete = lists[i] >= 0;
    if (complete) return Status::ok;
    request.params.ef_search = 0;
  }
  CoarseSearch search(centroids_, centroid_ids_, rows, n, count);
  if (search.serves()) return search.run(threads, cancel, lists, distances);
  return FlatSearch(centroids_, centroid_ids_, request).run();
}

Status IvfIndex::make_graph(const RowStore& centroids, Index** out) const {
  *out = nullptr;
  if (!options_.coarse_graph) return Status::ok;
  const RowShape& shape = centroids.shape();
  const auto pair = [](Key key, double value) { return Option{static_cast<double>(key), value}; };
  const Option options[] = {pair(Key::dim, static_cast<double>(shape.dim)),
                            pair(Key::metric, static_cast<double>(shape.metric)),
                            pair(Key::seed, static_cast<double>(options_.seed))};
  Index* graph = nullptr;
  Status status = HnswIndex::create(options, sizeof options / sizeof *options, &graph);
  if (status != Status::ok) return status;
  Writer* writer = nullptr;
  status = graph->open_writer(WriteMode::add, &writer);
  for (size_t l = 0; l < centroids.size() && status == Status::ok;) {
    const size_t n = std::min(centroids.block_rows(), centroids.size() - l);
    status = writer->append(Input::f32, centroids.row(l), n, nullptr, nullptr);
    l += n;
  }
  if (status == Status::ok) status = writer->commit();
  delete writer;
  if (status == Status::ok) {
    *out = graph;
  } else {
    delete graph;
  }
  return status;
}

void IvfIndex::find_places(Buffer<Place>& places) const {
  const size_t copies = this->copies();
  std::fill_n(places.data(), places.size(), Place{UINT32_MAX, 0});
  for (size_t list = 0; list < options_.nlist; ++list) {
    const uint32_t* slots = lists_.slots(list);
    for (size_t at = 0; at < lists_.size(list); ++at) {
      Place* place = places.data() + slots[at] * copies;
      while (place->list != UINT32_MAX) ++place;
      *place = {static_cast<uint32_t>(list), static_cast<uint32_t>(at)};
    }
  }
}

Status IvfIndex::make_places() {
  if (places_.size() != 0 || options_.flat) return Status::ok;
  Buffer<Place> places;
  if (!places.resize(ids_.size() * copies())) return out_of_memory(ids_.size() * copies() * sizeof(Place));
  find_places(places);
  const WriteGuard guard(lock_);
  places_.swap(places);
  return Status::ok;
}

void IvfIndex::drop_entries(uint32_t slot, uint8_t* record) {
  if (options_.flat) return lists_.remove(0, slot, record);  // the last entry takes its place, as the last row does
  const size_t copies = this->copies();
  for (size_t copy = 0; copy < copies; ++copy) {
    const Place place = places_[slot * copies + copy];
    if (place.list == UINT32_MAX) continue;
    const uint32_t last = static_cast<uint32_t>(lists_.size(place.list)) - 1;
    const uint32_t moved = lists_.slots(place.list)[last];
    lists_.remove(place.list, place.at, record);
    for (Place* p = &places_[moved * copies]; p != &places_[moved * copies] + copies; ++p) {
      if (p->list == place.list && p->at == last) p->at = place.at;
    }
    places_[slot * copies + copy].list = UINT32_MAX;
  }
}

Status IvfIndex::remove(const double* ids, size_t n, size_t* removed) {
  *removed = 0;
  const GateGuard gate(gate_);
  Status status = gate.status();
  if (status != Status::ok) return status;
  Buffer<uint32_t> slots;
  Buffer<uint8_t> record;
  IdMap aside;
  bool rebuilt = false;
  status = find_removed(ids_, ids, n, &slots);
  if (status == Status::ok) status = prepare_removal(ids_, slots, &aside, &rebuilt);
  if (status == Status::ok && !record.resize(lists_.layout().record_bytes())) {
    status = out_of_memory(lists_.layout().record_bytes());
  }
  if (status == Status::ok) status = make_places();
  if (status != Status::ok) return status;

  const size_t copies = this->copies();
  const WriteGuard guard(lock_);
  if (rebuilt) ids_.swap(aside);
  for (size_t i = 0; i < n; ++i) {
    if (slots[i] == kNoSlot) continue;
    const uint32_t slot = ids_.find(static_cast<int64_t>(ids[i]));  // an earlier one may have moved it
    const uint32_t last = static_cast<uint32_t>(ids_.size()) - 1;
    drop_entries(slot, record.data());
    ids_.remove(slot);
    if (slot != last) {
      if (options_.has_store()) store_.copy_row(slot, store_, last);
      for (size_t copy = 0; copy < copies && !options_.flat; ++copy) {
        const Place place = places_[last * copies + copy];
        places_[slot * copies + copy] = place;
        if (place.list != UINT32_MAX) lists_.set_slot(place.list, place.at, slot);
      }
    }
    if (options_.has_store()) store_.truncate(last);
    if (!options_.flat) (void)places_.resize(last * copies);
    ++*removed;
  }
  size_.store(ids_.size(), std::memory_order_release);
  return Status::ok;
}

Status IvfIndex::has(const double* ids, size_t n, uint8_t* found) const {
  const BriefReadGuard guard(lock_);
  return has_ids(ids_, ids, n, found);
}

size_t IvfIndex::ids(size_t start, size_t n, double* out) const {
  const BriefReadGuard guard(lock_);
  return list_ids(ids_, start, n, out);
}

void IvfIndex::decode_entry(Place place, uint8_t* record, uint8_t* scratch, void* row) const {
  lists_.take(place.list, place.at, record);
  if (codec_ != nullptr) {
    codec_->decode(record, options_.residual ? centroid(place.list) : nullptr, static_cast<float*>(row), scratch);
  } else if (shape_.float_input()) {
    kernels().decode[static_cast<size_t>(shape_.scalar)](record, shape_.dim, static_cast<float*>(row));
  } else {
    std::memcpy(row, record, shape_.input_bytes());
  }
}

Status IvfIndex::get(const double* ids, size_t n, void* rows, uint8_t* found) const {
  const size_t bytes = shape_.input_bytes();
  std::memset(rows, 0, n * bytes);
  const BriefReadGuard guard(lock_);
  const Status status = has_ids(ids_, ids, n, found);
  if (status != Status::ok) return status;
  uint8_t* out = static_cast<uint8_t*>(rows);
  if (!options_.has_store()) return get_from_lists(ids, n, out, found);
  for (size_t i = 0; i < n; ++i) {
    if (found[i] == 0) continue;
    const uint8_t* row = store_.row(ids_.find(static_cast<int64_t>(ids[i])));
    kernels().decode[static_cast<size_t>(shape_.scalar)](row, shape_.dim, reinterpret_cast<float*>(out + i * bytes));
  }
  return Status::ok;
}

// Without `places_` one pass over the slots of all lists finds the rows that are asked for.
Status IvfIndex::get_from_lists(const double* ids, size_t n, uint8_t* rows, uint8_t* found) const {
  struct Wanted {
    uint32_t slot, number;
  };
  Buffer<Wanted> wanted;
  Buffer<uint32_t> marks;
  Buffer<uint8_t> record, scratch;
  const size_t scratch_bytes = codec_ != nullptr ? codec_->scratch_bytes() : 0;
  const size_t words = ids_.size() / 32 + 1;
  if (!wanted.reserve(n) || !marks.resize_zeroed(words) || !record.resize(lists_.layout().record_bytes()) ||
      !scratch.resize(scratch_bytes)) {
    return out_of_memory(n * sizeof(Wanted) + words * 4);
  }
  for (size_t i = 0; i < n; ++i) {
    if (found[i] == 0) continue;
    const uint32_t slot = ids_.find(static_cast<int64_t>(ids[i]));
    (void)wanted.push({slot, static_cast<uint32_t>(i)});
    marks[slot / 32] |= uint32_t{1} << (slot % 32);
  }
  const auto before = [](const Wanted& a, const Wanted& b) { return a.slot < b.slot; };
  std::sort(wanted.data(), wanted.data() + wanted.size(), before);
  const auto deliver = [&](uint32_t slot, Place place) {
    marks[slot / 32] &= ~(uint32_t{1} << (slot % 32));
    const Wanted* w = std::lower_bound(wanted.data(), wanted.data() + wanted.size(), Wanted{slot, 0}, before);
    const uint8_t* first = rows + w->number * shape_.input_bytes();
    decode_entry(place, record.data(), scratch.data(), rows + w->number * shape_.input_bytes());
    for (++w; w != wanted.data() + wanted.size() && w->slot == slot; ++w) {
      std::memcpy(rows + w->number * shape_.input_bytes(), first, shape_.input_bytes());
    }
  };
  if (places_.size() != 0 || options_.flat) {
    for (size_t i = 0; i < wanted.size(); ++i) {
      const uint32_t slot = wanted[i].slot;
      if (marks[slot / 32] >> (slot % 32) & 1) deliver(slot, options_.flat ? Place{0, slot} : places_[slot * copies()]);
    }
    return Status::ok;
  }
  for (size_t list = 0; list < options_.nlist; ++list) {
    const uint32_t* slots = lists_.slots(list);
    for (size_t at = 0; at < lists_.size(list); ++at) {
      const uint32_t slot = slots[at];
      if (marks[slot / 32] >> (slot % 32) & 1) deliver(slot, {static_cast<uint32_t>(list), static_cast<uint32_t>(at)});
    }
  }
  return Status::ok;
}

Status IvfIndex::search(const SearchRequest& request) const {
  if (options_.flat &&
      (request.params.ef_search != 0 || request.params.nprobe != 0 || request.params.early_stop != 0)) {
    return fail(Status::invalid_argument,
                "a flat index looks at every row: a search takes rerankFactor, threads and filter alone");
  }
  if (request.params.ef_search != 0) {
    return fail(Status::invalid_argument,
                "an ivf index has no efSearch: a search takes nprobe, rerankFactor, earlyStop, threads and filter");
  }
  if (request.params.rerank_factor != 0 && !(options_.reranks && codec_ != nullptr)) {
    return fail(
        Status::unsupported,
        options_.has_store() || codec_ == nullptr
            ? "storage %s gives exact distances, and nothing is left to rerank: leave rerankFactor out"
            : "this index kept nothing to rerank from: leave rerankFactor out, or create the index of storage %s "
              "with rerank f16 or f32",
        storage_name(options_.common.storage));
  }
  if (!trained_.load(std::memory_order_acquire) && !options_.learns_centre()) return not_trained("search");
  const ReadGuard guard(lock_);
  if (request.filter.kind == Filter::Kind::all) return search_some(request);
  // With a filter a query may look into all lists: of large batches some queries at a time, so that plans stay small.
  Status status = check_input(shape_, request.type, "query", request.queries, request.nq, 0);
  SearchRequest part = request;
  const size_t bytes = shape_.input_bytes(), most = std::max(kLeastPlanned, kMostPlanned / options_.nlist);
  for (size_t q = 0; q < request.nq && shape_.metric == Metric::cosine && status == Status::ok; ++q) {
    status = check_direction(shape_, query_norm(shape_, static_cast<const uint8_t*>(request.queries) + q * bytes), q);
  }
  for (size_t done = 0; done < std::max<size_t>(1, request.nq) && status == Status::ok; done += most) {
    part.nq = std::min(most, request.nq - done);
    part.queries = static_cast<const uint8_t*>(request.queries) + done * bytes;
    part.ids = request.ids + done * request.k;
    part.distances = request.distances + done * request.k;
    if (request.counts != nullptr) part.counts = request.counts + done;
    status = search_some(part);
  }
  return status;
}

Status IvfIndex::search_some(const SearchRequest& request) const {
  IvfSearch search(*this, request);
  const Status status = search.run();
  scanned_.fetch_add(search.scanned(), std::memory_order_relaxed);
  rescored_.fetch_add(search.rescored(), std::memory_order_relaxed);
  exact_searches_.fetch_add(search.exact_searches(), std::memory_order_relaxed);
  return status;
}

}  // namespace annex
