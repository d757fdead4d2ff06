#include <algorithm>
#include <cstring>
#include <utility>

#include "node/block.h"
#include "node/handles.h"
#include "node/methods.h"
#include "node/task.h"

namespace annex::node {
namespace {

// Results are copied on the JavaScript thread in slices, so that huge ones do not hold up the event loop.
constexpr size_t kSliceBytes = 4 << 20;

enum : size_t {
  kIndex,
  kQueries,
  kType,
  kNq,
  kK,
  kOptions,
  kFilterKind,
  kFilter,
  kFilterCount,
  kIds,
  kDistances,
  kCounts,
  kCancelKey
};

struct SearchArguments {
  IndexHandle* handle = nullptr;
  AnnexSearch search = {};
  size_t query_bytes = 0;
  size_t option_count = 0;
  size_t filter_bytes = 0;
  size_t results = 0;  // nq × k
};

bool read_filter(const Call& call, SearchArguments* out) {
  AnnexSearch& search = out->search;
  AnnexFilterKind kind;
  if (!call.code(kFilterKind, "filterKind", ANNEX_ALLOW_BITS, &kind) ||
      (kind != ANNEX_ALLOW_ALL && !call.count(kFilterCount, "filterCount", &search.filter_count))) {
    return false;
  }
  search.filter_kind = kind;
  return call.filter(kFilter, kind, search.filter_count, &search.filter, &out->filter_bytes);
}

bool read(const Call& call, SearchArguments* out) {
  AnnexSearch& search = out->search;
  AnnexInput type;
  RowsArray queries;
  Array<double> options, ids;
  Array<float> distances;
  Array<uint32_t> counts;
  if (!call.index(kIndex, &out->handle) || !call.code(kType, "type", ANNEX_BITS, &type) ||
      !call.count(kNq, "nq", &search.nq) || !call.count(kK, "k", &search.k) ||
      !call.rows(kQueries, "queries", type, search.nq, out->handle->index->dim(), &queries) ||
      !call.array(kOptions, "options", &options) || !read_filter(call, out) || !call.array(kIds, "ids", &ids) ||
      !call.array(kDistances, "distances", &distances) || !call.array(kCounts, "counts", &counts)) {
    return false;
  }
  if (!is_product(ids.length, search.nq, search.k) || distances.length != ids.length || counts.length != search.nq) {
    return call.fail(ANNEX_INVALID_ARGUMENT,
                     "addon: ids and distances must have nq x k elements and counts nq; they have %zu, %zu and %zu",
                     ids.length, distances.length, counts.length);
  }
  search.type = type;
  search.queries = queries.data;
  search.options = options.data;
  search.option_pairs = options.length / 2;
  search.ids = ids.data;
  search.distances = distances.data;
  search.counts = counts.data;
  out->query_bytes = queries.bytes;
  out->option_count = options.length;
  out->results = ids.length;
  return true;
}

/// Searches into memory of its own: the caller's arrays may be transferred or shrink meanwhile.
class SearchTask final : public Task {
 public:
  SearchTask(Environment& environment, double cancel_key) : Task(environment, cancel_key) {}

  bool prepare(const Call& call, const SearchArguments& arguments) {
    index_ = arguments.handle->index;
    search_ = arguments.search;
    const size_t option_bytes = arguments.option_count * sizeof(double);
    const size_t bytes[] = {arguments.results * sizeof(double), arguments.results * sizeof(float),
                            search_.nq * sizeof(uint32_t)};
    const size_t queries = block_.plan(arguments.query_bytes);
    const size_t options = block_.plan(option_bytes);
    const size_t filter = block_.plan(arguments.filter_bytes);
    size_t results[3];
    for (size_t i = 0; i < 3; ++i) results[i] = block_.plan(bytes[i]);
    if (!block_.allocate(environment().spare())) {
      return call.fail(ANNEX_OUT_OF_MEMORY, "out of memory: no room to copy %zu queries and their results", search_.nq);
    }
    block_.fill(queries, search_.queries, arguments.query_bytes);
    block_.fill(options, search_.options, option_bytes);
    block_.fill(filter, search_.filter, arguments.filter_bytes);
    search_.queries = block_.at<void>(queries);
    search_.options = block_.at<double>(options);
    search_.filter = block_.at<void>(filter);
    search_.ids = block_.at<double>(results[0]);
    search_.distances = block_.at<float>(results[1]);
    search_.counts = block_.at<uint32_t>(results[2]);
    search_.cancel = cancel_flag();
    for (size_t i = 0; i < 3; ++i) {
      results_[i].source = block_.at<uint8_t>(results[i]);
      results_[i].bytes = bytes[i];
      if (napi_create_reference(call.env(), call[kIds + i], 1, &results_[i].array) != napi_ok) {
        end(call.env());
        return call.fail(ANNEX_INTERNAL, "addon: the runtime could not keep the arrays of results");
      }
    }
    return true;
  }

 protected:
  AnnexStatus run() override { return annex_search(index_->core(), &search_); }

  Settled hand_over(napi_env env, napi_value*, AnnexStatus* status, const char** message) override {
    size_t budget = kSliceBytes;
    for (Result& result : results_) {
      napi_value array = nullptr;
      napi_typedarray_type type;
      size_t length = 0;
      void* data = nullptr;
      if (result.copied == result.bytes) continue;
      if (napi_get_reference_value(env, result.array, &array) != napi_ok ||
          napi_get_typedarray_info(env, array, &type, &length, &data, nullptr, nullptr) != napi_ok || data == nullptr ||
          length < result.bytes / (type == napi_float64_array ? 8 : 4)) {
        *status = ANNEX_INVALID_ARGUMENT;
        *message = "the arrays of results were detached or resized while the search ran";
        return Settled::yes;
      }
      const size_t part = std::min(result.bytes - result.copied, budget);
      std::memcpy(static_cast<uint8_t*>(data) + result.copied, result.source + result.copied, part);
      result.copied += part;
      budget -= part;
      if (result.copied != result.bytes) return Settled::more;
    }
    return Settled::yes;
  }

  void recycle() override { block_.recycle(environment().spare()); }

  void end(napi_env env) override {
    for (Result& result : results_) {
      if (result.array != nullptr) napi_delete_reference(env, std::exchange(result.array, nullptr));
    }
  }

 private:
  struct Result {
    napi_ref array = nullptr;
    const uint8_t* source = nullptr;
    size_t bytes = 0;
    size_t copied = 0;
  };

  std::shared_ptr<Index> index_;
  AnnexSearch search_ = {};
  Block block_;
  Result results_[3];
};

}  // namespace

napi_value search(Call& call) {
  SearchArguments arguments;
  if (!read(call, &arguments)) return nullptr;
  const AnnexStatus status = annex_search(arguments.handle->index->core(), &arguments.search);
  if (status != ANNEX_OK) return call.fail(status);
  return nullptr;
}

napi_value search_async(Call& call) {
  SearchArguments arguments;
  double cancel_key;
  if (!read(call, &arguments) || !call.number(kCancelKey, "cancelKey", &cancel_key)) return nullptr;
  auto task = std::make_unique<SearchTask>(call.environment(), cancel_key);
  if (!task->prepare(call, arguments)) return nullptr;
  return call.environment().start(std::move(task));
}

}  // namespace annex::node
