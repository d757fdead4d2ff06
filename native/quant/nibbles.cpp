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
constexpr float kMiddle = 7.5f;
// Of a row's length: how far an error may lie along it, in steps. Roundings by themselves leave some 0.3.
constexpr double kStraight = 0.005;
constexpr Tag kCoderTag = make_tag("NCOD");

// Rounds to nearest, halves to even; |x| < 2²².
int round_int(float x) {
  const float shifted = x + 12582912.0f;
  int32_t bits;
  std::memcpy(&bits, &shifted, 4);
  return bits - 0x4B400000;
}

// Where code d of a row lies.
size_t byte_of(size_t d) { return d / (2 * kNibbleLine) * kNibbleLine + d % kNibbleLine; }
unsigned shift_of(size_t d) { return d / kNibbleLine % 2 * 4; }

}  // namespace

double NibbleCoder::scale_of(float norm) const { return metric_ == Metric::cosine && norm > 0 ? 1.0 / norm : 1.0; }

Status NibbleCoder::init(uint64_t seed) {
  if (!center_.resize_zeroed(dim_) || !rotated_center_.resize_zeroed(rotated_dim())) return out_of_memory(dim_ * 8);
  return rotation_.create(dim_, seed);
}

bool NibbleCoder::begin(size_t sample) {
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

bool NibbleCoder::add_spread(const float* x, float norm) {
  const double scale = scale_of(norm);
  double sum = 0;
  for (size_t d = 0; d < dim_; ++d) {
    const double difference = scale * x[d] - center_[d];
    sum += difference * difference;
  }
  return lengths_.push(static_cast<float>(std::sqrt(sum / static_cast<double>(rotated_dim()))));
}

// A length that one row in ten exceeds: longer rows lose a little, shorter ones are still coded finely.
void NibbleCoder::end_spread() {
  const size_t n = lengths_.size();
  float spread = 0;
  if (n != 0) {
    const size_t at = n - 1 - n / 10;
    std::nth_element(lengths_.data(), lengths_.data() + at, lengths_.data() + n);
    spread = lengths_[at];
  }
  step_ = spread * kStep;
  if (!(step_ >= 1e-30f)) step_ = 1e-30f;
  Buffer<double> no_sums;
  Buffer<float> no_lengths;
  sums_.swap(no_sums);
  lengths_.swap(no_lengths);
}

void NibbleCoder::save(Sections* out) const {
  out->begin(kCoderTag);
  out->copy(&step_, sizeof step_);
  out->add(center_);
  out->add(rotated_center_);
}

Status NibbleCoder::load(const SectionReader& sections, uint64_t seed) {
  Status status = init(seed);
  Buffer<float> values;
  const size_t count = 1 + dim_ + rotated_dim();
  if (status == Status::ok) status = sections.borrow(kCoderTag, Content::steering, count, &values);
  if (status == Status::ok) status = check_finite(kCoderTag, values.data(), count);
  if (status != Status::ok) return status;
  step_ = values[0];
  if (!(step_ >= 1e-30f)) return corrupt(kCoderTag, "the step of the codes is %g", static_cast<double>(step_));
  std::copy_n(values.data() + 1, dim_, center_.data());
  std::copy_n(values.data() + 1 + dim_, rotated_dim(), rotated_center_.data());
  return Status::ok;
}

void NibbleCoder::center_and_rotate(const float* x, float norm, float* y) const {
  const double scale = scale_of(norm);
  if (scale == 1.0) {
    for (size_t d = 0; d < dim_; ++d) y[d] = x[d] - center_[d];
  } else {
    for (size_t d = 0; d < dim_; ++d) y[d] = static_cast<float>(x[d] * scale) - center_[d];
  }
  rotation_.apply(y, y);
}

void NibbleCoder::encode(const float* x, float norm, float* work, uint8_t* code) const {
  center_and_rotate(x, norm, work);
  float* levels = work + rotated_dim();
  const float scale = 1.0f / step_;
  for (size_t d = 0; d < rotated_dim(); ++d) {
    const float level = work[d] * scale + kMiddle;
    levels[d] = static_cast<float>(level > 0 ? level < 15 ? round_int(level) : 15 : 0);  // NaN, beyond all scales: 0
  }
  if (metric_ == Metric::ip) straighten(work, levels);
  std::memset(code, 0, code_bytes());
  for (size_t d = 0; d < rotated_dim(); ++d) {
    code[byte_of(d)] = static_cast<uint8_t>(code[byte_of(d)] | static_cast<int>(levels[d]) << shift_of(d));
  }
}

// Makes the error e of a code orthogonal to the row x: then the error of a product with a query q is that with q - x,
// which is short where it matters. Roundings that were close are turned the other way, the closest first.
void NibbleCoder::straighten(const float* y, float* levels) const {
  const float scale = 1.0f / step_;
  const auto error = [&](size_t d) { return levels[d] - kMiddle - y[d] * scale; };  // in steps
  double along = 0, squares = 0;
  for (size_t d = 0; d < rotated_dim(); ++d) {
    const double row = y[d] + rotated_center_[d];
    along += row * error(d);
    squares += row * row;
  }
  const double enough = kStraight * std::sqrt(squares);
  for (float close = 0.45f; close > 0 && std::fabs(along) > enough; close -= 0.1f) {
    for (size_t d = 0; d < rotated_dim(); ++d) {
      const float e = error(d), size = std::fabs(e);
      if (!(size >= close && size <= 0.5f)) continue;
      const float turn = e > 0 ? -1.0f : 1.0f, turned = levels[d] + turn;
      const double after = along + static_cast<double>(y[d] + rotated_center_[d]) * turn;
      if (turned < 0 || turned > 15 || !(std::fabs(after) < std::fabs(along))) continue;
      along = after;
      levels[d] = turned;
    }
  }
}

NibbleRowsQuery NibbleCoder::query(const float* q, float norm, float* work, int8_t* codes) const {
  if (metric_ == Metric::ip) {
    rotation_.apply(q, work);
    return product_query(work, codes);
  }
  // ‖z - code‖² = Σ z² - 2 Σ z·code + Σ code², in squared steps: the order is all that counts.
  center_and_rotate(q, norm, work);
  const float scale = 1.0f / step_;
  for (size_t d = 0; d < rotated_dim(); ++d) {
    const float z = work[d] * scale + kMiddle;
    work[d] = z > -1e4f ? z < 1e4f ? z : 1e4f : -1e4f;
  }
  const QuantizedFloats q8 = quantize(work, work, codes);
  return {codes, q8.product, -2 / q8.scale, 1};
}

// -q·(c + step (code - 7.5)), where z = R q.
NibbleRowsQuery NibbleCoder::product_query(const float* z, int8_t* codes) const {
  const QuantizedFloats q8 = quantize(z, rotated_center_.data(), codes);
  const float unit = step_ / q8.scale;
  return {codes, kMiddle * unit * static_cast<float>(q8.sum) - q8.product, -unit, 0};
}

QuantizedFloats NibbleCoder::quantize(const float* x, const float* y, int8_t* codes) const {
  std::memset(codes + rotated_dim(), 0, query_bytes() - rotated_dim());
  return kernels().quantize(x, y, rotated_dim(), codes);
}

void NibbleCoder::unpack(const uint8_t* code, int8_t* codes) const {
  for (size_t line = 0; line < lines(); ++line) {
    const uint8_t* from = code + kNibbleLine * line;
    int8_t* to = codes + 2 * kNibbleLine * line;
    for (size_t i = 0; i < kNibbleLine; ++i) to[i] = static_cast<int8_t>(from[i] & 15);
    for (size_t i = 0; i < kNibbleLine; ++i) to[kNibbleLine + i] = static_cast<int8_t>(from[i] >> 4);
  }
}

NibbleRowsQuery NibbleCoder::query_of(const uint8_t* code, float* work, int8_t* codes) const {
  unpack(code, codes);
  if (metric_ != Metric::ip) {
    int squares = 0;
    for (size_t d = 0; d < query_bytes(); ++d) squares += codes[d] * codes[d];
    return {codes, static_cast<float>(squares), -2, 1};
  }
  for (size_t d = 0; d < rotated_dim(); ++d)
    work[d] = rotated_center_[d] + step_ * (static_cast<float>(codes[d]) - kMiddle);
  return product_query(work, codes);
}

}  // namespace annex
