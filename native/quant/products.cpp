#include "quant/products.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "base/buffer.h"
#include "base/parallel.h"
#include "base/round.h"
#include "kernels/dispatch.h"

namespace annex {
namespace {

// The widest tiles of all instruction sets divide it: rows that come in such numbers are all summed alike.
constexpr size_t kTileRows = 12;
static_assert(kProductRows % kTileRows == 0);

}  // namespace

size_t panel_floats(size_t rows, size_t inner) { return round_up(rows, kPanelRows) * inner; }

void pack_transposed(const float* a, size_t rows, size_t columns, float* panels) {
  for (size_t first = 0; first < columns; first += kPanelRows) {
    const size_t width = std::min(kPanelRows, columns - first);
    for (size_t r = 0; r < rows; ++r, panels += kPanelRows) {
      std::memcpy(panels, a + r * columns + first, width * sizeof(float));
      for (size_t j = width; j < kPanelRows; ++j) panels[j] = 0;
    }
  }
}

size_t product_scratch_floats(size_t columns, size_t inner) {
  return kProductRows * round_up(columns, kPanelRows) + kTileRows * inner;
}

void product(const float* a, size_t a_stride, size_t rows, const float* panels, size_t columns, size_t inner,
             float* out, size_t out_stride, float* scratch) {
  const size_t width = round_up(columns, kPanelRows);
  const auto sums = kernels().sums_f32;
  float* results = scratch;
  float* padded = scratch + kProductRows * width;
  for (size_t first = 0; first < rows; first += kProductRows) {
    const size_t count = std::min(kProductRows, rows - first), whole = count / kTileRows * kTileRows;
    const bool direct = out_stride == width && whole == count;
    float* to = direct ? out + first * out_stride : results;
    if (whole > 0) sums(a + first * a_stride, a_stride, whole, panels, columns, inner, to);
    if (whole < count) {
      for (size_t r = whole; r < count; ++r) {
        std::memcpy(padded + (r - whole) * inner, a + (first + r) * a_stride, inner * sizeof(float));
      }
      std::memset(padded + (count - whole) * inner, 0, (kTileRows - (count - whole)) * inner * sizeof(float));
      sums(padded, inner, kTileRows, panels, columns, inner, to + whole * width);
    }
    for (size_t r = 0; r < count && !direct; ++r) {
      std::memcpy(out + (first + r) * out_stride, results + r * width, columns * sizeof(float));
    }
  }
}

Status product_all(const float* a, size_t a_stride, size_t rows, const float* panels, size_t columns, size_t inner,
                   float* out, size_t out_stride, size_t threads) {
  std::atomic<bool> starved{false};
  parallel_for((rows + kProductRows - 1) / kProductRows, threads, [&](size_t task) {
    Buffer<float> scratch;
    if (!scratch.resize(product_scratch_floats(columns, inner))) {
      starved.store(true, std::memory_order_relaxed);
      return;
    }
    const size_t first = task * kProductRows;
    product(a + first * a_stride, a_stride, std::min(kProductRows, rows - first), panels, columns, inner,
            out + first * out_stride, out_stride, scratch.data());
  });
  return starved.load() ? out_of_memory(product_scratch_floats(columns, inner) * sizeof(float)) : Status::ok;
}

}  // namespace annex
