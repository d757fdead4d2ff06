// Rotations and product quantizers: codes, tables and matrices against their definitions; training on good and on
// awkward data, the same for any number of threads.
#include <algorithm>
#include <cmath>

#include "kernels/dispatch.h"
#include "quant/polar.h"
#include "quant/pq.h"
#include "quant/pq_train.h"
#include "quant/products.h"
#include "quant/rotation.h"
#include "quant/training.h"
#include "testing.h"

using annex::Buffer;
using annex::PqShape;
using annex::PqTrainer;
using annex::PqTrainOptions;
using annex::ProductQuantizer;
using annex::Rotation;
using annex::Status;
using annex::TrainProgress;
using testing::Random;

namespace {

Buffer<float> buffer_of(const std::vector<float>& values) {
  Buffer<float> buffer;
  CHECK(buffer.resize(values.size()));
  std::memcpy(buffer.data(), values.data(), values.size() * 4);
  return buffer;
}

std::vector<float> normals(size_t count, uint64_t seed) {
  Random random(seed);
  std::vector<float> values(count);
  for (float& x : values) x = random.normal();
  return values;
}

// Points whose elements depend on each other: a few directions carry most of it.
std::vector<float> correlated(size_t n, size_t dim, uint64_t seed) {
  const auto mix = normals(dim * dim, 77), source = normals(n * dim, seed);
  std::vector<float> points(n * dim);
  for (size_t i = 0; i < n; ++i) {
    for (size_t s = 0; s < dim; ++s) {
      const float x = source[i * dim + s] * std::exp(-0.25f * static_cast<float>(s));
      for (size_t d = 0; d < dim; ++d) points[i * dim + d] += x * mix[s * dim + d];
    }
  }
  return points;
}

size_t code_at(const uint8_t* code, size_t bits, size_t part) {
  return bits == 8 ? code[part] : part % 2 == 0 ? code[part / 2] & 15 : code[part / 2] >> 4;
}

void test_shapes() {
  CHECK(annex::check_pq_shape({256, 64, 8}) == Status::ok);
  CHECK(annex::check_pq_shape({7, 7, 4}) == Status::ok);
  CHECK(annex::check_pq_shape({100, 30, 8}) == Status::invalid_argument);
  CHECK(std::strstr(annex::last_error(), "25 and 50") != nullptr);
  CHECK(annex::check_pq_shape({100, 0, 8}) == Status::invalid_argument);
  CHECK(annex::check_pq_shape({100, 101, 8}) == Status::invalid_argument);
  CHECK(annex::check_pq_shape({100, 10, 5}) == Status::invalid_argument);
  CHECK(annex::check_pq_shape({0, 1, 8}) == Status::invalid_argument);
  ProductQuantizer quantizer;
  CHECK(quantizer.set({4, 2, 4}, buffer_of(std::vector<float>(63))) == Status::invalid_argument);
  std::vector<float> odd(64);
  odd[63] = INFINITY;
  CHECK(quantizer.set({4, 2, 4}, buffer_of(odd)) == Status::not_finite && quantizer.empty());
}

void test_codes() {
  for (size_t bits : {4, 8}) {
    for (size_t part : {1, 2, 3, 4, 8, 20}) {
      for (size_t m : {1, 2, 5, 16}) {
        const PqShape shape{m * part, m, bits};
        const size_t k = shape.codewords(), n = 133, stride = shape.dim + 2;
        const auto books = normals(shape.codebook_floats(), m * 100 + part), rows = normals(n * stride, part);
        ProductQuantizer quantizer;
        CHECK(quantizer.set(shape, buffer_of(books)) == Status::ok);
        std::vector<uint8_t> codes(n * shape.code_bytes() + 1, 0xee), one(shape.code_bytes(), 0xff);
        std::vector<uint8_t> scratch(quantizer.encode_scratch_bytes() + 64);
        uint8_t* room = scratch.data() + (64 - reinterpret_cast<uintptr_t>(scratch.data()) % 64) % 64;
        quantizer.encode(rows.data(), stride, n, codes.data(), room);
        CHECK(codes.back() == 0xee);
        std::vector<float> decoded(shape.dim), table(m * k + 1, 3.0f);
        for (size_t i = 0; i < n; ++i) {
          const uint8_t* code = &codes[i * shape.code_bytes()];
          quantizer.decode(code, decoded.data());
          for (size_t j = 0; j < m; ++j) {
            const auto distance = [&](size_t c) {
              double sum = 0;
              for (size_t d = 0; d < part; ++d) {
                const double t = rows[i * stride + j * part + d] - books[(j * k + c) * part + d];
                sum += t * t;
              }
              return sum;
            };
            double least = 1e300;
            for (size_t c = 0; c < k; ++c) least = std::min(least, distance(c));
            const size_t c = code_at(code, bits, j);
            CHECK(distance(c) <= least + 1e-5 * (1 + least));
            CHECK(std::memcmp(&decoded[j * part], &books[(j * k + c) * part], part * 4) == 0);
          }
          if (bits == 4 && m % 2 == 1) CHECK(code[m / 2] >> 4 == 0);
          quantizer.encode(&rows[i * stride], stride, 1, one.data(), room);
          CHECK(std::memcmp(one.data(), code, one.size()) == 0);
        }
        quantizer.tables(rows.data(), -2.0f, table.data());
        CHECK(table.back() == 3.0f);
        for (size_t j = 0; j < m; ++j) {
          for (size_t c = 0; c < k; ++c) {
            double sum = 0;
            for (size_t d = 0; d < part; ++d) sum += rows[j * part + d] * books[(j * k + c) * part + d];
            CHECK(std::abs(table[j * k + c] + 2 * sum) < 1e-4);
          }
        }
      }
    }
  }
}

double orthogonality(const float* a, size_t rows, size_t dim) {
  double most = 0;
  for (size_t r = 0; r < rows; ++r) {
    for (size_t s = 0; s < rows; ++s) {
      double sum = r == s ? -1 : 0;
      for (size_t d = 0; d < dim; ++d) sum += static_cast<double>(a[r * dim + d]) * a[s * dim + d];
      most = std::max(most, std::abs(sum));
    }
  }
  return most;
}

void test_orthonormalize() {
  for (size_t dim : {1, 2, 3, 16, 50, 129}) {
    for (size_t rows : {dim, dim / 2}) {
      if (rows == 0) continue;
      for (int kind = 0; kind < 6; ++kind) {
        auto a = normals(rows * dim, dim + rows);
        for (size_t r = 0; r < rows; ++r) {
          for (size_t d = 0; d < dim; ++d) {
            float& x = a[r * dim + d];
            if (kind == 1) x *= std::pow(0.8f, static_cast<float>(r));  // badly conditioned
            if (kind == 2) x = a[d];                                    // rank 1
            if (kind == 3) x = 0;                                       // rank 0
            if (kind == 4) x *= 1e30f;                                  // large
            if (kind == 5) x = (r == d ? 1.0f : 0.0f) + 1e-3f * x;      // nearly there
          }
        }
        const auto before = a;
        annex::PolarFactor polar;
        CHECK(polar.begin(a.data(), rows, dim, 0) == Status::ok);
        while (!polar.finished()) {
          double work = 0;
          CHECK(polar.step(nullptr, &work) == Status::ok && work > 0);
        }
        CHECK(orthogonality(a.data(), rows, dim) < 1e-5);
        // The polar factor Q of A makes A Qᵀ symmetric.
        if (kind == 0 || kind == 5) {
          double most = 0, size = 0;
          for (size_t r = 0; r < rows; ++r) {
            for (size_t s = 0; s < rows; ++s) {
              double one = 0, other = 0;
              for (size_t d = 0; d < dim; ++d) {
                one += static_cast<double>(before[r * dim + d]) * a[s * dim + d];
                other += static_cast<double>(before[s * dim + d]) * a[r * dim + d];
              }
              most = std::max(most, std::abs(one - other));
              size = std::max(size, std::abs(one));
            }
          }
          CHECK(most < 1e-4 * size);
        }
      }
    }
  }
}

// A large matrix takes many steps, gives the same whatever the threads, and stops when told.
void test_polar_steps() {
  constexpr size_t kDim = 1024;
  const auto a = normals(kDim * kDim, 3);
  std::vector<float> results[2];
  for (size_t threads : {1, 2}) {
    std::vector<float>& b = results[threads - 1];
    b = a;
    annex::PolarFactor polar;
    CHECK(polar.begin(b.data(), kDim, kDim, threads) == Status::ok);
    size_t steps = 0;
    double most = 0;
    for (; !polar.finished(); ++steps) {
      double work = 0;
      CHECK(polar.step(nullptr, &work) == Status::ok);
      most = std::max(most, work);
    }
    CHECK(steps > 10 && most < 2 * annex::kStepWork);
  }
  CHECK(results[0] == results[1]);
  auto b = a;
  annex::PolarFactor polar;
  CHECK(polar.begin(b.data(), kDim, kDim, 1) == Status::ok);
  const int32_t cancel = 1;
  double work = 0;
  CHECK(polar.step(&cancel, &work) == Status::aborted && work == 0);
}

void test_rotation() {
  for (size_t in : {1, 2, 5, 48, 100, 257}) {
    for (size_t out : {in, (in + 1) / 2}) {
      Rotation rotation, same, other;
      CHECK(rotation.random(in, out, 3) == Status::ok && same.random(in, out, 3) == Status::ok);
      CHECK(rotation.error() < 1e-5 && orthogonality(rotation.matrix().data(), out, in) < 1e-5);
      CHECK(std::memcmp(rotation.matrix().data(), same.matrix().data(), in * out * 4) == 0);
      if (in > 4) {
        CHECK(other.random(in, out, 4) == Status::ok);
        CHECK(std::memcmp(rotation.matrix().data(), other.matrix().data(), in * out * 4) != 0);
      }
      const size_t n = 61;
      const auto x = normals(n * in, in);
      std::vector<float> y(n * (out + 1), 9.0f), back(n * in), one(out);
      std::vector<uint8_t> scratch(rotation.scratch_bytes() + 64);
      uint8_t* room = scratch.data() + (64 - reinterpret_cast<uintptr_t>(scratch.data()) % 64) % 64;
      rotation.apply(x.data(), in, n, y.data(), out + 1, room);
      rotation.apply_back(y.data(), out + 1, n, back.data(), in, room);
      for (size_t i = 0; i < n; ++i) {
        CHECK(y[i * (out + 1) + out] == 9.0f);
        for (size_t r = 0; r < out; ++r) {
          double sum = 0;
          for (size_t d = 0; d < in; ++d) sum += static_cast<double>(rotation.matrix()[r * in + d]) * x[i * in + d];
          CHECK(std::abs(sum - y[i * (out + 1) + r]) < 1e-4);
        }
        for (size_t d = 0; d < in && in == out; ++d) CHECK(std::abs(back[i * in + d] - x[i * in + d]) < 1e-4);
        rotation.apply(&x[i * in], in, 1, one.data(), out, room);
        CHECK(std::memcmp(one.data(), &y[i * (out + 1)], out * 4) == 0);
        rotation.apply_query(&x[i * in], one.data(), room);
        for (size_t r = 0; r < out; ++r) CHECK(std::abs(one[r] - y[i * (out + 1) + r]) < 1e-4);
      }
    }
  }
  Rotation rotation;
  CHECK(rotation.set(2, 2, buffer_of({1, 0, 0, 1.01f})) == Status::invalid_argument && rotation.empty());
  CHECK(rotation.set(2, 3, buffer_of(std::vector<float>(6))) == Status::invalid_argument);
  CHECK(rotation.set(2, 1, buffer_of({NAN, 0})) == Status::invalid_argument);
  CHECK(rotation.set(2, 2, buffer_of({0, 1, 1, 0})) == Status::ok);
}

struct Trained {
  ProductQuantizer quantizer;
  Rotation rotation;
};

Trained train(const PqTrainOptions& options, const std::vector<float>& points) {
  Trained result;
  PqTrainer trainer;
  const size_t dim = options.dim == 0 ? options.shape.dim : options.dim;
  CHECK(trainer.begin(options, points.data(), points.size() / dim) == Status::ok);
  CHECK(trainer.take(&result.quantizer, &result.rotation) == Status::not_trained);
  TrainProgress progress;
  double before = 0;
  while (!progress.finished) {
    if (!CHECK(trainer.step(nullptr, &progress) == Status::ok)) break;
    CHECK(progress.done >= before && progress.done <= progress.total);
    before = progress.done;
  }
  CHECK(trainer.take(&result.quantizer, &result.rotation) == Status::ok);
  CHECK(result.rotation.empty() == (options.rotate == PqTrainOptions::Rotate::none));
  return result;
}

double error_of(const Trained& trained, const std::vector<float>& points, size_t dim) {
  const PqShape& shape = trained.quantizer.shape();
  const size_t n = points.size() / dim;
  std::vector<uint8_t> codes(n * shape.code_bytes());
  Buffer<uint8_t> scratch;
  CHECK(scratch.resize(trained.rotation.empty() ? 1 : trained.rotation.scratch_bytes()));
  std::vector<float> rotated = points, row(shape.dim), back(dim);
  if (!trained.rotation.empty()) {
    rotated.resize(n * shape.dim);
    trained.rotation.apply(points.data(), dim, n, rotated.data(), shape.dim, scratch.data());
  }
  CHECK(trained.quantizer.encode_all(rotated.data(), n, codes.data(), 0, nullptr) == Status::ok);
  double sum = 0;
  for (size_t i = 0; i < n; ++i) {
    trained.quantizer.decode(&codes[i * shape.code_bytes()], row.data());
    if (trained.rotation.empty()) {
      back = row;
    } else {
      trained.rotation.apply_back(row.data(), shape.dim, 1, back.data(), dim, scratch.data());
    }
    for (size_t d = 0; d < dim; ++d) sum += (points[i * dim + d] - back[d]) * (points[i * dim + d] - back[d]);
  }
  return sum / static_cast<double>(n);
}

bool equal(const Buffer<float>& a, const Buffer<float>& b) {
  return a.size() == b.size() && (a.size() == 0 || std::memcmp(a.data(), b.data(), a.size() * 4) == 0);
}

void test_training() {
  const size_t dim = 24;
  const auto points = correlated(5000, dim, 1), fresh = correlated(1000, dim, 2);
  for (size_t bits : {4, 8}) {
    double plain = 0;
    for (const auto rotate :
         {PqTrainOptions::Rotate::none, PqTrainOptions::Rotate::random, PqTrainOptions::Rotate::opq}) {
      PqTrainOptions options;
      options.shape = {dim, 6, bits};
      options.rotate = rotate;
      options.seed = 5;
      const Trained trained = train(options, points);
      const double error = error_of(trained, fresh, dim);
      if (rotate == PqTrainOptions::Rotate::none) plain = error;
      if (rotate == PqTrainOptions::Rotate::opq) CHECK(error < 0.7 * plain);
      if (!trained.rotation.empty()) CHECK(trained.rotation.error() < 1e-5);
      options.threads = 1;
      const Trained again = train(options, points);
      CHECK(equal(trained.quantizer.codebooks(), again.quantizer.codebooks()));
      CHECK(equal(trained.rotation.matrix(), again.rotation.matrix()));
      options.seed = 6;
      CHECK(!equal(trained.quantizer.codebooks(), train(options, points).quantizer.codebooks()));
    }
  }
  // Fewer dimensions behind the rotation: those that carry most of the points.
  PqTrainOptions options;
  options.shape = {8, 4, 8};
  options.dim = dim;
  options.rotate = PqTrainOptions::Rotate::opq;
  double all = 0;
  for (float x : points) all += x * x / 5000.0;
  CHECK(error_of(train(options, points), fresh, dim) < 0.15 * all);
}

// What the anisotropic loss is of the codes of fresh points, and what it would be of plain ones.
void test_anisotropic() {
  const size_t dim = 24, n = 500;
  const float weight = 6;
  const auto points = correlated(6000, dim, 3), fresh = correlated(n, dim, 4);
  for (size_t bits : {4, 8}) {
    for (const auto rotate : {PqTrainOptions::Rotate::none, PqTrainOptions::Rotate::random}) {
      PqTrainOptions options;
      options.shape = {dim, 6, bits};
      options.rotate = rotate;
      double losses[2];
      for (const bool aimed : {false, true}) {
        options.anisotropic = aimed ? weight : 0;
        const Trained trained = train(options, points);
        std::vector<float> rows = fresh, row(dim);
        Buffer<uint8_t> scratch;
        CHECK(scratch.resize(trained.quantizer.encode_scratch_bytes() +
                             (trained.rotation.empty() ? 0 : trained.rotation.scratch_bytes())));
        if (!trained.rotation.empty()) {
          trained.rotation.apply(fresh.data(), dim, n, rows.data(), dim, scratch.data());
        }
        std::vector<uint8_t> codes(n * options.shape.code_bytes());
        if (aimed) {
          trained.quantizer.encode_anisotropic(rows.data(), dim, rows.data(), dim, n, weight, codes.data(),
                                               scratch.data());
        } else {
          trained.quantizer.encode(rows.data(), dim, n, codes.data(), scratch.data());
        }
        double& loss = losses[aimed] = 0;
        for (size_t i = 0; i < n; ++i) {
          trained.quantizer.decode(&codes[i * options.shape.code_bytes()], row.data());
          double error = 0, along = 0, square = 0;
          for (size_t d = 0; d < dim; ++d) {
            const double x = rows[i * dim + d], r = x - row[d];
            error += r * r;
            along += r * x;
            square += x * x;
          }
          loss += error + (weight - 1) * along * along / square;
        }
        if (aimed) {
          options.threads = 1;
          CHECK(equal(train(options, points).quantizer.codebooks(), trained.quantizer.codebooks()));
          options.threads = 0;
        }
      }
      CHECK(losses[1] < 0.9 * losses[0]);
    }
  }
}

void test_awkward() {
  for (size_t n : {1, 2, 20, 400}) {
    for (size_t m : {1, 3}) {
      for (size_t part : {1, 4}) {
        for (int kind = 0; kind < 4; ++kind) {
          std::vector<float> points = normals(n * m * part, n + m);
          for (float& x : points) {
            x = kind == 0 ? 0.0f : kind == 1 ? 3.5f : kind == 2 ? (x > 0 ? 1.0f : 0.0f) : x * 1e36f;
          }
          for (const auto rotate :
               {PqTrainOptions::Rotate::none, PqTrainOptions::Rotate::random, PqTrainOptions::Rotate::opq}) {
            PqTrainOptions options;
            options.shape = {m * part, m, kind % 2 == 0 ? size_t{4} : size_t{8}};
            options.rotate = rotate;
            options.alternations = 5;
            options.anisotropic = kind == 2 ? 3.0f : 0.0f;
            const Trained trained = train(options, points);
            const double error = error_of(trained, points, m * part);
            if (kind < 2) CHECK(error < 1e-7);
            if (n <= 20 && kind == 1) CHECK(error < 1e-7);
          }
        }
      }
    }
  }
  PqTrainer trainer;
  PqTrainOptions options;
  const float x[2] = {1, 2};
  options.shape = {2, 2, 8};
  CHECK(trainer.begin(options, x, 0) == Status::invalid_argument);
  options.dim = 1;
  CHECK(trainer.begin(options, x, 1) == Status::invalid_argument);
  options.dim = 4;
  CHECK(trainer.begin(options, x, 1) == Status::invalid_argument);
  options.dim = 0;
  const int32_t cancel = 1;
  TrainProgress progress;
  CHECK(trainer.begin(options, x, 1) == Status::ok && trainer.step(&cancel, &progress) == Status::aborted);
}

}  // namespace

int main() {
  test_shapes();
  test_codes();
  test_orthonormalize();
  test_polar_steps();
  test_rotation();
  test_training();
  test_anisotropic();
  test_awkward();
  return testing::finish("pq_test");
}
