// Asks for cache lines ahead of their use.
#pragma once
#include <cstddef>
#include <cstdint>
#if defined(_MSC_VER) && defined(_M_X64)
#include <intrin.h>
#endif

namespace annex {

#if defined(__wasm__)
inline constexpr bool kPrefetchWorks = false;  // there is no such instruction; a load in its place may wait
#else
inline constexpr bool kPrefetchWorks = true;
#endif

inline void prefetch(const void* address) {
#if defined(__wasm__)
  (void)*static_cast<const volatile uint8_t*>(address);  // a load that nothing waits for, as far as that goes
#elif defined(__GNUC__) || defined(__clang__)
  __builtin_prefetch(address);
  // GCC takes a function that does nothing else for one without effect, and drops its calls; not so with this.
  asm volatile("" : : "r"(address));
#elif defined(_M_X64)
  _mm_prefetch(static_cast<const char*>(address), _MM_HINT_T0);
#else
  __prefetch(address);
#endif
}

inline void prefetch_bytes(const void* address, size_t bytes) {
  for (size_t b = 0; b < bytes; b += 64) prefetch(static_cast<const uint8_t*>(address) + b);
}

}  // namespace annex
