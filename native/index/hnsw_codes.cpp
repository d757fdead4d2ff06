#include "index/hnsw_codes.h"

#include <algorithm>
#include <atomic>

#include "base/parallel.h"
#include "base/steps.h"
#include "kernels/dispatch.h"

namespace annex {
namespace {

constexpr size_t kSample = 4096;
constexpr size_t kStepRows = 16384 / kStepParts;
constexpr size_t kSliceRows = 256;
constexpr size_t kSpreadRows = 1024;  // of a step

}  // namespace

size_t HnswCodes::take_row(const RowStore& store, size_t i, size_t count) {
  const auto slot = static_cast<size_t>(uint64_t{i} * rows_ / count);
  kernels().decode[static_cast<size_t>(store.shape().scalar)](store.row(slot), store.shape().dim, row_.data());
  return slot;
}

Status HnswCodes::begin_learning(const RowStore& store, size_t rows, uint64_t seed) {
  rows_ = rows;
  sample_ = std::min(rows, kSample);
  spread_ = 0;
  Status status = coder.init(seed);
  if (status != Status::ok) return status;
  if (!coder.begin(sample_) || !row_.resize(store.shape().dim) || !work_.resize(coder.work_floats())) {
    return out_of_memory(store.shape().dim * 20 + sample_ * 4);
  }
  for (size_t i = 0; i < sample_; ++i) {
    const size_t slot = take_row(store, i, sample_);
    coder.add_mean(row_.data(), store.norm(slot));
  }
  coder.end_mean();
  const size_t some = coder.axes_rows();
  if (some != 0) status = coder.begin_axes(seed);
  for (size_t i = 0; i < some && status == Status::ok; ++i) {
    const size_t slot = take_row(store, i, some);
    coder.add_to_axes(row_.data(), store.norm(slot), work_.data());
  }
  return status;
}

Status HnswCodes::learn_step(const RowStore& store, const int32_t* cancel) {
  if (coder.finding_axes()) return coder.find_axes(cancel);
  for (const size_t end = std::min(sample_, spread_ + kSpreadRows); spread_ < end; ++spread_) {
    const size_t slot = take_row(store, spread_, sample_);
    if (!coder.add_spread(row_.data(), store.norm(slot), work_.data())) return out_of_memory(sample_ * 4);
  }
  if (spread_ < sample_) return Status::ok;
  coder.end_spread();
  learnt_from = rows_;
  row_ = Buffer<float>();
  work_ = Buffer<float>();
  return Status::ok;
}

bool HnswCodes::encode(const RowStore& store, size_t begin, size_t end) {
  const size_t dim = store.shape().dim;
  const DecodeFn decode = kernels().decode[static_cast<size_t>(store.shape().scalar)];
  Buffer<float> work;
  const size_t room = coder.work_floats();
  if (!work.resize(room + dim)) return false;
  for (size_t slot = begin; slot < end; ++slot) {
    decode(store.row(slot), dim, work.data() + room);
    coder.encode(work.data() + room, store.norm(slot), work.data(), codes.item(slot));
  }
  return true;
}

Status HnswCodes::encode_part(const RowStore& store, size_t* coded, size_t end, const int32_t* cancel) {
  const size_t begin = *coded, stop = std::min(end, begin + kStepRows);
  std::atomic<bool> no_memory{false};
  parallel_for((stop - begin + kSliceRows - 1) / kSliceRows, 0, [&](size_t slice) {
    if (cancelled(cancel)) return;
    const size_t first = begin + slice * kSliceRows;
    if (!encode(store, first, std::min(stop, first + kSliceRows))) no_memory = true;
  });
  if (no_memory) return out_of_memory(store.shape().dim * 12);
  if (cancelled(cancel)) return aborted();
  *coded = stop;
  return Status::ok;
}

}  // namespace annex
