#include "index/row_scorer.h"

#include <algorithm>
#include <cmath>

#include "kernels/dispatch.h"

namespace annex {
namespace {

constexpr size_t kGatherRows = 64;

// Norms whose products neither vanish nor overflow as floats. Rows and queries beyond always pass the bounds of
// quant/sidecar.cpp and quant/tile_terms.cpp, or meet them with room to spare.
bool ordinary(double norm) { return norm > 1e-15 && norm < 1e15; }

}  // namespace

Op op_of(Metric metric) {
  switch (metric) {
    case Metric::l2: return Op::l2;
    case Metric::ip:
    case Metric::cosine: return Op::dot;
    case Metric::l1: return Op::l1;
    case Metric::hamming: return Op::hamming;
    default: return Op::jaccard;
  }
}

RowScorer::RowScorer(const RowStore& rows)
    : rows_(rows),
      shape_(rows.shape()),
      op_(op_of(shape_.metric)),
      gather_(kernels().gather[static_cast<size_t>(shape_.scalar)][static_cast<size_t>(op_)]) {}

double query_norm(const RowShape& shape, const void* query) {
  if (!shape.has_norms()) return 0;
  if (shape.float_input()) return norm_of(static_cast<const float*>(query), shape.dim);
  float squares;
  kernels().scan[static_cast<size_t>(shape.scalar)][static_cast<size_t>(Op::dot)](query, query, 0, 1, shape.dim,
                                                                                  &squares);
  return std::sqrt(static_cast<double>(squares));
}

void RowScorer::distances(const Query& query, const uint32_t* slots, size_t n, float* decoded, float* out) const {
  const void* rows[kGatherRows];
  for (size_t begin = 0; begin < n; begin += kGatherRows) {
    const size_t count = std::min(kGatherRows, n - begin);
    for (size_t i = 0; i < count; ++i) rows[i] = rows_.row(slots[begin + i]);
    gather_(query.data, rows, count, shape_.dim, out + begin);
    if (shape_.metric == Metric::ip) {
      for (size_t i = begin; i < begin + count; ++i) out[i] = -out[i];
    } else if (shape_.metric == Metric::cosine) {
      for (size_t i = begin; i < begin + count; ++i) {
        out[i] =
            distance_of_product(shape_, out[i], query.data, query.norm, rows[i - begin], rows_.norm(slots[i]), decoded);
      }
    }
  }
}

float distance_of_product(const RowShape& shape, float product, const void* query, double query_norm, const void* row,
                          float row_norm, float* decoded) {
  if (shape.metric == Metric::ip) return -product;
  double cosine;
  if (ordinary(row_norm) && ordinary(query_norm)) {
    cosine = product / (static_cast<double>(row_norm) * query_norm);
  } else {
    // A float product or norm of a very short or very long vector would have vanished or overflowed. Products of bytes
    // are exact; their norms are ordinary, but for those that a damaged file brings.
    kernels().decode[static_cast<size_t>(shape.scalar)](row, shape.dim, decoded);
    double sum = shape.float_input() ? 0 : product;
    if (shape.float_input()) {
      const float* values = static_cast<const float*>(query);
      for (size_t d = 0; d < shape.dim; ++d) sum += static_cast<double>(values[d]) * decoded[d];
    }
    cosine = sum / (norm_of(decoded, shape.dim) * query_norm);
  }
  const float distance = static_cast<float>(1 - cosine);
  return distance < 0 ? 0.0f : distance > 2 ? 2.0f : distance;
}

Status check_direction(const RowShape& shape, double norm, size_t q) {
  if (shape.metric != Metric::cosine || norm != 0) return Status::ok;
  return fail(Status::not_finite,
              "query %zu is the zero vector, which has no direction: metric cosine needs a non-zero vector", q);
}

}  // namespace annex
