#include "quant/principal_axes.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/round.h"
#include "kernels/dispatch.h"
#include "quant/fast_rotation.h"
#include "quant/products.h"
#include "quant/training.h"

namespace annex {
namespace {

constexpr size_t kLineBlocks = 8;    // of sixteen codes of four bits
constexpr double kUneven = 0.25;     // of the dimensions: rows that spread over more gain nothing
constexpr double kWorthwhile = 0.5;  // of the error without axes: what they have to come to
constexpr double kLeastMoment = 1e-30, kGreatestMoment = 1e37;  // that sums of floats are good for

// Squared error of a dimension of variance `variance`, rounded to odd multiples of step / 2: that of rounding, but
// where rows hardly leave the middle, half a step. √(2 / π) is the mean size of a normal number.
double rounding(double variance, double step) {
  const double near = variance - 0.7978845608 * step * std::sqrt(variance) + step * step / 4;
  return std::max(step * step / 12, near);
}

}  // namespace

bool PrincipalAxes::set(size_t dim, size_t lines, size_t byte_axes, size_t nibble_axes, Buffer<float>&& axes) {
  const size_t count = byte_axes + nibble_axes;
  if (byte_axes % kPanelRows != 0 || nibble_axes % kPanelRows != 0 || count == 0 || byte_axes > kNibbleLine * lines ||
      nibble_axes > 2 * (kNibbleLine * lines - byte_axes) || count > round_up(dim, kPanelRows) ||
      axes.size() != count * dim) {
    return false;
  }
  dim_ = dim;
  lines_ = lines;
  byte_axes_ = byte_axes;
  nibble_axes_ = nibble_axes;
  axes_ = static_cast<Buffer<float>&&>(axes);
  return true;
}

// Bytes come first, from the first line on; nibbles fill the low halves behind them line by line, then the high ones.
size_t PrincipalAxes::place(size_t p) const {
  constexpr size_t kHalf = kLineBlocks / 2;
  const size_t whole = byte_axes_ / kPanelRows;
  if (p < whole) return p / kHalf * kLineBlocks + p % kHalf;
  size_t left = p - whole;
  for (size_t line = whole / kHalf;; ++line) {
    const size_t first = line == whole / kHalf ? whole % kHalf : 0, free = kHalf - first;
    if (left < 2 * free) return line * kLineBlocks + (left < free ? first + left : kHalf + first + left - free);
    left -= 2 * free;
  }
}

void PrincipalAxes::apply(const float* x, float* y, float* scratch) const {
  kernels().project(x, dim_, axes_.data(), panels(), scratch);
  std::memset(y, 0, 2 * kNibbleLine * lines_ * sizeof(float));
  for (size_t p = 0; p < panels(); ++p) {
    std::memcpy(y + kPanelRows * place(p), scratch + kPanelRows * p, kPanelRows * sizeof(float));
  }
}

size_t AxesTrainer::width() const { return round_up(dim_, kPanelRows); }

Status AxesTrainer::begin(size_t dim, size_t lines, size_t rows, float nibble_step, float byte_step, uint64_t seed) {
  dim_ = dim;
  lines_ = lines;
  rows_ = rows;
  nibble_step_ = nibble_step;
  byte_step_ = byte_step;
  seed_ = seed;
  at_ = 0;
  axes_ = PrincipalAxes();
  phase_ = Phase::weigh;
  return sample_.resize(rows * dim) ? Status::ok : out_of_memory(rows * dim * 4);
}

void AxesTrainer::add(const float* centered) {
  std::memcpy(sample_.data() + at_++ * dim_, centered, dim_ * sizeof(float));
}

Status AxesTrainer::step(const int32_t* cancel) {
  switch (phase_) {
    case Phase::weigh:
      at_ = 0;
      phase_ = promising() ? Phase::correlate : Phase::finished;
      if (phase_ == Phase::finished) break;
      if (!panels_.resize(panel_floats(dim_, rows_)) || !column_.resize(rows_) || !moments_.resize(dim_ * width())) {
        return out_of_memory((rows_ + dim_) * dim_ * 4);
      }
      pack_transposed(sample_.data(), rows_, dim_, panels_.data());
      return Status::ok;
    case Phase::correlate: return correlate(cancel);
    case Phase::decompose: {
      double work = 0;
      const Status status = eigen_.step(cancel, &work);
      if (status == Status::ok && eigen_.finished()) phase_ = Phase::choose;
      return status;
    }
    case Phase::choose: {
      const Status status = choose();
      if (status != Status::ok) return status;
      phase_ = Phase::finished;
      break;
    }
    case Phase::finished: break;
  }
  sample_ = Buffer<float>();
  panels_ = Buffer<float>();
  column_ = Buffer<float>();
  moments_ = Buffer<float>();
  eigen_ = SymmetricEigen();
  return Status::ok;
}

// Rows in D dimensions that spread evenly over d of them have products with each other whose squares are 1 / d of what
// those of their lengths are, on the average. That takes no matrix. Where all axes can have seven bits, any will do.
bool AxesTrainer::promising() const {
  const size_t half = rows_ / 2;
  double lengths = 0, products = 0;
  for (size_t i = 0; i < half; ++i) {
    const float *a = sample_.data() + i * dim_, *b = a + half * dim_;
    double one = 0, other = 0, product = 0;
    for (size_t d = 0; d < dim_; ++d) {
      const double x = a[d], y = b[d];
      one += x * x;
      other += y * y;
      product += x * y;
    }
    lengths += one + other;
    products += product * product;
  }
  if (!(lengths >= kLeastMoment && lengths <= kGreatestMoment)) return false;
  const double mean = lengths / static_cast<double>(2 * half);
  return dim_ <= kNibbleLine * lines_ ||
         products / static_cast<double>(half) * kUneven * static_cast<double>(dim_) > mean * mean;
}

// Rows of the matrix of second moments, as projections of columns of the sample.
Status AxesTrainer::correlate(const int32_t* cancel) {
  double work = 0;
  for (; at_ < dim_ && work < kStepWork; ++at_) {
    if (cancelled(cancel)) return aborted();
    for (size_t i = 0; i < rows_; ++i) column_[i] = sample_[i * dim_ + at_];
    kernels().project(column_.data(), rows_, panels_.data(), width() / kPanelRows, moments_.data() + at_ * width());
    work += static_cast<double>(rows_ * width());
  }
  if (at_ < dim_) return Status::ok;
  for (size_t i = 0; i < dim_; ++i) std::memmove(moments_.data() + i * dim_, moments_.data() + i * width(), dim_ * 4);
  phase_ = Phase::decompose;
  return eigen_.begin(moments_.data(), dim_);
}

// The numbers of axes with the least error, if that is far less than with none. One step serves all codes, so it is the
// greater of what either kind needs; what lies along the axes that are left out is lost.
Status AxesTrainer::choose() {
  const size_t whole = width();
  Buffer<uint32_t> order;
  Buffer<double> sums;  // of variances, from the first axis on
  if (!eigen_.order(&order) || !sums.resize_zeroed(whole + 1)) return out_of_memory(dim_ * 12);
  for (size_t i = 0; i < whole; ++i) {
    sums[i + 1] = sums[i] + (i < dim_ ? std::max(0.0, eigen_.value(order[i])) : 0);
  }
  const double total = sums[whole], nibble_step = nibble_step_, byte_step = byte_step_;
  double least = kWorthwhile * total * nibble_step * nibble_step / 12;
  size_t bytes = 0, nibbles = 0;
  for (size_t a = kPanelRows; a <= std::min(whole, kNibbleLine * lines_); a += kPanelRows) {
    const double near = byte_step * std::sqrt(sums[a] / static_cast<double>(a));
    const size_t most = std::min(whole - a, 2 * (kNibbleLine * lines_ - a));
    for (size_t n = 0; n <= most; n += kPanelRows) {
      const double variance = n == 0 ? 0 : (sums[a + n] - sums[a]) / static_cast<double>(n);
      const double step = std::max(near, nibble_step * std::sqrt(variance));
      const double error = static_cast<double>(a) * step * step / 12 +
                           static_cast<double>(n) * rounding(variance, step) + total - sums[a + n];
      if (!(error < least)) continue;
      least = error;
      bytes = a;
      nibbles = n;
    }
  }
  if (bytes == 0) return Status::ok;
  Buffer<float> axes;
  if (!axes.resize_zeroed((bytes + nibbles) * dim_)) return out_of_memory((bytes + nibbles) * dim_ * 4);
  Status status = mix(order.data(), 0, std::min(bytes, dim_), bytes, axes.data());
  if (nibbles != 0 && status == Status::ok) {
    status = mix(order.data(), bytes, std::min(nibbles, dim_ - bytes), nibbles, axes.data() + bytes * dim_);
  }
  if (status != Status::ok) return status;
  (void)axes_.set(dim_, lines_, bytes, nibbles, static_cast<Buffer<float>&&>(axes));
  return Status::ok;
}

// A group of axes, rotated among themselves: then rows spread over all of them alike, and one step serves.
Status AxesTrainer::mix(const uint32_t* order, size_t first, size_t count, size_t group, float* panels) const {
  FastRotation rotation;
  Buffer<float> along;
  const Status status = rotation.create(group, seed_ ^ group);
  if (status != Status::ok) return status;
  if (!along.resize(group)) return out_of_memory(group * sizeof(float));
  for (size_t d = 0; d < dim_; ++d) {
    std::memset(along.data(), 0, group * sizeof(float));
    for (size_t i = 0; i < count; ++i) along[i] = eigen_.vector(order[first + i])[d];
    rotation.apply(along.data(), along.data());
    for (size_t p = 0; p < group / kPanelRows; ++p) {
      std::memcpy(panels + (p * dim_ + d) * kPanelRows, along.data() + p * kPanelRows, kPanelRows * sizeof(float));
    }
  }
  return Status::ok;
}

}  // namespace annex
