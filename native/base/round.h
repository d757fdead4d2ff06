// Rounding of counts and sizes.
#pragma once
#include <cstddef>

namespace annex {

/// The least multiple of `unit` that is not below n.
constexpr size_t round_up(size_t n, size_t unit) { return (n + unit - 1) / unit * unit; }

}  // namespace annex
