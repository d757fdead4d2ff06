// What the proofs of the narrow copies have in common (quant/sidecar.cpp, quant/residual_sidecar.cpp).
#pragma once
#include <limits>

namespace annex {

inline constexpr double kWiden = 1.0 + 0x1p-20;
inline constexpr double kHuge = 1e30;  // beyond this a term could overflow where it meets another
inline constexpr double kTiny =
    1e-15;  // below this a product of two norms may underflow, and the canonical one with it
inline constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// x ≥ 0 as a float that is not below it.
inline float up(double x) { return static_cast<float>(x * kWiden); }

}  // namespace annex
