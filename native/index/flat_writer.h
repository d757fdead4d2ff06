// Stages rows for a flat index and makes them visible at once.
#pragma once
#include "index/flat.h"
#include "index/staging.h"

namespace annex {

class FlatWriter final : public Writer {
 public:
  FlatWriter(FlatIndex& index, WriteMode mode);
  ~FlatWriter() override;
  Status append(Input type, const void* rows, size_t n, const double* ids, const int32_t* cancel) override;
  Status commit() override;

 private:
  FlatIndex& index_;
  const WriteMode mode_;
  StagedIds ids_;
  StagedRows rows_;
  bool failed_ = false;
};

}  // namespace annex
