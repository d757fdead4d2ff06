// Everything about an index but searching and writing rows.
#include <cstring>
#include <utility>

#include "node/block.h"
#include "node/hand_out.h"
#include "node/handles.h"
#include "node/methods.h"
#include "node/task.h"

namespace annex::node {
namespace {

class RemoveTask final : public Task {
 public:
  RemoveTask(Environment& environment, std::shared_ptr<Index> index, Block ids, size_t n)
      : Task(environment), index_(std::move(index)), ids_(std::move(ids)), n_(n) {}

 protected:
  AnnexStatus run() override { return annex_remove(index_->core(), ids_.at<double>(0), n_, &removed_); }

  Settled hand_over(napi_env env, napi_value* value, AnnexStatus*, const char**) override {
    index_->account(env);
    *value = make_number(env, static_cast<double>(removed_));
    return Settled::yes;
  }

 private:
  const std::shared_ptr<Index> index_;
  const Block ids_;
  const size_t n_;
  size_t removed_ = 0;
};

}  // namespace

napi_value create(Call& call) {
  Array<double> options;
  if (!call.array(0, "options", &options)) return nullptr;
  return hand_out(call, [&](AnnexIndex** out) { return annex_create(options.data, options.length / 2, out); });
}

napi_value attach(Call& call) {
  double token;
  if (!call.number(0, "token", &token)) return nullptr;
  return hand_out(call, [&](AnnexIndex** out) { return annex_attach(token, out); });
}

napi_value close(Call& call) {
  IndexHandle* handle;
  if (!call.index_handle(0, &handle) || handle->index == nullptr) return nullptr;
  handle->index->close(call.env());
  handle->index.reset();
  return nullptr;
}

napi_value size(Call& call) {
  IndexHandle* handle;
  if (!call.index(0, &handle)) return nullptr;
  return make_number(call.env(), static_cast<double>(annex_size(handle->index->core())));
}

napi_value next_id(Call& call) {
  IndexHandle* handle;
  if (!call.index(0, &handle)) return nullptr;
  return make_number(call.env(), annex_next_id(handle->index->core()));
}

napi_value stats(Call& call) {
  IndexHandle* handle;
  Array<double> out;
  if (!call.index(0, &handle) || !call.array(1, "out", &out)) return nullptr;
  AnnexStats stats;
  constexpr size_t kFields = sizeof stats / sizeof(double);
  if (out.length != kFields) return call.fail(ANNEX_INVALID_ARGUMENT, "addon: out must have %zu elements", kFields);
  annex_stats(handle->index->core(), &stats);
  std::memcpy(out.data, &stats, sizeof stats);
  return nullptr;
}

napi_value options(Call& call) {
  IndexHandle* handle;
  Array<double> out;
  if (!call.index(0, &handle) || !call.array(1, "out", &out)) return nullptr;
  return make_number(call.env(), static_cast<double>(annex_options(handle->index->core(), out.data, out.length / 2)));
}

napi_value share(Call& call) {
  IndexHandle* handle;
  if (!call.index(0, &handle)) return nullptr;
  double token = 0;
  const AnnexStatus status = annex_share(handle->index->core(), &token);
  return status == ANNEX_OK ? make_number(call.env(), token) : call.fail(status);
}

napi_value remove(Call& call) {
  IndexHandle* handle;
  Array<double> ids;
  if (!call.index(0, &handle) || !call.array(1, "ids", &ids)) return nullptr;
  size_t removed = 0;
  const AnnexStatus status = annex_remove(handle->index->core(), ids.data, ids.length, &removed);
  if (status != ANNEX_OK) return call.fail(status);
  handle->index->account(call.env());
  return make_number(call.env(), static_cast<double>(removed));
}

napi_value remove_async(Call& call) {
  IndexHandle* handle;
  Array<double> ids;
  if (!call.index(0, &handle) || !call.array(1, "ids", &ids)) return nullptr;
  Block copy;
  const size_t at = copy.plan(ids.length * sizeof(double));
  if (!copy.allocate(call.environment().spare()))
    return call.fail(ANNEX_OUT_OF_MEMORY, "out of memory: no room to copy %zu ids", ids.length);
  copy.fill(at, ids.data, ids.length * sizeof(double));
  return call.environment().start(
      std::make_unique<RemoveTask>(call.environment(), handle->index, std::move(copy), ids.length));
}

napi_value has(Call& call) {
  IndexHandle* handle;
  Array<double> ids;
  Array<uint8_t> found;
  if (!call.index(0, &handle) || !call.array(1, "ids", &ids) || !call.array(2, "found", &found)) return nullptr;
  if (found.length != ids.length) return call.fail(ANNEX_INVALID_ARGUMENT, "addon: found must be as long as ids");
  const AnnexStatus status = annex_has(handle->index->core(), ids.data, ids.length, found.data);
  if (status != ANNEX_OK) return call.fail(status);
  return nullptr;
}

napi_value get(Call& call) {
  IndexHandle* handle;
  Array<double> ids;
  Array<uint8_t> found;
  RowsArray rows;
  if (!call.index(0, &handle) || !call.array(1, "ids", &ids)) return nullptr;
  const Index& index = *handle->index;
  if (!call.rows(2, "rows", index.input(), ids.length, index.dim(), &rows)) return nullptr;
  if (!call.array(3, "found", &found)) return nullptr;
  if (found.length != ids.length) return call.fail(ANNEX_INVALID_ARGUMENT, "addon: found must be as long as ids");
  const AnnexStatus status = annex_get(index.core(), ids.data, ids.length, const_cast<void*>(rows.data), found.data);
  if (status != ANNEX_OK) return call.fail(status);
  return nullptr;
}

napi_value ids(Call& call) {
  IndexHandle* handle;
  size_t start;
  Array<double> out;
  if (!call.index(0, &handle) || !call.count(1, "start", &start) || !call.array(2, "out", &out)) return nullptr;
  return make_number(call.env(), static_cast<double>(annex_ids(handle->index->core(), start, out.length, out.data)));
}

}  // namespace annex::node
