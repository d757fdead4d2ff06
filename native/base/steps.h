// Long work goes in steps. Natively they are done off the thread of the event loop, by all threads of the pool: a step
// takes some tens of milliseconds of one. On WebAssembly the event loop waits for each.
#pragma once
#include <cstddef>

namespace annex {

#if defined(__wasm__)
inline constexpr size_t kStepParts = 32;
#else
inline constexpr size_t kStepParts = 1;
#endif

}  // namespace annex
