// Product quantization (Jégou, Douze, Schmid 2011): a row is cut into m parts, each replaced by the nearest of 2^bits
// codewords of its own codebook.
//
// A code is m bytes for 8 bits; for 4 bits ⌈m / 2⌉ bytes, part 2i in the low half of byte i and part 2i + 1 in the high
// half (0 where there is none).
#pragma once
#include <cstddef>
#include <cstdint>

#include "base/buffer.h"
#include "base/status.h"
#include "quant/training.h"

namespace annex {

struct PqShape {
  size_t dim = 0;
  size_t m = 0;
  size_t bits = 8;  // 4 or 8

  size_t part() const { return dim / m; }  // dimensions of a part
  size_t codewords() const { return size_t{1} << bits; }
  size_t code_bytes() const { return bits == 8 ? m : (m + 1) / 2; }
  size_t codebook_floats() const { return codewords() * dim; }
};

/// OK, or INVALID_ARGUMENT naming the numbers of parts next to m that divide dim.
Status check_pq_shape(const PqShape& shape);

class ProductQuantizer {
 public:
  /// Takes codebooks: float[m][codewords][part], finite.
  Status set(const PqShape& shape, Buffer<float>&& codebooks);

  bool empty() const { return codebooks_.size() == 0; }
  const PqShape& shape() const { return shape_; }
  const Buffer<float>& codebooks() const { return codebooks_; }  // all that a file keeps
  const float* codeword(size_t part, size_t code) const {
    return codebooks_.data() + (part * shape_.codewords() + code) * shape_.part();
  }
  /// |codeword|² / 2 of the codewords of a part, at most 1e38.
  const float* half_squares(size_t part) const { return bias_.data() + part * shape_.codewords(); }
  size_t bytes() const { return codebooks_.bytes() + panels_.bytes() + bias_.bytes(); }

  /// Codes n rows, `stride` floats apart, into codes, code_bytes() apart. One thread; any number of them may call.
  /// Scratch: encode_scratch_bytes(), aligned to 64.
  void encode(const float* rows, size_t stride, size_t n, uint8_t* codes, uint8_t* scratch) const;
  size_t encode_scratch_bytes() const;
  /// The same for the anisotropic loss (Guo et al. 2020): errors along directions[i] weigh `weight` ≥ 1 times those
  /// across it. directions: n × dim, `direction_stride` floats apart, of any length but zero.
  void encode_anisotropic(const float* rows, size_t stride, const float* directions, size_t direction_stride, size_t n,
                          float weight, uint8_t* codes, uint8_t* scratch) const;
  /// encode over the pool.
  Status encode_all(const float* rows, size_t n, uint8_t* codes, size_t threads, const int32_t* cancel) const;

  void decode(const uint8_t* code, float* row) const;

  /// Tables of a query of dim floats: out[part][code] = factor · ⟨query part, codeword⟩. factor -2 serves l2, -1 ip.
  void tables(const float* query, float factor, float* out) const;

 private:
  void improve_code(const float* own, const float* along, double product, double extra, uint8_t* code) const;

  PqShape shape_;
  Buffer<float> codebooks_;
  Buffer<float> panels_;  // float[m][codewords / 16][part][16]: lanes are codewords
  Buffer<float> bias_;    // float[m][codewords]: |codeword|² / 2
};

}  // namespace annex
