// Distances as a walk through a graph needs them: from one query, or from one row, to rows by slot. Two kinds: the
// distances of the rows themselves (RowSpace), and estimates from codes (NibbleSpace).
#pragma once
#include "base/blocks.h"
#include "base/prefetch.h"
#include "index/row_scorer.h"
#include "kernels/dispatch.h"
#include "quant/nibbles.h"

namespace annex {

/// Rooms of one thread, kept from one search to the next.
struct SpaceMemory {
  Buffer<float> work;        // for a coder, then a decoded row
  Buffer<uint8_t> codes;     // a query as int8
  Buffer<const void*> rows;  // of one call
  [[nodiscard]] bool prepare(size_t dim, size_t most_rows) {
    return work.resize(NibbleCoder::work_floats(dim) + dim) && codes.resize((dim + 127) / 128 * 128) &&
           (rows.size() >= most_rows || rows.resize(most_rows));
  }
};

class RowSpace {
 public:
  static constexpr bool kEstimates = false;
  RowSpace(const RowStore& rows, SpaceMemory& memory)
      : rows_(rows), scorer_(rows), memory_(memory), bytes_(rows.shape().stride()) {}

  /// The same for another query at the same time.
  RowSpace(const RowSpace& like, SpaceMemory& memory) : RowSpace(like.rows_, memory) {}

  void set_query(const void* query, double norm) { query_ = {query, norm}; }
  void set_row(uint32_t slot) {
    const RowShape& shape = rows_.shape();
    const uint8_t* row = rows_.row(slot);
    query_.norm = shape.has_norms() ? rows_.norm(slot) : 0;
    query_.data = row;
    if (!shape.float_input() || shape.scalar == Scalar::f32) return;
    kernels().decode[static_cast<size_t>(shape.scalar)](row, shape.dim, memory_.work.data() + shape.dim);
    query_.data = memory_.work.data() + shape.dim;
  }
  /// A row of the index as precise a query as can be had.
  void set_new_row(uint32_t slot) { set_row(slot); }
  /// Asks for rows, and says where they are: for score_asked, once they have had time to come.
  void ask(const uint32_t* slots, size_t n, const void** rows) const {
    for (size_t i = 0; i < n; ++i) {
      rows[i] = rows_.row(slots[i]);
      prefetch_bytes(rows[i], asked_bytes());
    }
  }
  /// Loads rows that have been asked for, where asking does nothing.
  void load_asked(const void* const* rows, size_t n) const { load_lines(rows, n, asked_bytes()); }
  void score_asked(const uint32_t* slots, const void* const*, size_t n, float* out) const { score(slots, n, out); }
  void score(const uint32_t* slots, size_t n, float* out) const {
    scorer_.distances(query_, slots, n, memory_.work.data(), out);
  }

 private:
  // The rest of a long row comes by itself.
  size_t asked_bytes() const { return bytes_ < 256 ? bytes_ : 256; }

  const RowStore& rows_;
  RowScorer scorer_;
  SpaceMemory& memory_;
  size_t bytes_;
  RowScorer::Query query_{};
};

class NibbleSpace {
 public:
  static constexpr bool kEstimates = true;
  NibbleSpace(const RowStore& rows, const NibbleCoder& coder, Blocks::View codes, SpaceMemory& memory)
      : rows_(rows),
        coder_(coder),
        codes_(codes),
        memory_(memory),
        gather_(kernels().gather_nibbles),
        lines_(coder.lines()) {}

  NibbleSpace(const NibbleSpace& like, SpaceMemory& memory)
      : NibbleSpace(like.rows_, like.coder_, like.codes_, memory) {}

  void set_query(const void* query, double norm) {
    query_ = coder_.query(static_cast<const float*>(query), static_cast<float>(norm), memory_.work.data(), room());
  }
  void set_row(uint32_t slot) { query_ = coder_.query_of(codes_.item(slot), memory_.work.data(), room()); }
  void set_new_row(uint32_t slot) {
    const RowShape& shape = rows_.shape();
    float* decoded = memory_.work.data() + coder_.work_floats();
    kernels().decode[static_cast<size_t>(shape.scalar)](rows_.row(slot), shape.dim, decoded);
    set_query(decoded, rows_.norm(slot));
  }
  void ask(const uint32_t* slots, size_t n, const void** rows) const {
    const Blocks::View codes = codes_;
    const size_t bytes = lines_ * kNibbleLine;
    for (size_t i = 0; i < n; ++i) {
      rows[i] = codes.item(slots[i]);
      prefetch_bytes(rows[i], bytes);
    }
  }
  void load_asked(const void* const* rows, size_t n) const { load_lines(rows, n, lines_ * kNibbleLine); }
  void score_asked(const uint32_t*, const void* const* rows, size_t n, float* out) const {
    gather_(query_, rows, n, lines_, out);
  }
  void score(const uint32_t* slots, size_t n, float* out) const {
    const void** rows = memory_.rows.data();
    const Blocks::View codes = codes_;
    for (size_t i = 0; i < n; ++i) rows[i] = codes.item(slots[i]);
    gather_(query_, rows, n, lines_, out);
  }

 private:
  int8_t* room() { return reinterpret_cast<int8_t*>(memory_.codes.data()); }

  const RowStore& rows_;
  const NibbleCoder& coder_;
  const Blocks::View codes_;
  SpaceMemory& memory_;
  const NibbleGatherFn gather_;
  const size_t lines_;
  NibbleRowsQuery query_{};
};

}  // namespace annex
