#include "base/parallel.h"

#if defined(__wasm__)

namespace annex {

size_t pool_threads() { return 1; }
bool pool_submit(void (*)(void*), void*) { return false; }
void parallel_tasks(size_t tasks, size_t, void (*fn)(void*, size_t), void* context) {
  for (size_t task = 0; task < tasks; ++task) fn(context, task);
}

}  // namespace annex

#else

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>

namespace annex {
namespace {

struct Job {
  void (*fn)(void*);
  void* context;
};

class Pool {
 public:
  Pool() {
    size_t wanted = std::thread::hardware_concurrency();
    if (const char* forced = std::getenv("ANNEX_THREADS")) {
      const long value = std::strtol(forced, nullptr, 10);
      if (value >= 1 && value <= 1024) wanted = static_cast<size_t>(value);
    }
    size_ = wanted == 0 ? 1 : wanted;
  }

  size_t size() const { return size_; }

  bool submit(Job job) {
    {
      std::lock_guard<std::mutex> guard(mutex_);
      // Threads start when first needed: a process that only searches synchronously on one thread has none.
      if (idle_ <= jobs_.size() && started_ < size_ && !start() && started_ == 0) return false;
      jobs_.push_back(job);
    }
    ready_.notify_one();
    return true;
  }

 private:
  bool start() {
    try {
      std::thread([this] { work(); }).detach();
    } catch (const std::system_error&) {
      return false;  // the machine gives no more threads: those that run serve
    }
    ++started_;
    return true;
  }

  [[noreturn]] void work() {
    std::unique_lock<std::mutex> guard(mutex_);
    for (;;) {
      ++idle_;
      ready_.wait(guard, [this] { return !jobs_.empty(); });
      --idle_;
      const Job job = jobs_.front();
      jobs_.pop_front();
      guard.unlock();
      job.fn(job.context);
      guard.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<Job> jobs_;
  size_t size_ = 1;
  size_t started_ = 0;
  size_t idle_ = 0;
};

// Never destroyed: its detached threads may outlive every static of the process.
Pool& pool() {
  static Pool* instance = new Pool;
  return *instance;
}

// One parallel_tasks call. Helpers that the pool starts late find no task left and only drop their reference.
struct Batch {
  void (*fn)(void*, size_t);
  void* context;
  size_t tasks;
  std::atomic<size_t> next{0};
  std::mutex mutex;
  std::condition_variable finished;
  size_t done = 0;

  void run() {
    size_t mine = 0;
    for (size_t task = next.fetch_add(1); task < tasks; task = next.fetch_add(1)) {
      fn(context, task);
      ++mine;
    }
    if (mine == 0) return;
    std::lock_guard<std::mutex> guard(mutex);
    done += mine;
    if (done == tasks) finished.notify_all();
  }
};

void run_helper(void* context) {
  const std::unique_ptr<std::shared_ptr<Batch> > batch(static_cast<std::shared_ptr<Batch>*>(context));
  (*batch)->run();
}

}  // namespace

size_t pool_threads() { return pool().size(); }

bool pool_submit(void (*fn)(void*), void* context) { return pool().submit({fn, context}); }

void parallel_tasks(size_t tasks, size_t threads, void (*fn)(void*, size_t), void* context) {
  if (threads == 0 || threads > pool_threads()) threads = pool_threads();
  if (threads > tasks) threads = tasks;
  if (threads <= 1) {
    for (size_t task = 0; task < tasks; ++task) fn(context, task);
    return;
  }
  const auto batch = std::make_shared<Batch>();
  batch->fn = fn;
  batch->context = context;
  batch->tasks = tasks;
  for (size_t helper = 1; helper < threads; ++helper) {
    auto reference = std::make_unique<std::shared_ptr<Batch> >(batch);
    if (pool_submit(run_helper, reference.get())) reference.release();
  }
  batch->run();
  std::unique_lock<std::mutex> guard(batch->mutex);
  batch->finished.wait(guard, [&] { return batch->done == tasks; });
}

}  // namespace annex

#endif
