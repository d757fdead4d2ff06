// Training on a file of floats, for comparison with peers (bench/peers/train.py): prints one line of JSON.
//   train_bench <rows.f32> <dim> kmeans <k> <iterations> <threads> [seed]
//   train_bench <rows.f32> <dim> pq|opq|random <m> <bits> <threads> [seed] [turns] [points]
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <vector>

#include "kernels/dispatch.h"
#include "quant/kmeans.h"
#include "quant/pq_train.h"

using annex::Status;

namespace {

double wall() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

double processor() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

struct Rows {
  std::vector<float> data;
  size_t n = 0, dim = 0;

  bool read(const char* path, size_t dimensions) {
    FILE* file = std::fopen(path, "rb");
    if (file == nullptr || dimensions == 0) return false;
    std::fseek(file, 0, SEEK_END);
    const size_t floats = static_cast<size_t>(std::ftell(file)) / sizeof(float);
    std::fseek(file, 0, SEEK_SET);
    dim = dimensions;
    n = floats / dim;
    data.resize(n * dim);
    const bool whole = std::fread(data.data(), sizeof(float), data.size(), file) == data.size();
    std::fclose(file);
    return whole && n > 0;
  }
};

int failed() {
  std::fprintf(stderr, "%s\n", annex::last_error());
  return 1;
}

// Mean squared distance of all rows to the nearest centroid, exactly.
double error_of(const Rows& rows, const float* centroids, size_t k, double* imbalance) {
  annex::CentroidTable table;
  std::vector<uint32_t> nearest(rows.n);
  std::vector<float> distance(rows.n);
  annex::CentroidTable::Nearest out;
  out.nearest = nearest.data();
  out.distance = distance.data();
  if (table.prepare(centroids, k, rows.dim, false, false) != Status::ok ||
      table.assign(rows.data.data(), rows.dim, rows.n, 0, nullptr, out) != Status::ok) {
    return -1;
  }
  double sum = 0;
  for (float d : distance) sum += d;
  std::vector<double> sizes(k);
  for (uint32_t c : nearest) ++sizes[c];
  *imbalance = 0;
  for (double size : sizes) *imbalance += size * size;
  *imbalance *= static_cast<double>(k) / (static_cast<double>(rows.n) * static_cast<double>(rows.n));
  return sum / static_cast<double>(rows.n);
}

int kmeans(const Rows& rows, size_t k, size_t iterations, size_t threads, uint64_t seed) {
  annex::KmeansOptions options;
  options.k = k;
  options.dim = rows.dim;
  options.iterations = iterations;
  options.max_points_per_centroid = 0;
  options.threads = threads;
  options.seed = seed;
  const double start = wall(), used = processor();
  annex::Kmeans means;
  if (means.begin(options, rows.data.data(), rows.n) != Status::ok || means.run(nullptr) != Status::ok) return failed();
  const double seconds = wall() - start, cpu = processor() - used;
  double imbalance = 0;
  const double exact = error_of(rows, means.centroids().data(), k, &imbalance);
  std::printf("{\"seconds\":%.4f,\"cpu\":%.4f,\"objective\":%.6f,\"exact\":%.6f,\"imbalance\":%.4f,\"isa\":\"%s\"}\n",
              seconds, cpu, means.objective(), exact, imbalance, annex::kernels().name);
  return 0;
}

// Mean squared error of rows that are coded and decoded.
double error_of(const Rows& rows, const annex::ProductQuantizer& quantizer, const annex::Rotation& rotation) {
  const annex::PqShape& shape = quantizer.shape();
  std::vector<uint8_t> codes(rows.n * shape.code_bytes());
  std::vector<float> rotated, row(shape.dim), back(rows.dim);
  std::vector<uint8_t> scratch(rotation.empty() ? 64 : rotation.scratch_bytes());
  const float* from = rows.data.data();
  if (!rotation.empty()) {
    rotated.resize(rows.n * shape.dim);
    rotation.apply(from, rows.dim, rows.n, rotated.data(), shape.dim, scratch.data());
    from = rotated.data();
  }
  if (quantizer.encode_all(from, rows.n, codes.data(), 0, nullptr) != Status::ok) return -1;
  double sum = 0;
  for (size_t i = 0; i < rows.n; ++i) {
    quantizer.decode(codes.data() + i * shape.code_bytes(), row.data());
    const float* result = row.data();
    if (!rotation.empty()) {
      rotation.apply_back(row.data(), shape.dim, 1, back.data(), rows.dim, scratch.data());
      result = back.data();
    }
    for (size_t d = 0; d < rows.dim; ++d) {
      const double miss = static_cast<double>(rows.data[i * rows.dim + d]) - result[d];
      sum += miss * miss;
    }
  }
  return sum / static_cast<double>(rows.n);
}

int pq(const Rows& rows, const std::string& rotate, size_t m, size_t bits, size_t threads, uint64_t seed, size_t turns,
       size_t points) {
  annex::PqTrainOptions options;
  options.shape = {rows.dim, m, bits};
  options.rotate = rotate == "opq"      ? annex::PqTrainOptions::Rotate::opq
                   : rotate == "random" ? annex::PqTrainOptions::Rotate::random
                                        : annex::PqTrainOptions::Rotate::none;
  options.threads = threads;
  options.seed = seed;
  options.alternations = turns;
  options.max_points = points;
  const double start = wall(), used = processor();
  annex::PqTrainer trainer;
  annex::ProductQuantizer quantizer;
  annex::Rotation rotation;
  if (trainer.begin(options, rows.data.data(), rows.n) != Status::ok || trainer.run(nullptr) != Status::ok ||
      trainer.take(&quantizer, &rotation) != Status::ok) {
    return failed();
  }
  const double seconds = wall() - start, cpu = processor() - used;
  std::printf("{\"seconds\":%.4f,\"cpu\":%.4f,\"error\":%.6f,\"orthogonal\":%.2g,\"isa\":\"%s\"}\n", seconds, cpu,
              error_of(rows, quantizer, rotation), rotation.error(), annex::kernels().name);
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  const auto number = [&](int i, size_t otherwise) {
    return i < count ? static_cast<size_t>(std::strtoull(arguments[i], nullptr, 10)) : otherwise;
  };
  Rows rows;
  if (count < 7 || !rows.read(arguments[1], number(2, 0))) {
    std::fprintf(stderr,
                 "train_bench <rows.f32> <dim> kmeans|pq|opq|random <k|m> <iterations|bits> <threads> [seed]\n");
    return 2;
  }
  const std::string what = arguments[3];
  if (what == "kmeans") return kmeans(rows, number(4, 1), number(5, 10), number(6, 0), number(7, 0));
  if (what == "pq" || what == "opq" || what == "random") {
    return pq(rows, what, number(4, 1), number(5, 8), number(6, 0), number(7, 0), number(8, 0), number(9, 0));
  }
  return 2;
}
