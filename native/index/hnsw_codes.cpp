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

}  // namespace

Status HnswCodes::learn(const RowStore& store, size_t rows, uint64_t seed) {
  const size_t dim = store.shape().dim, sample = std::min(rows, kSample);
  const DecodeFn decode = kernels().decode[static_cast<size_t>(store.shape().scalar)];
  const Status status = coder.init(seed);
  if (status != Status::ok) return status;
  Buffer<float> row;
  if (!coder.begin(sample) || !row.resize(dim)) return out_of_memory(dim * 12 + sample * 4);
  const auto slot_of = [&](size_t i) { return static_cast<size_t>(uint64_t{i} * rows / sample); };
  for (size_t i = 0; i < sample; ++i) {
    decode(store.row(slot_of(i)), dim, row.data());
    coder.add_mean(row.data(), store.norm(slot_of(i)));
  }
  coder.end_mean();
  for (size_t i = 0; i < sample; ++i) {
    decode(store.row(slot_of(i)), dim, row.data());
    if (!coder.add_spread(row.data(), store.norm(slot_of(i)))) return out_of_memory(sample * 4);
  }
  coder.end_spread();
  learnt_from = rows;
  return Status::ok;
}

bool HnswCodes::encode(const RowStore& store, size_t begin, size_t end) {
  const size_t dim = store.shape().dim;
  const DecodeFn decode = kernels().decode[static_cast<size_t>(store.shape().scalar)];
  Buffer<float> work;
  const size_t room = 2 * coder.rotated_dim();
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
