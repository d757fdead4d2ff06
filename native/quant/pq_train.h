// Training of product quantizers in steps: codebooks alone, or with the rotation before them (OPQ: Ge et al. 2013).
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/buffer.h"
#include "base/status.h"
#include "quant/pq.h"
#include "quant/rotation.h"
#include "quant/training.h"

namespace annex {

struct PqTrainOptions {
  PqShape shape;   // shape.dim: dimensions behind the rotation
  size_t dim = 0;  // dimensions of the points; 0: shape.dim. Without a rotation they are the same
  enum class Rotate : uint8_t { none, random, opq } rotate = Rotate::none;
  size_t iterations = 0;    // of k-means over the codebooks; 0: the default
  size_t alternations = 0;  // of OPQ, between codebooks and rotation; 0: the default
  size_t max_points = 0;    // size of the sample; 0: the default
  float anisotropic = 0;    // weight ≥ 1 of errors along a point; 0 or 1: the plain squared error
  uint64_t seed = 0;
  size_t threads = 0;  // 0: all of the pool
};

class PqTrainer {
 public:
  PqTrainer();
  ~PqTrainer();
  PqTrainer(PqTrainer&&) noexcept;
  PqTrainer& operator=(PqTrainer&&) noexcept;

  /// n ≥ 1 finite points, n × dim, that stay where they are until the training ends. `directions`, as many, are what
  /// the anisotropic loss goes by: the rows that the points are residuals of; null: the points themselves.
  Status begin(const PqTrainOptions& options, const float* points, size_t n, const float* directions = nullptr);
  /// The next part, over the pool. A failed or aborted training cannot go on.
  Status step(const int32_t* cancel, TrainProgress* progress);
  /// All steps.
  Status run(const int32_t* cancel);

  /// After the last step, once. The rotation stays empty where there is none.
  Status take(ProductQuantizer* quantizer, Rotation* rotation);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace annex
