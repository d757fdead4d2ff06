// Asks for cache lines ahead of their use.
#pragma once
#include <cstddef>
#include <cstdint>
#if defined(_MSC_VER) && defined(_M_X64)
#include <intrin.h>
#endif

namespace annex {

#if defined(__wasm__)
inline constexpr bool kPrefetchWorks = false;  // there is no such instruction
#else
inline constexpr bool kPrefetchWorks = true;
#endif

inline void prefetch(const void* address) {
#if defined(__wasm__)
  (void)address;  // not a load: what comes after one that waits soon waits too
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
  if constexpr (!kPrefetchWorks) return;
  for (size_t b = 0; b < bytes; b += 64) prefetch(static_cast<const uint8_t*>(address) + b);
}

/// Loads the lines of n things of so many bytes where they cannot be asked for. Side by side all of them take little
/// longer than the one that takes longest: so as many as are known are best loaded at once, and the first line of each
/// before the second of any, which lies in the same page.
inline void load_lines(const void* const* things, size_t n, size_t bytes) {
  if constexpr (kPrefetchWorks) return;
  for (size_t b = 0; b < bytes; b += 64) {
    for (size_t i = 0; i < n; ++i) (void)static_cast<const volatile uint8_t*>(things[i])[b];
  }
}

}  // namespace annex
