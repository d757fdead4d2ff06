// Adds rows to the lists of an IVF index, replaces them, or gives back room.
#pragma once
#include "index/ivf.h"
#include "index/ivf_encode.h"
#include "index/staging.h"

namespace annex {

class IvfWriter final : public Writer {
 public:
  IvfWriter(IvfIndex& index, WriteMode mode);
  ~IvfWriter() override;
  Status append(Input type, const void* rows, size_t n, const double* ids, const int32_t* cancel) override;
  Status commit() override;

 private:
  /// The rows of one append.
  struct Part {
    Buffer<uint32_t> slots;   // where each row will be
    Buffer<uint32_t> lists;   // copies a row
    Buffer<uint8_t> records;  // as many
    size_t named_from;
  };
  Status stage(const uint8_t* rows, size_t n, size_t named_from, const int32_t* cancel);
  Status encode(Part& part, const uint8_t* rows, size_t named_from, const int32_t* cancel);
  Status hold(Part& part, const uint8_t* rows, size_t named_from, const int32_t* cancel);
  Status learn_centre(const int32_t* cancel);
  Status set_centre(const float* centre);
  Status commit_rows();
  /// Writes entries behind the lists' ends; those that share a group with present entries only if `near`, the others
  /// only if `far`.
  void write_entries(const Buffer<uint32_t>& sizes, Buffer<uint32_t>& ends, bool near, bool far);
  void write_replaced();
  void note_places(const Buffer<uint32_t>& sizes, Buffer<uint32_t>& ends);

  IvfIndex& index_;
  const WriteMode mode_;
  IvfEncoder encoder_;
  StagedIds ids_;
  StagedRows rows_;
  Buffer<Part*> parts_;        // owned
  Buffer<uint32_t> replaced_;  // slots whose present entries go
  size_t fresh_ = 0;
  Buffer<uint8_t> held_;  // the first rows, until a centre is learnt from them
  size_t waiting_ = 0;    // parts that are still to be coded
  bool learnt_ = false;   // a centre, which goes unless there is a commit
  bool failed_ = false;
};

}  // namespace annex
