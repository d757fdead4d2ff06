// Every kernel of every table beside its floor: bytes over the measured read bandwidth, or operations over the measured
// peak. ratio = floor / measured; 1 would be perfect. Medians of interleaved repeats.
//   kernels_bench [--quick] [--json] [--table <name>] [--dim <n>] [--only <kernel>]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "codes_bench.h"
#include "kernels/dispatch.h"
#include "nearest_bench.h"
#include "peaks.h"
#include "report.h"

using annex::kPanelRows;
using annex::Op;
using annex::Scalar;

namespace {

constexpr const char* kScalarNames[] = {"f32", "f16", "bf16", "sq8", "i8", "u8", "bits"};
constexpr const char* kOpNames[] = {"dot", "l2", "l1", "hamming", "jaccard"};

void bench_rows(const Options& o, const Kernels& k, const peaks::Peaks& peak, Arena& arena) {
  for (size_t s = 0; s < annex::kScalars; s++) {
    for (size_t op = 0; op < annex::kOps; op++) {
      const annex::ScanFn scan = k.scan[s][op];
      if (!scan || (o.quick && op != static_cast<size_t>(Op::dot) && op != static_cast<size_t>(Op::hamming))) continue;
      const size_t dim = s == static_cast<size_t>(Scalar::bits) ? 1024 : o.dim;
      const size_t bytes = annex::row_bytes(static_cast<Scalar>(s), dim);
      std::vector<float> query(dim, 0.5f), out(arena.size / bytes + 1);
      const std::string name = std::string(kScalarNames[s]) + " " + kOpNames[op];
      for (const size_t total : {arena.size, size_t{1} << 19}) {
        const size_t n = total / bytes, used = n * bytes / 1024 * 1024;
        report(
            o, k, "scan " + name + (total == arena.size ? ", memory" : ", cache"), static_cast<double>(n * bytes),
            "GB/s", static_cast<double>(used), [&] { sink = static_cast<double>(peak.read(arena.data, used)); },
            [&] { scan(query.data(), arena.data, bytes, n, dim, out.data()); });
      }
      const size_t n = arena.size / bytes, picked = std::min<size_t>(n, 50000), used = n * bytes / 1024 * 1024;
      std::vector<const void*> rows(picked);
      uint64_t state = 1;
      for (const void*& row : rows) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        row = arena.data + (state >> 33) % n * bytes;
      }
      report(
          o, k, "gather " + name + ", memory", static_cast<double>(picked * bytes), "GB/s", static_cast<double>(used),
          [&] { sink = static_cast<double>(peak.read(arena.data, used)); },
          [&] {
            for (size_t i = 0; i < picked; i += 64) {
              k.gather[s][op](query.data(), rows.data() + i, std::min<size_t>(64, picked - i), dim, out.data());
            }
          });
    }
  }
}

// Terms that let a share of the rows pass: the sums are all equal, and a[r] is uniform in 0 … 1.
struct PassTerms {
  std::vector<float> one, a, zero;
  explicit PassTerms(size_t n) : one(n, 1.0f), a(n), zero(n, 0.0f) {
    uint64_t state = 7;
    for (float& v : a) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      v = static_cast<float>(state >> 40) * 0x1p-24f;
    }
  }
  annex::PanelTerms terms() const { return {zero.data(), a.data(), zero.data(), one.data()}; }
  static annex::QueryTerms query() { return {{1, 0, 0}, 0.999f}; }
};

void bench_panels(const Options& o, const Kernels& k, const peaks::Peaks& peak, Arena& arena) {
  constexpr size_t kRounds = 20000;
  for (const size_t dim : {size_t{128}, size_t{256}, o.dim}) {
    const std::string at = ", dim " + std::to_string(dim);
    for (const size_t nq : {size_t{96}, size_t{8}, size_t{1}}) {
      const std::string shape = std::to_string(nq) + " queries" + at;
      const bool memory = nq == 1;
      {
        const size_t panel = annex::float_panel_bytes(dim);
        const size_t n = (memory ? arena.size : size_t{256} << 10) / panel * kPanelRows;
        const size_t used = n / kPanelRows * panel / 1024 * 1024;
        const double work = static_cast<double>(nq * n * dim);
        std::vector<float> queries(nq * dim, 0.25f), sums(memory ? 0 : nq * n);
        std::vector<uint32_t> hits(nq * n), counts(nq);
        const PassTerms pass(n);
        const std::vector<annex::QueryTerms> terms(nq, PassTerms::query());
        const float* panels = reinterpret_cast<const float*>(arena.data);
        const auto run_hits = [&] {
          std::fill(counts.begin(), counts.end(), 0);
          k.hits_f32(queries.data(), dim, nq, panels, n, dim, pass.terms(), terms.data(),
                     {hits.data(), counts.data(), static_cast<uint32_t>(n)});
        };
        if (memory) {
          report(
              o, k, "hits_f32 " + shape + ", memory", static_cast<double>(n * dim * 4), "GB/s",
              static_cast<double>(used), [&] { sink = static_cast<double>(peak.read(arena.data, used)); }, run_hits);
        } else if (peak.fma) {
          const auto floor = [&] { sink = peak.fma(kRounds); };
          const double floor_work = peak.fma_round * kRounds;
          report(o, k, "sums_f32 " + shape, work, "Gfma", floor_work, floor,
                 [&] { k.sums_f32(queries.data(), dim, nq, panels, n, dim, sums.data()); });
          report(o, k, "hits_f32 " + shape, work, "Gfma", floor_work, floor, run_hits);
        }
      }
      {
        const size_t panel = annex::byte_panel_bytes(dim);
        const size_t n = (memory ? arena.size : size_t{256} << 10) / panel * kPanelRows;
        const size_t used = n / kPanelRows * panel / 1024 * 1024;
        const double work = static_cast<double>(nq * n * dim);
        Arena queries(nq * dim);
        std::vector<int32_t> sums(memory ? 0 : nq * n);
        std::vector<uint32_t> hits(nq * n), counts(nq);
        const PassTerms pass(n);
        const std::vector<annex::QueryTerms> terms(nq, PassTerms::query());
        const auto run_hits = [&] {
          std::fill(counts.begin(), counts.end(), 0);
          k.hits_u8(reinterpret_cast<int8_t*>(queries.data), dim, nq, arena.data, n, dim, pass.terms(), terms.data(),
                    {hits.data(), counts.data(), static_cast<uint32_t>(n)});
        };
        if (memory) {
          report(
              o, k, "hits_u8 " + shape + ", memory", static_cast<double>(n * dim), "GB/s", static_cast<double>(used),
              [&] { sink = static_cast<double>(peak.read(arena.data, used)); }, run_hits);
        } else if (peak.byte_dot) {
          const auto floor = [&] { sink = peak.byte_dot(kRounds); };
          const double floor_work = peak.byte_round * kRounds;
          report(o, k, "sums_u8 " + shape, work, "Gmac", floor_work, floor,
                 [&] { k.sums_u8(reinterpret_cast<int8_t*>(queries.data), dim, nq, arena.data, n, dim, sums.data()); });
          report(o, k, "hits_u8 " + shape, work, "Gmac", floor_work, floor, run_hits);
        }
      }
    }
    if (dim == o.dim) break;
  }
}

void bench_codecs(const Options& o, const Kernels& k, const peaks::Peaks& peak, Arena& arena) {
  const size_t dim = o.dim;
  std::vector<float> floats(size_t{1} << 18);
  for (size_t s = 0; s < annex::kScalars; s++) {
    const Scalar scalar = static_cast<Scalar>(s);
    const size_t bytes = annex::row_bytes(scalar, dim);
    if (k.pack[s]) {
      const size_t n = (size_t{256} << 10) / bytes / kPanelRows * kPanelRows;
      Arena panels(n / kPanelRows * annex::float_panel_bytes(dim));
      report(
          o, k, std::string("pack ") + kScalarNames[s] + ", cache", static_cast<double>(n * bytes), "GB/s",
          static_cast<double>(n * bytes / 1024 * 1024),
          [&] { sink = static_cast<double>(peak.read(arena.data, n * bytes / 1024 * 1024)); },
          [&] { k.pack[s](arena.data, bytes, n, dim, panels.data); });
    }
    if (k.encode[s] && scalar != Scalar::f32) {
      const size_t n = floats.size() / dim;
      std::vector<uint8_t> rows(n * bytes);
      report(
          o, k, std::string("encode ") + kScalarNames[s] + ", cache", static_cast<double>(n * dim * 4), "GB/s",
          static_cast<double>(n * dim * 4 / 1024 * 1024),
          [&] { sink = static_cast<double>(peak.read(arena.data, n * dim * 4 / 1024 * 1024)); },
          [&] {
            for (size_t i = 0; i < n; i++) k.encode[s](floats.data() + i * dim, dim, rows.data() + i * bytes);
          });
    }
  }
  const size_t n = size_t{1} << 16;
  const float* x = reinterpret_cast<const float*>(arena.data);
  std::vector<uint32_t> out(n);
  const auto read = [&] { sink = static_cast<double>(peak.read(arena.data, n * 4)); };
  report(o, k, "first_nonfinite, cache", n * 4.0, "GB/s", n * 4.0, read,
         [&] { sink = static_cast<double>(k.first_nonfinite(x, n)); });
  report(o, k, "select_le none, cache", n * 4.0, "GB/s", n * 4.0, read,
         [&] { sink = static_cast<double>(k.select_le(x, n, 0.0f, out.data())); });
  report(o, k, "crc32c, cache", n * 4.0, "GB/s", n * 4.0, read,
         [&] { sink = static_cast<double>(k.crc32c(0, x, n * 4)); });
}

}  // namespace

int main(int argc, char** argv) {
  Options o;
  for (int i = 1; i < argc; i++) {
    const std::string arg = argv[i];
    if (arg == "--quick")
      o.quick = true;
    else if (arg == "--json")
      o.json = true;
    else if (arg == "--table" && i + 1 < argc)
      o.table = argv[++i];
    else if (arg == "--only" && i + 1 < argc)
      o.only = argv[++i];
    else if (arg == "--dim" && i + 1 < argc)
      o.dim = std::strtoul(argv[++i], nullptr, 10);
    else
      return std::fprintf(stderr, "kernels_bench [--quick] [--json] [--table name] [--only kernel] [--dim n]\n"), 2;
  }
  if (o.dim < 1 || o.dim > 8192) return std::fprintf(stderr, "--dim must be 1 to 8192\n"), 2;
  Arena arena(o.quick ? size_t{64} << 20 : size_t{1} << 30);
  const Kernels* const* tables;
  const size_t count = annex::available_kernels(&tables);
  if (o.json)
    std::printf("[");
  else
    std::printf("%-11s %-34s %8s %8s %s\n", "table", "kernel", "floor", "measured", "       ratio");
  for (size_t t = 0; t < count; t++) {
    const Kernels& k = *tables[t];
    // Without a choice: the best table, or all of them but the plain one.
    if (o.table.empty() ? t + 1 != count && (o.quick || t == 0) : o.table != k.name && o.table != "all") continue;
    const peaks::Peaks peak = peaks::of(k.name);
    bench_rows(o, k, peak, arena);
    bench_panels(o, k, peak, arena);
    bench_codecs(o, k, peak, arena);
    bench_codes(o, k, peak, arena);
    bench_nearest(o, k, peak, arena);
  }
  if (o.json) std::printf("\n]\n");
  return 0;
}
