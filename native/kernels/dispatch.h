// Chooses the kernel table once, at first use: the best the processor runs, or the one ANNEX_ISA names.
#pragma once
#include "kernels/kernels.h"

namespace annex {

/// The active table. ANNEX_ISA=<name> forces one; a name that is unknown or that the processor cannot run is
/// ignored, and kernels_note() says so.
const Kernels& kernels();

/// Why ANNEX_ISA was not followed, or "" when it was (or was not set).
const char* kernels_note();

/// Every table this build holds and this processor runs, scalar first, best last. Returns how many.
size_t available_kernels(const Kernels* const** tables);

}  // namespace annex
