// Codes that graphs are walked by: how well they tell distances, with axes and without, and which axes are found.
#include "quant/nibbles.h"

#include <algorithm>
#include <cmath>

#include "kernels/dispatch.h"
#include "testing.h"

namespace {

using annex::Metric;
using annex::NibbleCoder;
using annex::Status;
using testing::Random;

/// n rows that spread over `latent` directions, and a little over all; `scale` of all numbers.
std::vector<float> flat_rows(size_t n, size_t dim, size_t latent, uint64_t seed, float scale = 1, float shift = 0.5f) {
  Random directions(3), random(seed);
  std::vector<float> project(latent * dim), rows(n * dim);
  for (float& x : project) x = directions.normal();
  for (size_t i = 0; i < n; ++i) {
    std::vector<float> point(latent);
    for (float& x : point) x = random.normal();
    for (size_t d = 0; d < dim; ++d) {
      float sum = shift + 0.02f * random.normal();
      for (size_t j = 0; j < latent; ++j) sum += point[j] * project[j * dim + d];
      rows[i * dim + d] = sum * scale;
    }
  }
  return rows;
}

float length(const float* x, size_t dim) {
  double sum = 0;
  for (size_t d = 0; d < dim; ++d) sum += static_cast<double>(x[d]) * x[d];
  return static_cast<float>(std::sqrt(sum));
}

/// As an index does it. `claimed`: of how many rows the sample is said to be.
bool learn(NibbleCoder& coder, const std::vector<float>& rows, size_t dim, size_t claimed) {
  const size_t n = rows.size() / dim;
  std::vector<float> work(coder.work_floats());
  if (coder.init(5) != Status::ok || !coder.begin(claimed)) return false;
  for (size_t i = 0; i < n; ++i) coder.add_mean(&rows[i * dim], length(&rows[i * dim], dim));
  coder.end_mean();
  const size_t some = coder.axes_rows();
  if (some != 0 && coder.begin_axes(5) != Status::ok) return false;
  for (size_t i = 0; i < some; ++i) coder.add_to_axes(&rows[i * dim], length(&rows[i * dim], dim), work.data());
  while (coder.finding_axes()) {
    if (coder.find_axes(nullptr) != Status::ok) return false;
  }
  for (size_t i = 0; i < n; ++i) {
    if (!coder.add_spread(&rows[i * dim], length(&rows[i * dim], dim), work.data())) return false;
  }
  coder.end_spread();
  return true;
}

double distance(Metric metric, const float* a, const float* b, size_t dim) {
  double l2 = 0, ip = 0;
  const double la = metric == Metric::cosine ? length(a, dim) : 1, lb = metric == Metric::cosine ? length(b, dim) : 1;
  for (size_t d = 0; d < dim; ++d) {
    const double difference = a[d] / la - b[d] / lb;
    l2 += difference * difference;
    ip += static_cast<double>(a[d]) * b[d];
  }
  return metric == Metric::ip ? -ip : metric == Metric::cosine ? l2 / 2 : l2;
}

struct Errors {
  double common;  // by which all estimates of a query differ from distances, over how distances spread: the greatest
  double spread;  // root of the mean square of what they differ by beyond that
};

Errors errors_of(const NibbleCoder& coder, Metric metric, const std::vector<float>& rows, size_t dim, bool from_codes) {
  const size_t n = 200, nq = 20;
  std::vector<uint8_t> codes(n * coder.code_bytes());
  std::vector<float> work(coder.work_floats()), estimates(n);
  std::vector<int8_t> room(coder.query_bytes());
  std::vector<const void*> at(n);
  for (size_t i = 0; i < n; ++i) {
    at[i] = &codes[i * coder.code_bytes()];
    coder.encode(&rows[i * dim], length(&rows[i * dim], dim), work.data(), &codes[i * coder.code_bytes()]);
  }
  Errors found{0, 0};
  for (size_t q = 0; q < nq; ++q) {
    const float* query = &rows[q * dim];
    const annex::NibbleRowsQuery asked = from_codes
                                             ? coder.query_of(&codes[q * coder.code_bytes()], work.data(), room.data())
                                             : coder.query(query, length(query, dim), work.data(), room.data());
    annex::kernels().gather_nibbles(asked, at.data(), n, coder.lines(), estimates.data());
    double sum = 0, squares = 0, distances = 0, distance_squares = 0;
    for (size_t i = 0; i < n; ++i) {
      const double exact = distance(metric, query, &rows[i * dim], dim);
      const double error = static_cast<double>(coder.unit()) * estimates[i] - exact;
      sum += error;
      squares += error * error;
      distances += exact;
      distance_squares += exact * exact;
    }
    const double wide = std::sqrt(distance_squares / n - distances / n * distances / n);
    found.common = std::max(found.common, std::fabs(sum / n) / wide);
    found.spread += squares / n - sum / n * sum / n;
  }
  found.spread = std::sqrt(found.spread / nq);
  return found;
}

void test_better(Metric metric, size_t dim, size_t latent, bool expected) {
  const size_t n = 8 * dim < 2100 ? 2100 : 8 * dim;
  const std::vector<float> rows = flat_rows(n, dim, latent, 11);
  NibbleCoder with(metric, dim), without(metric, dim);
  CHECK(learn(with, rows, dim, n));
  CHECK(learn(without, rows, dim, 8 * dim - 1));  // so few rows tell nothing of axes
  CHECK(without.axes().empty());
  const bool found = !with.axes().empty();
  if (!CHECK(found == expected)) std::printf("  metric %d, %zu of %zu\n", static_cast<int>(metric), latent, dim);
  if (!found) return;
  for (const bool from_codes : {false, true}) {
    const Errors a = errors_of(with, metric, rows, dim, from_codes);
    const Errors b = errors_of(without, metric, rows, dim, from_codes);
    if (CHECK(a.spread < 0.7 * b.spread) && CHECK(a.common < 0.5)) continue;
    std::printf("  metric %d, %zu of %zu: %g and %g, %g in common\n", static_cast<int>(metric), latent, dim, a.spread,
                b.spread, a.common);
  }
}

void test_places() {
  for (size_t lines = 1; lines <= 3; ++lines) {
    const size_t dim = 128 * lines;
    for (size_t bytes = 0; bytes <= 64 * lines; bytes += 16) {
      for (size_t nibbles = 0; nibbles + bytes <= dim && nibbles <= 2 * (64 * lines - bytes); nibbles += 16) {
        annex::PrincipalAxes axes;
        annex::Buffer<float> floats;
        if (bytes + nibbles == 0 || !floats.resize_zeroed((bytes + nibbles) * dim)) continue;
        CHECK(axes.set(dim, lines, bytes, nibbles, static_cast<annex::Buffer<float>&&>(floats)));
        std::vector<int> taken(8 * lines);
        for (size_t p = 0; p < axes.panels(); ++p) {
          const size_t place = axes.place(p);
          if (!CHECK(place < 8 * lines)) return;
          const bool whole = p < bytes / 16;
          CHECK(!whole || place % 8 < 4);
          ++taken[place];
          if (whole) ++taken[place + 4];
        }
        for (const int times : taken) CHECK(times <= 1);
      }
    }
  }
}

void test_refused() {
  const auto set = [](size_t dim, size_t lines, size_t bytes, size_t nibbles, size_t floats) {
    annex::PrincipalAxes axes;
    annex::Buffer<float> matrix;
    return matrix.resize_zeroed(floats) &&
           axes.set(dim, lines, bytes, nibbles, static_cast<annex::Buffer<float>&&>(matrix));
  };
  CHECK(set(128, 1, 32, 64, 96 * 128));
  CHECK(!set(128, 1, 32, 64, 96 * 128 - 1));
  CHECK(!set(128, 1, 0, 0, 0));
  CHECK(!set(128, 1, 8, 0, 8 * 128));
  CHECK(!set(128, 1, 32, 72, 104 * 128));
  CHECK(!set(128, 1, 32, 80, 112 * 128));  // a line has room for 64
  CHECK(!set(256, 1, 80, 0, 80 * 256));
  CHECK(!set(20, 1, 48, 0, 48 * 20));  // more axes than dimensions
  CHECK(!set(128, 1, size_t{1} << 63, size_t{1} << 63, 0));
}

// Numbers too great or too small for sums of products, rows that are all alike, and what overflows.
void test_extremes() {
  for (const float scale : {1e-42f, 1e-30f, 1e-18f, 1e-12f, 1e12f, 1e17f, 1e18f, 1e30f, 1e37f}) {
    for (const size_t dim : {1, 3, 16, 64, 100, 256}) {
      const size_t n = 8 * dim < 64 ? 64 : 8 * dim;
      const std::vector<float> rows = flat_rows(n, dim, 2, 12, scale / 10);
      NibbleCoder coder(Metric::l2, dim);
      CHECK(learn(coder, rows, dim, n));
      bool finite = true;
      const annex::Buffer<float>& axes = coder.axes().axes();
      for (size_t i = 0; i < axes.size(); ++i) finite = finite && std::isfinite(axes[i]);
      CHECK(finite);
    }
  }
  for (const float x : {0.0f, 1.0f, -3e38f}) {
    for (const Metric metric : {Metric::l2, Metric::ip, Metric::cosine}) {
      std::vector<float> rows(1024 * 100, x);
      NibbleCoder coder(metric, 100);
      CHECK(learn(coder, rows, 100, 1024));
      CHECK(coder.axes().empty());
      rows[50] = -x;
      CHECK(learn(coder, rows, 100, 1024));
    }
  }
}

}  // namespace

int main() {
  for (const Metric metric : {Metric::l2, Metric::ip, Metric::cosine}) {
    for (const size_t dim : {1, 2, 15, 16, 17, 50, 64}) test_better(metric, dim, dim, true);  // seven bits for all
    for (const size_t dim : {65, 100, 128, 130, 200, 256}) {
      test_better(metric, dim, 2, true);
      test_better(metric, dim, dim / 10, true);
      test_better(metric, dim, dim, false);
    }
    test_better(metric, 257, 10, false);
  }
  test_places();
  test_refused();
  test_extremes();
  return testing::finish("nibbles_test");
}
