// The axes along which rows spread most (Pearson, 1901), for codes that spend their bits where the rows differ: most
// along the first axes, few along the next ones, none along the last (transform coding: Huang, Schultheiss, "Block
// quantization of correlated Gaussian random variables", 1963). Real rows often lie near a subspace of far fewer
// dimensions than they have.
//
// Only additions, subtractions, multiplications, divisions and square roots, each rounded once in a fixed order: the
// same axes everywhere.
#pragma once
#include <cstddef>
#include <cstdint>

#include "base/buffer.h"
#include "base/status.h"
#include "quant/eigen.h"

namespace annex {

/// Axes, and how many of them are coded by seven bits, how many by four. Both are multiples of 16.
class PrincipalAxes {
 public:
  bool empty() const { return panels() == 0; }
  size_t byte_axes() const { return byte_axes_; }
  size_t nibble_axes() const { return nibble_axes_; }
  size_t panels() const { return (byte_axes_ + nibble_axes_) / 16; }
  size_t bytes() const { return axes_.bytes(); }
  const Buffer<float>& axes() const { return axes_; }  // float panels (kernels.h)

  /// Float panels of axes for rows of `dim`. False where lines of so many codes do not hold them.
  [[nodiscard]] bool set(size_t dim, size_t lines, size_t byte_axes, size_t nibble_axes, Buffer<float>&& axes);
  /// Which sixteen of a row's 128 × lines codes are those along the p-th sixteen axes.
  size_t place(size_t p) const;
  /// y[0 … 128 lines) ← x along the axes, in the order of codes; `scratch` has as much room.
  void apply(const float* x, float* y, float* scratch) const;

 private:
  size_t dim_ = 0, lines_ = 0, byte_axes_ = 0, nibble_axes_ = 0;
  Buffer<float> axes_;
};

/// Finds them from a sample, in steps.
class AxesTrainer {
 public:
  /// Whether axes may pay for rows of `dim`, of which there are `sample` to learn from.
  static bool serves(size_t dim, size_t sample) { return dim <= kMostDim && sample >= 8 * dim; }
  /// As many rows as are learnt from, of `sample`.
  static size_t rows_of(size_t sample) { return sample < kRows ? sample : kRows; }

  /// `rows` will be added. Steps of codes are in standard deviations along an axis.
  Status begin(size_t dim, size_t lines, size_t rows, float nibble_step, float byte_step, uint64_t seed);
  void add(const float* centered);
  /// The next part, some tens of milliseconds of one thread at most.
  Status step(const int32_t* cancel);
  bool finished() const { return phase_ == Phase::finished; }
  /// Empty where rows spread so evenly that codes of four bits along any axes are nearly as good.
  PrincipalAxes& result() { return axes_; }

 private:
  enum class Phase : uint8_t { weigh, correlate, decompose, choose, finished };
  static constexpr size_t kMostDim = 256;  // beyond, a query would take long to project
  static constexpr size_t kRows = 2048;

  size_t width() const;  // axes, with those of no length that fill the last sixteen
  bool promising() const;
  Status correlate(const int32_t* cancel);
  Status choose();
  Status mix(const uint32_t* order, size_t first, size_t count, size_t group, float* panels) const;

  size_t dim_ = 0, lines_ = 0, rows_ = 0, at_ = 0;
  float nibble_step_ = 0, byte_step_ = 0;
  uint64_t seed_ = 0;
  Phase phase_ = Phase::finished;
  Buffer<float> sample_, panels_;  // rows, and their transpose in float panels
  Buffer<float> column_, moments_;
  SymmetricEigen eigen_;
  PrincipalAxes axes_;
};

}  // namespace annex
