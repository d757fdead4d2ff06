#include "index/ivf_encode.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "base/parallel.h"
#include "index/flat_search.h"
#include "index/input.h"
#include "kernels/dispatch.h"
#include "quant/residual_sidecar.h"

namespace annex {
namespace {

constexpr size_t kBlockRows = 4096;  // rows that are assigned and coded together
constexpr size_t kSliceRows = 128;   // rows one thread codes at a time
constexpr size_t kSpillLists = 32;   // near lists among which the second one of a row is looked for
constexpr double kSpillWeight = 1;   // of the part along the first residual (Sun et al. 2023, λ)

}  // namespace

Status widen_rows(const IvfOptions& options, const uint8_t* rows, size_t n, size_t named_from, bool unit, float* out) {
  const RowShape shape = options.shape();
  const size_t dim = shape.dim;
  if (shape.float_input()) {
    std::memcpy(out, rows, n * dim * sizeof(float));
  } else {
    const DecodeFn decode = kernels().decode[static_cast<size_t>(shape.scalar)];
    for (size_t i = 0; i < n; ++i) decode(rows + i * dim, dim, out + i * dim);
  }
  if (options.common.metric != Metric::cosine) return Status::ok;
  for (size_t i = 0; i < n; ++i) {
    float* row = out + i * dim;
    const double norm = norm_of(row, dim);
    if (norm == 0) {
      return fail(Status::not_finite,
                  "row %zu is the zero vector, which has no direction: metric cosine needs a non-zero vector",
                  named_from + i);
    }
    if (!unit) continue;
    for (size_t d = 0; d < dim; ++d) row[d] = static_cast<float>(row[d] / norm);
  }
  return Status::ok;
}

Status mean_of(const float* rows, size_t n, size_t dim, Buffer<float>* out) {
  Buffer<double> sums;
  if (!sums.resize_zeroed(dim) || !out->resize(dim)) return out_of_memory(dim * 12);
  for (size_t i = 0; i < n; ++i) {
    for (size_t d = 0; d < dim; ++d) sums[d] += static_cast<double>(rows[i * dim + d]);
  }
  for (size_t d = 0; d < dim; ++d) (*out)[d] = static_cast<float>(sums[d] / static_cast<double>(n));
  return Status::ok;
}

Status IvfEncoder::encode(const uint8_t* rows, size_t n, size_t named_from, uint32_t* lists, uint8_t* records,
                          const int32_t* cancel) const {
  const size_t copies = 1 + options_.spill;
  const size_t input_bytes = options_.shape().input_bytes();
  for (size_t done = 0; done < n; done += kBlockRows) {
    const size_t count = std::min(kBlockRows, n - done);
    const Status status = encode_block(rows + done * input_bytes, count, named_from + done, lists + done * copies,
                                       records + done * copies * layout_.record_bytes(), cancel);
    if (status != Status::ok) return status;
  }
  return Status::ok;
}

Status IvfEncoder::encode_block(const uint8_t* rows, size_t n, size_t named_from, uint32_t* lists, uint8_t* records,
                                const int32_t* cancel) const {
  const size_t dim = options_.common.dim;
  Buffer<float> wide;
  if (!wide.resize(n * dim)) return out_of_memory(n * dim * sizeof(float));
  Status status = widen_rows(options_, rows, n, named_from, options_.entry() == IvfOptions::Entry::codes, wide.data());
  if (status == Status::ok) status = assign(wide.data(), n, lists, cancel);
  if (status != Status::ok) return status;
  switch (options_.entry()) {
    case IvfOptions::Entry::codes: status = encode_codes(wide.data(), n, lists, records); break;
    case IvfOptions::Entry::narrow: status = encode_narrow(wide.data(), n, lists, records); break;
    case IvfOptions::Entry::rows: status = encode_rows(rows, n, named_from, records, cancel); break;
  }
  return status == Status::ok && cancelled(cancel) ? aborted() : status;
}

Status IvfEncoder::assign(const float* rows, size_t n, uint32_t* lists, const int32_t* cancel) const {
  const size_t copies = 1 + options_.spill;
  if (options_.flat) {
    std::fill_n(lists, n, 0u);
    return Status::ok;
  }
  const size_t count = options_.spill == 0 ? 1 : std::min(kSpillLists, options_.nlist);
  Buffer<double> nearest;
  Buffer<float> distances;
  if (!nearest.resize(n * count) || !distances.resize(n * count)) return out_of_memory(n * count * 12);
  SearchRequest request{};
  request.queries = rows;
  request.type = Input::f32;
  request.nq = n;
  request.k = count;
  request.cancel = cancel;
  request.ids = nearest.data();
  request.distances = distances.data();
  const Status status = FlatSearch(centroids_, centroid_ids_, request).run();
  if (status != Status::ok) return status;
  parallel_for((n + kSliceRows - 1) / kSliceRows, 0, [&](size_t slice) {
    for (size_t i = slice * kSliceRows; i < std::min(n, (slice + 1) * kSliceRows); ++i) {
      lists[i * copies] = static_cast<uint32_t>(nearest[i * count]);
      if (copies > 1) {
        lists[i * copies + 1] = second_list(rows + i * options_.common.dim, nearest.data() + i * count, count);
      }
    }
  });
  return Status::ok;
}

// The list that best makes up for the first (SOAR: Sun, Guo and Kumar 2023, theorem 3.1): its residual r' should be
// short, and above all not point where the first residual r does. Least |r'|² + λ ⟨r, r'⟩² / |r|².
uint32_t IvfEncoder::second_list(const float* row, const double* candidates, size_t count) const {
  const size_t dim = options_.common.dim;
  const float* first = centroid(static_cast<size_t>(candidates[0]));
  double length = 0;
  for (size_t d = 0; d < dim; ++d) {
    const double r = static_cast<double>(row[d]) - first[d];
    length += r * r;
  }
  uint32_t best = UINT32_MAX;
  double least = 0;
  for (size_t c = 1; c < count; ++c) {
    if (candidates[c] < 0) break;
    const float* second = centroid(static_cast<size_t>(candidates[c]));
    double squares = 0, along = 0;
    for (size_t d = 0; d < dim; ++d) {
      const double r = static_cast<double>(row[d]) - second[d];
      squares += r * r;
      along += r * (static_cast<double>(row[d]) - first[d]);
    }
    const double loss = squares + (length > 0 ? kSpillWeight * along * along / length : 0);
    if (best == UINT32_MAX || loss < least) {
      best = static_cast<uint32_t>(candidates[c]);
      least = loss;
    }
  }
  return best;
}

// Entries go to the codec list by list, in the order of rows within each.
Status IvfEncoder::encode_codes(const float* wide, size_t n, const uint32_t* lists, uint8_t* records) const {
  const size_t entries = n * (1 + options_.spill);
  const size_t dim = options_.common.dim;
  Buffer<uint32_t> order;
  Buffer<const float*> rows;
  if (!order.resize(entries) || !rows.resize(entries)) return out_of_memory(entries * 12);
  for (size_t e = 0; e < entries; ++e) order[e] = static_cast<uint32_t>(e);
  std::sort(order.data(), order.data() + entries,
            [&](uint32_t a, uint32_t b) { return lists[a] != lists[b] ? lists[a] < lists[b] : a < b; });
  const size_t bytes = layout_.record_bytes();
  std::atomic<bool> no_memory{false};
  parallel_for((entries + kSliceRows - 1) / kSliceRows, 0, [&](size_t slice) {
    Buffer<uint8_t> scratch, coded;
    if (!scratch.resize(codec_->scratch_bytes()) || !coded.resize(kSliceRows * bytes)) {
      no_memory = true;
      return;
    }
    const size_t end = std::min(entries, (slice + 1) * kSliceRows);
    for (size_t begin = slice * kSliceRows; begin < end;) {
      const uint32_t list = lists[order[begin]];
      size_t stop = begin + 1;
      while (stop < end && lists[order[stop]] == list) ++stop;
      if (list != UINT32_MAX) {
        for (size_t e = begin; e < stop; ++e) rows[e] = wide + order[e] / (1 + options_.spill) * dim;
        codec_->encode(rows.data() + begin, stop - begin, options_.residual ? centroid(list) : nullptr, coded.data(),
                       scratch.data());
        for (size_t e = begin; e < stop; ++e) {
          std::memcpy(records + order[e] * bytes, coded.data() + (e - begin) * codec_->record_bytes(),
                      codec_->record_bytes());
        }
      }
      begin = stop;
    }
  });
  return no_memory ? out_of_memory(codec_->scratch_bytes()) : Status::ok;
}

// The narrow copy of a row as it is stored.
Status IvfEncoder::encode_narrow(const float* wide, size_t n, const uint32_t* lists, uint8_t* records) const {
  const RowShape shape = options_.shape();
  const size_t copies = 1 + options_.spill;
  const size_t bytes = layout_.record_bytes();
  const size_t code_bytes = (shape.dim + 3) / 4 * 4;
  const Kernels& table = kernels();
  const size_t scalar = static_cast<size_t>(shape.scalar);
  std::atomic<bool> no_memory{false};
  parallel_for((n + kSliceRows - 1) / kSliceRows, 0, [&](size_t slice) {
    Buffer<uint8_t> scratch, coded;
    Buffer<float> decoded, difference;
    if (!scratch.resize(sidecar_scratch_bytes(shape.dim)) || !coded.resize(shape.stride()) ||
        !decoded.resize(shape.dim) || !difference.resize(shape.dim)) {
      no_memory = true;
      return;
    }
    for (size_t i = slice * kSliceRows; i < std::min(n, (slice + 1) * kSliceRows); ++i) {
      const float* x = wide + i * shape.dim;
      if (shape.scalar != Scalar::f32) {
        table.encode[scalar](x, shape.dim, coded.data());
        table.decode[scalar](coded.data(), shape.dim, decoded.data());
        x = decoded.data();
      }
      const double norm = norm_of(x, shape.dim);
      for (size_t copy = 0; copy < copies; ++copy) {
        const uint32_t list = lists[i * copies + copy];
        if (list == UINT32_MAX) continue;
        const ResidualRow terms =
            residual_encode(shape.metric, x, norm, centroid(list), shape.dim, scratch.data(), difference.data());
        uint8_t* record = records + (i * copies + copy) * bytes;
        std::memset(record, 0, code_bytes);
        std::memcpy(record, scratch.data() + row_bytes(Scalar::sq8, 0), shape.dim);
        std::memcpy(record + code_bytes, &terms, sizeof terms);
      }
    }
  });
  return no_memory ? out_of_memory(shape.stride()) : Status::ok;
}

Status IvfEncoder::encode_rows(const uint8_t* rows, size_t n, size_t named_from, uint8_t* records,
                               const int32_t* cancel) const {
  const size_t copies = 1 + options_.spill;
  const size_t bytes = layout_.record_bytes();
  RowStore store(options_.shape());
  if (!store.reserve(n)) return out_of_memory(n * bytes);
  const Status status = store.encode(0, rows, n, named_from, cancel);
  if (status != Status::ok) return status;
  const size_t stride = store.shape().stride();
  for (size_t e = 0; e < n * copies; ++e) {
    uint8_t* record = records + e * bytes;
    std::memset(record, 0, bytes);
    std::memcpy(record, store.row(e / copies), stride);
    if (!store.shape().has_norms()) continue;
    const float norm = store.norm(e / copies);
    std::memcpy(record + bytes - sizeof norm, &norm, sizeof norm);
  }
  return Status::ok;
}

}  // namespace annex
