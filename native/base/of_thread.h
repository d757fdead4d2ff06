// Scratch memory that stays with a thread from one call to the next.
#pragma once

namespace annex {

/// The calling thread's own T; on WebAssembly, which has one thread, the only one.
template <class T>
T& of_thread() {
#if defined(__wasm__)
  static T instance;
#else
  static thread_local T instance;
#endif
  return instance;
}

}  // namespace annex
