// Lloyd's iterations. Points are grouped by cluster before the means are taken, so that each mean is one sum in a fixed
// order, whatever the threads.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/parallel.h"
#include "base/random.h"
#include "kernels/dispatch.h"
#include "quant/kmeans_parts.h"

namespace annex {
namespace {

constexpr size_t kSlicePoints = 128;    // least of a slice
constexpr size_t kMeasurePoints = 512;  // summed as one
constexpr size_t kTaskClusters = 8;
constexpr double kMemoryWork = 16;     // a float read from memory costs as much as so many multiply-adds
constexpr double kManyCandidates = 8;  // from here on bytes do not tell the centroids apart
constexpr size_t kSeedRounds = 16;
constexpr size_t kManySeeds = 512;
constexpr size_t kPoolPoints = 16;  // points of the pool for each seed
constexpr size_t kPoolLeast = 4096;
constexpr size_t kSeedWork = 64;  // what a point costs in a round besides the products
constexpr size_t kSettle = 2;     // last iterations, in which nothing is moved for balance

}  // namespace

Status sample_points(const float* points, size_t n, size_t dim, size_t count, uint64_t seed, const int32_t* cancel,
                     Buffer<float>* sample) {
  if (!sample->resize(count * dim)) return out_of_memory(count * dim * sizeof(float));
  Random random(seed);
  size_t taken = 0;
  // Each point is taken with the chance of those still needed among those still to come (Knuth, algorithm S).
  for (size_t i = 0; i < n && taken < count; ++i) {
    if (random.uniform() * static_cast<double>(n - i) >= static_cast<double>(count - taken)) continue;
    std::memcpy(sample->data() + taken * dim, points + i * dim, dim * sizeof(float));
    if (++taken % 4096 == 0 && cancelled(cancel)) return aborted();
  }
  return Status::ok;
}

Status Kmeans::Flat::begin(const KmeansOptions& options, const float* points, size_t n) {
  options_ = options;
  points_ = points;
  n_ = n;
  const size_t most = options.max_points_per_centroid;
  phase_ = most != 0 && n / options.k > most ? Phase::sample : Phase::start;
  iteration_ = position_ = 0;
  narrow_ = true;
  near_ = false;
  objective_ = 0;
  return Status::ok;
}

Status Kmeans::Flat::reserve() {
  const size_t k = options_.k, dim = options_.dim;
  if (!nearest_.resize(n_) || !order_.resize(n_) || !starts_.resize(k + 1) || !centroids_.resize(k * dim) ||
      !slices_.resize((n_ + kMeasurePoints - 1) / kMeasurePoints)) {
    return out_of_memory(n_ * 8 + k * dim * sizeof(float));
  }
  std::memset(nearest_.data(), 0, n_ * sizeof(uint32_t));
  return Status::ok;
}

Status Kmeans::Flat::begin_iteration(const int32_t* cancel) {
  phase_ = Phase::assign;
  position_ = 0;
  candidates_ = 0;
  changed_ = iteration_ == 0;
  if (near_) return share_out_centroids(cancel);
  return table_.prepare(centroids_.data(), options_.k, options_.dim, options_.spherical, narrow_);
}

Status Kmeans::Flat::step(const int32_t* cancel, TrainProgress* progress) {
  Status status = Status::ok;
  double work = 0;
  while (status == Status::ok && work < kStepWork && phase_ != Phase::finished) {
    if (cancelled(cancel)) return aborted();
    switch (phase_) {
      case Phase::sample: {
        const size_t count = options_.k * options_.max_points_per_centroid;
        status = sample_points(points_, n_, options_.dim, count, options_.seed, cancel, &sample_);
        points_ = sample_.data();
        n_ = count;
        work += kMemoryWork * static_cast<double>(count * options_.dim);
        phase_ = Phase::start;
        break;
      }
      case Phase::start: {
        const size_t k = options_.k, dim = options_.dim;
        status = reserve();
        if (status != Status::ok) return status;
        work += static_cast<double>(n_);
        position_ = 0;
        if (n_ > k) {
          status = open_pool();
          phase_ = Phase::seed;
          break;
        }
        for (size_t c = 0; c < k; ++c) {
          place(c, points_ + c % n_ * dim);
          if (c < n_) nearest_[c] = static_cast<uint32_t>(c);
        }
        phase_ = Phase::measure;
        break;
      }
      case Phase::seed:
        status = seed_slice(cancel, &work);
        if (status == Status::ok && seeded_ == options_.k) {
          pool_ = Buffer<float>();
          reach_ = Buffer<float>();
          status = begin_iteration(cancel);
        }
        break;
      case Phase::assign:
        status = near_ ? assign_cell(cancel, &work) : assign_slice(cancel, &work);
        if (status == Status::ok && position_ == n_) {
          if (candidates_ > kManyCandidates * static_cast<double>(n_)) narrow_ = false;
          group();
          position_ = 0;
          work += 4 * static_cast<double>(n_);
          phase_ = changed_ ? Phase::update : Phase::measure;
        }
        break;
      case Phase::update:
        status = update_slice(cancel, &work);
        if (status == Status::ok && position_ == options_.k) {
          ++iteration_;
          position_ = 0;
          phase_ = iteration_ < options_.iterations ? Phase::repair : Phase::measure;
        }
        break;
      case Phase::repair:
        repair();
        status = begin_iteration(cancel);
        work += static_cast<double>(options_.k * options_.dim);
        break;
      case Phase::measure: status = measure_slice(cancel, &work); break;
      case Phase::finished: break;
    }
  }
  progress->finished = phase_ == Phase::finished;
  progress->total = static_cast<double>(options_.iterations) * static_cast<double>(n_);
  const double within = phase_ == Phase::assign ? static_cast<double>(position_) : 0.0;
  progress->done = progress->finished
                       ? progress->total
                       : std::min(static_cast<double>(iteration_) * static_cast<double>(n_) + within, progress->total);
  return status;
}

// Puts a centroid where a point is.
void Kmeans::Flat::place(size_t cluster, const float* point) {
  const size_t dim = options_.dim;
  double factor = 1;
  if (options_.spherical) {
    double square = 0;
    for (size_t d = 0; d < dim; ++d) square += static_cast<double>(point[d]) * point[d];
    if (square > 0) factor = 1 / std::sqrt(square);
  }
  float* centroid = centroids_.data() + cluster * dim;
  for (size_t d = 0; d < dim; ++d) centroid[d] = static_cast<float>(point[d] * factor);
}

// The start: points drawn in rounds, with chances in proportion to the squared distance from those drawn before
// (k-means||: Bahmani et al. 2012, with k / rounds points a round), out of a pool that is itself a random sample.
Status Kmeans::Flat::open_pool() {
  const size_t dim = options_.dim, count = std::min(n_, std::max(kPoolLeast, kPoolPoints * options_.k));
  if (!reach_.resize(count) || !pool_.resize(count * dim)) return out_of_memory(count * (dim + 1) * sizeof(float));
  for (size_t i = 0; i < n_; ++i) order_[i] = static_cast<uint32_t>(i);
  Random random(options_.seed ^ 0x6b6d65616e73u);
  for (size_t i = 0; i < count; ++i) {
    std::swap(order_[i], order_[i + random.below(n_ - i)]);
    std::memcpy(pool_.data() + i * dim, points_ + order_[i] * dim, dim * sizeof(float));
    reach_[i] = std::numeric_limits<float>::infinity();
  }
  seeded_ = round_ = 0;
  position_ = count;  // nothing to compare with yet
  return Status::ok;
}

Status Kmeans::Flat::seed_slice(const int32_t* cancel, double* work) {
  const size_t dim = options_.dim, count = reach_.size();
  if (position_ == count) {
    draw_seeds();
    position_ = 0;
    *work += static_cast<double>(count);
    if (seeded_ == options_.k) return Status::ok;
    const Status status = table_.prepare(centroids_.data() + drawn_ * dim, seeded_ - drawn_, dim, false);
    if (status != Status::ok) return status;
  }
  const double cost = static_cast<double>((seeded_ - drawn_ + kSeedWork) * dim);
  const size_t wanted = static_cast<size_t>(std::max(kStepWork - *work, 0.0) / cost);
  const size_t slice = std::min(count - position_, std::max(kSlicePoints, wanted));
  if (!distance_.resize(slice)) return out_of_memory(slice * sizeof(float));
  CentroidTable::Nearest out;
  out.nearest = nearest_.data();
  out.distance = distance_.data();
  const Status status = table_.assign(pool_.data() + position_ * dim, dim, slice, options_.threads, cancel, out);
  if (status != Status::ok) return status;
  for (size_t i = 0; i < slice; ++i) reach_[position_ + i] = std::min(reach_[position_ + i], distance_[i]);
  position_ += slice;
  *work += cost * static_cast<double>(slice);
  return Status::ok;
}

// Draws the next seeds into centroids_[drawn_ … seeded_).
void Kmeans::Flat::draw_seeds() {
  const size_t k = options_.k, dim = options_.dim, count = reach_.size();
  // Of many seeds the first half is drawn evenly, so that they follow the density of the points and clusters are of
  // like sizes; the others go where they lack.
  const size_t even = k < kManySeeds ? k / kSeedRounds : k / 2;
  const size_t wanted = std::max<size_t>(1, seeded_ == 0 ? even : (k + kSeedRounds - 1) / kSeedRounds);
  drawn_ = seeded_;
  const size_t end = std::min(k, seeded_ + wanted);
  Random random(options_.seed + 0x73656564 + round_++);
  double total = 0;
  for (size_t i = 0; i < count; ++i) total += reach_[i];
  const auto take = [&](size_t i) {
    place(seeded_++, pool_.data() + i * dim);
    reach_[i] = 0;
  };
  if (total > 0 && total < std::numeric_limits<double>::infinity()) {
    // One point from each of as many equal shares of the total.
    const double share = total / static_cast<double>(end - seeded_);
    double passed = 0, next = random.uniform() * share;
    for (size_t i = 0; i < count && seeded_ < end; ++i) {
      passed += reach_[i];
      if (passed <= next) continue;
      take(i);
      while (next < passed) next += share;
    }
  }
  // The first round, and where all points repeat those drawn: the pool is in random order.
  if (seeded_ == drawn_) {
    while (seeded_ < end) take(seeded_);
  }
}

Status Kmeans::Flat::assign_slice(const int32_t* cancel, double* work) {
  const double cost = static_cast<double>(options_.k * options_.dim);
  const double room = std::max(kStepWork - *work, 0.0) / cost;
  const size_t wanted = room < static_cast<double>(n_) ? static_cast<size_t>(room) : n_;
  const size_t count = std::min(n_ - position_, std::max(kSlicePoints, wanted));
  *work += cost * static_cast<double>(count);
  if (!before_.resize(count)) return out_of_memory(count * sizeof(uint32_t));
  std::memcpy(before_.data(), nearest_.data() + position_, count * sizeof(uint32_t));
  double candidates = 0;
  CentroidTable::Nearest out;
  out.nearest = nearest_.data() + position_;
  out.candidates_per_point = &candidates;
  const Status status =
      table_.assign(points_ + position_ * options_.dim, options_.dim, count, options_.threads, cancel, out);
  if (status != Status::ok) return status;
  candidates_ += candidates * static_cast<double>(count);
  changed_ = changed_ || std::memcmp(before_.data(), nearest_.data() + position_, count * sizeof(uint32_t)) != 0;
  position_ += count;
  return Status::ok;
}

// Sorts the points by cluster, those of a cluster ascending.
void Kmeans::Flat::group() {
  std::memset(starts_.data(), 0, starts_.size() * sizeof(uint32_t));
  for (size_t i = 0; i < n_; ++i) ++starts_[nearest_[i]];
  uint32_t sum = 0;
  for (size_t c = 0; c <= options_.k; ++c) {  // the end of cluster c, which the loop below moves back to its start
    sum += c < options_.k ? starts_[c] : 0;
    starts_[c] = sum;
  }
  for (size_t i = n_; i-- > 0;) order_[--starts_[nearest_[i]]] = static_cast<uint32_t>(i);
}

void Kmeans::Flat::update_cluster(size_t cluster, double* sum, float* part) {
  const size_t dim = options_.dim, count = size_of(cluster);
  if (count == 0) return;
  const uint32_t* members = order_.data() + starts_[cluster];
  for (size_t d = 0; d < dim; ++d) sum[d] = 0;
  constexpr size_t kPart = 64;  // floats add up so many points, doubles the rest
  for (size_t first = 0; first < count; first += kPart) {
    const size_t last = std::min(count, first + kPart);
    std::memcpy(part, points_ + members[first] * dim, dim * sizeof(float));
    for (size_t i = first + 1; i < last; ++i) {
      const float* x = points_ + members[i] * dim;
      for (size_t d = 0; d < dim; ++d) part[d] += x[d];
    }
    for (size_t d = 0; d < dim; ++d) sum[d] += part[d];
  }
  bool finite = true;
  for (size_t d = 0; d < dim; ++d) finite = finite && std::isfinite(sum[d]);
  if (!finite) {  // the floats overflowed
    for (size_t d = 0; d < dim; ++d) {
      sum[d] = 0;
      for (size_t i = 0; i < count; ++i) sum[d] += points_[members[i] * dim + d];
    }
  }
  double factor = 1.0 / static_cast<double>(count);
  if (options_.spherical) {
    double square = 0;
    for (size_t d = 0; d < dim; ++d) square += sum[d] * sum[d];
    if (square > 0) factor = 1 / std::sqrt(square);
  }
  float* centroid = centroids_.data() + cluster * dim;
  for (size_t d = 0; d < dim; ++d) centroid[d] = static_cast<float>(sum[d] * factor);
}

Status Kmeans::Flat::update_slice(const int32_t* cancel, double* work) {
  const size_t first = position_;
  const double cost = kMemoryWork * static_cast<double>(options_.dim);
  for (double added = 0; position_ < options_.k && (position_ == first || *work + added < kStepWork); ++position_) {
    added += cost * size_of(position_);
  }
  *work += cost * (starts_[position_] - starts_[first]);
  std::atomic<bool> starved{false};
  parallel_for((position_ - first + kTaskClusters - 1) / kTaskClusters, options_.threads, [&](size_t task) {
    if (cancelled(cancel) || starved.load(std::memory_order_relaxed)) return;
    Buffer<double> sum;
    Buffer<float> part;
    if (!sum.resize(options_.dim) || !part.resize(options_.dim)) {
      starved.store(true, std::memory_order_relaxed);
      return;
    }
    const size_t begin = first + task * kTaskClusters, end = std::min(position_, begin + kTaskClusters);
    for (size_t c = begin; c < end; ++c) update_cluster(c, sum.data(), part.data());
  });
  if (starved.load()) return out_of_memory(options_.dim * 12);
  return cancelled(cancel) ? aborted() : Status::ok;
}

// Moves centroids without points next to a point of the largest cluster, which the next iteration then shares between
// both. `balanced` moves those with few points as well.
void Kmeans::Flat::repair() {
  const size_t k = options_.k, dim = options_.dim;
  Buffer<uint32_t> sizes, pieces;                     // points of what is left of a cluster, and in how many it is cut
  if (!sizes.resize(k) || !pieces.resize(k)) return;  // goes without
  for (size_t c = 0; c < k; ++c) {
    sizes[c] = size_of(c);
    pieces[c] = 1;
  }
  Random random(options_.seed + 0x9e37 * (iteration_ + 1));
  const bool balance = options_.balanced && iteration_ + kSettle < options_.iterations;
  const size_t few = balance ? n_ / (2 * k) : 0;
  size_t moves = balance ? std::max<size_t>(1, k / 16) : 0;
  for (size_t c = 0; c < k; ++c) {
    if (size_of(c) > few) continue;
    const bool empty = size_of(c) == 0;
    if (!empty && moves == 0) continue;
    const size_t largest = static_cast<size_t>(std::max_element(sizes.data(), sizes.data() + k) - sizes.data());
    if (sizes[largest] < 2 || (!empty && sizes[largest] < 2 * (n_ / k))) break;
    if (!empty) --moves;
    const uint32_t member = order_[starts_[largest] + random.below(size_of(largest))];
    place(c, points_ + member * dim);
    sizes[c] = 0;
    sizes[largest] = size_of(largest) / ++pieces[largest];
  }
}

Status Kmeans::Flat::measure_slice(const int32_t* cancel, double* work) {
  const double cost = kMemoryWork * static_cast<double>(options_.dim * kMeasurePoints);
  const size_t blocks = slices_.size(), first = position_;
  const size_t count = std::min(blocks - first, 1 + static_cast<size_t>(std::max(kStepWork - *work, 0.0) / cost));
  const Op op = options_.spherical ? Op::dot : Op::l2;
  const auto distance = kernels().scan[static_cast<size_t>(Scalar::f32)][static_cast<size_t>(op)];
  parallel_for(count, options_.threads, [&](size_t task) {
    const size_t block = first + task, end = std::min(n_, (block + 1) * kMeasurePoints);
    double sum = 0;
    for (size_t i = block * kMeasurePoints; i < end; ++i) {
      float value;
      const float* centroid = centroids_.data() + nearest_[i] * options_.dim;
      distance(points_ + i * options_.dim, centroid, 0, 1, options_.dim, &value);
      sum += options_.spherical ? 1.0 - value : value;
    }
    slices_[block] = sum;
  });
  *work += cost * static_cast<double>(count);
  position_ += count;
  if (cancelled(cancel)) return aborted();
  if (position_ < blocks) return Status::ok;
  double sum = 0;
  for (size_t i = 0; i < blocks; ++i) sum += slices_[i];
  objective_ = sum / static_cast<double>(n_);
  phase_ = Phase::finished;
  return Status::ok;
}

}  // namespace annex
