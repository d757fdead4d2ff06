// The core's one thread pool. Its size is the number of processors the process may use, or ANNEX_THREADS.
#pragma once
#include <cstddef>
#include <type_traits>

namespace annex {

/// Threads of the pool; 1 on WebAssembly.
size_t pool_threads();

/// Runs fn(context) on the pool. False when no thread can be started (or on WebAssembly).
bool pool_submit(void (*fn)(void*), void* context);

/// Calls fn(context, task) for each task in [0, tasks), on the calling thread and up to threads - 1 of the pool
/// (threads 0: all of it), and returns when all are done. Tasks start in ascending order.
void parallel_tasks(size_t tasks, size_t threads, void (*fn)(void*, size_t), void* context);

/// The same for a callable.
template <class F>
void parallel_for(size_t tasks, size_t threads, F&& body) {
  parallel_tasks(
      tasks, threads, [](void* context, size_t task) { (*static_cast<std::remove_reference_t<F>*>(context))(task); },
      const_cast<void*>(static_cast<const void*>(&body)));
}

}  // namespace annex
