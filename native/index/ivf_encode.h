// From rows as callers give them to entries of lists: which lists, and the records that go there.
#pragma once
#include "index/ivf.h"

namespace annex {

/// Rows as floats, whatever the index takes; under cosine and if `unit` of length 1. NOT_FINITE for a row without
/// direction.
Status widen_rows(const IvfOptions& options, const uint8_t* rows, size_t n, size_t named_from, bool unit, float* out);

Status mean_of(const float* rows, size_t n, size_t dim, Buffer<float>* out);

class IvfEncoder {
 public:
  IvfEncoder(const RowStore& centroids, const IdMap& centroid_ids, const IvfOptions& options, const Codec* codec,
             const EntryLayout& layout)
      : centroids_(centroids), centroid_ids_(centroid_ids), options_(options), codec_(codec), layout_(layout) {}

  /// lists[i * copies + j]: the list of the j-th entry of row i, UINT32_MAX where there are not so many lists; records
  /// likewise, layout.record_bytes() apart. Rows are named from `named_from` on.
  Status encode(const uint8_t* rows, size_t n, size_t named_from, uint32_t* lists, uint8_t* records,
                const int32_t* cancel) const;
  /// The lists alone, of rows as floats.
  Status assign(const float* rows, size_t n, uint32_t* lists, const int32_t* cancel) const;
  /// Narrow records of rows as floats, in lists that are known.
  Status encode_narrow(const float* wide, size_t n, const uint32_t* lists, uint8_t* records) const;

 private:
  Status encode_block(const uint8_t* rows, size_t n, size_t named_from, uint32_t* lists, uint8_t* records,
                      const int32_t* cancel) const;
  Status encode_codes(const float* wide, size_t n, const uint32_t* lists, uint8_t* records) const;
  Status encode_rows(const uint8_t* rows, size_t n, size_t named_from, uint8_t* records, const int32_t* cancel) const;
  uint32_t second_list(const float* row, const double* candidates, size_t count) const;
  const float* centroid(size_t list) const { return reinterpret_cast<const float*>(centroids_.row(list)); }

  const RowStore& centroids_;
  const IdMap& centroid_ids_;
  const IvfOptions& options_;
  const Codec* const codec_;
  const EntryLayout& layout_;
};

}  // namespace annex
