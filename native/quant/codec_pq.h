// Product quantization as a codec (codec.h). A record is the code of ProductQuantizer, and under l2 a float:
//   |q - c - p|² = |q - c|² + (|p|² + 2 ⟨c - o, p⟩) - 2 ⟨q - o, p⟩
// with p the row less its centre as coded: the bracket is stored, the rest comes from tables of the query. Where all
// rows share the centre o, the tables have |q - o - p|² part by part, and no float is stored.
//
// A row coded with an error e is as near to a query as |q - c - p|² + |e|² tells on the average of queries that have
// nothing to do with it, and as |q - c - p|² - |e|² tells where the query differs from the row by little. Rows err
// differently, so that shifts them against each other. Neighbors lie between the two: with 0.15 |e|² (kErrorShare) in
// the bracket recall rises everywhere it was tried, by 0.001 (uniform rows) to 0.017 (wordnet-lsa-256 in 16 bytes);
// with 0.35 it begins to fall.
//
// Under ip decoded rows are shorter than rows, the more so the worse they are coded, and products are too small by as
// much: that misplaces rows more than anything else. With `lengths` the float is |x| / |c + p|, by which the product
// with the decoded row is multiplied.
#pragma once
#include <memory>

#include "quant/codec.h"
#include "quant/pq.h"
#include "quant/pq_train.h"
#include "quant/rotation.h"

namespace annex {

class PqCodec final : public Codec {
 public:
  static Status check(const CodecOptions& options);
  static Status create(const CodecOptions& options, Codec** out);

  bool trained() const override { return !quantizer_.empty(); }
  Status train_open(const float* residuals, size_t n, const float* origin, size_t threads, const float* rows) override;
  Status train_step(const int32_t* cancel, TrainProgress* progress) override;
  void train_abort() override;
  void save(Sections& sections) const override;
  Status load(const SectionReader& reader) override;
  size_t bytes() const override { return quantizer_.bytes() + rotation_.bytes() + origin_.bytes(); }

  void encode(const float* const* rows, size_t n, const float* centre, uint8_t* records,
              uint8_t* scratch) const override;
  void decode(const uint8_t* record, const float* centre, float* row, uint8_t* scratch) const override;
  void place(const uint8_t* record, uint8_t* blocks, size_t row) const override;
  void take(const uint8_t* blocks, size_t row, uint8_t* record) const override;
  void prepare(const float* query, void* prepared, uint8_t* scratch) const override;
  void scan(const uint8_t* blocks, size_t n, CodeScan* scans, size_t nq) const override;
  void estimate(const void* query, float distance, const uint8_t* const* records, size_t n,
                float* estimates) const override;

  const ProductQuantizer& quantizer() const { return quantizer_; }
  const Rotation& rotation() const { return rotation_; }

 private:
  bool l2() const { return options_.metric == Metric::l2; }
  bool nibbles() const { return options_.bits == 4; }
  bool rotates() const { return options_.rotation != CodecOptions::Rotation::none; }
  PqShape shape() const;
  /// Tables of |q - x|², not of what a row's code adds to that of the centre.
  bool whole() const { return l2() && options_.one_centre; }
  float base_of(float distance) const { return whole() ? 0 : distance; }
  /// Rounded tables choose, exact ones decide: worth it where few rows of a scan are hits.
  bool refines() const { return nibbles() && options_.one_centre; }
  CodeFactors factors() const {
    if (options_.lengths) return CodeFactors::scale;
    return l2() && !whole() ? CodeFactors::add : CodeFactors::none;
  }
  size_t table_floats() const { return options_.m << options_.bits; }
  const float* table_of(const void* query) const;
  const uint8_t* lut_of(const void* query) const;
  void lay_out_scratch();
  void rotate(const float* rows, size_t n, float* out, uint8_t* scratch) const;
  void complete_tables(const float* rotated, float beyond, float* table) const;
  void refine_hits(const uint8_t* blocks, uint32_t before, CodeScan* scan) const;
  void encode_some(const float* const* rows, size_t n, const float* centre, uint8_t* records, uint8_t* scratch) const;

  ProductQuantizer quantizer_;
  Rotation rotation_;
  Buffer<float> origin_;  // dim floats, or none

  std::unique_ptr<PqTrainer> trainer_;  // while training
  Buffer<float> pending_;               // the origin of an unfinished training

  // Where encode keeps what, in bytes of its scratch.
  struct Places {
    size_t rows, rotated, centre, codes, work, all;
  } places_{};
};

}  // namespace annex
