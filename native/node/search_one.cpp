// Searches for one query at a time. To read an argument is a call into the runtime, and those of a whole search would
// take longer than a small search itself: so the function that is called belongs to one index, and numbers and results
// go through one array.
#include <memory>

#include "node/handles.h"
#include "node/methods.h"

namespace annex::node {
namespace {

enum : size_t { kQuery, kBlock, kFilter };

// The block, in doubles; see OneBlock in ts/addon.ts. Distances are floats, two to a double.
enum : size_t { kK, kFilterKind, kFilterCount, kPairs, kFound, kOptions };
constexpr size_t kMostPairs = 16, kMostColumns = 256;
constexpr size_t kIds = kOptions + 2 * kMostPairs;
constexpr size_t kDistances = kIds + kMostColumns;
constexpr size_t kBlockLength = kDistances + kMostColumns / 2;

/// What the function of an index knows. After close() the index may be gone before the function is.
struct BoundSearch {
  Environment* environment;
  std::weak_ptr<Index> index;
};

bool read(const Call& call, const Index& index, AnnexSearch* search, double** block) {
  RowsArray query;
  Array<double> array;
  if (!call.rows(kQuery, "query", index.input(), 1, index.dim(), &query) || !call.array(kBlock, "block", &array)) {
    return false;
  }
  if (array.length != kBlockLength) {
    return call.fail(ANNEX_INVALID_ARGUMENT, "addon: block must have %zu elements, it has %zu", kBlockLength,
                     array.length);
  }
  double* const at = array.data;
  size_t kind, filter_bytes;
  if (!whole(at[kK], kMostColumns, &search->k) || !whole(at[kPairs], kMostPairs, &search->option_pairs) ||
      !whole(at[kFilterKind], ANNEX_ALLOW_BITS, &kind) || !whole(at[kFilterCount], kMostCount, &search->filter_count)) {
    return call.fail(ANNEX_INVALID_ARGUMENT,
                     "addon: the block holds k %g, %g options, filterKind %g and filterCount %g", at[kK], at[kPairs],
                     at[kFilterKind], at[kFilterCount]);
  }
  search->type = index.input();
  search->queries = query.data;
  search->nq = 1;
  search->options = at + kOptions;
  search->filter_kind = static_cast<int32_t>(kind);
  search->ids = at + kIds;
  search->distances = reinterpret_cast<float*>(at + kDistances);
  *block = at;
  return call.filter(kFilter, static_cast<AnnexFilterKind>(kind), search->filter_count, &search->filter, &filter_bytes);
}

napi_value search_one(napi_env env, napi_callback_info info) {
  BoundSearch* bound;
  const Call call(env, info, &bound);
  const std::shared_ptr<Index> index = bound->index.lock();
  if (index == nullptr || !index->open()) return call.fail(ANNEX_CLOSED, "the index is closed");
  AnnexSearch search = {};
  double* block;
  if (!read(call, *index, &search, &block)) return nullptr;
  uint32_t found = 0;
  search.counts = &found;
  const AnnexStatus status = annex_search(index->core(), &search);
  if (status != ANNEX_OK) return call.fail(status);
  block[kFound] = found;
  return nullptr;
}

}  // namespace

napi_value bind_search(Call& call) {
  IndexHandle* handle;
  if (!call.index(0, &handle)) return nullptr;
  auto bound = std::make_unique<BoundSearch>(BoundSearch{&call.environment(), handle->index});
  const auto finalize = [](napi_env, void* data, void*) { delete static_cast<BoundSearch*>(data); };
  const napi_env env = call.env();
  napi_value function;
  if (napi_create_function(env, "searchOne", NAPI_AUTO_LENGTH, search_one, bound.get(), &function) != napi_ok ||
      napi_add_finalizer(env, function, bound.get(), finalize, nullptr, nullptr) != napi_ok) {
    return call.fail(ANNEX_INTERNAL, "addon: the runtime could not make a function");
  }
  bound.release();
  return function;
}

}  // namespace annex::node
