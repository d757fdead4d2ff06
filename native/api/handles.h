// What the parts of the C ABI share: the handle of an index, and the guard against C++ exceptions.
#pragma once
#include <atomic>
#include <new>

#include "api/annex.h"
#include "base/status.h"
#include "index/index.h"
#if !defined(__wasm__)
#include <exception>
#endif

struct AnnexIndex {
  annex::Index* index;
  std::atomic<uint32_t> references{1};
  double token = 0;
  AnnexIndex* next_shared = nullptr;  // the list of shared handles
};

namespace annex {

inline constexpr const char* kVersion = "0.1.0";

inline AnnexStatus code(Status status) { return static_cast<AnnexStatus>(status); }

// The core does not throw, but the standard library may where it allocates.
template <class F>
AnnexStatus guarded(F&& body) {
#if defined(__wasm__)
  return code(body());
#else
  try {
    return code(body());
  } catch (const std::bad_alloc&) {
    return code(fail(Status::out_of_memory, "out of memory"));
  } catch (const std::exception& error) {
    return code(fail(Status::internal, "unexpected: %s", error.what()));
  } catch (...) {
    return code(fail(Status::internal, "unexpected exception"));
  }
#endif
}

inline Status null_argument() { return fail(Status::invalid_argument, "a pointer that must not be null is null"); }

}  // namespace annex
