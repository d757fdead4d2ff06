// Coded rows in blocks of a fixed number of rows, so that growing never moves more than one block and a file can be
// mapped block by block. A block holds, each contiguous: the rows, their norms (l2, ip, cosine), and, with a sidecar,
// the byte panels of the narrow copy and its terms.
#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>

#include "base/buffer.h"
#include "base/sections.h"
#include "base/status.h"
#include "kernels/kernels.h"
#include "quant/sidecar.h"

namespace annex {

/// How the rows of an index are kept; the same for all its blocks.
struct RowShape {
  Metric metric;
  Scalar scalar;
  size_t dim;
  bool sidecar;

  size_t stride() const { return (row_bytes(scalar, dim) + alignment() - 1) / alignment() * alignment(); }
  size_t input_bytes() const;
  bool has_norms() const { return metric == Metric::l2 || metric == Metric::ip || metric == Metric::cosine; }
  /// A byte a dimension, or less.
  bool narrow() const { return scalar >= Scalar::sq8; }
  bool float_input() const { return scalar <= Scalar::sq8; }
  size_t alignment() const { return scalar == Scalar::sq8 ? 4 : 1; }
  /// A power of two of rows, such that a block is about 2 MiB.
  size_t block_rows() const;
};

class RowBlock {
 public:
  /// Room for `rows` rows (rounded up to 16); keeps the first `used`.
  [[nodiscard]] bool reserve(const RowShape& shape, size_t rows, size_t used);
  size_t capacity() const { return capacity_; }

  uint8_t* row(const RowShape& shape, size_t r) { return rows_.data() + r * shape.stride(); }
  const uint8_t* row(const RowShape& shape, size_t r) const { return rows_.data() + r * shape.stride(); }
  const float* norms() const { return norms_.data(); }
  float* norms() { return norms_.data(); }
  /// The panel that starts at row r (a multiple of 16).
  const uint8_t* panels(const RowShape& shape, size_t r) const {
    return panels_.data() + r / kPanelRows * byte_panel_bytes(shape.dim);
  }
  /// Terms from row r on.
  PanelTerms terms(size_t r) const {
    const float* base = terms_.data() + r;
    return {base, base + capacity_, base + 2 * capacity_, base + 3 * capacity_};
  }
  void set_sidecar(const RowShape& shape, size_t r, const uint8_t* codes, const SidecarRow& row);
  void copy_row(const RowShape& shape, size_t to, const RowBlock& source, size_t from);
  size_t bytes_vectors() const { return rows_.bytes(); }
  size_t bytes_norms() const { return norms_.bytes(); }
  size_t bytes_sidecar() const { return panels_.bytes() + terms_.bytes(); }
  void swap(RowBlock& other) noexcept;

 private:
  friend class RowStore;
  Buffer<uint8_t> rows_;
  Buffer<float> norms_;
  Buffer<uint8_t> panels_;
  Buffer<float> terms_;
  size_t capacity_ = 0;
};

/// The sections that keep a row store (file/FORMAT.md).
struct RowTags {
  Tag rows, norms, panels, terms;
};
inline constexpr RowTags kRowTags = {make_tag("ROWS"), make_tag("NORM"), make_tag("PANL"), make_tag("TERM")};

inline constexpr size_t kMaxRows = UINT32_MAX - 16;  // rows of an index: slots are 4 bytes, and some are marks

/// Owns its blocks. Slots are 0 … size() - 1.
class RowStore {
 public:
  explicit RowStore(const RowShape& shape)
      : shape_(shape), block_rows_(shape.block_rows()), shift_(std::countr_zero(block_rows_)) {}
  ~RowStore() { truncate(0); }
  RowStore(const RowStore&) = delete;
  RowStore& operator=(const RowStore&) = delete;

  const RowShape& shape() const { return shape_; }
  size_t size() const { return size_; }
  size_t block_rows() const { return block_rows_; }
  /// Rows that a first block has room for when it must hold `rows`.
  size_t block_room(size_t rows) const;
  const RowBlock& block(size_t b) const { return *blocks_[b]; }
  const uint8_t* row(size_t slot) const { return blocks_[slot >> shift_]->row(shape_, slot & (block_rows_ - 1)); }
  float norm(size_t slot) const { return blocks_[slot >> shift_]->norms()[slot & (block_rows_ - 1)]; }

  /// Room for `rows` rows in all; the size stays.
  [[nodiscard]] bool reserve(size_t rows) { return reserve(rows, size_); }
  /// The same, where rows up to `used` have been coded already.
  [[nodiscard]] bool reserve(size_t rows, size_t used);
  /// Codes n rows (as the caller gave them, finite) into the slots from `first` on, which are within what was reserved;
  /// the size stays. NOT_FINITE for a zero row under cosine, INVALID_ARGUMENT for a value the coding cannot hold; rows
  /// are named from `named_from` on.
  Status encode(size_t first, const void* rows, size_t n, size_t named_from, const int32_t* cancel);
  void set_size(size_t rows) { size_ = rows; }

  void copy_row(size_t to, const RowStore& source, size_t from);
  /// With a store of the same shape.
  void swap(RowStore& other) noexcept;
  /// Drops rows from the end, and blocks that hold none any more.
  void truncate(size_t rows);

  size_t bytes_vectors() const;
  size_t bytes_norms() const;
  size_t bytes_sidecar() const;

  void save(const RowTags& tags, Sections* out) const;
  /// `rows` rows from the sections; the store is empty before.
  Status load(const RowTags& tags, const SectionReader& sections, uint64_t rows);

  // For a writer that prepares aside and then swaps in (index/flat_writer.cpp).
  /// Room for `blocks` blocks, so that push_block cannot fail.
  [[nodiscard]] bool reserve_blocks(size_t blocks) { return blocks_.reserve(blocks); }
  void push_block(RowBlock* block) { (void)blocks_.push(block); }
  RowBlock* release_block(size_t b);
  RowBlock& mutable_block(size_t b) { return *blocks_[b]; }
  size_t blocks() const { return blocks_.size(); }

 private:
  Status check_payload(const RowTags& tags, bool finite) const;
  Status encode_row(size_t slot, const uint8_t* input, size_t name, float* decoded, uint8_t* scratch);

  RowShape shape_;
  size_t block_rows_;  // a power of two
  int shift_;
  size_t size_ = 0;
  Buffer<RowBlock*> blocks_;  // owned; null once released
};

/// Euclidean length, summed in double.
double norm_of(const float* x, size_t dim);

}  // namespace annex
