// The C ABI over the index interface: handles, the guard against C++ exceptions, tokens for other threads.
#include "api/annex.h"

#include <cmath>
#include <cstdlib>
#include <new>

#include "api/handles.h"
#include "base/parallel.h"
#include "base/status.h"
#include "index/index.h"
#include "index/registry.h"
#include "kernels/dispatch.h"
#if !defined(__wasm__)
#include <mutex>
#include <random>
#endif

using annex::fail;
using annex::guarded;
using annex::null_argument;
using annex::Status;

static_assert(static_cast<int>(Status::internal) == ANNEX_INTERNAL && static_cast<int>(Status::busy) == ANNEX_BUSY);
static_assert(static_cast<int>(annex::Scalar::bits) == ANNEX_STORE_BITS);
static_assert(static_cast<int>(annex::Metric::jaccard) == ANNEX_JACCARD);
static_assert(static_cast<int>(annex::Input::bits) == ANNEX_BITS);
static_assert(static_cast<int>(annex::Key::sidecar) == ANNEX_KEY_SIDECAR);
static_assert(static_cast<int>(annex::Key::residual) == ANNEX_KEY_RESIDUAL);
static_assert(static_cast<int>(annex::Key::threads) == ANNEX_KEY_THREADS);
static_assert(static_cast<int>(annex::Key::early_stop) == ANNEX_KEY_EARLY_STOP);
static_assert(static_cast<int>(annex::Storage::rabitq) == ANNEX_STORE_RABITQ);
static_assert(static_cast<int>(annex::WriteMode::compact) == ANNEX_COMPACT);
static_assert(static_cast<int>(annex::Phase::write) == ANNEX_PHASE_WRITE);

struct AnnexWriter {
  annex::Writer* writer;
  AnnexIndex* handle;
  AnnexWriteMode mode;
};

namespace {

#if !defined(__wasm__)
std::mutex shared_mutex;
AnnexIndex* shared_handles = nullptr;

// Not a counter: a token that strays into another process must not name an index there.
double new_token() {
  std::random_device source;
  const uint64_t bits = static_cast<uint64_t>(source()) << 32 | source();
  return static_cast<double>((bits >> 11) | 1);
}
#endif

Status read_whole(const char* name, double value, double least, double most, size_t* out) {
  if (!(value >= least && value <= most) || value != std::floor(value)) {
    return fail(Status::invalid_argument, "%s is %g: expected a whole number from %.0f to %.0f", name, value, least,
                most);
  }
  *out = static_cast<size_t>(value);
  return Status::ok;
}

Status read_factor(const char* name, double value, float* out) {
  if (!(value >= 1 && value <= 1e6)) {
    return fail(Status::invalid_argument, "%s is %g: expected a number from 1 to 1e6", name, value);
  }
  *out = static_cast<float>(value);
  return Status::ok;
}

Status read_params(const AnnexSearch& search, annex::SearchParams* params) {
  *params = {};
  for (size_t i = 0; i < search.option_pairs; ++i) {
    const double key = search.options[2 * i];
    const double value = search.options[2 * i + 1];
    Status status = Status::ok;
    switch (annex::key_of(key)) {
      case annex::Key::threads: status = read_whole("threads", value, 0, 1024, &params->threads); break;
      case annex::Key::ef_search: status = read_whole("efSearch", value, 1, 1 << 24, &params->ef_search); break;
      case annex::Key::nprobe: status = read_whole("nprobe", value, 1, 1 << 24, &params->nprobe); break;
      case annex::Key::rerank_factor: status = read_factor("rerankFactor", value, &params->rerank_factor); break;
      case annex::Key::early_stop: status = read_factor("earlyStop", value, &params->early_stop); break;
      default: return fail(Status::invalid_argument, "a search takes no option with key %g", key);
    }
    if (status != Status::ok) return status;
  }
  return Status::ok;
}

}  // namespace

const char* annex_version(void) { return annex::kVersion; }
const char* annex_isa(void) { return annex::kernels().name; }
const char* annex_isa_note(void) { return annex::kernels_note(); }
uint32_t annex_threads(void) { return static_cast<uint32_t>(annex::pool_threads()); }
const char* annex_last_error(void) { return annex::last_error(); }
void* annex_alloc(size_t bytes) { return std::malloc(bytes == 0 ? 1 : bytes); }
void annex_free(void* pointer) { std::free(pointer); }

AnnexStatus annex_submit(void (*fn)(void*), void* context) {
  return guarded([&] {
    if (annex::pool_submit(fn, context)) return Status::ok;
    return fail(Status::unsupported, "no thread could be started for asynchronous work: use the Sync methods");
  });
}

AnnexStatus annex_create(const double* options, size_t pairs, AnnexIndex** out) {
  return guarded([&] {
    if (out == nullptr || (options == nullptr && pairs != 0)) return null_argument();
    *out = nullptr;
    annex::Index* index = nullptr;
    const Status status = annex::create_index(reinterpret_cast<const annex::Option*>(options), pairs, &index);
    if (status != Status::ok) return status;
    *out = new (std::nothrow) AnnexIndex{index};
    if (*out != nullptr) return Status::ok;
    delete index;
    return annex::out_of_memory(sizeof(AnnexIndex));
  });
}

void annex_retain(AnnexIndex* index) {
  if (index != nullptr) index->references.fetch_add(1, std::memory_order_relaxed);
}

void annex_release(AnnexIndex* index) {
  if (index == nullptr) return;
#if defined(__wasm__)
  if (index->references.fetch_sub(1) != 1) return;
#else
  {
    // Under the mutex, so that an attach cannot find a handle whose last reference is on its way out.
    const std::lock_guard<std::mutex> guard(shared_mutex);
    if (index->references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    for (AnnexIndex** link = &shared_handles; *link != nullptr; link = &(*link)->next_shared) {
      if (*link != index) continue;
      *link = index->next_shared;
      break;
    }
  }
#endif
  const size_t bytes = index->index->stats().bytes_total;
  delete index->index;
  delete index;
  annex::give_back_memory(bytes);
}

AnnexStatus annex_share(AnnexIndex* index, double* token) {
  return guarded([&] {
    if (index == nullptr || token == nullptr) return null_argument();
#if defined(__wasm__)
    return fail(Status::unsupported,
                "an index on the WASM backend lives in one thread: share needs the native backend");
#else
    const std::lock_guard<std::mutex> guard(shared_mutex);
    if (index->token == 0) {
      index->token = new_token();
      index->next_shared = shared_handles;
      shared_handles = index;
    }
    *token = index->token;
    return Status::ok;
#endif
  });
}

AnnexStatus annex_attach(double token, AnnexIndex** out) {
  return guarded([&] {
    if (out == nullptr) return null_argument();
    *out = nullptr;
#if defined(__wasm__)
    (void)token;
    return fail(Status::unsupported,
                "an index on the WASM backend lives in one thread: attach needs the native backend");
#else
    const std::lock_guard<std::mutex> guard(shared_mutex);
    for (AnnexIndex* handle = shared_handles; handle != nullptr; handle = handle->next_shared) {
      if (handle->token != token) continue;
      handle->references.fetch_add(1, std::memory_order_relaxed);
      *out = handle;
      return Status::ok;
    }
    return fail(Status::invalid_argument,
                "no shared index has this token: the thread that shared it must keep it open, and be of this process");
#endif
  });
}

size_t annex_size(const AnnexIndex* index) { return index->index->size(); }

double annex_next_id(const AnnexIndex* index) { return static_cast<double>(index->index->next_id()); }

size_t annex_options(const AnnexIndex* index, double* out, size_t pairs) {
  return index->index->options(reinterpret_cast<annex::Option*>(out), pairs);
}

void annex_stats(const AnnexIndex* index, AnnexStats* out) {
  const annex::Stats stats = index->index->stats();
  out->size = static_cast<double>(stats.size);
  out->bytes_vectors = static_cast<double>(stats.bytes_vectors);
  out->bytes_sidecar = static_cast<double>(stats.bytes_sidecar);
  out->bytes_ids = static_cast<double>(stats.bytes_ids);
  out->bytes_norms = static_cast<double>(stats.bytes_norms);
  out->bytes_total = static_cast<double>(stats.bytes_total + sizeof(AnnexIndex));
  out->scanned = static_cast<double>(stats.scanned);
  out->rescored = static_cast<double>(stats.rescored);
  out->bytes_links = static_cast<double>(stats.bytes_links);
  out->bytes_codes = static_cast<double>(stats.bytes_codes);
  out->bytes_rerank = static_cast<double>(stats.bytes_rerank);
  out->bytes_codebooks = static_cast<double>(stats.bytes_codebooks);
  out->removed = static_cast<double>(stats.removed);
  out->trained = stats.trained ? 1 : 0;
  out->hops = static_cast<double>(stats.hops);
  out->exact_searches = static_cast<double>(stats.exact_searches);
  out->code_searches = static_cast<double>(stats.code_searches);
}

int32_t annex_loaded(const AnnexIndex* index) { return index->index->loaded() ? 1 : 0; }

AnnexStatus annex_writer_open(AnnexIndex* index, AnnexWriteMode mode, AnnexWriter** out) {
  return guarded([&] {
    if (index == nullptr || out == nullptr) return null_argument();
    *out = nullptr;
    if (mode < ANNEX_ADD || mode > ANNEX_COMPACT) {
      return fail(Status::invalid_argument, "unknown write mode %d: expected 0 (add) to 3 (compact)",
                  static_cast<int>(mode));
    }
    AnnexWriter* handle = new (std::nothrow) AnnexWriter{nullptr, index, mode};
    if (handle == nullptr) return annex::out_of_memory(sizeof(AnnexWriter));
    const Status status = index->index->open_writer(static_cast<annex::WriteMode>(mode), &handle->writer);
    if (status != Status::ok) {
      delete handle;
      return status;
    }
    annex_retain(index);
    *out = handle;
    return Status::ok;
  });
}

AnnexStatus annex_writer_append(AnnexWriter* writer, AnnexInput type, const void* rows, size_t n, const double* ids,
                                const int32_t* cancel) {
  return guarded([&] {
    if (writer == nullptr || (rows == nullptr && n != 0)) return null_argument();
    return writer->writer->append(static_cast<annex::Input>(type), rows, n, ids, cancel);
  });
}

AnnexStatus annex_writer_step(AnnexWriter* writer, const int32_t* cancel, AnnexProgress* progress) {
  return guarded([&] {
    if (writer == nullptr || progress == nullptr) return null_argument();
    annex::Progress made;
    const Status status = writer->writer->step(cancel, &made);
    *progress = {made.done, made.total, static_cast<int32_t>(made.phase), made.finished};
    return status;
  });
}

AnnexStatus annex_writer_commit(AnnexWriter* writer) {
  const AnnexStatus status = guarded([&] { return writer == nullptr ? null_argument() : writer->writer->commit(); });
  annex_writer_abort(writer);
  return status;
}

void annex_writer_abort(AnnexWriter* writer) {
  if (writer == nullptr) return;
  AnnexIndex* index = writer->handle;
  delete writer->writer;
  if (writer->mode == ANNEX_COMPACT) annex::give_back_memory(index->index->stats().bytes_total);
  delete writer;
  annex_release(index);
}

AnnexStatus annex_remove(AnnexIndex* index, const double* ids, size_t n, size_t* removed) {
  return guarded([&] {
    if (index == nullptr || removed == nullptr || (ids == nullptr && n != 0)) return null_argument();
    return index->index->remove(ids, n, removed);
  });
}

AnnexStatus annex_has(const AnnexIndex* index, const double* ids, size_t n, uint8_t* found) {
  return guarded([&] {
    if (index == nullptr || (n != 0 && (ids == nullptr || found == nullptr))) return null_argument();
    return index->index->has(ids, n, found);
  });
}

AnnexStatus annex_get(const AnnexIndex* index, const double* ids, size_t n, void* rows, uint8_t* found) {
  return guarded([&] {
    if (index == nullptr || (n != 0 && (ids == nullptr || rows == nullptr || found == nullptr))) return null_argument();
    return index->index->get(ids, n, rows, found);
  });
}

size_t annex_ids(const AnnexIndex* index, size_t start, size_t n, double* out) {
  return index->index->ids(start, n, out);
}

AnnexStatus annex_search(const AnnexIndex* index, const AnnexSearch* search) {
  return guarded([&] {
    if (index == nullptr || search == nullptr) return null_argument();
    const AnnexSearch& s = *search;
    if (s.k == 0) return fail(Status::invalid_argument, "k is 0: expected a whole number from 1 on");
    if (s.nq != 0 && (s.queries == nullptr || s.ids == nullptr || s.distances == nullptr)) return null_argument();
    if ((s.options == nullptr && s.option_pairs != 0) || (s.filter == nullptr && s.filter_count != 0))
      return null_argument();
    if (s.filter_kind < ANNEX_ALLOW_ALL || s.filter_kind > ANNEX_ALLOW_BITS) {
      return fail(Status::invalid_argument, "unknown kind of filter %d", static_cast<int>(s.filter_kind));
    }
    annex::SearchRequest request{};
    request.queries = s.queries;
    request.type = static_cast<annex::Input>(s.type);
    request.nq = s.nq;
    request.k = s.k;
    const Status status = read_params(s, &request.params);
    if (status != Status::ok) return status;
    request.filter = {static_cast<annex::Filter::Kind>(s.filter_kind), s.filter, s.filter_count};
    request.cancel = s.cancel;
    request.ids = s.ids;
    request.distances = s.distances;
    request.counts = s.counts;
    if (s.part == nullptr) return index->index->search(request);
    if (s.counts == nullptr) return null_argument();
    if (!index->index->divisible()) return fail(Status::unsupported, "searches of this index cannot be done in parts");
    annex::SearchPart part{s.part->first, s.part->rows, s.part->changes};
    request.part = &part;
    const Status searched = index->index->search(request);
    *s.part = {part.next, s.part->rows, static_cast<size_t>(part.changes)};
    return searched;
  });
}

int32_t annex_divisible(const AnnexIndex* index) { return index->index->divisible() ? 1 : 0; }
