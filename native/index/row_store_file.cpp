// A row store in a file: its blocks one behind another, so that a loaded store stands on the file's memory block by
// block.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <new>

#include "base/parallel.h"
#include "base/round.h"
#include "index/row_store.h"
#include "kernels/dispatch.h"

namespace annex {
namespace {

/// Calls fn(block, rows of it) for each block.
template <class F>
void each_block(const RowStore& store, F&& fn) {
  for (size_t first = 0, b = 0; first < store.size(); first += store.block_rows(), ++b) {
    fn(store.block(b), std::min(store.size() - first, store.block_rows()));
  }
}

}  // namespace

void RowStore::save(const RowTags& tags, Sections* out) const {
  out->begin(tags.rows);
  each_block(*this, [&](const RowBlock& block, size_t n) { out->add(block.rows_.data(), n * shape_.stride()); });
  if (shape_.has_norms()) {
    out->begin(tags.norms);
    each_block(*this, [&](const RowBlock& block, size_t n) { out->add(block.norms_.data(), n * sizeof(float)); });
  }
  if (!shape_.sidecar) return;
  // What stood in slots that are free now stays out of the file: the rest of the last panel and of its terms is zero.
  const size_t panel_bytes = byte_panel_bytes(shape_.dim);
  out->begin(tags.panels);
  each_block(*this, [&](const RowBlock& block, size_t n) {
    const size_t whole = n / kPanelRows;
    const size_t rest = n % kPanelRows;
    out->add(block.panels_.data(), whole * panel_bytes);
    if (rest == 0) return;
    const uint8_t* from = block.panels_.data() + whole * panel_bytes;
    uint8_t* to = out->make(panel_bytes);
    for (size_t at = 0; to != nullptr && at < panel_bytes; at += kPanelRows * 4) {
      std::memcpy(to + at, from + at, rest * 4);
    }
  });
  out->begin(tags.terms);
  each_block(*this, [&](const RowBlock& block, size_t n) {
    for (size_t t = 0; t < 4; ++t) {
      out->add(block.terms_.data() + t * block.capacity_, n * sizeof(float));
      if (n % kPanelRows != 0) out->make((kPanelRows - n % kPanelRows) * sizeof(float));
    }
  });
}

Status RowStore::load(const RowTags& tags, const SectionReader& sections, uint64_t rows) {
  if (rows > kMaxRows) return corrupt(tags.rows, "the file says %.0f rows", static_cast<double>(rows));
  const size_t n = static_cast<size_t>(rows);
  const uint64_t padded = round_up(n, kPanelRows);
  const size_t panel_bytes = byte_panel_bytes(shape_.dim);
  void *row_data = nullptr, *panels = nullptr, *norms = nullptr, *terms = nullptr;
  Status status = sections.need(tags.rows, Content::payload, rows * shape_.stride(), &row_data);
  if (status == Status::ok && shape_.has_norms()) {
    status = sections.need(tags.norms, Content::payload, rows * sizeof(float), &norms);
  }
  if (status == Status::ok && shape_.sidecar) {
    status = sections.need(tags.panels, Content::payload, padded / kPanelRows * panel_bytes, &panels);
    if (status == Status::ok) status = sections.need(tags.terms, Content::payload, padded * 4 * sizeof(float), &terms);
  }
  if (status != Status::ok) return status;

  const size_t count = (n + block_rows_ - 1) / block_rows_;
  if (!blocks_.reserve(count)) return out_of_memory(count * sizeof(RowBlock*));
  for (size_t first = 0; first < n; first += block_rows_) {
    RowBlock* block = new (std::nothrow) RowBlock;
    if (block == nullptr) return out_of_memory(sizeof(RowBlock));
    push_block(block);
    const size_t here = std::min(n - first, block_rows_);
    const size_t room = round_up(here, kPanelRows);
    block->capacity_ = room;
    block->rows_.borrow(static_cast<uint8_t*>(row_data) + first * shape_.stride(), here * shape_.stride());
    if (shape_.has_norms()) block->norms_.borrow(static_cast<float*>(norms) + first, here);
    if (!shape_.sidecar) continue;
    block->panels_.borrow(static_cast<uint8_t*>(panels) + first / kPanelRows * panel_bytes,
                          room / kPanelRows * panel_bytes);
    block->terms_.borrow(static_cast<float*>(terms) + 4 * first, 4 * room);
  }
  size_ = n;
  // A full panel's worth of rows is assumed where a block has room: the last rows and norms need memory of their own.
  if (n % kPanelRows != 0) {
    RowBlock whole;
    RowBlock& last = *blocks_[count - 1];
    const size_t used = n - (count - 1) * block_rows_;
    last.capacity_ = round_up(used, kPanelRows);
    if (!whole.reserve(shape_, last.capacity_, 0)) return out_of_memory(last.capacity_ * shape_.stride());
    for (size_t r = 0; r < used; ++r) whole.copy_row(shape_, r, last, r);
    last.swap(whole);
  }
  return sections.thorough() ? check_payload(tags, sections.finite(tags.rows)) : Status::ok;
}

// Checksums vouch for the bytes, not for who wrote them: no float that an add would have refused comes in this way.
Status RowStore::check_payload(const RowTags& tags, bool finite) const {
  const Kernels& table = kernels();
  const DecodeFn decode = table.decode[static_cast<size_t>(shape_.scalar)];
  std::atomic<size_t> bad_row{SIZE_MAX}, bad_norm{SIZE_MAX};
  std::atomic<bool> no_memory{false};
  const auto lower = [](std::atomic<size_t>& least, size_t slot) {
    size_t before = least;
    while (slot < before && !least.compare_exchange_weak(before, slot)) {
    }
  };
  parallel_for(blocks_.size(), 0, [&](size_t b) {
    const RowBlock& block = *blocks_[b];
    const size_t n = std::min(size_ - b * block_rows_, block_rows_);
    size_t bad = n;
    if (shape_.scalar == Scalar::f32 && !finite) {
      bad = table.first_nonfinite(reinterpret_cast<const float*>(block.rows_.data()), n * shape_.dim) / shape_.dim;
    } else if (shape_.scalar != Scalar::f32 && shape_.float_input()) {
      Buffer<float> row;
      if (!row.resize(shape_.dim)) {
        no_memory = true;
        return;
      }
      for (bad = 0; bad < n; ++bad) {
        decode(block.row(shape_, bad), shape_.dim, row.data());
        if (table.first_nonfinite(row.data(), shape_.dim) != shape_.dim) break;
      }
    }
    if (bad != n) lower(bad_row, b * block_rows_ + bad);
    for (size_t r = 0; shape_.has_norms() && r < n; ++r) {
      if (!(block.norms()[r] >= 0)) lower(bad_norm, b * block_rows_ + r);
    }
  });
  if (no_memory) return out_of_memory(shape_.dim * sizeof(float));
  if (bad_row != SIZE_MAX) return corrupt(tags.rows, "row %zu holds NaN or Infinity", bad_row.load());
  if (bad_norm != SIZE_MAX) return corrupt(tags.norms, "the norm of row %zu is no length", bad_norm.load());
  return Status::ok;
}

}  // namespace annex
