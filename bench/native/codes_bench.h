// Kernels of coded rows beside their floors: lookups over the fastest there are, additions over multiply-adds. Part of
// kernels_bench.cpp.
#pragma once
#include "peaks.h"
#include "report.h"

namespace {

// Blocks of codes in the second-level cache, and queries over them that hardly any row passes.
struct CodeArena {
  annex::CodeBlocks blocks;
  std::vector<uint8_t> memory;
  uint8_t* lut;  // aligned to cache lines, as codecs have it
  std::vector<float> table;
  std::vector<annex::CodeHit> hits;

  CodeArena(uint8_t* data, size_t bytes, bool byte_codes, size_t m, annex::CodeFactors factors)
      : memory(256 * m + 64), table(256 * m, 0.5f), hits(bytes) {
    const size_t block = byte_codes ? annex::byte_block_bytes(m, factors) : annex::nibble_block_bytes(m, factors);
    blocks = {data, block, bytes / block * annex::kCodeRows, m, factors};
    lut = memory.data() + (64 - reinterpret_cast<uintptr_t>(memory.data()) % 64);
    for (size_t i = 0; i < 256 * m; i++) lut[i] = static_cast<uint8_t>(i * 7919 >> 5 & 127);
  }
  double lookups(size_t nq) const { return static_cast<double>(blocks.n * blocks.m * nq); }
};

void bench_nibbles(const Options& o, const Kernels& k, const peaks::Peaks& peak, Arena& arena) {
  constexpr size_t kRounds = 20000;
  const auto floor = [&] { sink = peak.lookup(kRounds); };
  for (const size_t m : {size_t{32}, size_t{64}, size_t{192}}) {
    for (const annex::CodeFactors factors : {annex::CodeFactors::none, annex::CodeFactors::add,
                                             annex::CodeFactors::scale, annex::CodeFactors::add_rescale_error}) {
      CodeArena codes(arena.data, size_t{256} << 10, false, m, factors);
      const char* names[] = {"", " add", " scale", " rescale", " bound"};
      const std::string name = ", m " + std::to_string(m) + names[static_cast<size_t>(factors)];
      if (factors == annex::CodeFactors::none) {
        std::vector<uint32_t> sums(codes.blocks.n);
        report(o, k, "sum_nibbles" + name, codes.lookups(1), "Glookup", peak.lookup_round * kRounds, floor,
               [&] { k.codes.sum_nibbles(codes.blocks, codes.lut, sums.data()); });
      }
      for (const size_t nq : {size_t{1}, size_t{4}}) {
        std::vector<annex::NibbleQuery> queries(nq);
        for (annex::NibbleQuery& q : queries) {
          q = {codes.lut, 1, 0, 0, 0, 1, -1e30f, codes.hits.data(), 0};
        }
        report(o, k, "scan_nibbles " + std::to_string(nq) + name, codes.lookups(nq), "Glookup",
               peak.lookup_round * kRounds, floor, [&] { k.codes.scan_nibbles(codes.blocks, queries.data(), nq); });
      }
    }
    CodeArena codes(arena.data, arena.size, false, m, annex::CodeFactors::add);
    annex::NibbleQuery query{codes.lut, 1, 0, 0, 0, 1, -1e30f, codes.hits.data(), 0};
    const size_t used = codes.blocks.n / annex::kCodeRows * codes.blocks.stride / 1024 * 1024;
    report(
        o, k, "scan_nibbles 1, m " + std::to_string(m) + ", memory", static_cast<double>(used), "GB/s",
        static_cast<double>(used), [&] { sink = static_cast<double>(peak.read(arena.data, used)); },
        [&] { k.codes.scan_nibbles(codes.blocks, &query, 1); });
  }
}

void bench_bytes(const Options& o, const Kernels& k, const peaks::Peaks& peak, Arena& arena) {
  constexpr size_t kRounds = 20000;
  for (const size_t m : {size_t{16}, size_t{32}, size_t{96}}) {
    CodeArena codes(arena.data, size_t{256} << 10, true, m, annex::CodeFactors::add);
    annex::ByteQuery query{codes.table.data(), codes.lut, 1, 0, 0, -1e30f, codes.hits.data(), 0};
    report(
        o, k, "scan_bytes 1, m " + std::to_string(m), codes.lookups(1), "Glookup", peak.byte_lookup_round * kRounds,
        [&] { sink = peak.byte_lookup(kRounds); }, [&] { k.codes.scan_bytes(codes.blocks, &query, 1); });
  }
}

void bench_codes(const Options& o, const Kernels& k, const peaks::Peaks& peak, Arena& arena) {
  constexpr size_t kRounds = 20000;
  if (peak.lookup == nullptr) return;
  bench_nibbles(o, k, peak, arena);
  bench_bytes(o, k, peak, arena);
  for (const size_t planes : {size_t{1}, size_t{3}, size_t{7}}) {
    const size_t dim = 256, n = 512, bytes = annex::plane_bytes(dim, planes);
    std::vector<int16_t> query(dim, 3);
    std::vector<int32_t> out(n);
    std::vector<const uint8_t*> rows(n);
    for (size_t i = 0; i < n; i++) rows[i] = arena.data + i * bytes;
    report(
        o, k, "plane_products, planes " + std::to_string(planes), static_cast<double>(n * dim), "Gmac",
        peak.row_round * kRounds, [&] { sink = peak.row_dot(kRounds); },
        [&] { k.codes.plane_products(query.data(), rows.data(), n, dim, planes, out.data()); });
  }
  for (const size_t n : {size_t{128}, size_t{256}, size_t{1024}}) {
    std::vector<float> x(n);
    const double additions = static_cast<double>(n) * std::log2(static_cast<double>(n));
    report(
        o, k, "hadamard " + std::to_string(n), additions, "Gadd", peak.fma_round * kRounds,
        [&] { sink = peak.fma(kRounds); }, [&] { k.codes.hadamard(x.data(), n); });
  }
}

}  // namespace
