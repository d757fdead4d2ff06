// Kernels that look for the nearest of many centroids or codewords beside their floors: multiply-adds at their peak, or
// reading what is looked at. Part of kernels_bench.cpp.
#pragma once
#include "peaks.h"
#include "report.h"

namespace {

void bench_nearest(const Options& o, const Kernels& k, const peaks::Peaks& peak, Arena& arena) {
  constexpr size_t kRounds = 20000;
  const float* x = reinterpret_cast<const float*>(arena.data);
  if (peak.fma != nullptr) {
    const auto floor = [&] { sink = peak.fma(kRounds); };
    const double floor_work = peak.fma_round * kRounds;
    // Codewords of parts of 4 and 8 dimensions, and tables of a query of as many parts.
    for (const size_t words : {size_t{16}, size_t{256}}) {
      for (const size_t part : {size_t{4}, size_t{8}}) {
        const std::string name = ", " + std::to_string(words) + " words of " + std::to_string(part);
        const size_t n = 2048, m = 32;
        std::vector<float> bias(words), out(m * words), query(m * part, 0.5f);
        std::vector<uint8_t> codes(n);
        report(o, k, "nearest_codes" + name, static_cast<double>(n * words * part), "Gfma", floor_work, floor, [&] {
          k.nearest.nearest_codes(x, part * annex::kPanelRows, annex::kPanelRows, n, part, x + n * part, bias.data(),
                                  words, codes.data(), nullptr);
        });
        report(o, k, "part_tables" + name, static_cast<double>(m * words * part), "Gfma", floor_work, floor,
               [&] { k.nearest.part_tables(query.data(), x, m, words, part, -2.0f, out.data()); });
      }
    }
    // The best of 256 sums of each of 24 queries, in the first-level cache as they come from a product: three
    // multiply-adds a sum, and five comparisons and choices, which take as long.
    const size_t nq = 24, n = 256;
    std::vector<float> lanes(nq * annex::kBestFloats), terms(n, 1.0f), u(2 * nq, 0.5f);
    const annex::PanelTerms all{terms.data(), terms.data(), terms.data(), nullptr};
    const double work = 8.0 * nq * n;
    report(o, k, "best_f32, cache", work, "Gop", floor_work, floor,
           [&] { k.nearest.best_f32(x, nq, n, 0, all, u.data(), {lanes.data()}); });
    report(o, k, "best_i32, cache", work, "Gop", floor_work, floor, [&] {
      k.nearest.best_i32(reinterpret_cast<const int32_t*>(arena.data), nq, n, 0, all, u.data(), {lanes.data()});
    });
  }
  const size_t rows = 64, used = rows * o.dim * sizeof(float) / 1024 * 1024;
  std::vector<int8_t> codes(o.dim + 16);
  annex::ByteRowTerms row{};
  report(
      o, k, "quantize_i8, cache", static_cast<double>(rows * o.dim * sizeof(float)), "GB/s", static_cast<double>(used),
      [&] { sink = static_cast<double>(peak.read(arena.data, used)); },
      [&] {
        for (size_t i = 0; i < rows; i++) k.nearest.quantize_i8(x + i * o.dim, o.dim, codes.data(), &row);
      });
}

}  // namespace
