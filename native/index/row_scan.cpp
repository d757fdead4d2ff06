#include "index/row_scan.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/round.h"
#include "index/input.h"
#include "kernels/dispatch.h"
#include "quant/residual_sidecar.h"

namespace annex {
bool RowScan::Scratch::reserve(const RowShape& shape, size_t rows, size_t queries, size_t pairs) {
  return hits.resize(pairs) && counts.resize(queries) && query_terms.resize(queries) && distances.resize(rows) &&
         decoded.resize(shape.dim);
}

RowScan::RowScan(const RowShape& shape, const RowStore* store, const IdMap& ids, const SlotFilter& filter)
    : shape_(shape),
      store_(store),
      ids_(ids),
      filter_(filter),
      kernels_(kernels()),
      query_bytes_(shape.input_bytes()),
      op_(op_of(shape.metric)) {}

Status RowScan::prepare(const void* queries, size_t nq, Way way) {
  queries_ = static_cast<const uint8_t*>(queries);
  if (!shape_.has_norms()) return Status::ok;
  if (!prepared_->norms.resize(nq)) return out_of_memory(nq * sizeof(double));
  const bool floats = shape_.float_input();
  for (size_t q = 0; q < nq; ++q) {
    prepared_->norms[q] = query_norm(shape_, query(q));
    const Status status = check_direction(shape_, prepared_->norms[q], q);
    if (status != Status::ok) return status;
  }

  if (way != Way::sidecar && (way != Way::product || floats)) return Status::ok;
  code_stride_ = round_up(shape_.dim, 4);
  prepared_->codes.clear();
  if (!prepared_->codes.resize_zeroed(nq * code_stride_)) return out_of_memory(nq * code_stride_);
  if (way == Way::sidecar) {
    if (!prepared_->sidecar.resize(nq)) return out_of_memory(nq * sizeof(SidecarQuery));
    for (size_t q = 0; q < nq; ++q) {
      prepared_->sidecar[q] =
          sidecar_encode_query(shape_.metric, reinterpret_cast<const float*>(query(q)), prepared_->norms[q], shape_.dim,
                               prepared_->codes.data() + q * code_stride_);
    }
    return Status::ok;
  }
  if (!prepared_->code_sums.resize(nq)) return out_of_memory(nq * sizeof(float));
  const int bias = shape_.scalar == Scalar::u8 ? 128 : 0;
  for (size_t q = 0; q < nq; ++q) {
    int8_t* codes = prepared_->codes.data() + q * code_stride_;
    int sum = 0;
    for (size_t d = 0; d < shape_.dim; ++d) {
      codes[d] = bias != 0 ? static_cast<int8_t>(query(q)[d] - bias) : static_cast<int8_t>(query(q)[d]);
      sum += codes[d];
    }
    prepared_->code_sums[q] = static_cast<float>(sum);
  }
  return Status::ok;
}

Status RowScan::look(Way way, const RowTile& tile, const QueryGroup& group, Scratch& scratch) const {
  scratch.scanned += tile.n * group.count;
  switch (way) {
    case Way::sidecar: look_sidecar(tile, group, scratch); return Status::ok;
    case Way::product: return look_product(tile, group, scratch);
    default: look_plain(tile, group, scratch); return Status::ok;
  }
}

const uint8_t* RowScan::together(const uint8_t* items, size_t bytes, const QueryGroup& group, Scratch& scratch) const {
  if (group.numbers == nullptr) return items + group.first * bytes;
  if (group.count == 1) return items + group.numbers[0] * bytes;
  if (!scratch.queries.resize(group.count * bytes)) return nullptr;
  for (size_t i = 0; i < group.count; ++i) {
    std::memcpy(scratch.queries.data() + i * bytes, items + group.numbers[i] * bytes, bytes);
  }
  return scratch.queries.data();
}

QueryTerms RowScan::pass_terms(const RowTile& tile, const QueryGroup& group, size_t i) const {
  const size_t q = group.number(i);
  const float threshold = group.heap(q).threshold();
  if (group.distances == nullptr) return sidecar_terms(shape_.metric, prepared_->sidecar[q], shape_.dim, threshold);
  return residual_terms(shape_.metric, prepared_->sidecar[q], shape_.dim, threshold, group.distances[i], tile.reach);
}

// For heaps that are not full, where every row would pass: the sums of all rows choose those that are likely the
// nearest, and with these on the heap the pass test excludes most of the others.
void RowScan::seed(const RowTile& tile, const QueryGroup& group, const uint8_t* codes, Scratch& scratch) const {
  const size_t n = tile.n;
  const size_t padded = round_up(n, kPanelRows);
  kernels_.sums_u8(reinterpret_cast<const int8_t*>(codes), code_stride_, group.count, tile.panels, n, shape_.dim,
                   scratch.sums.data());
  for (size_t i = 0; i < group.count; ++i) {
    const size_t q = group.number(i);
    const int32_t* sums = scratch.sums.data() + i * padded;
    TopK& heap = group.heap(q);
    float* order = scratch.order.data();
    const auto weigh = [&](const QueryTerms& terms) {
      const float u0 = terms.u[0], u1 = terms.u[1], u2 = terms.u[2];
      for (size_t r = 0; r < n; ++r) {
        order[r] = tile.terms.scale[r] * static_cast<float>(sums[r]) + tile.terms.a[r] * u0 + tile.terms.b[r] * u1 +
                   tile.terms.c[r] * u2;
      }
    };
    // The seeds: as many as there is room for, the most promising first.
    const size_t room = std::min(heap.room(), n);
    weigh(sidecar_order(shape_.metric, prepared_->sidecar[q]));
    TopK chosen(scratch.seeds.data(), room);
    float least = chosen.threshold();
    for (size_t r = 0; r < n; ++r) {
      if (-order[r] > least || !filter_.allows(tile.slot(r))) continue;
      chosen.push(-order[r], static_cast<int64_t>(r));
      least = chosen.threshold();
    }
    uint32_t* hits = scratch.hits.data();
    for (size_t s = 0; s < chosen.size(); ++s) hits[s] = static_cast<uint32_t>(chosen[s].id);
    score(tile, hits, chosen.size(), q, heap, scratch);
    scratch.rescored += chosen.size();
    const QueryTerms terms = pass_terms(tile, group, i);
    weigh(terms);
    for (size_t s = 0; s < chosen.size(); ++s) order[chosen[s].id] = -std::numeric_limits<float>::infinity();
    size_t passing = 0;
    for (size_t r = 0; r < n; ++r) {
      hits[passing] = static_cast<uint32_t>(r);
      passing += !(order[r] < terms.bound);
    }
    size_t kept = 0;
    for (size_t h = 0; h < passing; ++h) {
      hits[kept] = hits[h];
      kept += !(order[hits[h]] == -std::numeric_limits<float>::infinity()) && filter_.allows(tile.slot(hits[h]));
    }
    score(tile, hits, kept, q, heap, scratch);
    scratch.rescored += kept;
  }
}

bool RowScan::order(const RowTile& tile, const QueryGroup& group, Scratch& scratch, float* out, size_t stride) const {
  const size_t n = tile.n, padded = round_up(n, kPanelRows);
  const uint8_t* codes =
      together(reinterpret_cast<const uint8_t*>(prepared_->codes.data()), code_stride_, group, scratch);
  if (codes == nullptr || !scratch.sums.resize(group.count * padded)) return false;
  kernels_.sums_u8(reinterpret_cast<const int8_t*>(codes), code_stride_, group.count, tile.panels, n, shape_.dim,
                   scratch.sums.data());
  for (size_t i = 0; i < group.count; ++i) {
    const QueryTerms terms = sidecar_order(shape_.metric, prepared_->sidecar[group.number(i)]);
    const float u0 = terms.u[0], u2 = terms.u[2];
    const int32_t* sums = scratch.sums.data() + i * padded;
    float* to = out + i * stride;
    for (size_t r = 0; r < n; ++r) {
      to[r] = -(tile.terms.scale[r] * static_cast<float>(sums[r]) + tile.terms.a[r] * u0 + tile.terms.c[r] * u2);
    }
  }
  return true;
}

double RowScan::code_error(size_t query) const {
  const SidecarQuery& coded = prepared_->sidecar[query];
  return coded.norm > 0 ? coded.error / coded.norm : 0;
}

void RowScan::look_sidecar(const RowTile& tile, const QueryGroup& group, Scratch& scratch) const {
  const uint8_t* codes =
      together(reinterpret_cast<const uint8_t*>(prepared_->codes.data()), code_stride_, group, scratch);
  if (codes == nullptr) {  // no room to put them together: one after another
    for (size_t i = 0; i < group.count; ++i) {
      const uint32_t number = static_cast<uint32_t>(group.number(i));
      look_sidecar(tile, {group.first, 1, &number, group.heaps, group.distances + i}, scratch);
    }
    return;
  }
  bool empty = true;
  for (size_t i = 0; i < group.count; ++i) empty = empty && group.heap(group.number(i)).room() != 0;
  if (empty && scratch.sums.resize(group.count * round_up(tile.n, kPanelRows)) && scratch.order.resize(tile.n) &&
      scratch.seeds.resize(tile.n)) {
    seed(tile, group, codes, scratch);
    return;
  }
  for (size_t i = 0; i < group.count; ++i) {
    scratch.query_terms[i] = pass_terms(tile, group, i);
    scratch.counts[i] = 0;
  }
  kernels_.hits_u8(reinterpret_cast<const int8_t*>(codes), code_stride_, group.count, tile.panels, tile.n, shape_.dim,
                   tile.terms, scratch.query_terms.data(),
                   {scratch.hits.data(), scratch.counts.data(), static_cast<uint32_t>(tile.n)});
  rescore(tile, group, scratch);
}

Status RowScan::look_product(const RowTile& tile, const QueryGroup& group, Scratch& scratch) const {
  const size_t n = tile.n;
  const size_t padded = round_up(n, kPanelRows);
  const bool floats = shape_.float_input();
  const size_t scalar = static_cast<size_t>(shape_.scalar);
  const size_t panel_bytes = floats ? float_panel_bytes(shape_.dim) : byte_panel_bytes(shape_.dim);
  if (!scratch.panels.resize(padded / kPanelRows * panel_bytes) || !scratch.terms.resize(5 * padded)) {
    return Status::out_of_memory;
  }
  kernels_.pack[scalar](tile.rows, shape_.stride(), n, shape_.dim, scratch.panels.data());
  float* terms = scratch.terms.data();
  float* sums = terms + 4 * padded;
  if (shape_.scalar == Scalar::u8) {
    if (scratch.ones.size() < shape_.dim) {
      if (!scratch.ones.resize(shape_.dim)) return Status::out_of_memory;
      std::fill_n(scratch.ones.data(), shape_.dim, uint8_t{1});
    }
    kernels_.scan[scalar][static_cast<size_t>(Op::dot)](scratch.ones.data(), tile.rows, shape_.stride(), n, shape_.dim,
                                                        sums);
  }
  tile_row_terms(shape_.metric, shape_.scalar, tile.norms, sums, n,
                 {terms, terms + padded, terms + 2 * padded, terms + 3 * padded});
  for (size_t i = 0; i < group.count; ++i) {
    const size_t q = group.number(i);
    scratch.query_terms[i] =
        tile_query_terms(shape_.metric, shape_.scalar, {prepared_->norms[q], floats ? 0 : prepared_->code_sums[q]},
                         shape_.dim, group.heap(q).threshold());
    scratch.counts[i] = 0;
  }
  const PanelTerms row_terms{terms, terms + padded, terms + 2 * padded, terms + 3 * padded};
  const HitList hits{scratch.hits.data(), scratch.counts.data(), static_cast<uint32_t>(n)};
  const uint8_t* queries =
      floats ? together(queries_, query_bytes_, group, scratch)
             : together(reinterpret_cast<const uint8_t*>(prepared_->codes.data()), code_stride_, group, scratch);
  if (queries == nullptr) return Status::out_of_memory;
  if (floats) {
    kernels_.hits_f32(reinterpret_cast<const float*>(queries), shape_.dim, group.count,
                      reinterpret_cast<const float*>(scratch.panels.data()), n, shape_.dim, row_terms,
                      scratch.query_terms.data(), hits);
  } else {
    kernels_.hits_u8(reinterpret_cast<const int8_t*>(queries), code_stride_, group.count, scratch.panels.data(), n,
                     shape_.dim, row_terms, scratch.query_terms.data(), hits);
  }
  rescore(tile, group, scratch);
  return Status::ok;
}

void RowScan::look_plain(const RowTile& tile, const QueryGroup& group, Scratch& scratch) const {
  const ScanFn scan = kernels_.scan[static_cast<size_t>(shape_.scalar)][static_cast<size_t>(op_)];
  float* distances = scratch.distances.data();
  uint32_t* passing = scratch.hits.data();
  for (size_t i = 0; i < group.count; ++i) {
    const size_t q = group.number(i);
    scan(query(q), tile.rows, shape_.stride(), tile.n, shape_.dim, distances);
    if (op_ == Op::dot) {
      for (size_t r = 0; r < tile.n; ++r) {
        distances[r] = finish(distances[r], q, tile.norms[r], tile.rows + r * shape_.stride(), scratch);
      }
    }
    TopK& heap = group.heap(q);
    const size_t count = kernels_.select_le(distances, tile.n, heap.threshold(), passing);
    for (size_t h = 0; h < count; ++h) {
      const uint32_t slot = tile.slot(passing[h]);
      if (filter_.allows(slot)) heap.push(distances[passing[h]], ids_.id_of(slot));
    }
  }
}

void RowScan::rescore(const RowTile& tile, const QueryGroup& group, Scratch& scratch) const {
  for (size_t i = 0; i < group.count; ++i) {
    uint32_t* hits = scratch.hits.data() + i * tile.n;
    size_t kept = scratch.counts[i];
    if (!filter_.all()) {
      kept = 0;
      for (size_t h = 0; h < scratch.counts[i]; ++h) {
        const uint32_t hit = hits[h];
        hits[kept] = hit;
        kept += filter_.allows(tile.slot(hit));
      }
    }
    const size_t q = group.number(i);
    if (kept != 0) score(tile, hits, kept, q, group.heap(q), scratch);
    scratch.rescored += kept;
  }
}

void RowScan::measure(const RowTile& tile, const uint32_t* hits, size_t n, size_t q, float* out,
                      Scratch& scratch) const {
  const GatherFn gather = kernels_.gather[static_cast<size_t>(shape_.scalar)][static_cast<size_t>(op_)];
  const auto at = [&](size_t i) { return hits != nullptr ? hits[i] : static_cast<uint32_t>(i); };
  if (n == 0) return;
  const void* rows[kGatherRows];
  for (size_t i = 0; i < n; ++i) {
    rows[i] = tile.rows != nullptr ? tile.rows + at(i) * shape_.stride() : store_->row(tile.slot(at(i)));
  }
  gather(query(q), rows, n, shape_.dim, out);
  if (op_ != Op::dot) return;
  for (size_t i = 0; i < n; ++i) {
    const float norm = tile.rows != nullptr ? tile.norms[at(i)] : store_->norm(tile.slot(at(i)));
    out[i] = finish(out[i], q, norm, rows[i], scratch);
  }
}

void RowScan::score(const RowTile& tile, const uint32_t* hits, size_t n, size_t q, TopK& heap, Scratch& scratch) const {
  float distances[kGatherRows];
  uint32_t all[kGatherRows];
  for (size_t begin = 0; begin < n; begin += kGatherRows) {
    const size_t count = std::min(kGatherRows, n - begin);
    if (hits == nullptr) {
      for (size_t i = 0; i < count; ++i) all[i] = static_cast<uint32_t>(begin + i);
    }
    const uint32_t* some = hits != nullptr ? hits + begin : all;
    measure(tile, some, count, q, distances, scratch);
    for (size_t i = 0; i < count; ++i) {
      if (!(distances[i] > heap.threshold())) heap.push(distances[i], ids_.id_of(tile.slot(some[i])));
    }
  }
}

float RowScan::finish(float value, size_t q, float row_norm, const void* row, Scratch& scratch) const {
  return distance_of_product(shape_, value, query(q), prepared_->norms[q], row, row_norm, scratch.decoded.data());
}

void clear_answers(const SearchRequest& request) {
  for (size_t q = 0; q < request.nq; ++q) {
    for (size_t i = 0; i < request.k; ++i) {
      request.ids[q * request.k + i] = -1;
      request.distances[q * request.k + i] = std::numeric_limits<float>::infinity();
    }
    if (request.counts != nullptr) request.counts[q] = 0;
  }
}

void write_answer(const SearchRequest& request, size_t q, TopK& heap) {
  heap.sort();
  for (size_t i = 0; i < heap.size(); ++i) {
    request.ids[q * request.k + i] = static_cast<double>(heap[i].id);
    request.distances[q * request.k + i] = heap[i].distance;
  }
  if (request.counts != nullptr) request.counts[q] = static_cast<uint32_t>(heap.size());
}

}  // namespace annex
