#include <iterator>
#include <utility>

#include "node/block.h"
#include "node/handles.h"
#include "node/methods.h"
#include "node/task.h"

namespace annex::node {
namespace {

struct AppendArguments {
  WriterHandle* handle = nullptr;
  AnnexInput type = ANNEX_F32;
  size_t n = 0;
  RowsArray rows;
  const double* ids = nullptr;  // null: ids continue
};

/// A writer that is open, idle and of an open index.
bool idle(const Call& call, WriterHandle** handle) {
  if (!call.writer(0, handle)) return false;
  if ((*handle)->writer == nullptr) return call.fail(ANNEX_CLOSED, "the writer has ended: open another one");
  if ((*handle)->task != nullptr) {
    return call.fail(ANNEX_BUSY, "the writer still works on an earlier call: wait for its promise");
  }
  if (!(*handle)->writer->index().open()) return call.fail(ANNEX_CLOSED, "the index is closed");
  return true;
}

bool read(const Call& call, AppendArguments* out) {
  if (!idle(call, &out->handle) || !call.code(1, "type", ANNEX_BITS, &out->type) || !call.count(3, "n", &out->n) ||
      !call.rows(2, "rows", out->type, out->n, out->handle->writer->index().dim(), &out->rows)) {
    return false;
  }
  if (call.absent(4)) return true;
  static constexpr double kNone = 0;
  Array<double> ids;
  if (!call.array(4, "ids", &ids)) return false;
  out->ids = ids.length == 0 ? &kNone : ids.data;
  return ids.length == out->n ||
         call.fail(ANNEX_INVALID_ARGUMENT, "addon: %zu rows came with %zu ids", out->n, ids.length);
}

/// Work on a writer. It holds the handle's object too, so that the handle outlives it.
class WriterTask : public Task {
 public:
  WriterTask(const Call& call, WriterHandle* handle, double cancel_key)
      : Task(call.environment(), cancel_key), writer_(handle->writer), handle_(handle) {}

  /// Marks the writer busy until the task has ended.
  bool hold(const Call& call) {
    if (napi_create_reference(call.env(), call[0], 1, &object_) != napi_ok) {
      return call.fail(ANNEX_INTERNAL, "addon: the runtime could not keep the writer");
    }
    handle_->task = this;
    return true;
  }

 protected:
  void end(napi_env env) override {
    if (object_ == nullptr) return;
    handle_->task = nullptr;
    napi_delete_reference(env, std::exchange(object_, nullptr));
  }

  void withdraw() override { writer_.reset(); }

  std::shared_ptr<Writer> writer_;
  WriterHandle* const handle_;

 private:
  napi_ref object_ = nullptr;
};

class AppendTask final : public WriterTask {
 public:
  AppendTask(const Call& call, const AppendArguments& arguments, double cancel_key)
      : WriterTask(call, arguments.handle, cancel_key), type_(arguments.type), n_(arguments.n) {}

  bool prepare(const Call& call, const AppendArguments& arguments) {
    const bool given = arguments.ids != nullptr;
    const size_t id_bytes = given ? n_ * sizeof(double) : 0;
    rows_ = block_.plan(arguments.rows.bytes);
    const size_t ids = block_.plan(id_bytes);
    if (!block_.allocate(environment().spare())) {
      return call.fail(ANNEX_OUT_OF_MEMORY, "out of memory: no room to copy %zu rows", n_);
    }
    block_.fill(rows_, arguments.rows.data, arguments.rows.bytes);
    block_.fill(ids, arguments.ids, id_bytes);
    if (given) ids_ = block_.at<double>(ids);
    return hold(call);
  }

 protected:
  void recycle() override { block_.recycle(environment().spare()); }

  AnnexStatus run() override { return writer_->append(type_, block_.at<void>(rows_), n_, ids_, cancel_flag()); }

 private:
  const AnnexInput type_;
  const size_t n_;
  Block block_;
  size_t rows_ = 0;
  const double* ids_ = nullptr;
};

class StepTask final : public WriterTask {
 public:
  using WriterTask::WriterTask;

 protected:
  AnnexStatus run() override { return writer_->step(cancel_flag(), &progress_); }

  Settled hand_over(napi_env env, napi_value* value, AnnexStatus*, const char**) override {
    *value = make_progress(env, progress_);
    return Settled::yes;
  }

 private:
  AnnexProgress progress_ = {};
};

class CommitTask final : public WriterTask {
 public:
  CommitTask(const Call& call, WriterHandle* handle) : WriterTask(call, handle, 0) {}

 protected:
  AnnexStatus run() override { return writer_->commit(); }

  Settled hand_over(napi_env env, napi_value*, AnnexStatus*, const char**) override {
    writer_->index().account(env);
    return Settled::yes;
  }

  void end(napi_env env) override {
    handle_->writer.reset();
    WriterTask::end(env);
  }
};

}  // namespace

napi_value open_writer(Call& call) {
  IndexHandle* index;
  AnnexWriteMode mode;
  if (!call.index(0, &index) || !call.code(1, "mode", ANNEX_COMPACT, &mode)) return nullptr;
  auto handle = std::make_unique<WriterHandle>();
  handle->writer = std::make_shared<Writer>(index->index);
  const AnnexStatus status = handle->writer->open(mode);
  if (status != ANNEX_OK) return call.fail(status);
  return wrap(call.environment(), std::move(handle));
}

napi_value append(Call& call) {
  AppendArguments arguments;
  if (!read(call, &arguments)) return nullptr;
  const AnnexStatus status =
      arguments.handle->writer->append(arguments.type, arguments.rows.data, arguments.n, arguments.ids, nullptr);
  if (status != ANNEX_OK) return call.fail(status);
  return nullptr;
}

napi_value append_async(Call& call) {
  AppendArguments arguments;
  double cancel_key;
  if (!read(call, &arguments) || !call.number(5, "cancelKey", &cancel_key)) return nullptr;
  auto task = std::make_unique<AppendTask>(call, arguments, cancel_key);
  if (!task->prepare(call, arguments)) return nullptr;
  return call.environment().start(std::move(task));
}

napi_value step(Call& call) {
  WriterHandle* handle;
  if (!idle(call, &handle)) return nullptr;
  AnnexProgress progress = {};
  const AnnexStatus status = handle->writer->step(nullptr, &progress);
  if (status != ANNEX_OK) return call.fail(status);
  return make_progress(call.env(), progress);
}

napi_value step_async(Call& call) {
  WriterHandle* handle;
  double cancel_key;
  if (!idle(call, &handle) || !call.number(1, "cancelKey", &cancel_key)) return nullptr;
  auto task = std::make_unique<StepTask>(call, handle, cancel_key);
  if (!task->hold(call)) return nullptr;
  return call.environment().start(std::move(task));
}

napi_value commit(Call& call) {
  WriterHandle* handle;
  if (!idle(call, &handle)) return nullptr;
  const std::shared_ptr<Writer> writer = std::move(handle->writer);
  const AnnexStatus status = writer->commit();
  if (status != ANNEX_OK) return call.fail(status);
  writer->index().account(call.env());
  return nullptr;
}

napi_value commit_async(Call& call) {
  WriterHandle* handle;
  if (!idle(call, &handle)) return nullptr;
  auto task = std::make_unique<CommitTask>(call, handle);
  if (!task->hold(call)) return nullptr;
  return call.environment().start(std::move(task));
}

napi_value abort(Call& call) {
  WriterHandle* handle;
  if (!call.writer(0, &handle)) return nullptr;
  // A task that runs holds the writer until it ends: an append or a step soon, a commit to its success.
  handle->writer.reset();
  if (handle->task != nullptr) call.environment().cancel(handle->task);
  return nullptr;
}

}  // namespace annex::node
