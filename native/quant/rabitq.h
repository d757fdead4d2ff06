// RaBitQ: a row, relative to a centre and rotated at random, is coded with 1 … 8 bits per dimension, and a distance is
// estimated without bias and with a known error.
//   Gao & Long, "RaBitQ: Quantizing High-Dimensional Vectors with a Theoretical Error Bound", SIGMOD 2024;
//   Gao et al., "Practical and Asymptotically Optimal Quantization of High-Dimensional Vectors …", SIGMOD 2025.
//
// With R the rotation, o the origin (0 under ip and cosine), c the centre, r = R(x - c) and q' = R(q - o), a code
// stands for the direction of x̄ = u - (2^bits - 1)/2, where the u_d are whole numbers of `bits` bits, and
//   ⟨R(q - c), r⟩ ≈ ⟨x̄, R(q - c)⟩ |r|² / ⟨x̄, r⟩.
// So with S(q) = ⟨x̄, q'⟩, which does not depend on the centre,
//   l2:  |q - x|² ≈ |q - c|² + add + rescale · S(q),    rescale = -2 |r|² / ⟨x̄, r⟩,  add = |r|² - rescale · S(c)
//   ip:  -⟨q, x⟩  ≈ -⟨q, c⟩ + rescale · S(q),           rescale = -|r|² / ⟨x̄, r⟩
// The highest bits of the u_d, which are the signs of r, are a code of their own (with x̄ = u - 1/2), scanned four to a
// lookup (kernels/codes.h); the lower ones refine what passes. Each has its own factors.
//
// A record: the signs, bit d % 8 of byte d / 8; factors as CodeFactors has them; then, where bits > 1, the lower bits
// as bit planes (plane_bytes()) and float [add (l2)], rescale, error.
#pragma once
#include <cstddef>
#include <cstdint>

#include "base/buffer.h"
#include "base/status.h"
#include "kernels/codes.h"
#include "quant/fast_rotation.h"
#include "quant/sidecar.h"

namespace annex {

/// A bound lies this many standard deviations of the estimate's error below the estimate: the distance is above it for
/// 97 % of all rows.
inline constexpr float kRabitqDeviations = 1.9f;

class Rabitq {
 public:
  /// metric: l2, ip or cosine. bits: 1 … 8.
  Status create(Metric metric, size_t dim, size_t bits, uint64_t seed);
  /// l2: a point near all rows and queries, so that what is coded of a query is small. Before anything is rotated.
  void set_origin(Buffer<float>&& origin) { origin_ = static_cast<Buffer<float>&&>(origin); }
  const Buffer<float>& origin() const { return origin_; }  // dim floats, or none

  size_t dim() const { return rotation_.dim(); }
  size_t padded_dim() const { return rotation_.padded_dim(); }
  size_t bits() const { return bits_; }
  size_t planes() const { return bits_ - 1; }
  bool l2() const { return metric_ == Metric::l2; }
  size_t subquantizers() const { return padded_dim() / 4; }
  CodeFactors factors() const { return l2() ? CodeFactors::add_rescale_error : CodeFactors::rescale_error; }
  size_t sign_bytes() const { return padded_dim() / 8; }
  size_t refine_factor_bytes() const { return bits_ == 1 ? 0 : l2() ? 12 : 8; }
  /// The part of a record behind the factors.
  size_t refine_bytes() const { return plane_bytes(padded_dim(), planes()) + refine_factor_bytes(); }
  size_t record_bytes() const { return sign_bytes() + factor_bytes(factors()) + refine_bytes(); }
  /// A block of 32 rows: signs and factors as kernels/codes.h has them, then each row's refinement.
  size_t scan_bytes() const { return nibble_block_bytes(subquantizers(), factors()); }
  size_t block_bytes() const { return scan_bytes() + kCodeRows * refine_bytes(); }
  size_t bytes() const { return rotation_.bytes() + origin_.bytes(); }

  /// out[0 … padded_dim) ← R (x - o).
  void rotate(const float* x, float* out) const;
  /// Codes a rotated row relative to a rotated centre (null: the origin); scratch: padded_dim floats.
  void encode(const float* row, const float* centre, uint8_t* record, float* scratch) const;
  /// Row i < 32 of a block, to and from its record. Blocks begin zeroed.
  void place(const uint8_t* record, uint8_t* block, size_t i) const;
  void take(const uint8_t* block, size_t i, uint8_t* record) const;
  /// The row that a record stands for; scratch: padded_dim floats.
  void decode(const uint8_t* record, const float* rotated_centre, float* row, float* scratch) const;

  /// The parts of a query_bytes() block.
  struct Query {
    float scale, bias, slack;  // as NibbleQuery has them
    float norm;                // |q'|
    float sum;                 // Σ q'_d
    float step;                // q'_d ≈ step · wide[d]
  };
  size_t query_bytes() const { return wide_at() + (bits_ == 1 ? 0 : 2 * wide_dim()); }
  /// Prepares the rotated query q'.
  void prepare(const float* rotated, uint8_t* query) const;
  static const Query& query_of(const uint8_t* query) { return *reinterpret_cast<const Query*>(query); }
  const uint8_t* lut_of(const uint8_t* query) const { return query + 64; }
  const int16_t* wide_of(const uint8_t* query) const { return reinterpret_cast<const int16_t*>(query + wide_at()); }

  /// A scan's query: threshold and hits are left to the caller. `distance` is |q - c|², -⟨q, c⟩ or 1 - ⟨q, c⟩.
  NibbleQuery scan_query(const uint8_t* query, float distance) const;

  /// Refines a hit of the signs, bits > 1: `signs` is the row's code (sign_bytes()), or null to take the hit's sum for
  /// it, which is as good up to 4 bits; `refine` the part of its record behind the factors.
  void refine(const uint8_t* query, float distance, const uint8_t* signs, const uint8_t* refine, CodeHit* hit) const;
  bool needs_signs() const { return bits_ > 4; }
  /// The estimate for a record by itself.
  float estimate(const uint8_t* query, float distance, const uint8_t* record) const;

 private:
  size_t wide_at() const { return 64 + 16 * subquantizers(); }
  size_t wide_dim() const { return (padded_dim() + 63) / 64 * 64; }
  float reach(float distance, float norm) const;
  void encode_rest(float* r, const uint8_t* signs, const float* centre, double norm, uint8_t* out) const;

  Metric metric_ = Metric::l2;
  size_t bits_ = 1;
  FastRotation rotation_;
  Buffer<float> origin_;
};

}  // namespace annex
