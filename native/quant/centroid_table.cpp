// Values are ⟨x, c⟩ - |c|² / 2 (inner product: ⟨x, c⟩) over the scale of x's codes: the greatest is the nearest.
//
// With x̂ = s · k the bytes of x, ĉ = lo + step · code those of c, e = ‖c - ĉ‖ and ε ≈ s √(dim / 12) for the rounding of
// x, a value in units of s errs by at most (‖x‖ e + ε ‖c‖) / s, and its standard deviation is about a √dim-th of that,
// since the errors of the elements are independent. Whatever lies within six deviations of the best is compared in
// float: what is missed is as near as what is found, within the resolution of bytes.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/parallel.h"
#include "base/round.h"
#include "kernels/dispatch.h"
#include "quant/kmeans.h"

namespace annex {
namespace {

constexpr size_t kBlockPoints = 128;  // whose sums with kBlockCentroids lie in the second-level cache
constexpr size_t kBlockCentroids = 256;
constexpr size_t kTaskPoints = 1024;
constexpr size_t kNarrowDim = 16;  // products of fewer elements or centroids are as fast in float
constexpr size_t kNarrowCentroids = 32;
constexpr size_t kCandidates = 32;  // two for each of sixteen lanes
constexpr double kDeviations = 6;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

constexpr size_t at(Scalar scalar) { return static_cast<size_t>(scalar); }
constexpr size_t at(Op op) { return static_cast<size_t>(op); }
// The two nearest of what comes in ascending order of numbers.
struct Ranking {
  uint32_t first = 0, second = 0;
  float least = kInfinity, less = kInfinity;
  size_t seen = 0;

  void take(uint32_t c, float distance, bool product) {
    if (product) distance = -distance;
    if (std::isnan(distance)) distance = kInfinity;  // overflowed
    if (seen == 0 || distance < least) {
      second = seen == 0 ? c : first;
      less = seen == 0 ? distance : least;
      first = c;
      least = distance;
    } else if (seen == 1 || distance < less) {
      second = c;
      less = distance;
    }
    ++seen;
  }
};

}  // namespace

// Room for a block of points, and how many of their centroids were compared in float.
struct CentroidTable::Block {
  Buffer<int8_t> codes;
  Buffer<int32_t> sums;  // or floats
  Buffer<float> best, u, slack;
  double candidates = 0;

  bool open(size_t points, size_t centroids, size_t code_stride) {
    return codes.resize_zeroed(points * code_stride) &&
           sums.resize(points * std::min(round_up(centroids, kPanelRows), kBlockCentroids)) &&
           best.resize(points * kBestFloats) && u.resize(2 * points) && slack.resize(points);
  }
};

Status CentroidTable::prepare(const float* centroids, size_t k, size_t dim, bool inner_product, bool narrow) {
  k_ = k;
  dim_ = dim;
  inner_product_ = inner_product;
  narrow_ = narrow && dim >= kNarrowDim && k >= kNarrowCentroids;
  const size_t rows = round_up(k, kPanelRows);
  const size_t panel_bytes = narrow_ ? byte_panel_bytes(dim) : float_panel_bytes(dim);
  if (!centroids_.resize(k * dim) || !panels_.resize(rows / kPanelRows * panel_bytes) || !scale_.resize(rows) ||
      !a_.resize(rows) || !b_.resize(rows)) {
    return out_of_memory(k * dim * 2 * sizeof(float));
  }
  std::memcpy(centroids_.data(), centroids, k * dim * sizeof(float));
  const Kernels& table = kernels();
  const size_t coded = row_bytes(Scalar::sq8, dim);
  Buffer<uint8_t> row, strip;
  if (narrow_ && (!row.resize(coded) || !strip.resize(kPanelRows * dim))) return out_of_memory(kPanelRows * dim);
  double largest_square = 0, largest_error = 0;
  for (size_t c = 0; c < k; ++c) {
    const float* x = centroids_.data() + c * dim;
    float low = 0, step = 1;
    if (narrow_) {
      table.encode[at(Scalar::sq8)](x, dim, row.data());
      std::memcpy(&low, row.data(), sizeof low);
      std::memcpy(&step, row.data() + 4, sizeof step);
      std::memcpy(strip.data() + c % kPanelRows * dim, row.data() + 8, dim);
      if (c % kPanelRows == kPanelRows - 1 || c == k - 1) {
        table.pack[at(Scalar::u8)](strip.data(), dim, c % kPanelRows + 1, dim,
                                   panels_.data() + c / kPanelRows * panel_bytes);
      }
    }
    double square = 0, error = 0;
    for (size_t d = 0; d < dim; ++d) {
      square += static_cast<double>(x[d]) * x[d];
      if (!narrow_) continue;
      const double miss = x[d] - (low + static_cast<double>(step) * row[8 + d]);
      error += miss * miss;
    }
    largest_square = std::max(largest_square, square);
    largest_error = std::max(largest_error, error);
    scale_[c] = step;
    a_[c] = low;
    b_[c] = inner_product ? 0.0f : static_cast<float>(-square / 2);
  }
  if (!narrow_) table.pack[at(Scalar::f32)](centroids_.data(), dim * sizeof(float), k, dim, panels_.data());
  for (size_t c = k; c < rows; ++c) {
    scale_[c] = a_[c] = 0.0f;
    b_[c] = -kInfinity;
  }
  largest_norm_ = static_cast<float>(std::sqrt(largest_square));
  largest_error_ = static_cast<float>(std::sqrt(largest_error));
  return Status::ok;
}

void CentroidTable::assign_block(const float* points, size_t stride, size_t n, const Nearest& out, size_t first,
                                 Block& block) const {
  const Kernels& table = kernels();
  const size_t code_stride = round_up(dim_, kCacheLine);
  const double deviation = kDeviations / std::sqrt(static_cast<double>(dim_));
  for (size_t i = 0; i < n; ++i) {
    const float* x = points + i * stride;
    double norm, error;  // of the point; of a value
    float s = 1.0f;
    if (narrow_) {
      ByteRowTerms terms;
      table.nearest.quantize_i8(x, dim_, block.codes.data() + i * code_stride, &terms);
      s = terms.scale > 0.0f ? terms.scale : 1.0f;
      norm = std::sqrt(static_cast<double>(terms.squares));
      const double rounding = s * std::sqrt(static_cast<double>(dim_) / 12);
      const double bound = norm * largest_error_ + rounding * largest_norm_;
      const double likely = std::hypot(norm * largest_error_, rounding * largest_norm_) * deviation;
      error = std::min(2 * bound, likely);
      block.u[2 * i] = terms.sum;
    } else {
      float square;
      table.scan[at(Scalar::f32)][at(Op::dot)](x, x, 0, 1, dim_, &square);
      norm = std::sqrt(static_cast<double>(square));
      error = 0x1p-23 * static_cast<double>(dim_ + 16) * norm * largest_norm_;
      block.u[2 * i] = 0.0f;
    }
    block.u[2 * i + 1] = 1.0f / s;
    const double rounding = 0x1p-21 * largest_norm_ * (largest_norm_ + norm);
    block.slack[i] = static_cast<float>((error + rounding) / s);
  }
  const size_t rows = round_up(k_, kPanelRows);
  const size_t panel_bytes = narrow_ ? byte_panel_bytes(dim_) : float_panel_bytes(dim_);
  for (size_t c = 0; c < rows; c += kBlockCentroids) {
    const size_t width = std::min(kBlockCentroids, rows - c), panel = c / kPanelRows;
    const uint8_t* panels = panels_.data() + panel * panel_bytes;
    const PanelTerms terms{scale_.data() + c, a_.data() + c, b_.data() + c, nullptr};
    if (narrow_) {
      table.sums_u8(block.codes.data(), code_stride, n, panels, width, dim_, block.sums.data());
      table.nearest.best_i32(block.sums.data(), n, width, panel, terms, block.u.data(), {block.best.data()});
    } else {
      float* sums = reinterpret_cast<float*>(block.sums.data());
      table.sums_f32(points, stride, n, reinterpret_cast<const float*>(panels), width, dim_, sums);
      table.nearest.best_f32(sums, n, width, panel, terms, block.u.data(), {block.best.data()});
    }
  }
  for (size_t i = 0; i < n; ++i) {
    const size_t found =
        settle(points + i * stride, block.best.data() + i * kBestFloats, block.slack[i], out, first + i);
    block.candidates += static_cast<double>(found);
  }
}

// Compares what lies near the best of a point's lanes in float. Returns how many those were.
size_t CentroidTable::settle(const float* x, const float* lanes, float slack, const Nearest& out, size_t i) const {
  const bool two = out.second != nullptr;
  float best = -kInfinity, next = -kInfinity;
  for (size_t j = 0; j < 16; ++j) {
    if (lanes[j] > best) {
      next = std::max(best, lanes[32 + j]);
      best = lanes[j];
    } else {
      next = std::max(next, lanes[j]);
    }
  }
  const float limit = (two ? next : best) - slack;
  // Values that overflowed say nothing, and a single centroid is its own second.
  const bool all = !(std::abs(limit) < kInfinity) || !(std::abs(best) < kInfinity);
  uint32_t candidates[kCandidates];
  size_t count = 0;
  for (size_t j = 0; j < 16 && !all; ++j) {
    for (size_t place = 0; place < 2 && lanes[32 * place + j] >= limit; ++place) {
      candidates[count++] = static_cast<uint32_t>(static_cast<size_t>(lanes[32 * place + 16 + j]) * kPanelRows + j);
    }
  }
  if (!all && !two && count == 1 && out.distance == nullptr) {
    out.nearest[i] = candidates[0];
    return 1;
  }
  const Op op = inner_product_ ? Op::dot : Op::l2;
  Ranking ranking;
  if (all) {
    for (size_t c = 0; c < k_; c += kCandidates) {
      float distances[kCandidates];
      count = std::min(kCandidates, k_ - c);
      kernels().scan[at(Scalar::f32)][at(op)](x, centroids_.data() + c * dim_, dim_ * sizeof(float), count, dim_,
                                              distances);
      for (size_t j = 0; j < count; ++j) ranking.take(static_cast<uint32_t>(c + j), distances[j], inner_product_);
    }
    count = k_;
  } else {
    const void* rows[kCandidates];
    float distances[kCandidates];
    std::sort(candidates, candidates + count);
    for (size_t j = 0; j < count; ++j) rows[j] = centroids_.data() + candidates[j] * dim_;
    kernels().gather[at(Scalar::f32)][at(op)](x, rows, count, dim_, distances);
    for (size_t j = 0; j < count; ++j) ranking.take(candidates[j], distances[j], inner_product_);
  }
  out.nearest[i] = ranking.first;
  if (out.distance != nullptr) out.distance[i] = ranking.least;
  if (two) out.second[i] = ranking.second;
  if (two && out.second_distance != nullptr) out.second_distance[i] = ranking.less;
  return count;
}

Status CentroidTable::assign(const float* points, size_t stride, size_t n, size_t threads, const int32_t* cancel,
                             const Nearest& out) const {
  if (n == 0) return Status::ok;
  if (threads == 0 || threads > pool_threads()) threads = pool_threads();
  // Several tasks for each thread, so that all end together; the cut changes nothing of the outcome.
  const size_t share = round_up((n + 4 * threads - 1) / (4 * threads), kBlockPoints);
  const size_t per_task = threads == 1 ? kTaskPoints : std::min(kTaskPoints, share);
  const size_t tasks = (n + per_task - 1) / per_task;
  std::atomic<bool> starved{false};
  std::atomic<uint64_t> candidates{0};
  parallel_for(tasks, threads, [&](size_t task) {
    if (starved.load(std::memory_order_relaxed) || cancelled(cancel)) return;
    const size_t begin = task * per_task, end = std::min(n, begin + per_task);
    Block block;
    if (!block.open(std::min(kBlockPoints, end - begin), k_, round_up(dim_, kCacheLine))) {
      starved.store(true, std::memory_order_relaxed);
      return;
    }
    for (size_t i = begin; i < end; i += kBlockPoints) {
      assign_block(points + i * stride, stride, std::min(kBlockPoints, end - i), out, i, block);
    }
    candidates.fetch_add(static_cast<uint64_t>(block.candidates), std::memory_order_relaxed);
  });
  if (starved.load()) return out_of_memory(kBlockPoints * (kBlockCentroids + dim_) * sizeof(float));
  if (cancelled(cancel)) return aborted();
  if (out.candidates_per_point != nullptr) {
    *out.candidates_per_point = static_cast<double>(candidates.load()) / static_cast<double>(n);
  }
  return Status::ok;
}

}  // namespace annex
