#include "node/pin.h"

#if defined(_WIN32)
#include <windows.h>
#else
#include <dlfcn.h>
#endif

namespace annex::node {

void pin_library() {
#if defined(_WIN32)
  HMODULE self;
  GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_PIN | GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS,
                     reinterpret_cast<LPCWSTR>(&pin_library), &self);
#else
  // The handle is never closed, so the count of references stays above zero.
  static void* const pinned = [] {
    Dl_info self;
    return dladdr(reinterpret_cast<void*>(&pin_library), &self) != 0 ? dlopen(self.dli_fname, RTLD_NOW | RTLD_LOCAL)
                                                                     : nullptr;
  }();
  (void)pinned;
#endif
}

}  // namespace annex::node
