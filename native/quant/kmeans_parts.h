// The two ways of Kmeans, as kmeans.cpp composes them: flat, and on two levels.
#pragma once
#include "quant/kmeans.h"

namespace annex {

/// Copies `count` of n points chosen at random, in ascending order; aborts when told.
Status sample_points(const float* points, size_t n, size_t dim, size_t count, uint64_t seed, const int32_t* cancel,
                     Buffer<float>* sample);

/// Points by the cell they are in, and the cells' centres.
struct KmeansCells {
  Buffer<float> centres;           // cells × dim
  Buffer<uint32_t> order, starts;  // order[starts[c] … starts[c + 1])
};

class Kmeans::Flat {
 public:
  /// Keeps the points' address. n ≥ 1.
  Status begin(const KmeansOptions& options, const float* points, size_t n);
  /// From centroids on that are there; every point is compared with those of its own cell and of the cells near it
  /// alone.
  Status begin_near(const KmeansOptions& options, const float* points, size_t n, Buffer<float>&& centroids,
                    KmeansCells&& cells, const int32_t* cancel);
  Status step(const int32_t* cancel, TrainProgress* progress);
  Buffer<float>& centroids() { return centroids_; }
  double objective() const { return objective_; }

 private:
  enum class Phase : uint8_t { sample, start, seed, assign, update, repair, measure, finished };

  void place(size_t cluster, const float* point);
  Status open_pool();
  Status seed_slice(const int32_t* cancel, double* work);
  void draw_seeds();
  Status reserve();
  Status begin_iteration(const int32_t* cancel);
  Status assign_slice(const int32_t* cancel, double* work);
  Status share_out_centroids(const int32_t* cancel);
  Status open_cell(double* work);
  Status assign_cell(const int32_t* cancel, double* work);
  void group();
  Status update_slice(const int32_t* cancel, double* work);
  void update_cluster(size_t cluster, double* sum, float* part);
  void repair();
  Status measure_slice(const int32_t* cancel, double* work);
  uint32_t size_of(size_t cluster) const { return starts_[cluster + 1] - starts_[cluster]; }

  KmeansOptions options_;
  const float* points_ = nullptr;
  size_t n_ = 0;
  Phase phase_ = Phase::start;
  size_t iteration_ = 0, position_ = 0;
  size_t round_ = 0, drawn_ = 0, seeded_ = 0;
  bool changed_ = false, narrow_ = true;
  double objective_ = 0, candidates_ = 0;
  CentroidTable table_;
  Buffer<float> sample_, centroids_;
  Buffer<float> pool_, reach_, distance_;  // of the start: points to draw from, their distances from those drawn
  Buffer<uint32_t> nearest_, before_;
  Buffer<uint32_t> order_, starts_;  // points by cluster: order_[starts_[c] … starts_[c + 1])
  Buffer<double> slices_;            // objective by block of points
  // Where points are compared with near centroids alone:
  bool near_ = false;
  size_t cell_ = 0;  // the one that is open, or past the last
  KmeansCells cells_;
  Buffer<uint32_t> owned_, owned_starts_;  // centroids by the cell that they are in
  Buffer<uint32_t> choice_;                // centroids that points of the open cell choose from
  Buffer<float> rows_;
};

class Kmeans::Tree {
 public:
  Status begin(const KmeansOptions& options, const float* points, size_t n);
  Status step(const int32_t* cancel, TrainProgress* progress);
  Buffer<float>& centroids() { return centroids_; }
  double objective() const { return objective_; }

 private:
  enum class Phase : uint8_t { sample, top, assign, split, parts, near, finished };

  Status open_top();
  Status split();
  Status step_parts(const int32_t* cancel, TrainProgress* progress);
  Status open_near(const int32_t* cancel);

  KmeansOptions options_;
  const float* points_ = nullptr;
  size_t n_ = 0;
  Phase phase_ = Phase::top;
  size_t position_ = 0, part_ = 0, placed_ = 0;
  bool part_open_ = false;
  double objective_ = 0;
  Flat top_, bottom_;
  CentroidTable table_;
  Buffer<float> sample_, centroids_, members_;
  Buffer<uint32_t> nearest_, order_, starts_;
  Buffer<uint32_t> shares_;  // centroids of each part
};

}  // namespace annex
