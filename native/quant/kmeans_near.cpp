// Lloyd's iterations over many centroids, in which a point is compared with the centroids near it alone: those in its
// own cell and in the cells next to that. They even out what training cell by cell leaves at the borders.
#include <algorithm>
#include <cstring>

#include "base/round.h"
#include "kernels/dispatch.h"
#include "quant/kmeans_parts.h"

namespace annex {
namespace {

constexpr size_t kNearCells = 16;    // as many as hold so many times a cell's share of the centroids
constexpr size_t kLeastSlice = 128;  // points
constexpr double kMemoryWork = 16;   // a float read from memory costs as much as so many multiply-adds

}  // namespace

Status Kmeans::Flat::begin_near(const KmeansOptions& options, const float* points, size_t n, Buffer<float>&& centroids,
                                KmeansCells&& cells, const int32_t* cancel) {
  Status status = begin(options, points, n);
  near_ = true;
  centroids_ = static_cast<Buffer<float>&&>(centroids);
  cells_ = static_cast<KmeansCells&&>(cells);
  if (status == Status::ok) status = reserve();
  return status == Status::ok ? begin_iteration(cancel) : status;
}

// Centroids by cell: they have moved since.
Status Kmeans::Flat::share_out_centroids(const int32_t* cancel) {
  const size_t k = options_.k, dim = options_.dim, cells = cells_.starts.size() - 1;
  Buffer<uint32_t> owners;
  if (!owners.resize(k) || !owned_.resize(k) || !owned_starts_.resize(cells + 1)) return out_of_memory(k * 8);
  std::memset(owned_starts_.data(), 0, (cells + 1) * sizeof(uint32_t));
  Status status = table_.prepare(cells_.centres.data(), cells, dim, options_.spherical);
  CentroidTable::Nearest out;
  out.nearest = owners.data();
  if (status == Status::ok) status = table_.assign(centroids_.data(), dim, k, options_.threads, cancel, out);
  if (status != Status::ok) return status;
  for (size_t c = 0; c < k; ++c) ++owned_starts_[owners[c] + 1];
  for (size_t c = 0; c < cells; ++c) owned_starts_[c + 1] += owned_starts_[c];
  for (size_t c = k; c-- > 0;) owned_[--owned_starts_[owners[c] + 1]] = static_cast<uint32_t>(c);
  // Each start has moved one place up.
  for (size_t c = 0; c < cells; ++c) owned_starts_[c] = owned_starts_[c + 1];
  owned_starts_[cells] = static_cast<uint32_t>(k);
  cell_ = cells;
  return Status::ok;
}

// Makes the centroids in and around a cell ready.
Status Kmeans::Flat::open_cell(double* work) {
  const size_t dim = options_.dim, cells = cells_.starts.size() - 1;
  const size_t wanted = std::min(options_.k, kNearCells * (options_.k / cells + 1));
  Buffer<float> far, chosen;
  Buffer<uint32_t> ranks;
  if (!far.resize(cells) || !ranks.resize(cells)) return out_of_memory(cells * 8);
  const auto distance = kernels().scan[static_cast<size_t>(Scalar::f32)][static_cast<size_t>(Op::l2)];
  distance(cells_.centres.data() + cell_ * dim, cells_.centres.data(), dim * sizeof(float), cells, dim, far.data());
  for (size_t c = 0; c < cells; ++c) ranks[c] = static_cast<uint32_t>(c);
  std::sort(ranks.data(), ranks.data() + cells,
            [&](uint32_t a, uint32_t b) { return far[a] != far[b] ? far[a] < far[b] : a < b; });
  size_t count = 0, used = 0;
  while (count < wanted) {
    const uint32_t cell = ranks[used++];
    count += owned_starts_[cell + 1] - owned_starts_[cell];
  }
  if (!choice_.resize(count) || !chosen.resize(count * dim)) return out_of_memory(count * (dim + 1) * sizeof(float));
  uint32_t* to = choice_.data();
  for (size_t r = 0; r < used; ++r) {
    to = std::copy(owned_.data() + owned_starts_[ranks[r]], owned_.data() + owned_starts_[ranks[r] + 1], to);
  }
  // The smaller number where two are as near.
  std::sort(choice_.data(), choice_.data() + count);
  for (size_t c = 0; c < count; ++c) {
    std::memcpy(chosen.data() + c * dim, centroids_.data() + choice_[c] * dim, dim * sizeof(float));
  }
  *work += kMemoryWork * static_cast<double>((count + cells) * dim);
  return table_.prepare(chosen.data(), count, dim, options_.spherical, narrow_);
}

// The next points of a cell. position_ counts all that are done, cell by cell.
Status Kmeans::Flat::assign_cell(const int32_t* cancel, double* work) {
  const size_t dim = options_.dim, cells = cells_.starts.size() - 1;
  if (cell_ == cells || position_ == cells_.starts[cell_ + 1]) {
    cell_ = cell_ == cells ? 0 : cell_ + 1;
    while (position_ == cells_.starts[cell_ + 1]) ++cell_;
    const Status status = open_cell(work);
    if (status != Status::ok) return status;
  }
  const double cost = static_cast<double>((choice_.size() + kMemoryWork) * dim);
  const size_t wanted = static_cast<size_t>(std::max(kStepWork - *work, 0.0) / cost);
  const size_t count = std::min(cells_.starts[cell_ + 1] - position_, std::max(kLeastSlice, wanted));
  if (!rows_.resize(count * dim) || !before_.resize(count)) return out_of_memory(count * (dim + 1) * sizeof(float));
  const uint32_t* members = cells_.order.data() + position_;
  for (size_t i = 0; i < count; ++i) {
    std::memcpy(rows_.data() + i * dim, points_ + members[i] * dim, dim * sizeof(float));
  }
  double candidates = 0;
  CentroidTable::Nearest out;
  out.nearest = before_.data();
  out.candidates_per_point = &candidates;
  const Status status = table_.assign(rows_.data(), dim, count, options_.threads, cancel, out);
  if (status != Status::ok) return status;
  for (size_t i = 0; i < count; ++i) {
    const uint32_t now = choice_[before_[i]];
    changed_ = changed_ || nearest_[members[i]] != now;
    nearest_[members[i]] = now;
  }
  candidates_ += candidates * static_cast<double>(count);
  *work += cost * static_cast<double>(count);
  position_ += count;
  return Status::ok;
}

}  // namespace annex
