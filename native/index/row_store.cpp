#include "index/row_store.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <new>

#include "base/blocks.h"
#include "base/parallel.h"
#include "base/round.h"
#include "kernels/dispatch.h"

namespace annex {
namespace {

constexpr size_t kBlockBytes = size_t{2} << 20;
constexpr size_t kSliceRows = 256;  // rows one thread codes at a time

}  // namespace

double norm_of(const float* x, size_t dim) {
  double sums[4] = {0, 0, 0, 0};  // four chains, or the additions' latency is all there is
  size_t d = 0;
  for (; d + 4 <= dim; d += 4) {
    for (size_t lane = 0; lane < 4; ++lane) sums[lane] += static_cast<double>(x[d + lane]) * x[d + lane];
  }
  for (; d < dim; ++d) sums[0] += static_cast<double>(x[d]) * x[d];
  return std::sqrt((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

size_t RowShape::input_bytes() const { return float_input() ? dim * 4 : row_bytes(scalar, dim); }

size_t RowShape::block_rows() const {
  size_t rows = kPanelRows;
  while (rows < 65536 && rows * 2 * stride() <= kBlockBytes) rows *= 2;
  return rows;
}

bool RowBlock::reserve(const RowShape& shape, size_t rows, size_t used) {
  rows = round_up(rows, kPanelRows);
  if (rows <= capacity_) return true;
  RowBlock grown;
  grown.capacity_ = rows;
  if (!grown.rows_.resize(rows * shape.stride())) return false;
  if (shape.has_norms() && !grown.norms_.resize_zeroed(rows)) return false;
  if (shape.sidecar) {
    if (!grown.panels_.resize_zeroed(rows / kPanelRows * byte_panel_bytes(shape.dim))) return false;
    if (!grown.terms_.resize_zeroed(4 * rows)) return false;
  }
  if (used != 0) {
    std::memcpy(grown.rows_.data(), rows_.data(), used * shape.stride());
    if (shape.has_norms()) std::memcpy(grown.norms_.data(), norms_.data(), used * sizeof(float));
    if (shape.sidecar) {
      std::memcpy(grown.panels_.data(), panels_.data(), panels_.size());
      for (size_t t = 0; t < 4; ++t) {
        std::memcpy(grown.terms_.data() + t * rows, terms_.data() + t * capacity_, used * sizeof(float));
      }
    }
  }
  swap(grown);
  return true;
}

void RowBlock::set_sidecar(const RowShape& shape, size_t r, const uint8_t* codes, const SidecarRow& row) {
  uint8_t* panel = panels_.data() + r / kPanelRows * byte_panel_bytes(shape.dim) + r % kPanelRows * 4;
  for (size_t d = 0; d < shape.dim; d += 4, panel += kPanelRows * 4) {
    std::memcpy(panel, codes + d, std::min<size_t>(4, shape.dim - d));
  }
  float* terms = terms_.data() + r;
  terms[0] = row.scale;
  terms[capacity_] = row.a;
  terms[2 * capacity_] = row.b;
  terms[3 * capacity_] = row.c;
}

void RowBlock::copy_row(const RowShape& shape, size_t to, const RowBlock& source, size_t from) {
  std::memcpy(row(shape, to), source.row(shape, from), shape.stride());
  if (shape.has_norms()) norms_[to] = source.norms_[from];
  if (!shape.sidecar) return;
  const size_t panel_bytes = byte_panel_bytes(shape.dim);
  uint8_t* target = panels_.data() + to / kPanelRows * panel_bytes + to % kPanelRows * 4;
  const uint8_t* origin = source.panels_.data() + from / kPanelRows * panel_bytes + from % kPanelRows * 4;
  for (size_t offset = 0; offset < panel_bytes; offset += kPanelRows * 4)
    std::memcpy(target + offset, origin + offset, 4);
  for (size_t t = 0; t < 4; ++t) terms_[t * capacity_ + to] = source.terms_[t * source.capacity_ + from];
}

void RowBlock::swap(RowBlock& other) noexcept {
  rows_.swap(other.rows_);
  norms_.swap(other.norms_);
  panels_.swap(other.panels_);
  terms_.swap(other.terms_);
  std::swap(capacity_, other.capacity_);
}

size_t RowStore::block_room(size_t rows) const {
  static_assert(kPanelRows == 16);  // what rooms are multiples of
  return annex::block_room(rows, block_rows_);
}

bool RowStore::reserve(size_t rows, size_t used_rows) {
  for (size_t first = 0, b = 0; first < rows; first += block_rows_, ++b) {
    if (b == blocks_.size()) {
      RowBlock* block = new (std::nothrow) RowBlock;
      if (block == nullptr) return false;
      if (!blocks_.push(block)) {
        delete block;
        return false;
      }
    }
    const size_t wanted = std::min(rows - first, block_rows_);
    if (wanted <= blocks_[b]->capacity()) continue;
    const size_t used = used_rows > first ? std::min(used_rows - first, block_rows_) : 0;
    if (!blocks_[b]->reserve(shape_, block_room(wanted), used)) return false;
  }
  return true;
}

Status RowStore::encode(size_t first, const void* rows, size_t n, size_t named_from, const int32_t* cancel) {
  const size_t slices = (n + kSliceRows - 1) / kSliceRows;
  const size_t input_bytes = shape_.input_bytes();
  // The first bad row wins whichever thread meets it, so that the message does not depend on timing.
  std::atomic<size_t> first_bad{SIZE_MAX};
  std::atomic<bool> no_memory{false};
  const auto code_slice = [&](size_t slice) {
    Buffer<float> decoded;
    Buffer<uint8_t> scratch;
    if (!decoded.resize(shape_.dim) || !scratch.resize(sidecar_scratch_bytes(shape_.dim))) {
      no_memory = true;
      return;
    }
    const size_t end = std::min(n, (slice + 1) * kSliceRows);
    if (cancelled(cancel)) return;
    for (size_t i = slice * kSliceRows; i < end; ++i) {
      const uint8_t* input = static_cast<const uint8_t*>(rows) + i * input_bytes;
      if (encode_row(first + i, input, i, decoded.data(), scratch.data()) == Status::ok) continue;
      size_t lowest = first_bad;
      while (i < lowest && !first_bad.compare_exchange_weak(lowest, i)) {
      }
      return;
    }
  };
  parallel_for(slices, n * shape_.dim < 65536 ? 1 : 0, code_slice);
  if (cancelled(cancel)) return aborted();
  if (no_memory) return out_of_memory(shape_.dim * 5);
  if (first_bad == SIZE_MAX) return Status::ok;
  // Once more on this thread, to leave the message here.
  Buffer<float> decoded;
  Buffer<uint8_t> scratch;
  if (!decoded.resize(shape_.dim) || !scratch.resize(sidecar_scratch_bytes(shape_.dim)))
    return out_of_memory(shape_.dim * 5);
  const size_t bad = first_bad;
  return encode_row(first + bad, static_cast<const uint8_t*>(rows) + bad * input_bytes, named_from + bad,
                    decoded.data(), scratch.data());
}

Status RowStore::encode_row(size_t slot, const uint8_t* input, size_t name, float* decoded, uint8_t* scratch) {
  RowBlock& block = *blocks_[slot / block_rows_];
  const size_t r = slot % block_rows_;
  const size_t dim = shape_.dim;
  const size_t s = static_cast<size_t>(shape_.scalar);
  uint8_t* row = block.row(shape_, r);
  // A file holds whole strides, and nothing that happened to lie in memory.
  const size_t row_end = row_bytes(shape_.scalar, dim);
  if (row_end != shape_.stride()) std::memset(row + row_end, 0, shape_.stride() - row_end);
  const Kernels& table = kernels();
  double norm = 0;
  const float* x = decoded;
  if (!shape_.float_input()) {
    std::memcpy(row, input, row_bytes(shape_.scalar, dim));
    if (!shape_.has_norms()) return Status::ok;
    float squares;
    table.scan[s][static_cast<size_t>(Op::dot)](row, row, 0, 1, dim, &squares);
    norm = std::sqrt(static_cast<double>(squares));
  } else {
    // The caller's bytes may lie at any address.
    std::memcpy(decoded, input, dim * sizeof(float));
    table.encode[s](decoded, dim, row);
    if (shape_.scalar != Scalar::f32) {
      const float* given = reinterpret_cast<const float*>(input);
      table.decode[s](row, dim, decoded);
      const size_t bad = table.first_nonfinite(decoded, dim);
      if (bad != dim) {
        float value;
        std::memcpy(&value, given + bad, sizeof value);
        return fail(Status::invalid_argument,
                    "row %zu holds %g at column %zu, which is beyond what this storage can hold; scale the vectors, or "
                    "choose storage bf16 or f32",
                    name, static_cast<double>(value), bad);
      }
    }
    if (!shape_.has_norms()) return Status::ok;
    norm = norm_of(x, dim);
  }
  if (shape_.metric == Metric::cosine && norm == 0) {
    return fail(Status::not_finite,
                "row %zu is the zero vector%s, which has no direction: metric cosine needs a non-zero vector", name,
                shape_.scalar == Scalar::f16 || shape_.scalar == Scalar::sq8 ? " as stored" : "");
  }
  block.norms()[r] = static_cast<float>(norm);
  if (shape_.sidecar) {
    const SidecarRow narrow = sidecar_encode(shape_.metric, x, norm, dim, scratch);
    block.set_sidecar(shape_, r, scratch + row_bytes(Scalar::sq8, 0), narrow);
  }
  return Status::ok;
}

void RowStore::copy_row(size_t to, const RowStore& source, size_t from) {
  blocks_[to / block_rows_]->copy_row(shape_, to % block_rows_, source.block(from / source.block_rows_),
                                      from % source.block_rows_);
}

void RowStore::swap(RowStore& other) noexcept {
  std::swap(size_, other.size_);
  blocks_.swap(other.blocks_);
}

void RowStore::truncate(size_t rows) {
  size_ = rows;
  const size_t needed = (rows + block_rows_ - 1) / block_rows_;
  while (blocks_.size() > needed) {
    delete blocks_[blocks_.size() - 1];
    blocks_.pop();
  }
}

RowBlock* RowStore::release_block(size_t b) {
  RowBlock* block = blocks_[b];
  blocks_[b] = nullptr;
  return block;
}

size_t RowStore::bytes_vectors() const {
  size_t sum = 0;
  for (size_t b = 0; b < blocks_.size(); ++b) sum += blocks_[b]->bytes_vectors();
  return sum;
}

size_t RowStore::bytes_norms() const {
  size_t sum = 0;
  for (size_t b = 0; b < blocks_.size(); ++b) sum += blocks_[b]->bytes_norms();
  return sum;
}

size_t RowStore::bytes_sidecar() const {
  size_t sum = 0;
  for (size_t b = 0; b < blocks_.size(); ++b) sum += blocks_[b]->bytes_sidecar();
  return sum;
}

}  // namespace annex
