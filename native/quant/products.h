// Products of dense matrices out of the tile kernels, for training.
#pragma once
#include <cstddef>
#include <cstdint>

#include "base/status.h"

namespace annex {

/// Rows that go into one product; results do not depend on how rows are spread over products of a multiple of these.
inline constexpr size_t kProductRows = 48;

/// out (rows × columns, `out_stride` floats apart) = a (rows × inner) · bᵀ, b (columns × inner) in float panels
/// (kernels.h). Every row's sums are taken in the same order wherever it stands. Scratch: product_scratch_floats().
void product(const float* a, size_t a_stride, size_t rows, const float* panels, size_t columns, size_t inner,
             float* out, size_t out_stride, float* scratch);
size_t product_scratch_floats(size_t columns, size_t inner);

/// The same over the pool, with scratch of its own.
Status product_all(const float* a, size_t a_stride, size_t rows, const float* panels, size_t columns, size_t inner,
                   float* out, size_t out_stride, size_t threads);

/// Panels of the transpose of a (rows × columns): what `product` takes for a · b. Floats: panel_floats(columns, rows).
void pack_transposed(const float* a, size_t rows, size_t columns, float* panels);
size_t panel_floats(size_t rows, size_t inner);

}  // namespace annex
