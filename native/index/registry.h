// The one place that knows which structures there are.
#pragma once
#include "index/index.h"

namespace annex {

/// Builds the structure that Key::kind names; every option must be one that it takes.
Status create_index(const Option* options, size_t count, Index** out);

}  // namespace annex
