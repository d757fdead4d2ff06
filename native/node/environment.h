// What one JavaScript environment (the main thread, or one worker) keeps: nothing of the addon is static, so any
// number of workers load it side by side.
#pragma once
#include <node_api.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>

#include "api/annex.h"
#include "node/block.h"

namespace annex::node {

class Task;

/// What a failed reader or method returns: false, or no value, with an exception pending.
struct Failed {
  operator bool() const { return false; }
  operator napi_value() const { return nullptr; }
};

class Environment : public std::enable_shared_from_this<Environment> {
 public:
  /// Makes the environment's state and ties it to `env`. Null with a pending exception on failure.
  static Environment* open(napi_env env);

  napi_env env() const { return env_; }

  /// Takes errorOfStatus(status, message) of ts/errors.ts, which makes every error from here on.
  bool set_error_factory(napi_value factory);

  /// The JavaScript error for a failing status; null with a pending exception when it cannot be made.
  napi_value error(AnnexStatus status, const char* message);

  /// Throws that error.
  Failed fail(AnnexStatus status, const char* message);

  /// The same with the core's message for this thread's last failure.
  Failed fail(AnnexStatus status) { return fail(status, annex_last_error()); }

  /// Starts a task and returns its promise. Null with a pending exception on failure; the task is then gone.
  napi_value start(std::unique_ptr<Task> task);

  /// Cancels a task that is pending. One that no thread has begun is settled at once.
  void cancel(Task* task);
  /// Cancels the pending task that was started with this key; does nothing when there is none.
  void cancel(double key);

  /// Settles what is done. True while it is worth calling again in the next turn of the event loop: waking a thread
  /// that sleeps takes longer than a small search, so short work is waited for by looking. While this returns true
  /// nothing else wakes the JavaScript thread, so it must be called again.
  bool poll();

  /// Memory that a task has left for the next one. JavaScript thread only.
  Block& spare() { return spare_; }

  /// Called by a task, on any thread, when the JavaScript thread is to look at it.
  void finished(Task* task);
  /// Called by a withdrawn task, on any thread: returns when the JavaScript thread has let go of it.
  void await_withdrawal() { std::lock_guard<std::mutex> guard(mutex_); }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr Clock::duration kPollFor = std::chrono::microseconds(100);

  explicit Environment(napi_env env) : env_(env) {}
  void drain();
  void settle(Task* task);
  void unlink(Task* task);
  void close();

  const napi_env env_;
  napi_ref error_factory_ = nullptr;
  napi_threadsafe_function wake_ = nullptr;
  Task* pending_ = nullptr;  // every task not yet settled, oldest first, doubly linked; JavaScript thread only
  Task* pending_last_ = nullptr;

  Clock::time_point last_start_;
  Block spare_;
  bool brief_ = true;  // the last task took no longer than kPollFor

  std::mutex mutex_;
  bool closed_ = false;               // guarded: set when the environment is torn down
  std::atomic<Task*> done_{nullptr};  // finished tasks, newest first; pushed under the mutex, taken without
  std::atomic<bool> polling_{false};
};

}  // namespace annex::node
