// Codebooks for the anisotropic loss (Guo et al. 2020, section 4): codes and codewords by turns, in steps.
#pragma once
#include <cstddef>
#include <cstdint>

#include "base/buffer.h"
#include "base/status.h"
#include "quant/pq.h"

namespace annex {

class Anisotropic {
 public:
  /// Codewords of more dimensions keep their means: only the codes follow the loss.
  static constexpr size_t kMostPart = 32;

  /// Takes codebooks for the plain loss, rows and the directions of their loss, both n × shape.dim.
  Status begin(const PqShape& shape, Buffer<float>&& codebooks, Buffer<float>&& rows, Buffer<float>&& directions,
               size_t n, float weight, size_t threads);
  Status step(const int32_t* cancel, double* work);
  bool finished() const { return finished_; }
  double done() const;
  Buffer<float>& codebooks() { return codebooks_; }

 private:
  Status code_slice(const int32_t* cancel, double* work);
  Status improve_part(size_t part);

  PqShape shape_;
  size_t n_ = 0, threads_ = 0, round_ = 0, position_ = 0;
  float weight_ = 1;
  bool finished_ = true, coding_ = true;
  Buffer<float> codebooks_, rows_, directions_;
  Buffer<double> left_;  // ⟨error, direction⟩ of each row, directions being of length 1
  Buffer<uint8_t> codes_;
  ProductQuantizer quantizer_;
};

}  // namespace annex
