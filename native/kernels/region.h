// Opens a region of source that is compiled for a richer instruction set than the rest of the program, so that no file
// needs flags of its own. Include intrinsics headers before the region; define everything inside it in the instruction
// set's own namespace.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define ANNEX_PRAGMA(tokens) _Pragma(#tokens)

#if defined(__clang__)
#define ANNEX_REGION_BEGIN(features) \
  ANNEX_PRAGMA(clang attribute push(__attribute__((target(features))), apply_to = function))
#define ANNEX_REGION_END ANNEX_PRAGMA(clang attribute pop)
#define ANNEX_UNROLL _Pragma("unroll")
#define ANNEX_ROLL _Pragma("nounroll")
#elif defined(__GNUC__)
#define ANNEX_REGION_BEGIN(features) ANNEX_PRAGMA(GCC push_options) ANNEX_PRAGMA(GCC target features)
#define ANNEX_REGION_END ANNEX_PRAGMA(GCC pop_options)
#define ANNEX_UNROLL _Pragma("GCC unroll 32")
#define ANNEX_ROLL _Pragma("GCC unroll 1")
#else
#define ANNEX_REGION_BEGIN(features)
#define ANNEX_REGION_END
#define ANNEX_UNROLL
#define ANNEX_ROLL
#endif

#if defined(__GNUC__) || defined(__clang__)
#define ANNEX_INLINE inline __attribute__((always_inline))
#define ANNEX_INLINE_LAMBDA __attribute__((always_inline))
#define ANNEX_NOINLINE __attribute__((noinline))
#else
#define ANNEX_INLINE __forceinline
#define ANNEX_INLINE_LAMBDA
#define ANNEX_NOINLINE __declspec(noinline)
#endif

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ANNEX_SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(undefined_behavior_sanitizer)
#define ANNEX_SANITIZED
#endif
#endif
#if defined(ANNEX_SANITIZED)
#undef ANNEX_UNROLL
#define ANNEX_UNROLL ANNEX_ROLL
#endif
