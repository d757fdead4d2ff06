// Four-bit codes of rows that a graph is walked by; the rows themselves decide in the end. A row x (over its norm under
// cosine) is coded as y = R (x - c) ≈ step · (code - 7.5), with the mean c, a random rotation R that makes all
// dimensions alike, and one step for all rows, so that nothing but the codes need be read: 128 dimensions to a cache
// line. Distances to codes are l2 (also for cosine, where rows have unit length) or the negative inner product.
//
// Where rows spread far more along some axes than along others, R leads to these (PrincipalAxes): along the first ones
// a row is coded by seven bits, step · (code - 63.5), along the next ones by four, and not at all along the last.
#pragma once
#include <cstddef>
#include <cstdint>

#include "base/buffer.h"
#include "base/round.h"
#include "base/sections.h"
#include "kernels/kernels.h"
#include "quant/fast_rotation.h"
#include "quant/principal_axes.h"
#include "quant/sidecar.h"

namespace annex {

class NibbleCoder {
 public:
  NibbleCoder(Metric metric, size_t dim) : metric_(metric), dim_(dim) {}
  static bool serves(Metric metric) { return metric == Metric::l2 || metric == Metric::ip || metric == Metric::cosine; }

  /// Finds the rotation.
  Status init(uint64_t seed);
  /// Finds centre, axes and step from a sample, in three passes over it: begin, then add_mean for each row, then
  /// end_mean; where axes_rows() is not 0 add_to_axes for so many rows, and find_axes while finding_axes(); then
  /// add_spread for each row, and end_spread.
  [[nodiscard]] bool begin(size_t sample);
  void add_mean(const float* x, float norm);
  void end_mean();
  size_t axes_rows() const { return AxesTrainer::serves(dim_, sample_) ? AxesTrainer::rows_of(sample_) : 0; }
  Status begin_axes(uint64_t seed);
  void add_to_axes(const float* x, float norm, float* work);
  bool finding_axes() const { return !trainer_.finished(); }
  Status find_axes(const int32_t* cancel);
  [[nodiscard]] bool add_spread(const float* x, float norm, float* work);
  void end_spread();

  /// What a file keeps beside the seed. Of a coder that has learnt.
  void save(Sections* out) const;
  Status load(const SectionReader& sections, uint64_t seed);

  size_t lines() const { return (FastRotation::padded(dim_) + 2 * kNibbleLine - 1) / (2 * kNibbleLine); }
  size_t code_bytes() const { return lines() * kNibbleLine; }
  size_t query_bytes() const { return 2 * code_bytes(); }
  size_t bytes() const {
    return center_.bytes() + rotated_center_.bytes() + rotation_.bytes() + axes_.bytes() + masks_.bytes();
  }
  const PrincipalAxes& axes() const { return axes_; }

  /// Floats that `work` has room for.
  size_t work_floats() const { return work_floats(dim_); }
  static size_t work_floats(size_t dim) { return 2 * round_up(dim, 2 * kNibbleLine); }
  void encode(const float* x, float norm, float* work, uint8_t* code) const;
  /// A query of the caller's; `codes` has room for query_bytes().
  NibbleRowsQuery query(const float* q, float norm, float* work, int8_t* codes) const;
  /// Distances are about so many times what a query's scores are, and an offset.
  float unit() const { return metric_ == Metric::ip ? 1 : metric_ == Metric::l2 ? step_ * step_ : step_ * step_ / 2; }
  /// A coded row as the query.
  NibbleRowsQuery query_of(const uint8_t* code, float* work, int8_t* codes) const;

 private:
  double scale_of(float norm) const;
  /// Codes of a row, whether they are coded or not.
  size_t width() const { return axes_.empty() ? FastRotation::padded(dim_) : query_bytes(); }
  /// The greatest code, 15 or 127; 0 where nothing is coded.
  int top(size_t d) const { return masks_[d]; }
  float middle(size_t d) const { return static_cast<float>(masks_[d]) / 2; }
  [[nodiscard]] bool set_masks();
  Status load_axes(const SectionReader& sections);
  void center(const float* x, float norm, float* y) const;
  void rotate(const float* x, float* work) const;
  void straighten(const float* y, float* levels) const;
  NibbleRowsQuery product_query(const float* z, int8_t* codes) const;
  QuantizedFloats quantize(const float* x, const float* y, int8_t* codes) const;
  void unpack(const uint8_t* code, int8_t* codes) const;

  Metric metric_;
  size_t dim_;
  FastRotation rotation_;
  Buffer<float> center_;
  Buffer<float> rotated_center_;
  PrincipalAxes axes_;
  Buffer<uint8_t> masks_;  // of lines (kernels.h)
  AxesTrainer trainer_;
  Buffer<double> sums_;  // of the sample
  Buffer<float> lengths_, byte_lengths_;
  size_t seen_ = 0, sample_ = 0;
  float step_ = 1;
};

}  // namespace annex
