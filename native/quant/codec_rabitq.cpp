#include "quant/codec_rabitq.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "kernels/dispatch.h"
#include "quant/code_blocks.h"

namespace annex {
namespace {

constexpr Tag kOriginTag = make_tag("ORIG");
constexpr size_t kQueriesAtOnce = 16;

}  // namespace

Status RabitqCodec::check(const CodecOptions& o) {
  if (o.bits < 1 || o.bits > 8) {
    return fail(Status::invalid_argument, "rabitq takes 1 to 8 bits per dimension; got %zu", o.bits);
  }
  return Status::ok;
}

Status RabitqCodec::create(const CodecOptions& options, Codec** out) {
  RabitqCodec* codec = new (std::nothrow) RabitqCodec;
  if (codec == nullptr) return out_of_memory(sizeof(RabitqCodec));
  const Status status = codec->rabitq_.create(options.metric, options.dim, options.bits, options.seed);
  if (status != Status::ok) {
    delete codec;
    return status;
  }
  const Rabitq& r = codec->rabitq_;
  codec->options_ = options;
  codec->record_bytes_ = r.record_bytes();
  codec->block_bytes_ = r.block_bytes();
  codec->query_bytes_ = (r.query_bytes() + 63) / 64 * 64;
  codec->scratch_bytes_ = 3 * (r.padded_dim() * sizeof(float) + 63) / 64 * 64;
  *out = codec;
  return Status::ok;
}

Status RabitqCodec::train_open(const float*, size_t, const float* origin, size_t, const float*) {
  pending_ = Buffer<float>();
  if (origin == nullptr || !rabitq_.l2()) return Status::ok;
  if (!pending_.resize(options_.dim)) return out_of_memory(options_.dim * sizeof(float));
  std::memcpy(pending_.data(), origin, options_.dim * sizeof(float));
  return Status::ok;
}

Status RabitqCodec::train_step(const int32_t* cancel, TrainProgress* progress) {
  if (cancelled(cancel)) return aborted();
  rabitq_.set_origin(std::move(pending_));
  pending_ = Buffer<float>();
  *progress = {1, 1, true};
  return Status::ok;
}

void RabitqCodec::save(Sections& sections) const {
  if (rabitq_.origin().size() == 0) return;
  sections.begin(kOriginTag);
  sections.add(rabitq_.origin());
}

Status RabitqCodec::load(const SectionReader& reader) {
  Buffer<float> origin;
  if (reader.has(kOriginTag)) {
    Status status = reader.borrow(kOriginTag, Content::steering, options_.dim, &origin);
    if (status == Status::ok) status = check_finite(kOriginTag, origin.data(), origin.size());
    if (status != Status::ok) return status;
  }
  rabitq_.set_origin(std::move(origin));
  return Status::ok;
}

// No centre is the zero vector: the origin itself where there is none.
const float* RabitqCodec::rotated_centre(const float* centre, float* room) const {
  if (centre == nullptr) {
    if (rabitq_.origin().size() == 0) return nullptr;
    std::memset(room, 0, rabitq_.padded_dim() * sizeof(float));
    centre = room;
  }
  rabitq_.rotate(centre, room);
  return room;
}

void RabitqCodec::encode(const float* const* rows, size_t n, const float* centre, uint8_t* records,
                         uint8_t* scratch) const {
  const size_t dim = rabitq_.padded_dim();
  float* floats = reinterpret_cast<float*>(scratch);
  const float* c = rotated_centre(centre, floats + 2 * dim);
  for (size_t i = 0; i < n; ++i) {
    rabitq_.rotate(rows[i], floats);
    rabitq_.encode(floats, c, records + i * record_bytes_, floats + dim);
  }
}

void RabitqCodec::decode(const uint8_t* record, const float* centre, float* row, uint8_t* scratch) const {
  float* floats = reinterpret_cast<float*>(scratch);
  rabitq_.decode(record, rotated_centre(centre, floats + 2 * rabitq_.padded_dim()), row, floats);
}

void RabitqCodec::place(const uint8_t* record, uint8_t* blocks, size_t row) const {
  rabitq_.place(record, blocks + row / kCodeRows * block_bytes_, row % kCodeRows);
}

void RabitqCodec::take(const uint8_t* blocks, size_t row, uint8_t* record) const {
  rabitq_.take(blocks + row / kCodeRows * block_bytes_, row % kCodeRows, record);
}

void RabitqCodec::prepare(const float* query, void* prepared, uint8_t* scratch) const {
  float* rotated = reinterpret_cast<float*>(scratch);
  rabitq_.rotate(query, rotated);
  rabitq_.prepare(rotated, static_cast<uint8_t*>(prepared));
}

void RabitqCodec::scan(const uint8_t* blocks, size_t n, CodeScan* scans, size_t nq) const {
  const CodeBlocks view{blocks, block_bytes_, n, rabitq_.subquantizers(), rabitq_.factors()};
  for (size_t first = 0; first < nq; first += kQueriesAtOnce) {
    const size_t count = nq - first < kQueriesAtOnce ? nq - first : kQueriesAtOnce;
    NibbleQuery queries[kQueriesAtOnce];
    for (size_t i = 0; i < count; ++i) {
      const CodeScan& scan = scans[first + i];
      queries[i] = rabitq_.scan_query(static_cast<const uint8_t*>(scan.query), scan.distance);
      queries[i].threshold = scan.threshold;
      queries[i].hits = scan.hits;
      queries[i].count = scan.count;
    }
    kernels().codes.scan_nibbles(view, queries, count);
    for (size_t i = 0; i < count; ++i) {
      CodeScan& scan = scans[first + i];
      const uint32_t before = scan.count;
      scan.count = queries[i].count;
      if (rabitq_.bits() > 1) refine_hits(blocks, before, &scan);
    }
  }
}

// What the signs let pass gets the estimate of all bits; what that excludes is dropped.
void RabitqCodec::refine_hits(const uint8_t* blocks, uint32_t before, CodeScan* scan) const {
  const uint8_t* query = static_cast<const uint8_t*>(scan->query);
  const size_t behind = rabitq_.scan_bytes(), step = rabitq_.refine_bytes();
  const uint32_t found = scan->count;
  uint8_t signs[kMaxDim / 8];
  uint32_t kept = before;
  for (uint32_t i = before; i < found; ++i) {
    CodeHit hit = scan->hits[i];
    const float first_bound = hit.bound;
    const uint8_t* block = blocks + hit.row / kCodeRows * block_bytes_;
    const size_t row = hit.row % kCodeRows;
    if (rabitq_.needs_signs()) take_nibbles(block, rabitq_.subquantizers(), row, signs);
    rabitq_.refine(query, scan->distance, rabitq_.needs_signs() ? signs : nullptr, block + behind + row * step, &hit);
    // No less than what the signs alone would have dropped it for: so what stays does not depend on when it is looked
    // at.
    hit.bound = std::max(hit.bound, first_bound);
    hit.estimate = std::max(hit.estimate, hit.bound);
    if (!(hit.bound > scan->threshold)) scan->hits[kept++] = hit;
  }
  scan->count = kept;
}

void RabitqCodec::estimate(const void* query, float distance, const uint8_t* const* records, size_t n,
                           float* estimates) const {
  for (size_t i = 0; i < n; ++i) {
    estimates[i] = rabitq_.estimate(static_cast<const uint8_t*>(query), distance, records[i]);
  }
}

}  // namespace annex
