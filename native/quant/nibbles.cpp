#include "quant/nibbles.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/dispatch.h"

namespace annex {
namespace {

// Step of the 16-level uniform quantizer with the least squared error on a normal distribution (Max: "Quantizing for
// minimum distortion", 1960), in standard deviations.
constexpr float kStep = 0.3352f;
// Of 128 levels: Max has 0.057, but the deviations are those that nine rows in ten keep below.
constexpr float kByteStep = 0.05f;
constexpr uint8_t kNibbleTop = 15, kByteTop = 127;
// Of a row's length: how far an error may lie along it, in steps. Roundings by themselves leave some 0.3.
constexpr double kStraight = 0.005;
constexpr Tag kCoderTag = make_tag("NCOD"), kAxesTag = make_tag("NAXE");

// Rounds to nearest, halves to even; |x| < 2²².
int round_int(float x) {
  const float shifted = x + 12582912.0f;
  int32_t bits;
  std::memcpy(&bits, &shifted, 4);
  return bits - 0x4B400000;
}

/// What a file says of axes, before they come.
struct AxesFacts {
  uint32_t bytes, nibbles;
};

// Where code d of a row lies.
size_t byte_of(size_t d) { return d / (2 * kNibbleLine) * kNibbleLine + d % kNibbleLine; }
unsigned shift_of(size_t d) { return d / kNibbleLine % 2 * 4; }

}  // namespace

double NibbleCoder::scale_of(float norm) const { return metric_ == Metric::cosine && norm > 0 ? 1.0 / norm : 1.0; }

Status NibbleCoder::init(uint64_t seed) {
  axes_ = PrincipalAxes();
  if (!center_.resize_zeroed(dim_) || !rotated_center_.resize_zeroed(query_bytes()) || !set_masks()) {
    return out_of_memory(dim_ * 12);
  }
  return rotation_.create(dim_, seed);
}

bool NibbleCoder::set_masks() {
  if (!masks_.resize(query_bytes())) return false;
  if (axes_.empty()) {
    std::memset(masks_.data(), kNibbleTop, masks_.size());
    return true;
  }
  std::memset(masks_.data(), 0, masks_.size());
  for (size_t p = 0; p < axes_.panels(); ++p) {
    const bool bytes = p * kPanelRows < axes_.byte_axes();
    std::memset(masks_.data() + kPanelRows * axes_.place(p), bytes ? kByteTop : kNibbleTop, kPanelRows);
  }
  return true;
}

bool NibbleCoder::begin(size_t sample) {
  sample_ = sample;
  seen_ = 0;
  if (!lengths_.reserve(sample) || !sums_.resize(dim_)) return false;
  lengths_.clear();
  std::fill_n(sums_.data(), dim_, 0.0);
  return true;
}

void NibbleCoder::add_mean(const float* x, float norm) {
  const double scale = scale_of(norm);
  for (size_t d = 0; d < dim_; ++d) sums_[d] += scale * x[d];
  ++seen_;
}

void NibbleCoder::end_mean() {
  for (size_t d = 0; d < dim_; ++d) {
    center_[d] = seen_ == 0 ? 0 : static_cast<float>(sums_[d] / static_cast<double>(seen_));
  }
  rotation_.apply(center_.data(), rotated_center_.data());
}

Status NibbleCoder::begin_axes(uint64_t seed) {
  return trainer_.begin(dim_, lines(), axes_rows(), kStep, kByteStep, seed);
}

void NibbleCoder::add_to_axes(const float* x, float norm, float* work) {
  center(x, norm, work);
  trainer_.add(work);
}

Status NibbleCoder::find_axes(const int32_t* cancel) {
  const Status status = trainer_.step(cancel);
  if (status != Status::ok || finding_axes() || trainer_.result().empty()) return status;
  axes_ = static_cast<PrincipalAxes&&>(trainer_.result());
  Buffer<float> room;
  if (!room.resize(query_bytes()) || !set_masks()) return out_of_memory(query_bytes() * 4);
  axes_.apply(center_.data(), rotated_center_.data(), room.data());
  return Status::ok;
}

bool NibbleCoder::add_spread(const float* x, float norm, float* work) {
  if (axes_.empty()) {
    const double scale = scale_of(norm);
    double sum = 0;
    for (size_t d = 0; d < dim_; ++d) {
      const double difference = scale * x[d] - center_[d];
      sum += difference * difference;
    }
    return lengths_.push(static_cast<float>(std::sqrt(sum / static_cast<double>(width()))));
  }
  center(x, norm, work);
  rotate(work, work);
  double sums[2] = {0, 0};
  for (size_t d = 0; d < width(); ++d) sums[top(d) == kByteTop] += static_cast<double>(work[d]) * work[d];
  const auto mean = [](double sum, size_t axes) {
    return static_cast<float>(std::sqrt(sum / static_cast<double>(std::max(axes, size_t{1}))));
  };
  return lengths_.push(mean(sums[0], axes_.nibble_axes())) && byte_lengths_.push(mean(sums[1], axes_.byte_axes()));
}

// From lengths that one row in ten exceeds: longer rows lose a little, shorter ones are still coded finely.
void NibbleCoder::end_spread() {
  const auto spread = [](Buffer<float>& lengths) {
    const size_t n = lengths.size();
    if (n == 0) return 0.0f;
    const size_t at = n - 1 - n / 10;
    std::nth_element(lengths.data(), lengths.data() + at, lengths.data() + n);
    return lengths[at];
  };
  step_ = std::max(spread(lengths_) * kStep, spread(byte_lengths_) * kByteStep);
  if (!(step_ >= 1e-30f)) step_ = 1e-30f;
  sums_ = Buffer<double>();
  lengths_ = Buffer<float>();
  byte_lengths_ = Buffer<float>();
}

void NibbleCoder::save(Sections* out) const {
  out->begin(kCoderTag);
  out->copy(&step_, sizeof step_);
  out->add(center_);
  out->add(rotated_center_.data(), width() * sizeof(float));
  if (axes_.empty()) return;
  const AxesFacts facts{static_cast<uint32_t>(axes_.byte_axes()), static_cast<uint32_t>(axes_.nibble_axes())};
  out->begin(kAxesTag);
  out->copy(&facts, sizeof facts);
  out->add(axes_.axes());
}

Status NibbleCoder::load(const SectionReader& sections, uint64_t seed) {
  Status status = init(seed);
  if (status == Status::ok && sections.has(kAxesTag)) status = load_axes(sections);
  if (status != Status::ok) return status;
  Buffer<float> values;
  const size_t count = 1 + dim_ + width();
  status = sections.borrow(kCoderTag, Content::steering, count, &values);
  if (status == Status::ok) status = check_finite(kCoderTag, values.data(), count);
  if (status != Status::ok) return status;
  step_ = values[0];
  if (!(step_ >= 1e-30f)) return corrupt(kCoderTag, "the step of the codes is %g", static_cast<double>(step_));
  std::copy_n(values.data() + 1, dim_, center_.data());
  std::copy_n(values.data() + 1 + dim_, width(), rotated_center_.data());
  return Status::ok;
}

Status NibbleCoder::load_axes(const SectionReader& sections) {
  void* data = nullptr;
  size_t bytes = 0;
  Status status = sections.get(kAxesTag, 1, Content::steering, &data, &bytes);
  if (status != Status::ok) return status;
  AxesFacts facts{};
  if (bytes < sizeof facts) return corrupt(kAxesTag, "it has %zu bytes", bytes);
  std::memcpy(&facts, data, sizeof facts);
  const size_t count = (bytes - sizeof facts) / sizeof(float);
  Buffer<float> axes;
  if (!axes.resize(count)) return out_of_memory(bytes);
  std::memcpy(axes.data(), static_cast<const uint8_t*>(data) + sizeof facts, count * sizeof(float));
  status = check_finite(kAxesTag, axes.data(), count);
  if (status != Status::ok) return status;
  if (bytes % sizeof(float) != 0 ||
      !axes_.set(dim_, lines(), facts.bytes, facts.nibbles, static_cast<Buffer<float>&&>(axes))) {
    return corrupt(kAxesTag, "%u and %u axes of %zu floats cannot be", facts.bytes, facts.nibbles, count);
  }
  return set_masks() ? Status::ok : out_of_memory(query_bytes());
}

void NibbleCoder::center(const float* x, float norm, float* y) const {
  const double scale = scale_of(norm);
  if (scale == 1.0) {
    for (size_t d = 0; d < dim_; ++d) y[d] = x[d] - center_[d];
  } else {
    for (size_t d = 0; d < dim_; ++d) y[d] = static_cast<float>(x[d] * scale) - center_[d];
  }
}

// Into the first half of `work`, where x may be.
void NibbleCoder::rotate(const float* x, float* work) const {
  if (axes_.empty()) {
    rotation_.apply(x, work);
  } else {
    axes_.apply(x, work, work + query_bytes());
  }
}

void NibbleCoder::encode(const float* x, float norm, float* work, uint8_t* code) const {
  center(x, norm, work);
  rotate(work, work);
  float* levels = work + width();
  const float scale = 1.0f / step_;
  for (size_t d = 0; d < width(); ++d) {
    const float level = work[d] * scale + middle(d), most = static_cast<float>(top(d));
    levels[d] =
        level > 0 ? level < most ? static_cast<float>(round_int(level)) : most : 0;  // NaN, beyond all scales: 0
  }
  if (metric_ == Metric::ip) straighten(work, levels);
  std::memset(code, 0, code_bytes());
  for (size_t d = 0; d < width(); ++d) {
    code[byte_of(d)] = static_cast<uint8_t>(code[byte_of(d)] | static_cast<int>(levels[d]) << shift_of(d));
  }
}

// Makes the error e of a code orthogonal to the row x: then the error of a product with a query q is that with q - x,
// which is short where it matters. Roundings that were close are turned the other way, the closest first.
void NibbleCoder::straighten(const float* y, float* levels) const {
  const float scale = 1.0f / step_;
  const auto error = [&](size_t d) { return levels[d] - middle(d) - y[d] * scale; };  // in steps
  double along = 0, squares = 0;
  for (size_t d = 0; d < width(); ++d) {
    const double row = y[d] + rotated_center_[d];
    along += row * error(d);
    squares += row * row;
  }
  const double enough = kStraight * std::sqrt(squares);
  for (float close = 0.45f; close > 0 && std::fabs(along) > enough; close -= 0.1f) {
    for (size_t d = 0; d < width(); ++d) {
      const float e = error(d), size = std::fabs(e);
      if (!(size >= close && size <= 0.5f)) continue;
      const float turn = e > 0 ? -1.0f : 1.0f, turned = levels[d] + turn;
      const double after = along + static_cast<double>(y[d] + rotated_center_[d]) * turn;
      if (turned < 0 || turned > static_cast<float>(top(d)) || !(std::fabs(after) < std::fabs(along))) continue;
      along = after;
      levels[d] = turned;
    }
  }
}

NibbleRowsQuery NibbleCoder::query(const float* q, float norm, float* work, int8_t* codes) const {
  if (metric_ == Metric::ip) {
    rotate(q, work);
    return product_query(work, codes);
  }
  // ‖z - code‖² = Σ z² - 2 Σ z·code + Σ code², in squared steps: the order is all that counts.
  center(q, norm, work);
  rotate(work, work);
  const float scale = 1.0f / step_;
  for (size_t d = 0; d < width(); ++d) {
    const float z = work[d] * scale + middle(d);
    work[d] = z > -1e4f ? z < 1e4f ? z : 1e4f : -1e4f;
  }
  const QuantizedFloats q8 = quantize(work, work, codes);
  return {codes, masks_.data(), q8.product, -2 / q8.scale, 1};
}

// -q·(c + step (code - middle)), where z = R q. What of q lies along no axis is the same for all rows.
NibbleRowsQuery NibbleCoder::product_query(const float* z, int8_t* codes) const {
  const QuantizedFloats q8 = quantize(z, rotated_center_.data(), codes);
  const float unit = step_ / q8.scale;
  // Where all codes are of four bits, the sum of the query's says it.
  float middles = static_cast<float>(kNibbleTop) / 2 * unit * static_cast<float>(q8.sum);
  if (!axes_.empty()) {
    int twice = 0;
    for (size_t d = 0; d < width(); ++d) twice += top(d) * codes[d];
    middles = unit / 2 * static_cast<float>(twice);
  }
  return {codes, masks_.data(), middles - q8.product, -unit, 0};
}

QuantizedFloats NibbleCoder::quantize(const float* x, const float* y, int8_t* codes) const {
  std::memset(codes + width(), 0, query_bytes() - width());
  return kernels().quantize(x, y, width(), codes);
}

void NibbleCoder::unpack(const uint8_t* code, int8_t* codes) const {
  for (size_t line = 0; line < lines(); ++line) {
    const uint8_t* from = code + kNibbleLine * line;
    int8_t* to = codes + 2 * kNibbleLine * line;
    const uint8_t *low = masks_.data() + 2 * kNibbleLine * line, *high = low + kNibbleLine;
    for (size_t i = 0; i < kNibbleLine; ++i) to[i] = static_cast<int8_t>(from[i] & low[i]);
    for (size_t i = 0; i < kNibbleLine; ++i) to[kNibbleLine + i] = static_cast<int8_t>(from[i] >> 4 & high[i]);
  }
}

NibbleRowsQuery NibbleCoder::query_of(const uint8_t* code, float* work, int8_t* codes) const {
  unpack(code, codes);
  if (metric_ != Metric::ip) {
    int squares = 0;
    for (size_t d = 0; d < query_bytes(); ++d) squares += codes[d] * codes[d];
    return {codes, masks_.data(), static_cast<float>(squares), -2, 1};
  }
  for (size_t d = 0; d < width(); ++d) {
    work[d] = rotated_center_[d] + step_ * (static_cast<float>(codes[d]) - middle(d));
  }
  return product_query(work, codes);
}

}  // namespace annex
