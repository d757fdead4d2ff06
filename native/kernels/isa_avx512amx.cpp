// AVX-512 with AMX (Sapphire Rapids and later): many queries × byte panels as tiles of 16 queries × 16 rows × 64 bytes.
// The byte panel is laid out as an AMX tile wants its second operand: sixteen lines of 64 bytes, each the same four
// elements of sixteen rows. Everything else is that of avx512vnni.
#include "kernels/isa.h"
#include "kernels/region.h"

#if defined(__x86_64__) || defined(_M_X64)
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"  // from the compiler's own headers: _mm512_undefined_ps()
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>

ANNEX_REGION_BEGIN(
    "avx2,fma,f16c,popcnt,avx512f,avx512bw,avx512dq,avx512vl,avx512cd,avx512vnni,avx512vbmi,avx512vpopcntdq,"
    "avx512bitalg,amx-tile,amx-int8")
namespace annex {
namespace {
namespace avx512amx {
// clang-format off
#include "kernels/common.inl"
#include "kernels/vec_avx512.inl"
#include "kernels/bytes512.inl"
#include "kernels/bytes_avx512vnni.inl"
#include "kernels/panels.inl"
// clang-format on

constexpr size_t kTileQueries = 16;
constexpr size_t kLine = 64;               // bytes of a tile's row
constexpr size_t kTileBytes = 16 * kLine;  // of a whole tile
constexpr size_t kGroupQueries = 32;       // two tiles of queries × two panels: four sums, as there are eight tiles
constexpr size_t kMostDim = 2048;          // queries are copied to the stack
constexpr size_t kLeastQueries = 8;        // fewer are faster one by one

// Every tile is 16 rows of 64 bytes.
struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

// Tile loads do not tell every compiler that they read memory: makes it finish what it has still to write there.
ANNEX_INLINE void finish_writes(const void* p) {
#if defined(__GNUC__) || defined(__clang__)
  asm volatile("" : : "r"(p) : "memory");
#else
  (void)p;
#endif
}

// Sums of 32 queries × 2 panels. `a` holds the queries, `stride` bytes apart and zero up to a multiple of 64 elements.
ANNEX_INLINE void multiply_group(const int8_t* a, size_t stride, const uint8_t* first, const uint8_t* second,
                                 size_t lines, int32_t (*sums)[kTileQueries * kPanelRows]) {
  const int8_t* lower = a + kTileQueries * stride;
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  size_t line = 0;
  for (; line + 16 <= lines; line += 16) {
    _tile_loadd(4, a + 4 * line, stride);
    _tile_loadd(5, lower + 4 * line, stride);
    _tile_loadd(6, first + kLine * line, kLine);
    _tile_loadd(7, second + kLine * line, kLine);
    _tile_dpbsud(0, 4, 6);
    _tile_dpbsud(1, 4, 7);
    _tile_dpbsud(2, 5, 6);
    _tile_dpbsud(3, 5, 7);
  }
  if (line < lines) {
    // The end of a panel: what follows it is not ours to read.
    alignas(64) uint8_t rest[2][kTileBytes] = {};
    memcpy(rest[0], first + kLine * line, kLine * (lines - line));
    memcpy(rest[1], second + kLine * line, kLine * (lines - line));
    finish_writes(rest);
    _tile_loadd(4, a + 4 * line, stride);
    _tile_loadd(5, lower + 4 * line, stride);
    _tile_loadd(6, rest[0], kLine);
    _tile_loadd(7, rest[1], kLine);
    _tile_dpbsud(0, 4, 6);
    _tile_dpbsud(1, 4, 7);
    _tile_dpbsud(2, 5, 6);
    _tile_dpbsud(3, 5, 7);
  }
  _tile_stored(0, sums[0], kLine);
  _tile_stored(1, sums[1], kLine);
  _tile_stored(2, sums[2], kLine);
  _tile_stored(3, sums[3], kLine);
}

// Hands the sums of `count` queries × one panel to the sink.
template <class Sink>
ANNEX_INLINE void take_sums(const int32_t* sums, size_t first_query, size_t count, size_t panel, const Sink& sink) {
  size_t q = 0;
  for (; q + 8 <= count; q += 8) {
    RowSums rows[8][1];
    ANNEX_UNROLL
    for (size_t i = 0; i < 8; i++) rows[i][0] = {_mm512_load_si512(sums + (q + i) * kPanelRows)};
    sink.template take<BytePanels, 8, 1>(first_query + q, panel, rows);
  }
  for (; q < count; q++) {
    const RowSums rows[1][1] = {{{_mm512_load_si512(sums + q * kPanelRows)}}};
    sink.template take<BytePanels, 1, 1>(first_query + q, panel, rows);
  }
}

template <class Sink>
ANNEX_NOINLINE void multiply_tiles(const int8_t* queries, size_t query_stride, size_t nq, const uint8_t* panels,
                                   size_t n, size_t dim, const Sink& sink) {
  static constexpr TileConfig kConfig;
  alignas(64) int8_t copied[kGroupQueries * kMostDim];
  alignas(64) int32_t sums[4][kTileQueries * kPanelRows];
  const size_t lines = (dim + 3) / 4;
  const size_t padded = (dim + 63) / 64 * 64;
  const size_t total = (n + kPanelRows - 1) / kPanelRows;
  _tile_loadconfig(&kConfig);
  for (size_t q = 0; q < nq; q += kGroupQueries) {
    const size_t count = nq - q < kGroupQueries ? nq - q : kGroupQueries;
    const int8_t* a = queries + q * query_stride;
    size_t stride = query_stride;
    // Rows that straddle cache lines would load at half speed.
    const bool straddles = (reinterpret_cast<uintptr_t>(a) | query_stride) % kLine != 0;
    if (count < kGroupQueries || padded != dim || straddles) {
      memset(copied, 0, kGroupQueries * padded);
      for (size_t i = 0; i < count; i++) memcpy(copied + i * padded, a + i * query_stride, dim);
      finish_writes(copied);
      a = copied;
      stride = padded;
    }
    const size_t upper = count < kTileQueries ? count : kTileQueries;
    for (size_t p = 0; p < total; p += 2) {
      const uint8_t* first = panels + p * lines * kLine;
      const bool pair = p + 1 < total;
      multiply_group(a, stride, first, pair ? first + lines * kLine : first, lines, sums);
      take_sums(sums[0], q, upper, p, sink);
      take_sums(sums[2], q + kTileQueries, count - upper, p, sink);
      if (!pair) break;
      take_sums(sums[1], q, upper, p + 1, sink);
      take_sums(sums[3], q + kTileQueries, count - upper, p + 1, sink);
    }
  }
  _tile_release();
}

void hits_u8_tiles(const int8_t* queries, size_t query_stride, size_t nq, const uint8_t* panels, size_t n, size_t dim,
                   const PanelTerms& terms, const QueryTerms* query_terms, const HitList& hits) {
  if (nq < kLeastQueries || dim > kMostDim) {
    avx512vnni_table().hits_u8(queries, query_stride, nq, panels, n, dim, terms, query_terms, hits);
  } else {
    multiply_tiles(queries, query_stride, nq, panels, n, dim, HitSink{terms, query_terms, hits, n});
  }
}

void sums_u8_tiles(const int8_t* queries, size_t query_stride, size_t nq, const uint8_t* panels, size_t n, size_t dim,
                   int32_t* out) {
  if (nq < kLeastQueries || dim > kMostDim) {
    avx512vnni_table().sums_u8(queries, query_stride, nq, panels, n, dim, out);
  } else {
    multiply_tiles(queries, query_stride, nq, panels, n, dim, SumSink<int32_t>{out, n});
  }
}

Kernels make_table() {
  Kernels table = avx512vnni_table();
  table.name = "avx512amx";
  table.hits_u8 = hits_u8_tiles;
  table.sums_u8 = sums_u8_tiles;
  return table;
}
}  // namespace avx512amx
}  // namespace

const Kernels& avx512amx_table() {
  static const Kernels table = avx512amx::make_table();
  return table;
}
}  // namespace annex
ANNEX_REGION_END
#endif
