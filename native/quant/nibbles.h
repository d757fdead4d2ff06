// Four-bit codes of rows that a graph is walked by; the rows themselves decide in the end. A row x (over its norm under
// cosine) is coded as y = R (x - c) ≈ step · (code - 7.5), with the mean c, a random rotation R that makes all
// dimensions alike, and one step for all rows, so that nothing but the codes need be read: 128 dimensions to a cache
// line. Distances to codes are l2 (also for cosine, where rows have unit length) or the negative inner product.
#pragma once
#include <cstddef>
#include <cstdint>

#include "base/buffer.h"
#include "base/sections.h"
#include "kernels/kernels.h"
#include "quant/fast_rotation.h"
#include "quant/sidecar.h"

namespace annex {

class NibbleCoder {
 public:
  NibbleCoder(Metric metric, size_t dim) : metric_(metric), dim_(dim) {}
  static bool serves(Metric metric) { return metric == Metric::l2 || metric == Metric::ip || metric == Metric::cosine; }

  /// Finds the rotation.
  Status init(uint64_t seed);
  /// Finds centre and step from a sample, in two passes over it: begin, then add_mean for each row, then end_mean, then
  /// add_spread for each, then end_spread.
  [[nodiscard]] bool begin(size_t sample);
  void add_mean(const float* x, float norm);
  void end_mean();
  [[nodiscard]] bool add_spread(const float* x, float norm);
  void end_spread();

  /// What a file keeps beside the seed. Of a coder that has learnt.
  void save(Sections* out) const;
  Status load(const SectionReader& sections, uint64_t seed);

  size_t lines() const { return (rotated_dim() + 2 * kNibbleLine - 1) / (2 * kNibbleLine); }
  size_t code_bytes() const { return lines() * kNibbleLine; }
  size_t query_bytes() const { return 2 * code_bytes(); }
  size_t bytes() const { return center_.bytes() + rotated_center_.bytes() + rotation_.bytes(); }

  /// Dimensions behind the rotation.
  size_t rotated_dim() const { return FastRotation::padded(dim_); }
  // `work` has room for 2 × rotated_dim() floats.
  void encode(const float* x, float norm, float* work, uint8_t* code) const;
  /// A query of the caller's; `codes` has room for query_bytes().
  NibbleRowsQuery query(const float* q, float norm, float* work, int8_t* codes) const;
  /// Distances are about so many times what a query's scores are, and an offset.
  float unit() const { return metric_ == Metric::ip ? 1 : metric_ == Metric::l2 ? step_ * step_ : step_ * step_ / 2; }
  /// A coded row as the query.
  NibbleRowsQuery query_of(const uint8_t* code, float* work, int8_t* codes) const;

 private:
  double scale_of(float norm) const;
  void center_and_rotate(const float* x, float norm, float* y) const;
  void straighten(const float* y, float* levels) const;
  NibbleRowsQuery product_query(const float* z, int8_t* codes) const;
  QuantizedFloats quantize(const float* x, const float* y, int8_t* codes) const;
  void unpack(const uint8_t* code, int8_t* codes) const;

  Metric metric_;
  size_t dim_;
  FastRotation rotation_;
  Buffer<float> center_;
  Buffer<float> rotated_center_;
  Buffer<double> sums_;  // of the sample
  Buffer<float> lengths_;
  size_t seen_ = 0;
  float step_ = 1;
};

}  // namespace annex
