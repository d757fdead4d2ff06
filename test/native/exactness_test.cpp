// Every way of searching a flat index gives the same bits: one query at a time or many, with the narrow sidecar or
// without, by tiles, on one thread or two. The sets hunt for counterexamples to the bounds of quant/sidecar.cpp and
// quant/tile_terms.cpp; a scan in double checks that the common answer is the right one.
//   exactness_test [sets] [base.npy query.npy]     (npy: f2 or u1, two dimensions)
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string>

#include "kernels/dispatch.h"
#include "testing.h"

using testing::Answer;
using testing::Index;
using testing::Random;

namespace {

const char* const kMetrics[] = {"l2", "ip", "cosine", "l1", "hamming", "jaccard"};

float ulps(float x, int n) {
  for (; n > 0; --n) x = std::nextafter(x, std::numeric_limits<float>::infinity());
  for (; n < 0; ++n) x = std::nextafter(x, -std::numeric_limits<float>::infinity());
  return x;
}

struct Set {
  std::string name;
  size_t dim, n, nq;
  std::vector<float> rows, queries;
};

// One of seventeen adversarial families, by seed.
Set make_set(size_t seed) {
  Random random(seed);
  Set set;
  set.dim = seed % 5 == 0 ? 1 + random.below(8) : 1 + random.below(300);
  set.n = 1 + random.below(seed % 7 == 0 ? 40 : 900);
  set.nq = 1 + random.below(40);
  if (seed % 50 == 21) {  // many tiles and several blocks
    set.dim = 64;
    set.n = 40000;
    set.nq = 2;
  }
  set.rows.resize(set.n * set.dim);
  set.queries.resize(set.nq * set.dim);
  const size_t family = seed % 17;
  const char* const names[] = {"gaussian",  "clustered", "large norms", "denormal", "constant columns", "duplicates",
                               "near ties", "all equal", "one-hot",     "offset",   "mixed scales",     "integers",
                               "overflow",  "tiny",      "two values",  "outlier",  "aligned"};
  set.name = names[family];
  std::vector<float> center(set.dim);
  for (float& c : center) c = random.normal();
  const auto fill = [&](std::vector<float>& out, size_t count, bool query) {
    for (size_t i = 0; i < count; ++i) {
      float* x = out.data() + i * set.dim;
      const float scale = std::pow(10.0f, random.normal() * 2);
      const size_t hot = random.below(set.dim);
      // aligned: near the corners of a cube, moved towards the query by less than half a code: the narrow copies are
      // all the same, the query's is exact, and the bound is met with equality.
      const float corner = query ? static_cast<float>(1 + i % 3) : 253.0f / 255 + random.uniform() * 0.95f / 255;
      for (size_t d = 0; d < set.dim; ++d) {
        const float g = random.normal();
        switch (family) {
          case 0: x[d] = g; break;
          case 1: x[d] = center[d] * static_cast<float>(1 + i % 5) + 0.05f * g; break;
          case 2: x[d] = g * 1e17f; break;
          case 3: x[d] = g * 1e-41f; break;
          case 4: x[d] = d % 3 == 0 ? 7.5f : g; break;
          case 5: x[d] = i >= 3 ? out[(i % 3) * set.dim + d] : g; break;
          case 6: x[d] = ulps(center[d], static_cast<int>(random.below(5)) - 2); break;
          case 7: x[d] = center[0]; break;
          case 8: x[d] = d == hot ? (i % 2 != 0 ? 1.0f : -1.0f) : 0.0f; break;
          case 9: x[d] = 1000.0f + 0.001f * g; break;
          case 10: x[d] = g * scale; break;
          case 11: x[d] = std::floor(g * 3); break;
          case 12: x[d] = g * 2e19f; break;
          case 13: x[d] = g * 1e-18f; break;
          case 14: x[d] = random.below(2) != 0 ? 1.0f : -1.0f; break;
          case 15: x[d] = d == hot ? 1e6f * g : g; break;
          default: x[d] = (d % 2 != 0 ? 1.0f : -1.0f) * (d < 2 && !query ? 1.0f : corner); break;
        }
      }
      if (std::all_of(x, x + set.dim, [](float v) { return v == 0; })) x[0] = family == 3 ? 1e-41f : 1.0f;
      if (query && i % 4 == 3) std::copy_n(set.rows.data() + random.below(set.n) * set.dim, set.dim, x);
    }
  };
  fill(set.rows, set.n, false);
  fill(set.queries, set.nq, true);
  return set;
}

double reference_distance(int metric, const float* q, const float* x, size_t dim) {
  double dot = 0, l2 = 0, l1 = 0, qq = 0, xx = 0;
  for (size_t d = 0; d < dim; ++d) {
    const double a = q[d], b = x[d];
    dot += a * b;
    l2 += (a - b) * (a - b);
    l1 += std::abs(a - b);
    qq += a * a;
    xx += b * b;
  }
  switch (metric) {
    case ANNEX_L2: return l2;
    case ANNEX_IP: return -dot;
    case ANNEX_COSINE: return 1 - dot / std::sqrt(qq * xx);
    default: return l1;
  }
}

// One query at a time, then all ways in turn; all must equal `expected`.
void compare(const Index& index, const Answer& expected, const void* queries, size_t query_bytes, size_t nq, size_t k,
             const std::string& name) {
  for (const size_t threads : {1, 2}) {
    const Answer batch = index.search(queries, nq, k, threads);
    if (!CHECK(batch == expected)) std::printf("  batch of %zu, %zu threads: %s\n", nq, threads, name.c_str());
  }
  Answer singles{{}, {}, {}, ANNEX_OK};
  for (size_t q = 0; q < nq; ++q) {
    const Answer one = index.search(static_cast<const uint8_t*>(queries) + q * query_bytes, 1, k);
    singles.ids.insert(singles.ids.end(), one.ids.begin(), one.ids.end());
    singles.distances.insert(singles.distances.end(), one.distances.begin(), one.distances.end());
    singles.counts.insert(singles.counts.end(), one.counts.begin(), one.counts.end());
  }
  if (!CHECK(singles == expected)) std::printf("  one at a time: %s\n", name.c_str());
}

// The plain answer, computed here from the canonical kernels alone: scan everything, sort by (distance, id).
Answer plain_answer(const Index& plain, const void* queries, size_t query_bytes, size_t nq, size_t k) {
  Answer all{{}, {}, {}, ANNEX_OK};
  for (size_t q = 0; q < nq; ++q) {
    // k = n of a lone query takes the plain way and keeps every row: no threshold, no bound has a say.
    const size_t n = annex_size(plain.handle);
    const Answer one = plain.search(static_cast<const uint8_t*>(queries) + q * query_bytes, 1, n);
    const size_t found = std::min(n, k);
    for (size_t i = 0; i < k; ++i) {
      all.ids.push_back(i < found ? one.ids[i] : -1);
      all.distances.push_back(i < found ? one.distances[i] : std::numeric_limits<float>::infinity());
    }
    all.counts.push_back(static_cast<uint32_t>(found));
  }
  return all;
}

void float_set(const Set& set) {
  const int storages[] = {ANNEX_STORE_F32, ANNEX_STORE_F16, ANNEX_STORE_BF16, ANNEX_STORE_SQ8};
  for (const int storage : storages) {
    for (const int metric : {ANNEX_L2, ANNEX_IP, ANNEX_COSINE, ANNEX_L1}) {
      const std::string name = set.name + " " + kMetrics[metric] + " storage " + std::to_string(storage) + " dim " +
                               std::to_string(set.dim) + " n " + std::to_string(set.n);
      Index plain(set.dim, metric, storage, ANNEX_SIDECAR_NONE);
      Index narrow(set.dim, metric, storage, metric == ANNEX_L1 ? ANNEX_SIDECAR_AUTO : ANNEX_SIDECAR_I8);
      if (!CHECK(plain.status == ANNEX_OK && narrow.status == ANNEX_OK)) continue;
      const AnnexStatus added = plain.add(set.rows.data(), set.n);
      CHECK(narrow.add(set.rows.data(), set.n) == added);
      if (added != ANNEX_OK) {  // beyond f16, or zero once narrowed
        CHECK(storage != ANNEX_STORE_F32 && annex_size(plain.handle) == 0);
        continue;
      }
      const size_t k = std::min<size_t>(10, set.n + 2);
      const Answer expected = plain_answer(plain, set.queries.data(), set.dim * 4, set.nq, k);
      compare(plain, expected, set.queries.data(), set.dim * 4, set.nq, k, name + " plain");
      compare(narrow, expected, set.queries.data(), set.dim * 4, set.nq, k, name + " sidecar");
      if (storage != ANNEX_STORE_F32) continue;
      // The order is right: no row that was left out is nearer than the last one kept, up to float rounding.
      const bool extreme =
          set.name == "overflow" || set.name == "denormal" || set.name == "tiny" || set.name == "large norms";
      const bool ranges = !extreme || metric == ANNEX_COSINE;  // the others vanish or overflow as floats do
      for (size_t q = 0; ranges && q < set.nq; q += 7) {
        std::vector<double> exact(set.n);
        double largest = 0;
        for (size_t i = 0; i < set.n; ++i) {
          exact[i] = reference_distance(metric, &set.queries[q * set.dim], &set.rows[i * set.dim], set.dim);
          largest = std::max(largest,
                             reference_distance(ANNEX_L2, &set.queries[q * set.dim], &set.rows[i * set.dim], set.dim));
        }
        std::sort(exact.begin(), exact.end());
        double scale = 1;  // ip cancels: judge it by the sizes that were multiplied
        if (metric == ANNEX_IP) {
          for (size_t d = 0; d < set.dim; ++d)
            scale = std::max(scale, std::abs(double(set.queries[q * set.dim + d])) * 1e3 * double(set.dim));
          for (const double e : exact) scale = std::max(scale, std::abs(e));
        }
        for (size_t i = 0; i < expected.counts[q]; ++i) {
          const double got = expected.distances[q * k + i];
          const double tolerance = 1e-5 * std::max(std::abs(exact[i]), scale);
          if (!CHECK(std::abs(got - exact[i]) <= tolerance)) {
            std::printf("  %s: query %zu place %zu: %g, in double %g\n", name.c_str(), q, i, got, exact[i]);
          }
        }
      }
    }
  }
}

void byte_set(size_t seed) {
  Random random(seed);
  const size_t dim = 1 + random.below(seed % 3 == 0 ? 1000 : 100);
  const size_t n = 1 + random.below(600), nq = 1 + random.below(30), k = 1 + random.below(12);
  std::vector<uint8_t> rows(n * dim), queries(nq * dim);
  const size_t family = seed % 4;  // uniform, extremes, near duplicates, sparse
  const auto fill = [&](std::vector<uint8_t>& out, size_t count) {
    for (size_t i = 0; i < count; ++i) {
      for (size_t d = 0; d < dim; ++d) {
        const size_t r = random.below(256);
        out[i * dim + d] = static_cast<uint8_t>(family == 0   ? r
                                                : family == 1 ? (r & 1   ? 255
                                                                 : r & 2 ? 128
                                                                         : 127)
                                                : family == 2 ? (d * 7 + (r == 0))
                                                              : (r < 16 ? r * 16 : 0));
      }
      out[i * dim] |= 1;  // not the zero vector
    }
  };
  fill(rows, n);
  fill(queries, nq);
  for (const int storage : {ANNEX_STORE_I8, ANNEX_STORE_U8}) {
    for (const int metric : {ANNEX_L2, ANNEX_IP, ANNEX_COSINE, ANNEX_L1}) {
      Index index(dim, metric, storage, ANNEX_SIDECAR_AUTO);
      CHECK(index.add(rows.data(), n) == ANNEX_OK);
      const Answer expected = plain_answer(index, queries.data(), dim, nq, k);
      compare(index, expected, queries.data(), dim, nq, k, std::string("bytes ") + kMetrics[metric]);
    }
  }
  const size_t bits = dim * 8;
  for (const int metric : {ANNEX_HAMMING, ANNEX_JACCARD}) {
    Index index(bits, metric, ANNEX_STORE_BITS, ANNEX_SIDECAR_AUTO);
    if (!CHECK(index.add(rows.data(), n) == ANNEX_OK)) continue;
    const Answer expected = plain_answer(index, queries.data(), dim, nq, k);
    compare(index, expected, queries.data(), dim, nq, k, std::string("bits ") + kMetrics[metric]);
  }
}

struct Npy {
  size_t n = 0, dim = 0;
  bool bytes = false;
  std::vector<uint8_t> data;
};

Npy read_npy(const char* path) {
  Npy npy;
  std::FILE* file = std::fopen(path, "rb");
  if (file == nullptr) return npy;
  uint8_t head[10];
  if (std::fread(head, 1, 10, file) == 10) {
    std::string header(head[8] | head[9] << 8, ' ');
    if (std::fread(header.data(), 1, header.size(), file) == header.size()) {
      npy.bytes = header.find("u1") != std::string::npos;
      std::sscanf(header.c_str() + header.find("'shape': (") + 10, "%zu, %zu", &npy.n, &npy.dim);
      npy.data.resize(npy.n * npy.dim * (npy.bytes ? 1 : 2));
      if (std::fread(npy.data.data(), 1, npy.data.size(), file) != npy.data.size()) npy.n = 0;
    }
  }
  std::fclose(file);
  return npy;
}

std::vector<float> widen(const Npy& npy) {
  std::vector<float> out(npy.n * npy.dim);
  const auto scalar = static_cast<size_t>(npy.bytes ? annex::Scalar::u8 : annex::Scalar::f16);
  for (size_t i = 0; i < npy.n; ++i) {
    annex::kernels().decode[scalar](npy.data.data() + i * npy.dim * (npy.bytes ? 1 : 2), npy.dim, &out[i * npy.dim]);
  }
  return out;
}

// Real data: the plain way once, and everything else against it.
void file_set(const char* base_path, const char* query_path) {
  const Npy base = read_npy(base_path), query = read_npy(query_path);
  if (!CHECK(base.n != 0 && query.n != 0 && base.dim == query.dim)) return;
  const std::vector<float> rows = widen(base), queries = widen(query);
  const size_t k = 10;
  for (const int metric : {ANNEX_L2, ANNEX_IP, ANNEX_COSINE, ANNEX_L1}) {
    Index plain(base.dim, metric, ANNEX_STORE_F32, ANNEX_SIDECAR_NONE);
    Index narrow(base.dim, metric, ANNEX_STORE_F32, ANNEX_SIDECAR_AUTO);
    CHECK(plain.add(rows.data(), base.n) == ANNEX_OK && narrow.add(rows.data(), base.n) == ANNEX_OK);
    Answer expected{{}, {}, {}, ANNEX_OK};
    for (size_t q = 0; q < query.n; ++q) {
      const Answer one = plain.search(&queries[q * base.dim], 1, k);
      expected.ids.insert(expected.ids.end(), one.ids.begin(), one.ids.end());
      expected.distances.insert(expected.distances.end(), one.distances.begin(), one.distances.end());
      expected.counts.insert(expected.counts.end(), one.counts.begin(), one.counts.end());
    }
    compare(plain, expected, queries.data(), base.dim * 4, query.n, k,
            std::string(base_path) + " plain " + kMetrics[metric]);
    compare(narrow, expected, queries.data(), base.dim * 4, query.n, k,
            std::string(base_path) + " sidecar " + kMetrics[metric]);
    AnnexStats stats;
    annex_stats(narrow.handle, &stats);
    std::printf("%s: %zu x %zu, rescored %.3f %% of the rows looked at\n", kMetrics[metric], base.n, base.dim,
                stats.scanned == 0 ? 0.0 : 100 * stats.rescored / stats.scanned);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const char* fewer = std::getenv("ANNEX_EXACTNESS_SETS");
  const size_t sets = std::strtoul(argc > 1 ? argv[1] : fewer != nullptr ? fewer : "200", nullptr, 10);
  for (size_t seed = 0; seed < sets; ++seed) {
    float_set(make_set(seed));
    byte_set(seed);
  }
  for (int i = 2; i + 1 < argc; i += 2) file_set(argv[i], argv[i + 1]);
  return testing::finish("exactness_test");
}
