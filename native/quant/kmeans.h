// k-means (Lloyd 1982), in steps, and the assignment of points to the nearest of many centroids, which structures use
// by itself.
//
// Products of points and centroids are made of bytes where that pays (the error of the bytes is measured, and whatever
// comes near the best is compared in float), so that an iteration costs a fraction of one in float.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/buffer.h"
#include "base/status.h"
#include "quant/training.h"

namespace annex {

/// Centroids made ready for products with many points.
class CentroidTable {
 public:
  /// Copies k centroids. `inner_product`: the nearest is that with the greatest product; else the least squared
  /// Euclidean distance. `narrow`: whether products of bytes may pick the candidates.
  Status prepare(const float* centroids, size_t k, size_t dim, bool inner_product, bool narrow = true);

  size_t k() const { return k_; }
  size_t dim() const { return dim_; }
  const float* centroids() const { return centroids_.data(); }

  struct Nearest {
    uint32_t* nearest = nullptr;             // n
    float* distance = nullptr;               // n or null: squared Euclidean distance, or minus the product
    uint32_t* second = nullptr;              // n or null: the second nearest (the nearest itself where k = 1)
    float* second_distance = nullptr;        // n or null
    double* candidates_per_point = nullptr;  // one value or null: how many centroids were compared in float
  };
  /// The nearest centroids of n points, `stride` floats apart; the smaller number where two are as near. The same
  /// for any number of threads (0: all of the pool) and any cut of the points into calls.
  Status assign(const float* points, size_t stride, size_t n, size_t threads, const int32_t* cancel,
                const Nearest& out) const;

 private:
  struct Block;
  void assign_block(const float* points, size_t stride, size_t n, const Nearest& out, size_t first, Block& block) const;
  size_t settle(const float* x, const float* lanes, float slack, const Nearest& out, size_t i) const;

  size_t k_ = 0, dim_ = 0;
  bool inner_product_ = false, narrow_ = false;
  Buffer<float> centroids_;      // k × dim
  Buffer<uint8_t> panels_;       // byte or float panels (kernels.h)
  Buffer<float> scale_, a_, b_;  // terms of each centroid, padded to whole panels
  float largest_error_ = 0, largest_norm_ = 0;
};

struct KmeansOptions {
  size_t k = 0;
  size_t dim = 0;
  bool spherical = false;  // centroids of length 1, nearest by inner product
  size_t iterations = 10;
  size_t max_points_per_centroid = 256;  // beyond it a sample is taken; 0: all points
  bool balanced = false;                 // moves centroids from small clusters to large ones
  uint64_t seed = 0;
  size_t threads = 0;  // 0: all of the pool
};

/// One run of k-means. More than kFlatCentroids are trained on two levels, at a cost of about n · √k.
class Kmeans {
 public:
  static constexpr size_t kFlatCentroids = 4096;

  Kmeans();
  ~Kmeans();
  Kmeans(Kmeans&&) noexcept;
  Kmeans& operator=(Kmeans&&) noexcept;

  /// n ≥ 1 finite points, n × dim, that stay where they are until the training ends. With fewer points than centroids
  /// the points themselves come first, and centroids repeat.
  Status begin(const KmeansOptions& options, const float* points, size_t n);
  /// The next part, over the pool. A failed or aborted training cannot go on.
  Status step(const int32_t* cancel, TrainProgress* progress);
  /// All steps.
  Status run(const int32_t* cancel);

  /// After the last step: k × dim.
  const Buffer<float>& centroids() const { return centroids_; }
  Buffer<float>&& take_centroids() { return static_cast<Buffer<float>&&>(centroids_); }
  /// Mean squared distance (spherical: mean of 1 - product) of the training points when they were last assigned.
  double objective() const { return objective_; }

 private:
  class Flat;
  class Tree;
  std::unique_ptr<Flat> flat_;
  std::unique_ptr<Tree> tree_;
  Buffer<float> centroids_;
  double objective_ = 0;
};

}  // namespace annex
