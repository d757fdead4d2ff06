// k-means and the assignment to centroids: against plain definitions, on awkward data, whatever the threads; and the
// kernels below them on every instruction set.
#include "quant/kmeans.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/parallel.h"
#include "kernels/dispatch.h"
#include "testing.h"

using annex::Buffer;
using annex::CentroidTable;
using annex::Kernels;
using annex::Kmeans;
using annex::KmeansOptions;
using annex::Status;
using annex::TrainProgress;
using testing::Random;

namespace {

std::vector<const Kernels*> tables;

// Points around `clusters` centres, some far larger than others.
std::vector<float> blobs(size_t n, size_t dim, size_t clusters, uint64_t seed) {
  Random random(seed);
  std::vector<float> centres(clusters * dim), points(n * dim);
  for (float& x : centres) x = 3 * random.normal();
  for (size_t i = 0; i < n; ++i) {
    const size_t c = std::min(random.below(clusters), random.below(clusters));
    for (size_t d = 0; d < dim; ++d) points[i * dim + d] = centres[c * dim + d] + random.normal();
  }
  return points;
}

double distance_of(const float* a, const float* b, size_t dim, bool product) {
  double sum = 0;
  for (size_t d = 0; d < dim; ++d) {
    sum += product ? -static_cast<double>(a[d]) * b[d]
                   : (static_cast<double>(a[d]) - b[d]) * (static_cast<double>(a[d]) - b[d]);
  }
  return sum;
}

// The mean distance of all points to the nearest centroid.
double error_of(const std::vector<float>& points, size_t dim, const float* centroids, size_t k) {
  double sum = 0;
  for (size_t i = 0; i < points.size() / dim; ++i) {
    double least = 1e300;
    for (size_t c = 0; c < k; ++c)
      least = std::min(least, distance_of(&points[i * dim], centroids + c * dim, dim, false));
    sum += least;
  }
  return sum / static_cast<double>(points.size() / dim);
}

// Plain Lloyd from the same number of points.
double plain_error(const std::vector<float>& points, size_t dim, size_t k, size_t iterations) {
  const size_t n = points.size() / dim;
  std::vector<float> centroids(k * dim);
  Random random(99);
  for (size_t c = 0; c < k; ++c) {
    std::memcpy(&centroids[c * dim], &points[random.below(n) * dim], dim * 4);
  }
  for (size_t round = 0; round < iterations; ++round) {
    std::vector<double> sums(k * dim);
    std::vector<size_t> counts(k);
    for (size_t i = 0; i < n; ++i) {
      size_t best = 0;
      double least = 1e300;
      for (size_t c = 0; c < k; ++c) {
        const double d = distance_of(&points[i * dim], &centroids[c * dim], dim, false);
        if (d < least) least = d, best = c;
      }
      ++counts[best];
      for (size_t d = 0; d < dim; ++d) sums[best * dim + d] += points[i * dim + d];
    }
    for (size_t c = 0; c < k; ++c) {
      for (size_t d = 0; d < dim && counts[c] > 0; ++d) {
        centroids[c * dim + d] = static_cast<float>(sums[c * dim + d] / static_cast<double>(counts[c]));
      }
    }
  }
  return error_of(points, dim, centroids.data(), k);
}

std::vector<float> train(KmeansOptions options, const std::vector<float>& points, double* objective = nullptr) {
  Kmeans means;
  CHECK(means.begin(options, points.data(), points.size() / options.dim) == Status::ok);
  TrainProgress progress;
  double before = 0;
  size_t steps = 0;
  while (!progress.finished && CHECK(steps++ < 100000)) {
    if (!CHECK(means.step(nullptr, &progress) == Status::ok)) break;
    CHECK(progress.done >= before && progress.done <= progress.total);
    before = progress.done;
  }
  CHECK(means.centroids().size() == options.k * options.dim);
  for (float x : std::vector<float>(means.centroids().data(), means.centroids().data() + means.centroids().size())) {
    CHECK(std::isfinite(x));
  }
  if (objective != nullptr) *objective = means.objective();
  return {means.centroids().data(), means.centroids().data() + means.centroids().size()};
}

void test_quality() {
  for (size_t dim : {1, 2, 7, 16, 40, 130}) {
    const auto points = blobs(3000, dim, 40, dim);
    KmeansOptions options;
    options.k = 50;
    options.dim = dim;
    options.max_points_per_centroid = 0;
    double objective = 0;
    const auto centroids = train(options, points, &objective);
    const double error = error_of(points, dim, centroids.data(), options.k);
    CHECK(error <= 1.12 * plain_error(points, dim, options.k, options.iterations));
    CHECK(objective >= error * 0.999 && objective <= error * 1.05);
    if (dim > 1) {
      CHECK(train(options, points) == centroids);
      options.threads = 1;
      CHECK(train(options, points) == centroids);
      options.seed = 1;
      CHECK(train(options, points) != centroids);
    }
  }
}

void test_spherical() {
  auto points = blobs(2000, 24, 30, 5);
  KmeansOptions options;
  options.k = 40;
  options.dim = 24;
  options.spherical = true;
  const auto centroids = train(options, points);
  for (size_t c = 0; c < options.k; ++c) {
    CHECK(std::abs(distance_of(&centroids[c * 24], &centroids[c * 24], 24, true) + 1) < 1e-5);
  }
}

double imbalance(const std::vector<float>& points, size_t dim, const std::vector<float>& centroids) {
  const size_t n = points.size() / dim, k = centroids.size() / dim;
  CentroidTable table;
  std::vector<uint32_t> nearest(n);
  CHECK(table.prepare(centroids.data(), k, dim, false) == Status::ok);
  CentroidTable::Nearest out;
  out.nearest = nearest.data();
  CHECK(table.assign(points.data(), dim, n, 0, nullptr, out) == Status::ok);
  std::vector<double> sizes(k);
  for (uint32_t c : nearest) ++sizes[c];
  double squares = 0;
  for (double s : sizes) squares += s * s;
  return squares * static_cast<double>(k) / (static_cast<double>(n) * static_cast<double>(n));
}

void test_balanced() {
  // Half of the points in a small dense heap, the others scattered: plain k-means leaves the heap to few centroids.
  Random random(3);
  std::vector<float> points(8000 * 8);
  for (size_t i = 0; i < points.size(); ++i) points[i] = (i < points.size() / 2 ? 0.3f : 3.0f) * random.normal();
  KmeansOptions options;
  options.k = 64;
  options.dim = 8;
  options.iterations = 20;
  const double plain = imbalance(points, 8, train(options, points));
  options.balanced = true;
  CHECK(imbalance(points, 8, train(options, points)) < 0.9 * plain);
}

void test_awkward() {
  for (size_t n : {1, 2, 3, 50, 300}) {
    for (size_t dim : {1, 3, 33}) {
      for (size_t k : {1, 2, 40, 100}) {
        for (int kind = 0; kind < 4; ++kind) {
          Random random(n * 1000 + dim * 10 + k);
          std::vector<float> points(n * dim);
          for (float& x : points) {
            x = kind == 0   ? 0.0f
                : kind == 1 ? -7.25f
                : kind == 2 ? static_cast<float>(random.below(2))
                            : 3e38f * (random.uniform() - 0.5f);
          }
          KmeansOptions options;
          options.k = k;
          options.dim = dim;
          options.iterations = 4;
          options.spherical = kind == 2;
          options.balanced = kind == 1;
          options.max_points_per_centroid = kind == 3 ? 2 : 256;
          const auto centroids = train(options, points);
          if (kind == 1 && k <= n) CHECK(error_of(points, dim, centroids.data(), k) == 0);
        }
      }
    }
  }
  Kmeans means;
  KmeansOptions options;
  const float x = 1;
  CHECK(means.begin(options, &x, 1) == Status::invalid_argument);
  options.k = options.dim = 1;
  CHECK(means.begin(options, &x, 0) == Status::invalid_argument);
}

void test_tree() {
  const size_t dim = 6, k = 5000;
  const auto points = blobs(40000, dim, 3000, 8);
  KmeansOptions options;
  options.k = k;
  options.dim = dim;
  double objective = 0;
  const auto centroids = train(options, points, &objective);
  options.threads = 1;
  CHECK(train(options, points) == centroids);
  std::set<std::vector<float>> distinct;
  for (size_t c = 0; c < k; ++c) distinct.insert({&centroids[c * dim], &centroids[(c + 1) * dim]});
  CHECK(distinct.size() == k);
  const std::vector<float> sample(points.begin(), points.begin() + 500 * dim);
  CHECK(error_of(sample, dim, centroids.data(), k) <= 1.2 * plain_error(sample, dim, 1, 1));
  CHECK(objective < 0.25 * plain_error(sample, dim, 1, 1));
  // Nearly as good as on one level.
  double flat = 0, tree = 0;
  options.dim = 16;
  const auto wide = blobs(20000, options.dim, 300, 9);
  options.k = Kmeans::kFlatCentroids;
  train(options, wide, &flat);
  ++options.k;
  train(options, wide, &tree);
  CHECK(tree < 1.015 * flat);
  options.k = k;
  // Duplicates only, and fewer points than centroids.
  const std::vector<float> same(9000 * 2, 1.5f), few(20, 2.5f);
  options.dim = 2;
  train(options, same);
  train(options, few);
}

void test_abort() {
  const auto points = blobs(4000, 32, 10, 1);
  KmeansOptions options;
  options.k = 64;
  options.dim = 32;
  Kmeans means;
  TrainProgress progress;
  const int32_t cancel = 1;
  CHECK(means.begin(options, points.data(), 4000) == Status::ok);
  CHECK(means.step(&cancel, &progress) == Status::aborted);
  CHECK(means.begin(options, points.data(), 4000) == Status::ok);
  CHECK(means.run(nullptr) == Status::ok);
}

// The nearest and the second nearest: by bytes and by floats, strided, cut anywhere.
void test_assign() {
  for (size_t dim : {1, 5, 16, 31, 64, 100, 257}) {
    for (size_t k : {1, 2, 15, 33, 300, 777}) {
      for (const bool product : {false, true}) {
        const size_t n = 150, stride = dim + 3;
        const auto points = blobs(n, stride, 20, k + dim), centroids = blobs(k, dim, 20, k * 7 + dim);
        for (const bool narrow : {false, true}) {
          CentroidTable table;
          CHECK(table.prepare(centroids.data(), k, dim, product, narrow) == Status::ok);
          std::vector<uint32_t> nearest(n), second(n), alone(n);
          std::vector<float> distance(n), second_distance(n);
          CentroidTable::Nearest out;
          out.nearest = nearest.data();
          out.distance = distance.data();
          out.second = second.data();
          out.second_distance = second_distance.data();
          CHECK(table.assign(points.data(), stride, n, 0, nullptr, out) == Status::ok);
          for (size_t i = 0; i < n; i += 49) {
            CentroidTable::Nearest part;
            part.nearest = alone.data() + i;
            const size_t count = std::min<size_t>(49, n - i);
            CHECK(table.assign(points.data() + i * stride, stride, count, 1, nullptr, part) == Status::ok);
          }
          size_t missed = 0;
          for (size_t i = 0; i < n; ++i) {
            std::vector<std::pair<double, uint32_t>> all;
            for (size_t c = 0; c < k; ++c) {
              all.push_back(
                  {distance_of(&points[i * stride], &centroids[c * dim], dim, product), static_cast<uint32_t>(c)});
            }
            std::sort(all.begin(), all.end());
            const double scale = 1e-5 * (1 + std::abs(all[0].first) + dim * 10.0);
            CHECK(nearest[i] < k && second[i] < k && (k == 1 || nearest[i] != second[i]));
            CHECK(std::abs(distance[i] - distance_of(&points[i * stride], &centroids[nearest[i] * dim], dim, product)) <
                  scale);
            missed += distance[i] > all[0].first + scale || second_distance[i] > all[k > 1].first + scale;
            CHECK(alone[i] == nearest[i]);
          }
          // Bytes may take one for another that is as near within their resolution.
          CHECK(missed <= (narrow ? n / 50 : 0));
        }
      }
    }
  }
}

// ---- kernels ----

void test_best_rows(const Kernels& k, Random& random) {
  const size_t nq = 5, blocks = 3, width = 48;
  std::vector<int32_t> ints(blocks * nq * width);
  std::vector<float> floats(ints.size()), u(2 * nq), scale(blocks * width), a(scale.size()), b(scale.size());
  std::vector<float> lanes(nq * annex::kBestFloats), lanes2(lanes);
  for (size_t i = 0; i < ints.size(); ++i)
    floats[i] = static_cast<float>(ints[i] = static_cast<int32_t>(random.below(200)) - 100);
  for (float& x : u) x = static_cast<float>(random.below(5));
  for (size_t r = 0; r < scale.size(); ++r) {
    scale[r] = static_cast<float>(1 + random.below(3));  // whole numbers: fused or not makes no difference
    a[r] = static_cast<float>(random.below(7));
    b[r] = static_cast<float>(random.below(7));
  }
  for (size_t block = 0; block < blocks; ++block) {
    const annex::PanelTerms terms{&scale[block * width], &a[block * width], &b[block * width], nullptr};
    k.nearest.best_i32(&ints[block * nq * width], nq, width, block * width / 16, terms, u.data(), {lanes.data()});
    k.nearest.best_f32(&floats[block * nq * width], nq, width, block * width / 16, terms, u.data(), {lanes2.data()});
  }
  CHECK(std::memcmp(lanes.data(), lanes2.data(), lanes.size() * 4) == 0);
  for (size_t q = 0; q < nq; ++q) {
    for (size_t j = 0; j < 16; ++j) {
      std::vector<std::pair<float, size_t>> all;
      for (size_t r = j; r < blocks * width; r += 16) {
        const size_t block = r / width;
        const float sum = floats[(block * nq + q) * width + r % width];
        all.push_back({-(scale[r] * sum + a[r] * u[2 * q] + b[r] * u[2 * q + 1]), r});
      }
      std::sort(all.begin(), all.end());
      const float* at = &lanes[q * annex::kBestFloats + j];
      CHECK(at[0] == -all[0].first && at[16] * 16 + static_cast<float>(j) == static_cast<float>(all[0].second));
      CHECK(at[32] == -all[1].first && at[48] * 16 + static_cast<float>(j) == static_cast<float>(all[1].second));
    }
  }
}

void test_quantize(const Kernels& k, Random& random) {
  for (size_t dim = 1; dim <= 70; ++dim) {
    for (const float size : {1.0f, 0.0f, 1e-38f, 1e38f}) {
      std::vector<float> x(dim);
      std::vector<int8_t> codes((dim + 15) / 16 * 16 + 1, 77), same(codes);
      for (float& v : x) v = size * random.normal() / 6;
      annex::ByteRowTerms terms, reference;
      k.nearest.quantize_i8(x.data(), dim, codes.data(), &terms);
      tables[0]->nearest.quantize_i8(x.data(), dim, same.data(), &reference);
      CHECK(codes == same && terms.scale == reference.scale && terms.sum == reference.sum);
      float greatest = 0, sum = 0;
      for (size_t d = 0; d < dim; ++d) {
        greatest = std::max(greatest, std::abs(x[d]));
        sum += codes[d];
        if (terms.scale > 0) CHECK(std::abs(x[d] / terms.scale - codes[d]) < 0.501f);
      }
      CHECK(terms.sum == sum && (greatest < 1e-30f ? terms.scale == 0 : terms.scale == greatest / 127.0f));
      for (size_t d = dim; d + 1 < codes.size(); ++d) CHECK(codes[d] == 0);
      CHECK(codes.back() == 77);
    }
  }
}

void test_nearest_codes(const Kernels& k, Random& random) {
  for (size_t dim : {1, 2, 3, 4, 5, 7, 8, 9, 12, 16, 31}) {
    for (size_t words : {1, 16, 17, 256}) {
      for (size_t n : {16, 48, 64, 144}) {
        std::vector<float> points(n * dim), codewords(words * dim), bias(words), values(n), lines(n * dim);
        std::vector<uint8_t> codes(n + 1, 99), again(n);
        for (float& x : points) x = static_cast<float>(random.below(21)) - 10;  // whole numbers: sums are exact
        for (float& x : codewords) x = static_cast<float>(random.below(21)) - 10;
        for (float& x : bias) x = static_cast<float>(random.below(50));
        k.nearest.nearest_codes(points.data(), 16 * dim, 16, n, dim, codewords.data(), bias.data(), words, codes.data(),
                                values.data());
        CHECK(codes[n] == 99);
        for (size_t i = 0; i < n; ++i) {
          float best = -1e30f;
          size_t at = 0;
          for (size_t c = 0; c < words; ++c) {
            float value = -bias[c];
            for (size_t d = 0; d < dim; ++d)
              value += points[i / 16 * 16 * dim + d * 16 + i % 16] * codewords[c * dim + d];
            if (value > best) best = value, at = c;
          }
          CHECK(codes[i] == at && values[i] == best);
          for (size_t d = 0; d < dim; ++d) lines[d * n + i] = points[i / 16 * 16 * dim + d * 16 + i % 16];
        }
        k.nearest.nearest_codes(lines.data(), 16, n, n, dim, codewords.data(), bias.data(), words, again.data(),
                                nullptr);
        CHECK(std::memcmp(codes.data(), again.data(), n) == 0);
      }
    }
  }
}

void test_part_tables(const Kernels& k, Random& random) {
  for (size_t part : {1, 2, 3, 4, 8, 17}) {
    for (size_t words : {16, 256}) {
      const size_t m = 3;
      std::vector<float> query(m * part), panels(m * words * part), out(m * words + 1, 5.0f);
      for (float& x : query) x = static_cast<float>(random.below(21)) - 10;
      for (float& x : panels) x = static_cast<float>(random.below(21)) - 10;
      k.nearest.part_tables(query.data(), panels.data(), m, words, part, -2.0f, out.data());
      for (size_t j = 0; j < m * words; ++j) {
        float sum = 0;
        for (size_t d = 0; d < part; ++d)
          sum += query[j / words * part + d] * panels[j / 16 * 16 * part + d * 16 + j % 16];
        CHECK(out[j] == -2.0f * sum);
      }
      CHECK(out[m * words] == 5.0f);
    }
  }
}

}  // namespace

int main() {
  const Kernels* const* available;
  const size_t count = annex::available_kernels(&available);
  tables.assign(available, available + count);
  for (const Kernels* k : tables) {
    Random random(11);
    test_best_rows(*k, random);
    test_quantize(*k, random);
    test_nearest_codes(*k, random);
    test_part_tables(*k, random);
  }
  test_assign();
  test_quality();
  test_spherical();
  test_balanced();
  test_awkward();
  test_tree();
  test_abort();
  return testing::finish("kmeans_test");
}
