#include "base/status.h"

#include <cstdarg>
#include <cstdio>

namespace annex {
namespace {
thread_local char message[512] = "";
}

Status fail(Status status, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  return status;
}

Status out_of_memory(size_t bytes) {
  return fail(
      Status::out_of_memory,
      "out of memory: %.0f bytes could not be had; close indexes that are no longer needed, or choose a narrower "
      "storage (f16, sq8)",
      static_cast<double>(bytes));
}

const char* last_error() { return message; }

bool cancelled(const int32_t* flag) {
#if defined(_MSC_VER)
  return flag != nullptr && *static_cast<const volatile int32_t*>(flag) != 0;
#else
  return flag != nullptr && __atomic_load_n(flag, __ATOMIC_RELAXED) != 0;
#endif
}

Status aborted() { return fail(Status::aborted, "aborted by the caller's signal"); }

}  // namespace annex
