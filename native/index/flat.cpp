#include "index/flat.h"

#include <new>

#include "index/codec_options.h"
#include "index/flat_search.h"
#include "index/flat_writer.h"
#include "index/ivf.h"
#include "index/options.h"
#include "index/staging.h"

namespace annex {
namespace {

// Below this many dimensions the narrow copy with its four terms a row is not smaller enough to pay.
constexpr size_t kSidecarDim = 32;

bool takes_sidecar(Metric metric, Scalar scalar) {
  return scalar <= Scalar::sq8 && (metric == Metric::l2 || metric == Metric::ip || metric == Metric::cosine);
}

Status read_shape(const Option* options, size_t count, const CommonOptions& common, RowShape* shape) {
  Status status = Status::ok;
  size_t sidecar = 0;
  for (size_t i = 0; i < count; ++i) {
    const Key key = key_of(options[i].key);
    if (is_common(key) || (key == Key::rerank && options[i].value == -1)) continue;
    if (key == Key::rerank || key == Key::seed || is_codec_key(key)) {
      return fail(Status::unsupported,
                  "storage %s is compared as it is: %s of a flat index serves storage pq and rabitq; leave it out",
                  storage_name(common.storage),
                  key == Key::rerank ? "rerank"
                  : key == Key::seed ? "seed"
                                     : "an option of codes");
    }
    if (key != Key::sidecar) {
      return fail(Status::invalid_argument, "a flat index takes no option with key %g", options[i].key);
    }
    status = read_whole("sidecar", options[i].value, 0, 2, &sidecar);
    if (status != Status::ok) return status;
  }
  shape->dim = common.dim;
  shape->metric = common.metric;
  shape->scalar = static_cast<Scalar>(common.storage);
  const bool possible = takes_sidecar(shape->metric, shape->scalar);
  const auto choice = static_cast<SidecarOption>(sidecar);
  if (choice == SidecarOption::i8 && !possible) {
    return fail(Status::unsupported,
                "sidecar i8 serves storage f32, f16, bf16 and sq8 under metric l2, ip and cosine, not storage %s under "
                "metric %s; leave the option out",
                storage_name(common.storage), metric_name(common.metric));
  }
  const bool pays = shape->scalar == Scalar::f32 && common.dim >= kSidecarDim;
  shape->sidecar = choice == SidecarOption::i8 || (choice == SidecarOption::automatic && possible && pays);
  return Status::ok;
}

}  // namespace

Status FlatIndex::create(const Option* options, size_t count, Index** out) {
  RowShape shape{};
  CommonOptions common;
  Status status = read_common(options, count, &common);
  if (status != Status::ok) return status;
  if (is_codec(common.storage)) return IvfIndex::create_flat(options, count, out);
  status = read_shape(options, count, common, &shape);
  if (status != Status::ok) return status;
  *out = new (std::nothrow) FlatIndex(shape);
  return *out == nullptr ? out_of_memory(sizeof(FlatIndex)) : Status::ok;
}

int64_t FlatIndex::next_id() const {
  const BriefReadGuard guard(lock_);
  return ids_.next_id();
}

size_t FlatIndex::options(Option* out, size_t room) const {
  const RowShape& shape = rows_.shape();
  OptionList list(out, room);
  list.add(Key::kind, 0);
  list.add(Key::dim, shape.dim);
  list.add(Key::metric, shape.metric);
  list.add(Key::storage, shape.scalar);
  list.add(Key::sidecar, shape.sidecar ? SidecarOption::i8 : SidecarOption::none);
  return list.count();
}

Stats FlatIndex::stats() const {
  const BriefReadGuard guard(lock_);
  Stats stats{};
  stats.size = rows_.size();
  stats.bytes_vectors = rows_.bytes_vectors();
  stats.bytes_sidecar = rows_.bytes_sidecar();
  stats.bytes_norms = rows_.bytes_norms();
  stats.bytes_ids = ids_.bytes();
  stats.bytes_total = sizeof *this + stats.bytes_vectors + stats.bytes_sidecar + stats.bytes_norms + stats.bytes_ids;
  stats.scanned = scanned_.load(std::memory_order_relaxed);
  stats.rescored = rescored_.load(std::memory_order_relaxed);
  stats.trained = true;
  return stats;
}

Status FlatIndex::begin_save(Sections* out) {
  const Status status = gate_.enter();
  if (status != Status::ok) return status;
  rows_.save(kRowTags, out);
  ids_.save(out);
  return Status::ok;
}

void FlatIndex::end_save() { gate_.leave(); }

Status FlatIndex::load(const SectionReader& sections) {
  Status status = rows_.load(kRowTags, sections, sections.rows());
  if (status == Status::ok) status = ids_.load(sections, rows_.size());
  if (status == Status::ok) size_.store(rows_.size(), std::memory_order_release);
  return status;
}

Status FlatIndex::open_writer(WriteMode mode, Writer** out) {
  if (mode == WriteMode::train) {
    return fail(Status::unsupported, "a flat index needs no training: add the vectors");
  }
  const Status status = gate_.enter();
  if (status != Status::ok) return status;
  *out = new (std::nothrow) FlatWriter(*this, mode);
  if (*out != nullptr) return Status::ok;
  gate_.leave();
  return out_of_memory(sizeof(FlatWriter));
}

Status FlatIndex::remove(const double* ids, size_t n, size_t* removed) {
  *removed = 0;
  const GateGuard gate(gate_);
  Status status = gate.status();
  if (status != Status::ok) return status;
  Buffer<uint32_t> slots;
  IdMap aside;
  bool rebuilt = false;
  status = find_removed(ids_, ids, n, &slots);
  if (status == Status::ok) status = prepare_removal(ids_, slots, &aside, &rebuilt);
  if (status != Status::ok) return status;

  const WriteGuard guard(lock_);
  ++changes_;
  if (rebuilt) ids_.swap(aside);
  for (size_t i = 0; i < n; ++i) {
    if (slots[i] == kNoSlot) continue;
    const uint32_t slot = ids_.find(static_cast<int64_t>(ids[i]));  // an earlier one may have moved it
    const size_t last = rows_.size() - 1;
    ids_.remove(slot);
    if (slot != last) rows_.copy_row(slot, rows_, last);
    rows_.truncate(last);
    ++*removed;
  }
  size_.store(rows_.size(), std::memory_order_release);
  return Status::ok;
}

Status FlatIndex::has(const double* ids, size_t n, uint8_t* found) const {
  const BriefReadGuard guard(lock_);
  return has_ids(ids_, ids, n, found);
}

Status FlatIndex::get(const double* ids, size_t n, void* rows, uint8_t* found) const {
  const BriefReadGuard guard(lock_);
  return get_rows(rows_, ids_, ids, n, rows, found);
}

size_t FlatIndex::ids(size_t start, size_t n, double* out) const {
  const BriefReadGuard guard(lock_);
  return list_ids(ids_, start, n, out);
}

Status FlatIndex::search(const SearchRequest& request) const {
  const SearchParams& params = request.params;
  if (params.rerank_factor != 0) {
    return fail(Status::unsupported,
                "storage %s gives exact distances, and nothing is left to rerank: leave rerankFactor out",
                storage_name(static_cast<Storage>(rows_.shape().scalar)));
  }
  if (params.ef_search != 0 || params.nprobe != 0 || params.early_stop != 0) {
    return fail(Status::invalid_argument, "a flat index looks at every row: a search takes threads and filter alone");
  }
  const ReadGuard guard(lock_);
  if (SearchPart* const part = request.part; part != nullptr && part->changes != changes_) {
    part->first = 0;
    part->changes = changes_;
  }
  FlatSearch search(rows_, ids_, request);
  const Status status = search.run();
  scanned_.fetch_add(search.scanned(), std::memory_order_relaxed);
  rescored_.fetch_add(search.rescored(), std::memory_order_relaxed);
  return status;
}

}  // namespace annex
