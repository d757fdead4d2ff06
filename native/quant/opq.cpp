#include "quant/opq.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>

#include "base/parallel.h"
#include "kernels/dispatch.h"
#include "quant/products.h"

namespace annex {
namespace {

constexpr size_t kBlock = 256;      // points rotated together
constexpr size_t kChunk = 512;      // points that one product sums over
constexpr size_t kRowsTask = 24;    // rows of the correlation that one task sums
constexpr size_t kSeedWords = 8;    // points that a codeword is drawn from
constexpr size_t kFirstRounds = 6;  // of k-means before the first turn
constexpr size_t kBatchWords = 32;  // points of a small batch for each codeword
constexpr size_t kBatchLeast = 8192;
constexpr size_t kMomentPoints = 16;  // for each dimension
constexpr size_t kMomentSlice = 16384;
constexpr double kMemoryWork = 16;  // a float read from memory costs as much as so many multiply-adds
constexpr double kLeastVariance = 1e-6;
constexpr double kKeep = 1e-2;     // how much of the last rotation steadies the next
constexpr float kProlong = 2;      // how far turns are prolonged
constexpr size_t kPlainTurns = 3;  // at either end

constexpr size_t at(Scalar scalar) { return static_cast<size_t>(scalar); }

}  // namespace

Status rotate_into(Lines& lines, const float* matrix, size_t in, const float* points, size_t first, size_t count,
                   size_t threads) {
  const Kernels& table = kernels();
  std::atomic<bool> starved{false};
  parallel_for((count + kBlock - 1) / kBlock, threads, [&](size_t task) {
    const size_t begin = first + task * kBlock, n = std::min(kBlock, first + count - begin);
    const size_t padded = (n + kPanelRows - 1) / kPanelRows * kPanelRows;
    Buffer<float> panels, sums;
    if (!panels.resize(panel_floats(n, in)) || !sums.resize(lines.dim * padded)) {
      starved.store(true, std::memory_order_relaxed);
      return;
    }
    table.pack[at(Scalar::f32)](points + begin * in, in * sizeof(float), n, in, panels.data());
    table.sums_f32(matrix, in, lines.dim, panels.data(), n, in, sums.data());
    for (size_t d = 0; d < lines.dim; ++d) {
      std::memcpy(lines.element(d) + begin, sums.data() + d * padded, n * sizeof(float));
    }
  });
  return starved.load() ? out_of_memory(kBlock * (in + lines.dim) * sizeof(float)) : Status::ok;
}

Status Opq::begin(const PqShape& shape, size_t in, const float* points, size_t n, size_t turns, uint64_t seed,
                  size_t threads) {
  shape_ = shape;
  in_ = in;
  n_ = n;
  points_ = points;
  turns_ = turns;
  seed_ = seed;
  threads_ = threads;
  turn_ = position_ = 0;
  started_ = false;
  phase_ = Phase::moments;
  return Status::ok;
}

// Small batches serve until the rotation is about right, larger ones for the last quarter.
size_t Opq::batch_points(size_t turn) const {
  const size_t batch = std::max(kBatchLeast, kBatchWords * shape_.codewords());
  return std::min(n_, turn * 4 >= turns_ * 3 ? 4 * batch : batch);
}

Status Opq::step(const int32_t* cancel, double* work) {
  switch (phase_) {
    case Phase::moments: return moments_slice(cancel, work);
    case Phase::eigen: {
      const Status status = eigen_.step(cancel, work);
      return status != Status::ok || !eigen_.finished() ? status : start();
    }
    case Phase::rotate: return rotate_slice(cancel, work);
    case Phase::codes: return codes_slice(cancel, work);
    case Phase::correlate: return correlate_slice(cancel, work);
    case Phase::turn: *work += kMemoryWork * static_cast<double>(shape_.dim * in_); return turn();
    case Phase::polar: return polar_slice(cancel, work);
    case Phase::finished: return Status::ok;
  }
  return Status::ok;
}

// The points less their mean, as lines, for their covariance. Where dimensions go, the mean has to stay: then the
// points as they are.
Status Opq::moments_slice(const int32_t* cancel, double* work) {
  if (position_ == 0) {
    batch_n_ = std::min(n_, std::max(kBatchLeast, kMomentPoints * in_));
    batch_ = points_;
    const Status status = lines_.open(batch_n_, in_);
    if (status != Status::ok) return status;
    if (!sum_.resize(in_ * in_)) return out_of_memory(in_ * in_ * sizeof(float));
  }
  const size_t count = std::min(batch_n_ - position_, kMomentSlice);
  parallel_for((count + kBlock - 1) / kBlock, threads_, [&](size_t task) {
    const size_t first = position_ + task * kBlock;
    lines_.put_rows(points_ + first * in_, in_, first, std::min(kBlock, position_ + count - first));
  });
  *work += kMemoryWork * static_cast<double>(count * in_);
  position_ += count;
  if (cancelled(cancel)) return aborted();
  if (position_ < batch_n_) return Status::ok;
  parallel_for(shape_.dim == in_ ? in_ : 0, threads_, [&](size_t d) {
    float* line = lines_.element(d);
    double sum = 0;
    for (size_t i = 0; i < batch_n_; ++i) sum += line[i];
    const float mean = static_cast<float>(sum / static_cast<double>(batch_n_));
    for (size_t i = 0; i < batch_n_; ++i) line[i] -= mean;
  });
  position_ = 0;
  phase_ = Phase::correlate;
  return Status::ok;
}

// Principal directions go to the part with the least product of variances so far that has room (Ge et al.,
// section 3.3).
Status Opq::start() {
  const size_t out = shape_.dim, part = shape_.part();
  Buffer<uint32_t> order, filled;
  Buffer<double> products;
  if (!matrix_.resize(out * in_) || !eigen_.order(&order) || !filled.resize_zeroed(shape_.m) ||
      !products.resize_zeroed(shape_.m)) {
    return out_of_memory(out * in_ * sizeof(float));
  }
  const double most = eigen_.value(order[0]), least = std::max(most * kLeastVariance, 1e-300);
  for (size_t i = 0; i < out; ++i) {
    size_t best = shape_.m;
    for (size_t j = 0; j < shape_.m; ++j) {
      if (filled[j] < part && (best == shape_.m || products[j] < products[best])) best = j;
    }
    products[best] += std::log(std::max(eigen_.value(order[i]), least) / least);
    float* row = matrix_.data() + (best * part + filled[best]++) * in_;
    std::memcpy(row, eigen_.vector(order[i]), in_ * sizeof(float));
  }
  eigen_ = SymmetricEigen();
  started_ = true;
  sum_.clear();
  if (!sum_.resize(out * in_)) return out_of_memory(out * in_ * sizeof(float));
  const Status status = books_.open(shape_, seed_);
  if (status != Status::ok) return status;
  phase_ = Phase::polar;
  prolonged_ = true;
  return polar_.begin(matrix_.data(), out, in_, threads_);
}

Status Opq::rotate_slice(const int32_t* cancel, double* work) {
  if (position_ == 0) {
    batch_n_ = batch_points(turn_);
    // Batches follow each other through the points.
    const size_t batches = n_ / batch_n_;
    batch_ = points_ + turn_ % batches * batch_n_ * in_;
    const Status status = lines_.open(batch_n_, shape_.dim);
    if (status != Status::ok) return status;
    if (!codes_.resize(shape_.m * lines_.padded)) return out_of_memory(shape_.m * lines_.padded);
  }
  const double cost = static_cast<double>(shape_.dim * in_);
  const size_t wanted = static_cast<size_t>(std::max(kStepWork - *work, 0.0) / cost) / kBlock * kBlock;
  const size_t count = std::min(batch_n_ - position_, std::max(kBlock, wanted));
  const Status status = rotate_into(lines_, matrix_.data(), in_, batch_, position_, count, threads_);
  if (status != Status::ok) return status;
  *work += cost * static_cast<double>(count);
  position_ += count;
  if (cancelled(cancel)) return aborted();
  if (position_ < batch_n_) return Status::ok;
  position_ = 0;
  phase_ = Phase::codes;
  return Status::ok;
}

Status Opq::codes_slice(const int32_t* cancel, double* work) {
  const double cost = static_cast<double>(batch_n_ * (shape_.codewords() + 16) * shape_.part());
  const double rounds = turn_ == 0 ? kFirstRounds : 1;
  const size_t wanted = static_cast<size_t>(std::max(kStepWork - *work, 0.0) / (cost * rounds));
  const size_t first = position_, count = std::min(shape_.m - first, std::max<size_t>(1, wanted));
  std::atomic<bool> starved{false};
  parallel_for(count, threads_, [&](size_t task) {
    if (cancelled(cancel)) return;
    const size_t part = first + task;
    uint8_t* codes = codes_.data() + part * lines_.padded;
    if (turn_ == 0 && books_.seed(lines_, part, batch_n_, kSeedWords * shape_.codewords()) != Status::ok) {
      starved.store(true, std::memory_order_relaxed);
      return;
    }
    for (size_t round = 0; round < (turn_ == 0 ? kFirstRounds : 1); ++round) {
      books_.improve(lines_, part, batch_n_, turn_ + round, codes);
    }
    books_.decode(lines_, part, batch_n_, codes);
  });
  if (starved.load()) return out_of_memory(kSeedWords * shape_.codewords() * sizeof(float));
  if (cancelled(cancel)) return aborted();
  *work += cost * rounds * static_cast<double>(count);
  position_ += count;
  if (position_ < shape_.m) return Status::ok;
  position_ = 0;
  phase_ = Phase::correlate;
  return Status::ok;
}

// sum_ += codewords · pointsᵀ over the next chunks.
Status Opq::correlate_slice(const int32_t* cancel, double* work) {
  const size_t dim = lines_.dim;
  const double cost = static_cast<double>(dim * in_);
  const size_t wanted = static_cast<size_t>(std::max(kStepWork - *work, 0.0) / cost) / kChunk * kChunk;
  const size_t first = position_, count = std::min(batch_n_ - first, std::max(kChunk, wanted));
  const size_t width = (in_ + kPanelRows - 1) / kPanelRows * kPanelRows, chunks = (count + kChunk - 1) / kChunk;
  if (first == 0) std::memset(sum_.data(), 0, sum_.size() * sizeof(float));
  Buffer<float> panels;
  if (!panels.resize(chunks * width * kChunk)) return out_of_memory(chunks * width * kChunk * sizeof(float));
  parallel_for(chunks, threads_, [&](size_t chunk) {
    const size_t begin = first + chunk * kChunk, n = std::min(kChunk, first + count - begin);
    pack_transposed(batch_ + begin * in_, n, in_, panels.data() + chunk * width * kChunk);
  });
  std::atomic<bool> starved{false};
  parallel_for((dim + kRowsTask - 1) / kRowsTask, threads_, [&](size_t task) {
    if (cancelled(cancel)) return;
    const size_t row = task * kRowsTask, rows = std::min(kRowsTask, dim - row);
    Buffer<float> part;
    if (!part.resize(rows * width)) {
      starved.store(true, std::memory_order_relaxed);
      return;
    }
    for (size_t chunk = 0; chunk < chunks; ++chunk) {
      const size_t begin = first + chunk * kChunk, n = std::min(kChunk, first + count - begin);
      kernels().sums_f32(lines_.element(row) + begin, lines_.stride, rows, panels.data() + chunk * width * kChunk, in_,
                         n, part.data());
      for (size_t r = 0; r < rows; ++r) {
        float* to = sum_.data() + (row + r) * in_;
        const float* from = part.data() + r * width;
        for (size_t d = 0; d < in_; ++d) to[d] += from[d];
      }
    }
  });
  if (starved.load()) return out_of_memory(kRowsTask * width * sizeof(float));
  if (cancelled(cancel)) return aborted();
  *work += cost * static_cast<double>(count);
  position_ += count;
  if (position_ < batch_n_) return Status::ok;
  position_ = 0;
  phase_ = started_ ? Phase::turn : Phase::eigen;
  return started_ ? Status::ok : eigen_.begin(sum_.data(), in_);
}

// A little of the last rotation fills directions in which the sum says nothing.
Status Opq::turn() {
  double square = 0;
  for (size_t i = 0; i < sum_.size(); ++i) square += static_cast<double>(sum_[i]) * sum_[i];
  const double size = std::sqrt(square / static_cast<double>(shape_.dim));
  ++turn_;
  if (!(size > 0 && std::isfinite(size))) {
    phase_ = turn_ == turns_ ? Phase::finished : Phase::rotate;
    return Status::ok;
  }
  // sum_ becomes the last rotation, matrix_ the next.
  for (size_t i = 0; i < sum_.size(); ++i) sum_[i] = static_cast<float>(sum_[i] / size + kKeep * matrix_[i]);
  sum_.swap(matrix_);
  prolonged_ = turn_ <= kPlainTurns || turn_ + kPlainTurns > turns_;
  phase_ = Phase::polar;
  return polar_.begin(matrix_.data(), shape_.dim, in_, threads_);
}

// Turns go on too slowly by far: each is prolonged in its own direction, but for the first and the last ones.
Status Opq::polar_slice(const int32_t* cancel, double* work) {
  const Status status = polar_.step(cancel, work);
  if (status != Status::ok || !polar_.finished()) return status;
  if (prolonged_) {
    phase_ = turn_ == turns_ ? Phase::finished : Phase::rotate;
    return Status::ok;
  }
  prolonged_ = true;
  for (size_t i = 0; i < sum_.size(); ++i) matrix_[i] += kProlong * (matrix_[i] - sum_[i]);
  return polar_.begin(matrix_.data(), shape_.dim, in_, threads_);
}

}  // namespace annex
