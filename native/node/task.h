// One asynchronous call: runs on the core's pool and settles its promise on the JavaScript thread.
#pragma once
#include <node_api.h>

#include <atomic>
#include <chrono>
#include <memory>

#include "node/environment.h"

namespace annex::node {

class Task {
 public:
  /// `cancel_key` is what Environment::cancel() will name; 0 when the call cannot be cancelled.
  explicit Task(Environment& environment, double cancel_key = 0)
      : environment_(environment.shared_from_this()), cancel_key_(cancel_key) {}
  virtual ~Task();
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;

 protected:
  enum class Settled { yes, more };

  /// The work, on a thread of the pool. Touches nothing of JavaScript.
  virtual AnnexStatus run() = 0;

  /// On the JavaScript thread after run() succeeded: hands results over. `more` asks for another call in a later turn
  /// of the event loop; a failing *status, with its message, rejects the promise. *value is undefined unless set.
  virtual Settled hand_over(napi_env, napi_value* value, AnnexStatus* status, const char** message) {
    (void)value, (void)status, (void)message;
    return Settled::yes;
  }

  /// On the JavaScript thread, last of all and whatever the outcome; also when the environment is torn down.
  virtual void end(napi_env) {}

  /// On the JavaScript thread when the work is done and settled: leaves memory to the tasks to come.
  virtual void recycle() {}

  /// Instead of run(), when the task was cancelled before a thread had begun it: lets go of what others wait for.
  virtual void withdraw() {}

  Environment& environment() const { return *environment_; }
  const int32_t* cancel_flag() const { return reinterpret_cast<const int32_t*>(&cancel_); }

 private:
  friend class Environment;
  enum class State : int { waiting, running, withdrawn };

  static void execute(void* self);
  static void announce(void* self);
  void keep_message();

  const std::shared_ptr<Environment> environment_;
  const double cancel_key_;
  std::atomic<int32_t> cancel_{0};
  static_assert(sizeof(std::atomic<int32_t>) == sizeof(int32_t) && std::atomic<int32_t>::is_always_lock_free);
  std::atomic<State> state_{State::waiting};
  AnnexStatus status_ = ANNEX_OK;
  char* message_ = nullptr;  // of a failure; null when there was no memory even for that
  napi_deferred promise_ = nullptr;
  std::chrono::steady_clock::time_point started_;
  Task* next_ = nullptr;  // in the environment's list of finished tasks
  Task* pending_next_ = nullptr;
  Task* pending_previous_ = nullptr;
};

}  // namespace annex::node
