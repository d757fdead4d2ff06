#include "node/handles.h"

#include <algorithm>

namespace annex::node {
namespace {

// Freeing this much takes milliseconds (pages go back to the system): it is left to the pool.
constexpr double kLargeBytes = 16 << 20;

AnnexInput input_of(AnnexStorage storage) {
  switch (storage) {
    case ANNEX_STORE_I8: return ANNEX_I8;
    case ANNEX_STORE_U8: return ANNEX_U8;
    case ANNEX_STORE_BITS: return ANNEX_BITS;
    default: return ANNEX_F32;
  }
}

void release(void* core) { annex_release(static_cast<AnnexIndex*>(core)); }

void collect(napi_env env, IndexHandle& handle) {
  if (handle.index != nullptr) handle.index->close(env);
}

template <class Handle>
void collect(napi_env, Handle&) {}

template <class Handle>
napi_value wrap_handle(Environment& environment, std::unique_ptr<Handle> handle) {
  const napi_env env = environment.env();
  const auto finalize = [](napi_env live, void* data, void*) {
    const std::unique_ptr<Handle> owned(static_cast<Handle*>(data));
    collect(live, *owned);
  };
  napi_value object;
  if (napi_create_object(env, &object) != napi_ok || napi_type_tag_object(env, object, &Handle::tag) != napi_ok ||
      napi_wrap(env, object, handle.get(), finalize, nullptr, nullptr) != napi_ok) {
    return environment.fail(ANNEX_INTERNAL, "addon: the runtime could not make a handle");
  }
  handle.release();
  return object;
}

}  // namespace

void Index::hold(AnnexIndex* core) {
  core_ = core;
  double options[64];
  const size_t pairs = std::min<size_t>(annex_options(core, options, 32), 32);
  for (size_t i = 0; i < pairs; ++i) {
    const int key = static_cast<int>(options[2 * i]);
    const int value = static_cast<int>(options[2 * i + 1]);
    if (key == ANNEX_KEY_DIM) dim_ = static_cast<size_t>(value);
    if (key == ANNEX_KEY_STORAGE) input_ = input_of(static_cast<AnnexStorage>(value));
  }
}

Index::~Index() {
  if (core_ == nullptr) return;
  AnnexStats stats{};
  if (annex_loaded(core_) != 0) annex_stats(core_, &stats);
  if (stats.bytes_total < kLargeBytes || annex_submit(release, core_) != ANNEX_OK) annex_release(core_);
}

void Index::account(napi_env env) {
  if (!open_ || annex_loaded(core_) == 0) return;
  AnnexStats stats;
  annex_stats(core_, &stats);
  const int64_t change = static_cast<int64_t>(stats.bytes_total) - accounted_;
  accounted_ += change;
  int64_t total;
  if (change != 0) napi_adjust_external_memory(env, change, &total);
}

void Index::close(napi_env env) {
  int64_t total;
  if (accounted_ != 0) napi_adjust_external_memory(env, -accounted_, &total);
  accounted_ = 0;
  open_ = false;
}

napi_value wrap(Environment& environment, std::unique_ptr<IndexHandle> handle) {
  return wrap_handle(environment, std::move(handle));
}

napi_value wrap(Environment& environment, std::unique_ptr<WriterHandle> handle) {
  return wrap_handle(environment, std::move(handle));
}

napi_value wrap(Environment& environment, std::unique_ptr<SaverHandle> handle) {
  return wrap_handle(environment, std::move(handle));
}

napi_value wrap(Environment& environment, std::unique_ptr<OpenerHandle> handle) {
  return wrap_handle(environment, std::move(handle));
}

AnnexStatus Saving::step(const int32_t* cancel, AnnexProgress* progress) {
  if (const std::string path = std::exchange(path_, {}); !path.empty()) {
    if (const AnnexStatus status = annex_saver_target(core_, path.c_str()); status != ANNEX_OK) return status;
  }
  return annex_saver_step(core_, cancel, progress);
}

AnnexStatus Opening::step(const int32_t* cancel, AnnexProgress* progress) {
  if (const std::string path = std::exchange(path_, {}); !path.empty()) {
    if (const AnnexStatus status = annex_opener_path(core_, path.c_str()); status != ANNEX_OK) return status;
  }
  return annex_opener_step(core_, cancel, progress);
}

}  // namespace annex::node
