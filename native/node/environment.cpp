#include "node/environment.h"

#include <new>
#include <utility>

#include "node/pin.h"
#include "node/task.h"

namespace annex::node {

Environment* Environment::open(napi_env env) {
  pin_library();
  auto* owner = new (std::nothrow) std::shared_ptr<Environment>(new (std::nothrow) Environment(env));
  if (owner == nullptr || *owner == nullptr) {
    delete owner;
    napi_throw_error(env, "OUT_OF_MEMORY", "annex: no memory to load the addon");
    return nullptr;
  }
  Environment* const self = owner->get();
  const auto destroy = [](napi_env, void* data, void*) { delete static_cast<std::shared_ptr<Environment>*>(data); };
  if (napi_set_instance_data(env, owner, destroy, nullptr) != napi_ok) {
    delete owner;
    napi_throw_error(env, "INTERNAL", "annex: the runtime keeps no data for addons");
    return nullptr;
  }
  napi_value name;
  const auto wake = [](napi_env live, napi_value, void* context, void*) {
    if (live != nullptr) static_cast<Environment*>(context)->drain();
  };
  const auto teardown = [](void* context) { static_cast<Environment*>(context)->close(); };
  // Cleanup hooks run last in, first out: ours stops the tasks before the runtime closes the thread-safe function.
  if (napi_create_string_utf8(env, "annex", NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr, self, wake, &self->wake_) !=
          napi_ok ||
      napi_unref_threadsafe_function(env, self->wake_) != napi_ok ||
      napi_add_env_cleanup_hook(env, teardown, self) != napi_ok) {
    napi_throw_error(env, "INTERNAL", "annex: the runtime lacks thread-safe functions (Node-API 8 is needed)");
    return nullptr;
  }
  return self;
}

bool Environment::set_error_factory(napi_value factory) {
  if (error_factory_ != nullptr) {
    napi_delete_reference(env_, error_factory_);
    error_factory_ = nullptr;
  }
  return napi_create_reference(env_, factory, 1, &error_factory_) == napi_ok;
}

napi_value Environment::error(AnnexStatus status, const char* message) {
  napi_value text = nullptr;
  napi_value error = nullptr;
  if (napi_create_string_utf8(env_, message, NAPI_AUTO_LENGTH, &text) != napi_ok) return nullptr;
  if (error_factory_ == nullptr) {
    napi_create_error(env_, nullptr, text, &error);
    return error;
  }
  napi_value factory, self, arguments[2] = {nullptr, text};
  if (napi_get_reference_value(env_, error_factory_, &factory) != napi_ok ||
      napi_get_undefined(env_, &self) != napi_ok || napi_create_int32(env_, status, &arguments[0]) != napi_ok ||
      napi_call_function(env_, self, factory, 2, arguments, &error) != napi_ok) {
    return nullptr;
  }
  return error;
}

Failed Environment::fail(AnnexStatus status, const char* message) {
  if (const napi_value value = error(status, message)) napi_throw(env_, value);
  return Failed{};
}

napi_value Environment::start(std::unique_ptr<Task> task) {
  napi_value promise;
  if (napi_create_promise(env_, &task->promise_, &promise) != napi_ok) {
    task->end(env_);
    return fail(ANNEX_INTERNAL, "annex: the runtime could not make a promise");
  }
  Task* const started = task.release();
  if (pending_ == nullptr) napi_ref_threadsafe_function(env_, wake_);  // the process lives while a task is pending
  started->pending_previous_ = pending_last_;
  (pending_last_ != nullptr ? pending_last_->pending_next_ : pending_) = started;
  pending_last_ = started;
  last_start_ = started->started_ = Clock::now();
  // A task that was taken may have ended by now, on another thread: its status is its own.
  if (const AnnexStatus status = annex_submit(Task::execute, started); status != ANNEX_OK) {
    started->status_ = status;
    started->keep_message();
    settle(started);
  }
  return promise;
}

void Environment::cancel(double key) {
  Task* task = key == 0 ? nullptr : pending_;
  while (task != nullptr && task->cancel_key_ != key) task = task->pending_next_;
  if (task != nullptr) cancel(task);
}

void Environment::cancel(Task* task) {
  task->cancel_.store(1);
  const napi_deferred promise = task->promise_;
  {
    // The lock keeps the pool from deleting the task before we are through with it.
    std::lock_guard<std::mutex> guard(mutex_);
    Task::State expected = Task::State::waiting;
    if (!task->state_.compare_exchange_strong(expected, Task::State::withdrawn)) return;
    unlink(task);
    task->end(env_);
    task->withdraw();
  }
  // It waited for a thread, perhaps behind long work: settled at once.
  if (const napi_value reason = error(ANNEX_ABORTED, "aborted by the caller's signal")) {
    napi_reject_deferred(env_, promise, reason);
  }
}

void Environment::finished(Task* task) {
  bool closed;
  {
    std::lock_guard<std::mutex> guard(mutex_);
    closed = closed_;
    if (!closed) {
      Task* head = done_.load();
      do task->next_ = head;
      while (!done_.compare_exchange_weak(head, task));
      // One wake-up serves all that finish until the thread looks.
      if (head == nullptr && !polling_.load()) napi_call_threadsafe_function(wake_, nullptr, napi_tsfn_nonblocking);
    }
  }
  if (closed) delete task;  // outside the lock: the task may hold the last reference to this
}

bool Environment::poll() {
  polling_.store(true);
  drain();
  if (pending_ != nullptr && brief_ && Clock::now() - last_start_ < kPollFor) return true;
  polling_.store(false);
  drain();  // what finished before the store was seen
  return false;
}

void Environment::drain() {
  Task* newest = done_.exchange(nullptr);
  Task* oldest = nullptr;
  while (newest != nullptr) {
    Task* const next = newest->next_;
    newest->next_ = oldest;
    oldest = std::exchange(newest, next);
  }
  while (oldest != nullptr) {
    Task* const next = oldest->next_;
    napi_handle_scope scope;
    const bool scoped = napi_open_handle_scope(env_, &scope) == napi_ok;
    settle(oldest);
    if (scoped) napi_close_handle_scope(env_, scope);
    oldest = next;
  }
}

void Environment::settle(Task* task) {
  napi_value value = nullptr;
  napi_get_undefined(env_, &value);
  AnnexStatus status = task->status_;
  const char* message = task->message_ != nullptr ? task->message_ : "out of memory";
  if (status == ANNEX_OK && task->hand_over(env_, &value, &status, &message) == Task::Settled::more) {
    // A detour over the pool gives the event loop a turn.
    if (annex_submit(Task::announce, task) == ANNEX_OK) return;
    status = ANNEX_OUT_OF_MEMORY;
    message = annex_last_error();
  }
  unlink(task);
  task->end(env_);
  brief_ = Clock::now() - task->started_ < kPollFor;
  if (status == ANNEX_OK) {
    napi_resolve_deferred(env_, task->promise_, value);
  } else if (const napi_value reason = error(status, message)) {
    napi_reject_deferred(env_, task->promise_, reason);
  }
  task->recycle();
  delete task;
}

void Environment::unlink(Task* task) {
  (task->pending_previous_ != nullptr ? task->pending_previous_->pending_next_ : pending_) = task->pending_next_;
  (task->pending_next_ != nullptr ? task->pending_next_->pending_previous_ : pending_last_) = task->pending_previous_;
  if (pending_ == nullptr) napi_unref_threadsafe_function(env_, wake_);
}

void Environment::close() {
  Task* finished;
  {
    // Under the lock no task can be deleted by the pool: finished() comes first.
    std::lock_guard<std::mutex> guard(mutex_);
    for (Task* task = pending_; task != nullptr; task = task->pending_next_) {
      task->cancel_.store(1);
      task->end(env_);
    }
    pending_ = pending_last_ = nullptr;
    finished = done_.exchange(nullptr);
    closed_ = true;
  }
  while (finished != nullptr) {
    Task* const next = finished->next_;
    delete finished;
    finished = next;
  }
  if (error_factory_ != nullptr) napi_delete_reference(env_, error_factory_);
  napi_release_threadsafe_function(wake_, napi_tsfn_abort);
}

}  // namespace annex::node
