// RaBitQ as a codec (codec.h).
#pragma once
#include "quant/codec.h"
#include "quant/rabitq.h"

namespace annex {

class RabitqCodec final : public Codec {
 public:
  static Status check(const CodecOptions& options);
  static Status create(const CodecOptions& options, Codec** out);

  bool trained() const override { return true; }
  Status train_open(const float* residuals, size_t n, const float* origin, size_t threads, const float* rows) override;
  Status train_step(const int32_t* cancel, TrainProgress* progress) override;
  void train_abort() override { pending_ = Buffer<float>(); }
  void save(Sections& sections) const override;
  Status load(const SectionReader& reader) override;
  size_t bytes() const override { return rabitq_.bytes(); }

  void encode(const float* const* rows, size_t n, const float* centre, uint8_t* records,
              uint8_t* scratch) const override;
  void decode(const uint8_t* record, const float* centre, float* row, uint8_t* scratch) const override;
  void place(const uint8_t* record, uint8_t* blocks, size_t row) const override;
  void take(const uint8_t* blocks, size_t row, uint8_t* record) const override;
  void prepare(const float* query, void* prepared, uint8_t* scratch) const override;
  void scan(const uint8_t* blocks, size_t n, CodeScan* scans, size_t nq) const override;
  void estimate(const void* query, float distance, const uint8_t* const* records, size_t n,
                float* estimates) const override;

  const Rabitq& rabitq() const { return rabitq_; }

 private:
  void refine_hits(const uint8_t* blocks, uint32_t before, CodeScan* scan) const;
  const float* rotated_centre(const float* centre, float* room) const;

  Rabitq rabitq_;
  Buffer<float> pending_;  // the origin of an unfinished training
};

}  // namespace annex
