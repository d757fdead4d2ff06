#include "quant/kmeans.h"

#include <new>

#include "quant/kmeans_parts.h"

namespace annex {

Kmeans::Kmeans() = default;
Kmeans::~Kmeans() = default;
Kmeans::Kmeans(Kmeans&&) noexcept = default;
Kmeans& Kmeans::operator=(Kmeans&&) noexcept = default;

Status Kmeans::begin(const KmeansOptions& options, const float* points, size_t n) {
  flat_.reset();
  tree_.reset();
  if (options.k == 0 || options.dim == 0 || n == 0 || n > UINT32_MAX || options.k > UINT32_MAX) {
    return fail(Status::invalid_argument, "k-means needs 1 … 2^32 points and centroids, got %zu points, %zu centroids",
                n, options.k);
  }
  if (options.k > kFlatCentroids) {
    tree_.reset(new (std::nothrow) Tree);
    return tree_ == nullptr ? out_of_memory(sizeof(Tree)) : tree_->begin(options, points, n);
  }
  flat_.reset(new (std::nothrow) Flat);
  return flat_ == nullptr ? out_of_memory(sizeof(Flat)) : flat_->begin(options, points, n);
}

Status Kmeans::step(const int32_t* cancel, TrainProgress* progress) {
  *progress = TrainProgress{1, 1, true};
  if (flat_ == nullptr && tree_ == nullptr) return Status::ok;
  const Status status = flat_ != nullptr ? flat_->step(cancel, progress) : tree_->step(cancel, progress);
  if (status != Status::ok || !progress->finished) return status;
  centroids_ = static_cast<Buffer<float>&&>(flat_ != nullptr ? flat_->centroids() : tree_->centroids());
  objective_ = flat_ != nullptr ? flat_->objective() : tree_->objective();
  flat_.reset();
  tree_.reset();
  return Status::ok;
}

Status Kmeans::run(const int32_t* cancel) {
  TrainProgress progress;
  while (!progress.finished) {
    const Status status = step(cancel, &progress);
    if (status != Status::ok) return status;
  }
  return Status::ok;
}

}  // namespace annex
