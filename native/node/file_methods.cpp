// Files: saving pulls bytes or writes to a path, opening takes bytes or a path; both go in steps.
#include <utility>

#include "node/hand_out.h"
#include "node/handles.h"
#include "node/methods.h"
#include "node/task.h"

namespace annex::node {
namespace {

constexpr const char* kSaver = "a saver";
constexpr const char* kOpener = "an opener";

/// A handle that is open and idle.
template <class Handle>
bool idle(const Call& call, const char* kind, Handle** handle) {
  if (!call.wrapped(0, kind, handle)) return false;
  if ((*handle)->work == nullptr) return call.fail(ANNEX_CLOSED, "%s was closed: open another one", kind);
  if ((*handle)->task != nullptr) return call.fail(ANNEX_BUSY, "%s still works on an earlier step", kind);
  return true;
}

template <class Handle>
class FileStepTask final : public Task {
 public:
  FileStepTask(const Call& call, Handle* handle, double cancel_key)
      : Task(call.environment(), cancel_key), work_(handle->work), handle_(handle) {}

  /// Marks the handle busy, and keeps it, until the task has ended.
  bool hold(const Call& call) {
    if (napi_create_reference(call.env(), call[0], 1, &object_) != napi_ok) {
      return call.fail(ANNEX_INTERNAL, "addon: the runtime could not keep the handle");
    }
    handle_->task = this;
    return true;
  }

 protected:
  AnnexStatus run() override { return work_->step(cancel_flag(), &progress_); }

  Settled hand_over(napi_env env, napi_value* value, AnnexStatus*, const char**) override {
    *value = make_progress(env, progress_);
    return Settled::yes;
  }

  void end(napi_env env) override {
    if (object_ == nullptr) return;
    handle_->task = nullptr;
    napi_delete_reference(env, std::exchange(object_, nullptr));
  }

  void withdraw() override { work_.reset(); }

 private:
  decltype(Handle::work) work_;
  Handle* const handle_;
  AnnexProgress progress_ = {};
  napi_ref object_ = nullptr;
};

template <class Handle>
napi_value file_step(Call& call, const char* kind) {
  Handle* handle;
  if (!idle(call, kind, &handle)) return nullptr;
  AnnexProgress progress = {};
  const AnnexStatus status = handle->work->step(nullptr, &progress);
  if (status != ANNEX_OK) return call.fail(status);
  return make_progress(call.env(), progress);
}

template <class Handle>
napi_value file_step_async(Call& call, const char* kind) {
  Handle* handle;
  double cancel_key;
  if (!idle(call, kind, &handle) || !call.number(1, "cancelKey", &cancel_key)) return nullptr;
  auto task = std::make_unique<FileStepTask<Handle>>(call, handle, cancel_key);
  if (!task->hold(call)) return nullptr;
  return call.environment().start(std::move(task));
}

template <class Handle>
napi_value file_close(Call& call, const char* kind) {
  Handle* handle;
  if (!call.wrapped(0, kind, &handle)) return nullptr;
  // A step that runs holds the work until it ends, soon.
  handle->work.reset();
  if (handle->task != nullptr) call.environment().cancel(handle->task);
  return nullptr;
}

}  // namespace

napi_value open_saver(Call& call) {
  IndexHandle* index;
  Array<uint8_t> metadata;
  static constexpr uint8_t kNone = 0;
  if (!call.index(0, &index) || (!call.absent(1) && !call.array(1, "metadata", &metadata))) return nullptr;
  auto handle = std::make_unique<SaverHandle>();
  handle->work = std::make_shared<Saving>(index->index);
  if (!call.absent(2)) {
    std::string path;
    if (!call.string(2, "path", &path)) return nullptr;
    handle->work->set_path(std::move(path));
  }
  const void* bytes = call.absent(1) ? nullptr : metadata.length == 0 ? &kNone : metadata.data;
  const AnnexStatus status = handle->work->open(bytes, metadata.length);
  if (status != ANNEX_OK) return call.fail(status);
  return wrap(call.environment(), std::move(handle));
}

napi_value saver_size(Call& call) {
  SaverHandle* handle;
  if (!idle(call, kSaver, &handle)) return nullptr;
  return make_number(call.env(), annex_saver_size(handle->work->core()));
}

napi_value saver_read(Call& call) {
  SaverHandle* handle;
  Array<uint8_t> out;
  if (!idle(call, kSaver, &handle) || !call.array(1, "out", &out)) return nullptr;
  size_t written = 0;
  const AnnexStatus status = annex_saver_read(handle->work->core(), out.data, out.length, &written);
  if (status != ANNEX_OK) return call.fail(status);
  return make_number(call.env(), static_cast<double>(written));
}

napi_value saver_step(Call& call) { return file_step<SaverHandle>(call, kSaver); }
napi_value saver_step_async(Call& call) { return file_step_async<SaverHandle>(call, kSaver); }
napi_value close_saver(Call& call) { return file_close<SaverHandle>(call, kSaver); }

napi_value open_opener(Call& call) {
  size_t flags;
  double expected;
  if (!call.count(0, "flags", &flags) || !call.number(2, "bytes", &expected)) return nullptr;
  auto handle = std::make_unique<OpenerHandle>();
  handle->work = std::make_shared<Opening>();
  AnnexStatus status = handle->work->open(flags < 256 ? static_cast<int32_t>(flags) : -1);
  if (status == ANNEX_OK) status = annex_opener_expect(handle->work->core(), expected);
  if (status != ANNEX_OK) return call.fail(status);
  if (!call.absent(1)) {
    std::string path;
    if (!call.string(1, "path", &path)) return nullptr;
    handle->work->set_path(std::move(path));
  }
  return wrap(call.environment(), std::move(handle));
}

napi_value opener_append(Call& call) {
  OpenerHandle* handle;
  Array<uint8_t> bytes;
  if (!idle(call, kOpener, &handle) || !call.array(1, "bytes", &bytes)) return nullptr;
  const AnnexStatus status = annex_opener_append(handle->work->core(), bytes.data, bytes.length);
  if (status != ANNEX_OK) return call.fail(status);
  return nullptr;
}

napi_value opener_step(Call& call) { return file_step<OpenerHandle>(call, kOpener); }
napi_value opener_step_async(Call& call) { return file_step_async<OpenerHandle>(call, kOpener); }

napi_value opener_metadata(Call& call) {
  OpenerHandle* handle;
  if (!idle(call, kOpener, &handle)) return nullptr;
  AnnexOpener* const core = handle->work->core();
  const size_t bytes = annex_opener_metadata(core, nullptr, 0);
  void* data = nullptr;
  napi_value buffer, array = nullptr;
  if (napi_create_arraybuffer(call.env(), bytes, &data, &buffer) != napi_ok ||
      napi_create_typedarray(call.env(), napi_uint8_array, bytes, buffer, 0, &array) != napi_ok) {
    return call.fail(ANNEX_OUT_OF_MEMORY, "out of memory: no room for %zu bytes of metadata", bytes);
  }
  if (bytes != 0) annex_opener_metadata(core, data, bytes);
  return array;
}

napi_value opener_finish(Call& call) {
  OpenerHandle* handle;
  if (!idle(call, kOpener, &handle)) return nullptr;
  return hand_out(call, [&](AnnexIndex** out) { return annex_opener_finish(handle->work->core(), out); });
}

napi_value close_opener(Call& call) { return file_close<OpenerHandle>(call, kOpener); }

}  // namespace annex::node
