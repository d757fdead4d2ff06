// The codes of all rows of a graph (quant/nibbles.h), with what they were coded by. Made anew when the index has
// outgrown the sample that centre, axes and step were found from.
#pragma once
#include "base/blocks.h"
#include "index/row_store.h"
#include "quant/nibbles.h"

namespace annex {

struct HnswCodes {
  HnswCodes(Metric metric, size_t dim) : coder(metric, dim), codes(coder.code_bytes()) {}

  /// Learns from rows spread evenly over the first `rows` of the store, which stay as they are, in steps.
  Status begin_learning(const RowStore& store, size_t rows, uint64_t seed);
  Status learn_step(const RowStore& store, const int32_t* cancel);
  bool learnt() const { return learnt_from != 0; }
  /// True when `rows` rows are so many more than it learnt from that it should be made anew.
  bool outgrown(size_t rows) const { return learnt_from < kAmple && rows >= learnt_from + learnt_from / 2 + 16; }
  /// Codes rows [begin, end) of the store; there is room. False: out of memory.
  [[nodiscard]] bool encode(const RowStore& store, size_t begin, size_t end);
  /// The next part of [*coded, end), in parallel.
  Status encode_part(const RowStore& store, size_t* coded, size_t end, const int32_t* cancel);
  size_t bytes() const { return coder.bytes() + codes.bytes(); }

  NibbleCoder coder;
  Blocks codes;
  size_t learnt_from = 0;

 private:
  static constexpr size_t kAmple = 65536;

  /// Of the rows that are being learnt from, the i-th of `count` as floats; returns its slot.
  size_t take_row(const RowStore& store, size_t i, size_t count);

  size_t rows_ = 0, sample_ = 0, spread_ = 0;
  Buffer<float> row_, work_;
};

}  // namespace annex
