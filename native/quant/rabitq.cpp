#include "quant/rabitq.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/dispatch.h"
#include "quant/code_blocks.h"

namespace annex {
namespace {

// Sums go in eight lanes of double: nothing overflows, and the order is the same everywhere.
template <class F>
double sum_of(size_t n, F&& term) {
  double lanes[8] = {};
  for (size_t i = 0; i < n; i += 8) {
    for (size_t j = 0; j < 8; ++j) lanes[j] += term(i + j);
  }
  return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}

// The same for signs whose hits are refined: what they drop, the other bits cannot bring back, and looking at a row
// more costs little.
constexpr float kSignDeviations = 2.75f;

uint32_t bits_of(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, 4);
  return bits;
}
float float_of(uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, 4);
  return x;
}
uint16_t to_bf16(float x) {  // to nearest even
  const uint32_t bits = bits_of(x);
  if (std::isnan(x)) return 0x7fc0;
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
uint16_t to_bf16_up(float x) {  // x ≥ 0; never below it
  if (std::isnan(x)) return 0x7fc0;
  return static_cast<uint16_t>((bits_of(x) + 0xffff) >> 16);
}
float from_bf16(uint16_t half) { return float_of(static_cast<uint32_t>(half) << 16); }

template <class T>
T load(const uint8_t* p) {
  T x;
  std::memcpy(&x, p, sizeof x);
  return x;
}
template <class T>
void store(uint8_t*& p, T x) {
  std::memcpy(p, &x, sizeof x);
  p += sizeof x;
}

bool bit_of(const uint8_t* bits, size_t d) { return bits[d / 8] >> d % 8 & 1; }

// How far an estimate may be off, per |q - c|: the component of q - c across the row is spread over dim - 1 directions,
// and x̄ sees one of them (SIGMOD 2024, theorem 3.2). `cosine` is that between x̄ and the row.
double error_of(double norm, double cosine, size_t dim) {
  if (!(cosine > 0)) return 0;
  const double across = std::max(0.0, 1 / (cosine * cosine) - 1);
  return norm * std::sqrt(across) * kRabitqDeviations / std::sqrt(static_cast<double>(std::max<size_t>(dim, 2) - 1));
}

// What the codes of the magnitudes `a` under a step of 1 / t are worth.
struct Fit {
  float dot = 0, square = 0;  // ⟨x̄, r⟩, |x̄|²
  bool better(const Fit& other) const { return cosine() > other.cosine(); }
  double cosine() const { return dot / std::sqrt(static_cast<double>(square)); }  // times |r|
};

Fit fit_of(const float* a, size_t dim, float t, float most) {
  Fit fit;
  kernels().codes.fit_levels(a, dim, t, most, &fit.dot, &fit.square);
  return fit;
}

// The step whose codes lie closest to the direction of the row. The best codes are those of some step (SIGMOD 2025,
// section 3.2): a grid around the steps that make use of all levels, then a finer one.
float best_scale(const float* a, size_t dim, float largest, float levels) {
  const float most = levels - 1, unit = levels / largest;
  float best_t = unit;
  Fit best = fit_of(a, dim, unit, most);
  const auto try_scale = [&](float t) {
    const Fit fit = fit_of(a, dim, t, most);
    if (fit.better(best)) {
      best = fit;
      best_t = t;
    }
  };
  for (int i = 7; i <= 21; ++i) try_scale(unit * (static_cast<float>(i) * 0.1f));
  const float middle = best_t;
  for (int i = -3; i <= 3; ++i) {
    if (i != 0) try_scale(middle + unit * (static_cast<float>(i) * 0.025f));
  }
  return best_t;
}

}  // namespace

Status Rabitq::create(Metric metric, size_t dim, size_t bits, uint64_t seed) {
  metric_ = metric;
  bits_ = bits;
  return rotation_.create(dim, seed);
}

void Rabitq::rotate(const float* x, float* out) const {
  if (l2() && origin_.size() != 0) {
    for (size_t d = 0; d < dim(); ++d) out[d] = x[d] - origin_[d];
    rotation_.apply(out, out);
  } else {
    rotation_.apply(x, out);
  }
}

void Rabitq::encode(const float* row, const float* centre, uint8_t* record, float* scratch) const {
  const size_t n = padded_dim();
  float* r = scratch;
  if (centre != nullptr) {
    for (size_t d = 0; d < n; ++d) r[d] = row[d] - centre[d];
  } else {
    std::memcpy(r, row, n * sizeof(float));
  }
  for (size_t i = 0; i < n / 8; ++i) {
    uint32_t byte = 0;
    for (size_t j = 0; j < 8; ++j) byte |= static_cast<uint32_t>(r[8 * i + j] >= 0) << j;
    record[i] = static_cast<uint8_t>(byte);
  }
  const double square = sum_of(n, [&](size_t d) { return static_cast<double>(r[d]) * r[d]; });
  const double norm = std::sqrt(square);
  const double factor = l2() ? 2 : 1;
  uint8_t* out = record + sign_bytes();
  {
    const double dot = sum_of(n, [&](size_t d) { return std::fabs(static_cast<double>(r[d])); }) / 2;  // ⟨x̄, r⟩
    const double at_centre =
        centre == nullptr ? 0 : sum_of(n, [&](size_t d) {
                                  return r[d] >= 0 ? static_cast<double>(centre[d]) : -static_cast<double>(centre[d]);
                                }) / 2;
    const uint16_t rescale = to_bf16(static_cast<float>(dot > 0 ? -factor * square / dot : 0));
    const double rounded = from_bf16(rescale);
    const double cosine = norm > 0 ? dot / (norm * std::sqrt(static_cast<double>(n)) / 2) : 0;
    // The rescaling factor is off by at most 2⁻⁹, and so is the product that it stands for, which is at most |q -
    // c||r|.
    const double error = factor * (error_of(norm, cosine, n) + norm * 0x1p-9);
    if (l2()) store(out, static_cast<float>(square - rounded * at_centre));
    store(out, rescale);
    store(out, to_bf16_up(static_cast<float>(error)));
  }
  if (bits_ > 1) encode_rest(r, record, centre, norm, out);
}

// The lower bits of all dimensions, and their factors.
void Rabitq::encode_rest(float* r, const uint8_t* signs, const float* centre, double norm, uint8_t* out) const {
  const size_t n = padded_dim();
  const uint32_t levels = 1u << planes();
  float largest = 0;
  for (size_t d = 0; d < n; ++d) {
    r[d] = std::fabs(r[d]);
    largest = std::max(largest, r[d]);
  }
  const float unit = static_cast<float>(levels) / largest;
  const float t = std::isfinite(unit) ? best_scale(r, n, largest, static_cast<float>(levels)) : 0;
  const float most = static_cast<float>(levels - 1);
  double dots[8] = {}, squares[8] = {}, at_centres[8] = {};
  for (size_t group = 0; group < n; group += 64) {
    const size_t width = std::min<size_t>(64, n - group);
    for (size_t at = 0; at < width; at += 8) {
      // Eight codes, a byte each, turned into a byte of every plane.
      uint64_t codes = 0;
      for (size_t i = 0; i < 8; ++i) {
        const size_t d = group + at + i;
        const bool positive = bit_of(signs, d);
        const float scaled = r[d] * t;
        const uint32_t level = static_cast<uint32_t>(static_cast<int32_t>(scaled < most ? scaled : most));
        codes |= static_cast<uint64_t>(positive ? level : levels - 1 - level) << 8 * i;
        const double x = level + 0.5;
        dots[i] += x * static_cast<double>(r[d]);
        squares[i] += x * x;
        if (centre != nullptr) at_centres[i] += (positive ? x : -x) * static_cast<double>(centre[d]);
      }
      for (size_t b = 0; b < planes(); ++b) {
        const uint64_t plane = codes >> b & 0x0101010101010101u;
        out[(group / 8 * planes()) + (b * width + at) / 8] = static_cast<uint8_t>(plane * 0x0102040810204080u >> 56);
      }
    }
  }
  const double dot = sum_of(8, [&](size_t i) { return dots[i]; });
  const double square = sum_of(8, [&](size_t i) { return squares[i]; });
  const double at_centre = sum_of(8, [&](size_t i) { return at_centres[i]; });
  out += plane_bytes(n, planes());
  const double factor = l2() ? 2 : 1;
  const float rescale = static_cast<float>(dot > 0 ? -factor * norm * norm / dot : 0);
  const double cosine = norm > 0 ? std::min(1.0, dot / (norm * std::sqrt(square))) : 0;
  if (l2()) store(out, static_cast<float>(norm * norm - static_cast<double>(rescale) * at_centre));
  store(out, rescale);
  store(out, static_cast<float>(factor * error_of(norm, cosine, n)));
}

void Rabitq::place(const uint8_t* record, uint8_t* block, size_t i) const {
  const uint8_t* behind = record + sign_bytes();
  place_nibbles(record, subquantizers(), block, i);
  place_factors(behind, factors(), block + 16 * subquantizers(), i);
  std::memcpy(block + scan_bytes() + i * refine_bytes(), behind + factor_bytes(factors()), refine_bytes());
}

void Rabitq::take(const uint8_t* block, size_t i, uint8_t* record) const {
  uint8_t* behind = record + sign_bytes();
  take_nibbles(block, subquantizers(), i, record);
  take_factors(block + 16 * subquantizers(), factors(), i, behind);
  std::memcpy(behind + factor_bytes(factors()), block + scan_bytes() + i * refine_bytes(), refine_bytes());
}

void Rabitq::decode(const uint8_t* record, const float* rotated_centre, float* row, float* scratch) const {
  // The multiple of x̄ that lies closest to r: its factors tell |r|² / ⟨x̄, r⟩ and, by the error, the cosine.
  const size_t n = padded_dim();
  const uint32_t levels = 1u << planes();
  double square = 0;
  for (size_t d = 0; d < n; ++d) {
    const bool positive = bit_of(record, d);
    uint32_t code = 0;
    const size_t group = d / 64 * 64, width = std::min<size_t>(64, n - group);
    const uint8_t* planes_at = record + sign_bytes() + factor_bytes(factors()) + group / 8 * planes();
    for (size_t b = 0; b < planes(); ++b) {
      code |= static_cast<uint32_t>(bit_of(planes_at + b * width / 8, d - group)) << b;
    }
    const float level = static_cast<float>(positive ? code : levels - 1 - code) + 0.5f;
    scratch[d] = positive ? level : -level;
    square += static_cast<double>(level) * level;
  }
  const double factor = l2() ? 2 : 1;
  const uint8_t* at = record + sign_bytes();
  double rescale, error;
  if (bits_ == 1) {
    at += l2() ? 4 : 0;
    rescale = from_bf16(load<uint16_t>(at));
    error = from_bf16(load<uint16_t>(at + 2));
  } else {
    at = record + record_bytes() - 8;
    rescale = load<float>(at);
    error = load<float>(at + 4);
  }
  const double length = -rescale / factor * std::sqrt(square);  // |r| / cosine
  double sine = 0;
  if (length > 0) {
    sine = error / factor / length / kRabitqDeviations * std::sqrt(static_cast<double>(n - 1));
  }
  const double share = std::max(0.0, 1 - sine * sine);  // cosine²
  const double scale = -rescale / factor * share;
  for (size_t d = 0; d < n; ++d) {
    scratch[d] = static_cast<float>(scale * static_cast<double>(scratch[d]));
    if (rotated_centre != nullptr) scratch[d] += rotated_centre[d];
  }
  rotation_.undo(scratch, row);
  if (l2() && origin_.size() != 0) {
    for (size_t d = 0; d < dim(); ++d) row[d] += origin_[d];
  }
}

void Rabitq::prepare(const float* rotated, uint8_t* query) const {
  const size_t n = padded_dim(), m = subquantizers();
  std::memset(query, 0, 64);
  Query head{};
  head.norm =
      static_cast<float>(std::sqrt(sum_of(n, [&](size_t d) { return static_cast<double>(rotated[d]) * rotated[d]; })));
  const double sum = sum_of(n, [&](size_t d) { return static_cast<double>(rotated[d]); });
  head.sum = static_cast<float>(sum);
  // An entry is the sum of the elements whose bits are set: a table spans the sum of four magnitudes, and the least
  // entries less half of all elements are minus half of all magnitudes.
  float widest = 0, second = 0;
  double bias = 0;
  for (size_t j = 0; j < m; ++j) {
    const float* q = rotated + 4 * j;
    const float range = (std::fabs(q[0]) + std::fabs(q[1])) + (std::fabs(q[2]) + std::fabs(q[3]));
    second = std::max(second, std::min(widest, range));
    widest = std::max(widest, range);
    bias -= range;
  }
  bias /= 2;
  constexpr float kMost = 254;  // rounding moves the two largest entries up by a half each, and their sum up to 255
  const float both = widest + second, inverse = kMost / both;
  uint8_t* lut = query + 64;
  if (std::isfinite(inverse) && std::isfinite(both) && std::isfinite(bias)) {
    kernels().codes.sign_tables(rotated, m, inverse, lut);
    head.scale = both / kMost;
    head.bias = static_cast<float>(bias);
    head.slack = kRabitqDeviations * head.scale * std::sqrt(static_cast<float>(m) / 12);
  } else {
    std::memset(lut, 0, 16 * m);
    head.bias = std::isfinite(both) ? static_cast<float>(bias) : std::numeric_limits<float>::quiet_NaN();
    head.slack = both;
  }
  if (bits_ > 1) {
    int16_t* wide = reinterpret_cast<int16_t*>(query + wide_at());
    std::memset(wide, 0, 2 * wide_dim());
    float largest = 0;
    for (size_t d = 0; d < n; ++d) largest = std::max(largest, std::fabs(rotated[d]));
    // So large that no sum of products leaves int32.
    const float most = std::min(16383.0f, std::floor(2147483000.0f / (127.0f * static_cast<float>(n))));
    const float per = most / largest;
    if (std::isfinite(per) && std::isfinite(head.norm)) {
      head.step = largest / most;
      for (size_t d = 0; d < n; ++d) {
        const float scaled = rotated[d] * per;
        const float near = scaled + (scaled < 0 ? -0.5f : 0.5f);
        wide[d] = static_cast<int16_t>(static_cast<int32_t>(near));
      }
    }
  }
  std::memcpy(query, &head, sizeof head);
}

float Rabitq::reach(float distance, float norm) const {
  return l2() ? std::sqrt(distance > 0 ? distance : 0.0f) : norm;
}

NibbleQuery Rabitq::scan_query(const uint8_t* query, float distance) const {
  const Query& head = query_of(query);
  NibbleQuery q{};
  q.lut = lut_of(query);
  q.scale = head.scale;
  q.bias = head.bias;
  q.slack = head.slack;
  q.g = distance;
  q.ge = reach(distance, head.norm);
  if (bits_ > 1) {
    q.ge *= kSignDeviations / kRabitqDeviations;
    q.slack *= kSignDeviations / kRabitqDeviations;
  }
  return q;
}

void Rabitq::refine(const uint8_t* query, float distance, const uint8_t* signs, const uint8_t* refine,
                    CodeHit* hit) const {
  const Query& head = query_of(query);
  const CodeKernels& k = kernels().codes;
  const size_t n = padded_dim();
  const float levels = static_cast<float>(1u << planes());
  int32_t product;
  k.plane_products(wide_of(query), &refine, 1, n, planes(), &product);
  float by_signs = head.scale * hit->sum + head.bias, slack = levels * head.slack;
  if (signs != nullptr) {
    int32_t positive;
    k.plane_products(wide_of(query), &signs, 1, n, 1, &positive);
    by_signs = head.step * static_cast<float>(positive) - head.sum / 2;
    slack = 0;
  }
  // Each element of the query is off by half a step at most, each of x̄ is at most as large as there are levels.
  slack += kRabitqDeviations * head.step * levels * std::sqrt(static_cast<float>(n) / 12);
  const float sum = levels * by_signs + (head.step * static_cast<float>(product) - (levels - 1) / 2 * head.sum);
  const uint8_t* at = refine + plane_bytes(n, planes());
  float base = distance;
  if (l2()) {
    base += load<float>(at);
    at += 4;
  }
  const float rescale = load<float>(at), error = load<float>(at + 4);
  hit->estimate = base + rescale * sum;
  hit->bound = hit->estimate - (error * reach(distance, head.norm) + std::fabs(rescale) * slack);
}

float Rabitq::estimate(const uint8_t* query, float distance, const uint8_t* record) const {
  const uint8_t* at = record + sign_bytes();
  if (bits_ > 1) {
    CodeHit hit{};
    refine(query, distance, record, at + factor_bytes(factors()), &hit);
    return hit.estimate;
  }
  const Query& head = query_of(query);
  const uint8_t* lut = lut_of(query);
  uint32_t even = 0, odd = 0;
  for (size_t i = 0; i < sign_bytes(); ++i, lut += 32) {
    even += lut[record[i] & 15];
    odd += lut[16 + (record[i] >> 4)];
  }
  float base = distance;
  if (l2()) {
    base += load<float>(at);
    at += 4;
  }
  return base + from_bf16(load<uint16_t>(at)) * (head.scale * static_cast<float>(even + odd) + head.bias);
}

}  // namespace annex
