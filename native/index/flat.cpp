#include "index/flat.h"

#include <cmath>
#include <cstring>
#include <new>

#include "index/flat_search.h"
#include "index/flat_writer.h"
#include "kernels/dispatch.h"

namespace annex {
namespace {

// Below this many dimensions the narrow copy with its four terms a row is not smaller enough to pay.
constexpr size_t kSidecarDim = 32;

const char* const kMetricNames[] = {"l2", "ip", "cosine", "l1", "hamming", "jaccard"};
const char* const kScalarNames[] = {"f32", "f16", "bf16", "sq8", "i8", "u8", "bits"};

Status whole(double value, double below, const char* name, size_t* out) {
  if (!(value >= 0 && value < below) || value != std::floor(value)) {
    return fail(Status::invalid_argument, "%s is %g: expected a whole number from 0 to %g", name, value, below - 1);
  }
  *out = static_cast<size_t>(value);
  return Status::ok;
}

bool takes_sidecar(Metric metric, Scalar scalar) {
  return scalar <= Scalar::sq8 && (metric == Metric::l2 || metric == Metric::ip || metric == Metric::cosine);
}

Status read_shape(const Option* options, size_t count, RowShape* shape) {
  size_t dim = 0, metric = 0, storage = SIZE_MAX, sidecar = 0;
  for (size_t i = 0; i < count; ++i) {
    Status status = Status::ok;
    switch (static_cast<Key>(options[i].key)) {
      case Key::kind: break;
      case Key::dim: status = whole(options[i].value, kMaxDim + 1.0, "dim", &dim); break;
      case Key::metric: status = whole(options[i].value, 6, "metric", &metric); break;
      case Key::storage: status = whole(options[i].value, 7, "storage", &storage); break;
      case Key::sidecar: status = whole(options[i].value, 3, "sidecar", &sidecar); break;
      default: return fail(Status::invalid_argument, "a flat index takes no option with key %g", options[i].key);
    }
    if (status != Status::ok) return status;
  }
  if (dim == 0) {
    return fail(Status::invalid_argument, "dim is missing or 0: expected a whole number from 1 to %zu", kMaxDim);
  }
  shape->dim = dim;
  shape->metric = static_cast<Metric>(metric);
  const bool packed = shape->metric == Metric::hamming || shape->metric == Metric::jaccard;
  if (storage == SIZE_MAX) storage = static_cast<size_t>(packed ? Scalar::bits : Scalar::f32);
  shape->scalar = static_cast<Scalar>(storage);
  if (packed != (shape->scalar == Scalar::bits)) {
    return fail(Status::unsupported,
                packed ? "metric %s compares packed bits: it takes storage bits, not %s"
                       : "metric %s does not compare packed bits: storage %s takes metric hamming or jaccard",
                kMetricNames[metric], kScalarNames[storage]);
  }
  if (packed && dim % 8 != 0) {
    return fail(Status::invalid_argument, "dim is %zu: packed bits take a multiple of 8", dim);
  }
  const bool possible = takes_sidecar(shape->metric, shape->scalar);
  const auto choice = static_cast<SidecarOption>(sidecar);
  if (choice == SidecarOption::i8 && !possible) {
    return fail(Status::unsupported,
                "sidecar i8 serves storage f32, f16, bf16 and sq8 under metric l2, ip and cosine, not storage %s under "
                "metric %s; leave the option out",
                kScalarNames[storage], kMetricNames[metric]);
  }
  const bool pays = shape->scalar == Scalar::f32 && dim >= kSidecarDim;
  shape->sidecar = choice == SidecarOption::i8 || (choice == SidecarOption::automatic && possible && pays);
  return Status::ok;
}

}  // namespace

Status FlatIndex::create(const Option* options, size_t count, Index** out) {
  RowShape shape{};
  const Status status = read_shape(options, count, &shape);
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
  const auto pair = [](Key key, double value) { return Option{static_cast<double>(key), value}; };
  const SidecarOption sidecar = shape.sidecar ? SidecarOption::i8 : SidecarOption::none;
  const Option all[] = {pair(Key::kind, 0), pair(Key::dim, static_cast<double>(shape.dim)),
                        pair(Key::metric, static_cast<double>(shape.metric)),
                        pair(Key::storage, static_cast<double>(shape.scalar)),
                        pair(Key::sidecar, static_cast<double>(sidecar))};
  constexpr size_t count = sizeof all / sizeof *all;
  for (size_t i = 0; i < count && i < room; ++i) out[i] = all[i];
  return count;
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
  return stats;
}

Status FlatIndex::open_writer(WriteMode mode, Writer** out) {
  if (writing_.exchange(true, std::memory_order_acquire)) {
    return fail(Status::busy, "another add, upsert or remove is at work on this index: wait for it to end");
  }
  *out = new (std::nothrow) FlatWriter(*this, mode);
  if (*out != nullptr) return Status::ok;
  writing_.store(false, std::memory_order_release);
  return out_of_memory(sizeof(FlatWriter));
}

Status FlatIndex::remove(const double* ids, size_t n, size_t* removed) {
  *removed = 0;
  if (writing_.exchange(true, std::memory_order_acquire)) {
    return fail(Status::busy, "another add, upsert or remove is at work on this index: wait for it to end");
  }
  const auto finish = [this](Status status) {
    writing_.store(false, std::memory_order_release);
    return status;
  };
  IdMap given;
  if (!given.reserve(n, false)) return finish(out_of_memory(n * 24));
  for (size_t i = 0; i < n; ++i) {
    int64_t id = 0;
    const Status status = parse_id(ids[i], "id", i, &id);
    if (status != Status::ok) return finish(status);
    if (given.find(id) != kNoSlot) {
      return finish(fail(Status::duplicate_id,
                         "id %.0f is given twice, the second time at position %zu: name each once", ids[i], i));
    }
    given.append(id);
  }
  // Aside, where the ids cease to be 0, 1, 2 …: the array and table that they need from then on.
  IdMap rebuilt;
  size_t rest = ids_.size();
  bool keeps_identity = ids_.identity();
  for (size_t i = 0; i < n && keeps_identity; ++i) {
    const uint32_t slot = ids_.find(static_cast<int64_t>(ids[i]));
    if (slot == rest - 1 && rest != 0)
      --rest;
    else if (slot < rest)
      keeps_identity = false;
  }
  const bool rebuild = ids_.identity() && !keeps_identity;
  if (rebuild && (!rebuilt.copy_from(ids_, 0) || !rebuilt.reserve(0, false)))
    return finish(out_of_memory(ids_.size() * 16));

  const WriteGuard guard(lock_);
  if (rebuild) ids_.swap(rebuilt);
  for (size_t i = 0; i < n; ++i) {
    const uint32_t slot = ids_.find(static_cast<int64_t>(ids[i]));
    if (slot == kNoSlot) continue;
    const size_t last = rows_.size() - 1;
    ids_.remove(slot);
    if (slot != last) rows_.copy_row(slot, rows_, last);
    rows_.truncate(last);
    ++*removed;
  }
  size_.store(rows_.size(), std::memory_order_release);
  return finish(Status::ok);
}

Status FlatIndex::has(const double* ids, size_t n, uint8_t* found) const {
  const BriefReadGuard guard(lock_);
  for (size_t i = 0; i < n; ++i) {
    int64_t id = 0;
    const Status status = parse_id(ids[i], "id", i, &id);
    if (status != Status::ok) return status;
    found[i] = ids_.find(id) != kNoSlot;
  }
  return Status::ok;
}

Status FlatIndex::get(const double* ids, size_t n, void* rows, uint8_t* found) const {
  const RowShape& shape = rows_.shape();
  const DecodeFn decode = shape.float_input() ? kernels().decode[static_cast<size_t>(shape.scalar)] : nullptr;
  uint8_t* out = static_cast<uint8_t*>(rows);
  const BriefReadGuard guard(lock_);
  for (size_t i = 0; i < n; ++i, out += shape.input_bytes()) {
    int64_t id = 0;
    const Status status = parse_id(ids[i], "id", i, &id);
    if (status != Status::ok) return status;
    const uint32_t slot = ids_.find(id);
    found[i] = slot != kNoSlot;
    if (slot == kNoSlot) {
      std::memset(out, 0, shape.input_bytes());
    } else if (decode != nullptr) {
      decode(rows_.row(slot), shape.dim, reinterpret_cast<float*>(out));
    } else {
      std::memcpy(out, rows_.row(slot), shape.input_bytes());
    }
  }
  return Status::ok;
}

size_t FlatIndex::ids(size_t start, size_t n, double* out) const {
  const BriefReadGuard guard(lock_);
  size_t written = 0;
  for (size_t slot = start; slot < ids_.size() && written < n; ++slot) {
    out[written++] = static_cast<double>(ids_.id_of(static_cast<uint32_t>(slot)));
  }
  return written;
}

Status FlatIndex::search(const SearchRequest& request) const {
  const ReadGuard guard(lock_);
  FlatSearch search(rows_, ids_, request);
  const Status status = search.run();
  scanned_.fetch_add(search.scanned(), std::memory_order_relaxed);
  rescored_.fetch_add(search.rescored(), std::memory_order_relaxed);
  return status;
}

}  // namespace annex
