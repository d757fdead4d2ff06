// The codebooks of a product quantizer while they are trained: a small k-means for each part over points that lie
// element by element, so that a vector register holds one element of sixteen points.
#pragma once
#include <cstddef>
#include <cstdint>

#include "base/buffer.h"
#include "base/status.h"
#include "quant/pq.h"

namespace annex {

/// Points, transposed: element d of point i at data[d * stride + i]. Behind the last point zeros up to a multiple
/// of 16.
struct Lines {
  Buffer<float> data;
  size_t n = 0, padded = 0, stride = 0, dim = 0;

  Status open(size_t points, size_t dimensions);
  const float* element(size_t d) const { return data.data() + d * stride; }
  float* element(size_t d) { return data.data() + d * stride; }
  /// Takes rows first … first + count, multiples of 16 but for the last.
  void put_rows(const float* rows, size_t row_stride, size_t first, size_t count);
};

class Codebooks {
 public:
  Status open(const PqShape& shape, uint64_t seed);
  const PqShape& shape() const { return shape_; }
  float* words(size_t part) { return words_.data() + part * shape_.codewords() * shape_.part(); }
  Buffer<float>& data() { return words_; }

  /// Points drawn at random for one part, of at most `most` of the first n, so that codewords are dense where points
  /// are: there are the answers. Far points, which k-means++ (Arthur, Vassilvitskii 2007) prefers, come in only where
  /// the one drawn is a codeword already.
  Status seed(const Lines& lines, size_t part, size_t n, size_t most);
  /// One iteration of Lloyd for one part over the first n points: codes, then means. codes: n rounded up to 16.
  void improve(const Lines& lines, size_t part, size_t n, size_t iteration, uint8_t* codes);
  /// Replaces the part of every point by its codeword.
  void decode(Lines& lines, size_t part, size_t n, const uint8_t* codes) const;

 private:
  PqShape shape_;
  uint64_t seed_ = 0;
  Buffer<float> words_;  // [m][codewords][part]
};

}  // namespace annex
