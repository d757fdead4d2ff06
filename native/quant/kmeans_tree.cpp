// Many centroids on two levels: about √k cells first, then each cell by itself with a share of the centroids in
// proportion to its points, and at last all of them together, where points look at near centroids alone. The cost is
// about n · √k products instead of n · k.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "quant/kmeans_parts.h"

namespace annex {
namespace {

constexpr size_t kNearRounds = 2;  // iterations over all centroids

}  // namespace

Status Kmeans::Tree::begin(const KmeansOptions& options, const float* points, size_t n) {
  options_ = options;
  points_ = points;
  n_ = n;
  const size_t most = options.max_points_per_centroid;
  phase_ = most != 0 && n / options.k > most ? Phase::sample : Phase::top;
  position_ = part_ = placed_ = 0;
  part_open_ = false;
  if (phase_ == Phase::sample) return Status::ok;
  return open_top();
}

Status Kmeans::Tree::open_top() {
  KmeansOptions top = options_;
  top.k = std::min(n_, static_cast<size_t>(std::sqrt(static_cast<double>(options_.k))));
  top.max_points_per_centroid = 256;
  phase_ = Phase::top;
  return top_.begin(top, points_, n_);
}

Status Kmeans::Tree::step(const int32_t* cancel, TrainProgress* progress) {
  Status status = Status::ok;
  const double points = static_cast<double>(n_);
  progress->total = 4 * points;
  progress->finished = false;
  switch (phase_) {
    case Phase::sample: {
      const size_t count = options_.k * options_.max_points_per_centroid;
      status = sample_points(points_, n_, options_.dim, count, options_.seed, cancel, &sample_);
      points_ = sample_.data();
      n_ = count;
      if (status == Status::ok) status = open_top();
      progress->done = 0;
      break;
    }
    case Phase::top: {
      TrainProgress part;
      status = top_.step(cancel, &part);
      progress->done = points * part.done / part.total;
      if (status != Status::ok || !part.finished) break;
      const size_t k = top_.centroids().size() / options_.dim;
      status = table_.prepare(top_.centroids().data(), k, options_.dim, options_.spherical);
      if (status == Status::ok && !nearest_.resize(n_)) status = out_of_memory(n_ * sizeof(uint32_t));
      phase_ = Phase::assign;
      break;
    }
    case Phase::assign: {
      const double cost = static_cast<double>(table_.k() * options_.dim);
      const size_t count = std::min(n_ - position_, 1 + static_cast<size_t>(kStepWork / cost));
      CentroidTable::Nearest out;
      out.nearest = nearest_.data() + position_;
      status = table_.assign(points_ + position_ * options_.dim, options_.dim, count, options_.threads, cancel, out);
      position_ += count;
      progress->done = points + static_cast<double>(position_);
      if (position_ == n_) phase_ = Phase::split;
      break;
    }
    case Phase::split:
      status = split();
      progress->done = 2 * points;
      phase_ = Phase::parts;
      break;
    case Phase::parts: status = step_parts(cancel, progress); break;
    case Phase::near: {
      TrainProgress part;
      status = bottom_.step(cancel, &part);
      progress->done = points * (3 + part.done / part.total);
      if (status != Status::ok || !part.finished) break;
      centroids_.swap(bottom_.centroids());
      objective_ = bottom_.objective();
      phase_ = Phase::finished;
      break;
    }
    case Phase::finished: break;
  }
  progress->finished = status == Status::ok && phase_ == Phase::finished;
  if (progress->finished) progress->done = progress->total;
  return status;
}

// Groups the points by cell and shares the centroids out: in proportion, by the greatest remainders, at least one and
// at most its points for each cell that has any.
Status Kmeans::Tree::split() {
  const size_t cells = table_.k(), k = options_.k;
  Buffer<double> remainders;
  Buffer<uint32_t> ranks;
  if (!order_.resize(n_) || !starts_.resize_zeroed(cells + 1) || !shares_.resize(cells) || !remainders.resize(cells) ||
      !ranks.resize(cells) || !centroids_.resize(k * options_.dim)) {
    return out_of_memory((n_ + k * options_.dim) * sizeof(float));
  }
  for (size_t i = 0; i < n_; ++i) ++starts_[nearest_[i] + 1];
  size_t given = 0;
  for (size_t c = 0; c < cells; ++c) {
    const uint32_t size = starts_[c + 1];
    const double share = static_cast<double>(k) * size / static_cast<double>(n_);
    shares_[c] = std::min(size, std::max(size == 0 ? 0u : 1u, static_cast<uint32_t>(share)));
    remainders[c] = share - shares_[c];
    ranks[c] = static_cast<uint32_t>(c);
    given += shares_[c];
  }
  std::sort(ranks.data(), ranks.data() + cells, [&](uint32_t a, uint32_t b) {
    return remainders[a] != remainders[b] ? remainders[a] > remainders[b] : a < b;
  });
  // Rounds over all cells, until every centroid is given or no cell can take one.
  for (bool moved = true; given != k && moved;) {
    moved = false;
    for (size_t i = 0; i < cells && given != k; ++i) {
      const size_t c = given < k ? ranks[i] : ranks[cells - 1 - i];
      if (given < k && shares_[c] < starts_[c + 1]) {
        ++shares_[c];
        ++given;
        moved = true;
      } else if (given > k && shares_[c] > 1) {
        --shares_[c];
        --given;
        moved = true;
      }
    }
  }
  for (size_t c = 0; c < cells; ++c) starts_[c + 1] += starts_[c];
  for (size_t i = n_; i-- > 0;) order_[--starts_[nearest_[i] + 1]] = static_cast<uint32_t>(i);
  // Each start has moved one place up: starts_[c + 1] is where cell c begins.
  for (size_t c = 0; c < cells; ++c) starts_[c] = starts_[c + 1];
  starts_[cells] = static_cast<uint32_t>(n_);
  return Status::ok;
}

Status Kmeans::Tree::step_parts(const int32_t* cancel, TrainProgress* progress) {
  double work = 0;
  const size_t dim = options_.dim;
  while (part_ < table_.k() && work < kStepWork) {
    const size_t size = starts_[part_ + 1] - starts_[part_], k = shares_[part_];
    if (k == 0) {
      ++part_;
      continue;
    }
    if (!part_open_) {
      if (!members_.resize(size * dim)) return out_of_memory(size * dim * sizeof(float));
      const uint32_t* members = order_.data() + starts_[part_];
      for (size_t i = 0; i < size; ++i) {
        std::memcpy(members_.data() + i * dim, points_ + members[i] * dim, dim * sizeof(float));
      }
      KmeansOptions part = options_;
      part.k = k;
      part.max_points_per_centroid = 0;
      part.seed = options_.seed + part_ + 1;
      const Status status = bottom_.begin(part, members_.data(), size);
      if (status != Status::ok) return status;
      part_open_ = true;
    }
    TrainProgress inner;
    const Status status = bottom_.step(cancel, &inner);
    if (status != Status::ok) return status;
    // What a step of the part may cost at most, unless it has come to its end.
    work += std::min(kStepWork, static_cast<double>(size * k * dim * options_.iterations));
    if (!inner.finished) continue;
    std::memcpy(centroids_.data() + placed_ * dim, bottom_.centroids().data(), k * dim * sizeof(float));
    objective_ += bottom_.objective() * static_cast<double>(size);
    placed_ += k;
    ++part_;
    part_open_ = false;
  }
  progress->done = 2 * static_cast<double>(n_) + (part_ < table_.k() ? starts_[part_] : static_cast<double>(n_));
  if (part_ < table_.k()) return Status::ok;
  if (placed_ == options_.k) return open_near(cancel);
  // Fewer points than centroids: they repeat.
  for (size_t c = placed_; c < options_.k; ++c) {
    std::memcpy(centroids_.data() + c * dim, centroids_.data() + (c - placed_) * dim, dim * sizeof(float));
  }
  objective_ /= static_cast<double>(n_);
  phase_ = Phase::finished;
  return Status::ok;
}

Status Kmeans::Tree::open_near(const int32_t* cancel) {
  KmeansOptions near = options_;
  near.iterations = kNearRounds;
  KmeansCells cells;
  const size_t floats = table_.k() * options_.dim;
  if (!cells.centres.resize(floats)) return out_of_memory(floats * sizeof(float));
  std::memcpy(cells.centres.data(), table_.centroids(), floats * sizeof(float));
  cells.order.swap(order_);
  cells.starts.swap(starts_);
  phase_ = Phase::near;
  return bottom_.begin_near(near, points_, n_, static_cast<Buffer<float>&&>(centroids_),
                            static_cast<KmeansCells&&>(cells), cancel);
}

}  // namespace annex
