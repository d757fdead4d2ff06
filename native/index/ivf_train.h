// Trains an IVF index: centroids by k-means on a sample, then the codec on the sample's residuals.
#pragma once
#include "index/ivf.h"
#include "quant/kmeans.h"

namespace annex {

class IvfTrainer final : public Writer {
 public:
  explicit IvfTrainer(IvfIndex& index);
  ~IvfTrainer() override;
  Status append(Input type, const void* rows, size_t n, const double* ids, const int32_t* cancel) override;
  Status step(const int32_t* cancel, Progress* progress) override;
  Status commit() override;

 private:
  enum class Stage { collect, kmeans, residuals, codec, done };
  Status begin_kmeans();
  Status end_kmeans(const int32_t* cancel);
  Status find_mean(const int32_t* cancel);
  Status set_centroids(const float* centroids, const int32_t* cancel);
  Status residuals_part(const int32_t* cancel);
  Status next(const int32_t* cancel, Progress* progress);
  /// Floats of the sample that are kept at most.
  size_t most_rows() const;

  IvfIndex& index_;
  Stage stage_ = Stage::collect;
  Buffer<float> sample_;  // rows; residuals once the centroids are there
  Buffer<float> rows_;    // then, where the codec wants them
  Buffer<float> origin_;  // the mean of the centroids
  size_t seen_ = 0;       // rows appended
  size_t kept_ = 0;
  size_t residuals_ = 0;  // of them, rows whose residuals are there
  uint64_t random_;
  Kmeans kmeans_;
  RowStore centroids_;
  IdMap centroid_ids_;
  bool failed_ = false;
};

}  // namespace annex
