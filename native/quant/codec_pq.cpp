#include "quant/codec_pq.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <new>

#include "kernels/dispatch.h"
#include "quant/code_blocks.h"
#include "quant/lookup.h"

namespace annex {
namespace {

constexpr Tag kCodebookTag = make_tag("CBOK");
constexpr Tag kRotationTag = make_tag("ROTM");
constexpr Tag kOriginTag = make_tag("ORIG");
constexpr size_t kRowsAtOnce = 32;    // that encode rotates and codes together
constexpr double kErrorShare = 0.15;  // of the square of a row's error, in its factor: see the header
constexpr size_t kQueriesAtOnce = 16;

constexpr size_t padded(size_t bytes) { return (bytes + 63) / 64 * 64; }

// What stands before a query's tables.
struct Head {
  float scale, bias, slack;
};

// Beyond it a row and its code have nothing in common.
constexpr double kMostScale = 1e6;

// Rows whose sums of rounded entries lie so many standard deviations of the rounding behind the threshold are looked
// at.
constexpr float kRoundingDeviations = 4;

double square_of(const float* x, size_t n) {
  double sum = 0;
  for (size_t d = 0; d < n; ++d) sum += static_cast<double>(x[d]) * x[d];
  return sum;
}

// The length of a row over that of its code, of the given square; 1 where the code has none.
float scale_of(const float* row, size_t dim, double coded_square) {
  const double scale = std::sqrt(square_of(row, dim) / coded_square);
  return coded_square > 0 && scale < kMostScale ? static_cast<float>(scale) : 1.0f;
}

}  // namespace

PqShape PqCodec::shape() const {
  const size_t dim = rotates() && options_.rotated_dim != 0 ? options_.rotated_dim : options_.dim;
  return {dim, options_.m, options_.bits};
}

Status PqCodec::check(const CodecOptions& o) {
  const bool rotates = o.rotation != CodecOptions::Rotation::none;
  if (o.rotated_dim != 0 && (!rotates || o.rotated_dim > o.dim)) {
    return fail(Status::invalid_argument,
                "rotatedDim needs a rotation and is at most the %zu dimensions of the rows; got %zu", o.dim,
                o.rotated_dim);
  }
  return check_pq_shape({o.rotated_dim != 0 ? o.rotated_dim : o.dim, o.m, o.bits});
}

Status PqCodec::create(const CodecOptions& options, Codec** out) {
  PqCodec* codec = new (std::nothrow) PqCodec;
  if (codec == nullptr) return out_of_memory(sizeof(PqCodec));
  codec->options_ = options;
  const size_t m = options.m;
  codec->record_bytes_ = codec->shape().code_bytes() + factor_bytes(codec->factors());
  codec->block_bytes_ =
      codec->nibbles() ? nibble_block_bytes(m, codec->factors()) : byte_block_bytes(m, codec->factors());
  // Head, float tables, byte tables.
  const size_t lut = codec->nibbles() ? 16 * ((m + 3) / 4 * 4) : 256 * m;
  codec->query_bytes_ = 64 + padded(codec->table_floats() * sizeof(float)) + padded(lut);
  codec->lay_out_scratch();
  *out = codec;
  return Status::ok;
}

// The rotation's and the quantizer's own scratch depend on their training.
void PqCodec::lay_out_scratch() {
  const size_t in = padded(kRowsAtOnce * options_.dim * sizeof(float));
  const size_t out = padded(kRowsAtOnce * shape().dim * sizeof(float));
  size_t work = rotation_.empty() ? 0 : rotation_.scratch_bytes();
  if (trained()) work = std::max(work, quantizer_.encode_scratch_bytes());
  places_.rows = 0;
  places_.rotated = in;
  places_.centre = places_.rotated + 2 * out;
  places_.codes = places_.centre + padded(2 * options_.dim * sizeof(float));
  places_.work = places_.codes + padded(kRowsAtOnce * shape().code_bytes());
  places_.all = places_.work + padded(work);
  scratch_bytes_ = places_.all;
}

// ---- training ----

Status PqCodec::train_open(const float* residuals, size_t n, const float* origin, size_t threads, const float* rows) {
  pending_ = Buffer<float>();
  if (origin != nullptr && l2()) {
    if (!pending_.resize(options_.dim)) return out_of_memory(options_.dim * sizeof(float));
    std::memcpy(pending_.data(), origin, options_.dim * sizeof(float));
  }
  trainer_.reset(new (std::nothrow) PqTrainer);
  if (trainer_ == nullptr) return out_of_memory(sizeof(PqTrainer));
  PqTrainOptions o;
  o.shape = shape();
  o.dim = options_.dim;
  o.rotate = static_cast<PqTrainOptions::Rotate>(options_.rotation);
  o.iterations = options_.iterations;
  o.anisotropic = options_.anisotropic;
  o.seed = options_.seed;
  o.threads = threads;
  return trainer_->begin(o, residuals, n, rows);
}

Status PqCodec::train_step(const int32_t* cancel, TrainProgress* progress) {
  Status status = trainer_->step(cancel, progress);
  if (status != Status::ok || !progress->finished) return status;
  status = trainer_->take(&quantizer_, &rotation_);
  if (status != Status::ok) return status;
  origin_ = std::move(pending_);
  train_abort();
  lay_out_scratch();
  return Status::ok;
}

void PqCodec::train_abort() {
  trainer_.reset();
  pending_ = Buffer<float>();
}

void PqCodec::save(Sections& sections) const {
  sections.begin(kCodebookTag);
  sections.add(quantizer_.codebooks());
  if (rotates()) {
    sections.begin(kRotationTag);
    sections.add(rotation_.matrix());
  }
  if (origin_.size() != 0) {
    sections.begin(kOriginTag);
    sections.add(origin_);
  }
}

Status PqCodec::load(const SectionReader& reader) {
  Buffer<float> codebooks, matrix, origin;
  Status status = reader.borrow(kCodebookTag, Content::steering, shape().codebook_floats(), &codebooks);
  if (status == Status::ok) status = check_finite(kCodebookTag, codebooks.data(), codebooks.size());
  if (status != Status::ok) return status;
  status = quantizer_.set(shape(), std::move(codebooks));
  if (status != Status::ok) return status;
  if (rotates()) {
    status = reader.borrow(kRotationTag, Content::steering, shape().dim * options_.dim, &matrix);
    if (status == Status::ok) status = check_finite(kRotationTag, matrix.data(), matrix.size());
    if (status != Status::ok) return status;
    status = rotation_.set(options_.dim, shape().dim, std::move(matrix));
    if (status != Status::ok) return status;
  }
  if (reader.has(kOriginTag)) {
    status = reader.borrow(kOriginTag, Content::steering, options_.dim, &origin);
    if (status == Status::ok) status = check_finite(kOriginTag, origin.data(), origin.size());
    if (status != Status::ok) return status;
  }
  origin_ = std::move(origin);
  lay_out_scratch();
  return Status::ok;
}

// ---- rows ----

void PqCodec::rotate(const float* rows, size_t n, float* out, uint8_t* scratch) const {
  if (rotation_.empty()) {
    std::memcpy(out, rows, n * options_.dim * sizeof(float));
  } else {
    rotation_.apply(rows, options_.dim, n, out, shape().dim, scratch);
  }
}

void PqCodec::encode(const float* const* rows, size_t n, const float* centre, uint8_t* records,
                     uint8_t* scratch) const {
  for (size_t i = 0; i < n; i += kRowsAtOnce) {
    encode_some(rows + i, std::min(kRowsAtOnce, n - i), centre, records + i * record_bytes_, scratch);
  }
}

void PqCodec::encode_some(const float* const* rows, size_t n, const float* centre, uint8_t* records,
                          uint8_t* scratch) const {
  const size_t dim = options_.dim, out = shape().dim, code_bytes = shape().code_bytes();
  float* gathered = reinterpret_cast<float*>(scratch + places_.rows);
  float* rotated = reinterpret_cast<float*>(scratch + places_.rotated);
  float* directions = rotated + padded(kRowsAtOnce * out * sizeof(float)) / sizeof(float);
  float* c = reinterpret_cast<float*>(scratch + places_.centre);
  uint8_t* codes = scratch + places_.codes;
  uint8_t* work = scratch + places_.work;
  const bool anisotropic = options_.anisotropic > 1;
  if (anisotropic) {
    for (size_t i = 0; i < n; ++i) std::memcpy(gathered + i * dim, rows[i], dim * sizeof(float));
    rotate(gathered, n, directions, work);
  }
  for (size_t i = 0; i < n; ++i) {
    for (size_t d = 0; d < dim; ++d) gathered[i * dim + d] = rows[i][d] - (centre != nullptr ? centre[d] : 0.0f);
  }
  rotate(gathered, n, rotated, work);
  if (anisotropic) {
    quantizer_.encode_anisotropic(rotated, out, directions, out, n, options_.anisotropic, codes, work);
  } else {
    quantizer_.encode(rotated, out, n, codes, work);
  }
  for (size_t i = 0; i < n; ++i) std::memcpy(records + i * record_bytes_, codes + i * code_bytes, code_bytes);
  if (factors() == CodeFactors::none) return;
  double missed[kRowsAtOnce] = {};  // squares of what a rotation to fewer dimensions leaves out
  for (size_t i = 0; out < dim && i < n; ++i) {
    missed[i] = std::max(0.0, square_of(gathered + i * dim, dim) - square_of(rotated + i * out, out));
  }
  // c ← R (centre - origin)
  for (size_t d = 0; d < dim; ++d) {
    gathered[d] = (centre != nullptr ? centre[d] : 0.0f) - (origin_.size() != 0 ? origin_[d] : 0.0f);
  }
  rotate(gathered, 1, c, work);
  const double centre_square = options_.lengths && centre != nullptr ? square_of(centre, dim) : 0;
  float* p = gathered;
  for (size_t i = 0; i < n; ++i) {
    quantizer_.decode(codes + i * code_bytes, p);
    double sum = 0, error = missed[i];
    for (size_t d = 0; d < out; ++d) {
      sum += static_cast<double>(p[d]) * (static_cast<double>(p[d]) + 2 * static_cast<double>(c[d]));
      const double e = static_cast<double>(rotated[i * out + d]) - static_cast<double>(p[d]);
      error += e * e;
    }
    const float factor =
        options_.lengths ? scale_of(rows[i], dim, centre_square + sum) : static_cast<float>(sum + kErrorShare * error);
    std::memcpy(records + i * record_bytes_ + code_bytes, &factor, sizeof factor);
  }
}

void PqCodec::decode(const uint8_t* record, const float* centre, float* row, uint8_t* scratch) const {
  float* rotated = reinterpret_cast<float*>(scratch + places_.rotated);
  quantizer_.decode(record, rotated);
  if (rotation_.empty()) {
    std::memcpy(row, rotated, options_.dim * sizeof(float));
  } else {
    rotation_.apply_back(rotated, shape().dim, 1, row, options_.dim, scratch + places_.work);
  }
  for (size_t d = 0; centre != nullptr && d < options_.dim; ++d) row[d] += centre[d];
}

void PqCodec::place(const uint8_t* record, uint8_t* blocks, size_t row) const {
  uint8_t* block = blocks + row / kCodeRows * block_bytes_;
  const size_t m = options_.m, i = row % kCodeRows;
  if (nibbles()) {
    place_nibbles(record, m, block, i);
  } else {
    place_bytes(record, m, block, i);
  }
  place_factors(record + shape().code_bytes(), factors(), block + (nibbles() ? 16 : 32) * m, i);
}

void PqCodec::take(const uint8_t* blocks, size_t row, uint8_t* record) const {
  const uint8_t* block = blocks + row / kCodeRows * block_bytes_;
  const size_t m = options_.m, i = row % kCodeRows;
  if (nibbles()) {
    take_nibbles(block, m, i, record);
  } else {
    take_bytes(block, m, i, record);
  }
  take_factors(block + (nibbles() ? 16 : 32) * m, factors(), i, record + shape().code_bytes());
}

// ---- queries ----

const float* PqCodec::table_of(const void* query) const {
  return reinterpret_cast<const float*>(static_cast<const uint8_t*>(query) + 64);
}

const uint8_t* PqCodec::lut_of(const void* query) const {
  return static_cast<const uint8_t*>(query) + 64 + padded(table_floats() * sizeof(float));
}

void PqCodec::prepare(const float* query, void* prepared, uint8_t* scratch) const {
  float* shifted = reinterpret_cast<float*>(scratch + places_.rows);
  float* rotated = reinterpret_cast<float*>(scratch + places_.rotated);
  for (size_t d = 0; d < options_.dim; ++d) shifted[d] = query[d] - (origin_.size() != 0 ? origin_[d] : 0.0f);
  rotate(shifted, 1, rotated, scratch + places_.work);
  float* table = const_cast<float*>(table_of(prepared));
  uint8_t* lut = const_cast<uint8_t*>(lut_of(prepared));
  quantizer_.tables(rotated, l2() ? -2.0f : -1.0f, table);
  if (whole()) {
    // What a rotation that drops dimensions leaves out of the query lies between it and every row.
    double beyond = 0;
    if (shape().dim != options_.dim) {
      for (size_t d = 0; d < options_.dim; ++d) beyond += static_cast<double>(shifted[d]) * shifted[d];
      for (size_t d = 0; d < shape().dim; ++d) beyond -= static_cast<double>(rotated[d]) * rotated[d];
    }
    complete_tables(rotated, static_cast<float>(std::max(beyond, 0.0)), table);
  }
  const size_t m = options_.m;
  LookupScale rounded;
  if (nibbles()) {
    std::memset(lut + 16 * m, 0, 16 * ((m + 3) / 4 * 4 - m));
    rounded = round_tables(table, m, 16, lut);
  } else {
    rounded = floor_tables(table, m, 256, lut);
  }
  const Head head{rounded.scale, rounded.bias, refines() ? kRoundingDeviations * rounded.error : 0};
  std::memcpy(prepared, &head, sizeof head);
}

// From -2 ⟨q, p⟩ to |q - p|² of each part.
void PqCodec::complete_tables(const float* rotated, float beyond, float* table) const {
  const size_t part = shape().part(), words = shape().codewords();
  for (size_t j = 0; j < options_.m; ++j, rotated += part, table += words) {
    float square = 0;
    for (size_t d = 0; d < part; ++d) square += rotated[d] * rotated[d];
    const float* halves = quantizer_.half_squares(j);
    const float least = j == 0 ? beyond : 0.0f;
    for (size_t c = 0; c < words; ++c) {
      const float distance = square + 2 * halves[c] + table[c];
      table[c] = (distance < 0 ? 0.0f : distance) + least;  // NaN stays
    }
  }
}

void PqCodec::scan(const uint8_t* blocks, size_t n, CodeScan* scans, size_t nq) const {
  const CodeBlocks view{blocks, block_bytes_, n, options_.m, factors()};
  for (size_t first = 0; first < nq; first += kQueriesAtOnce) {
    const size_t count = std::min(kQueriesAtOnce, nq - first);
    CodeScan* some = scans + first;
    if (nibbles()) {
      NibbleQuery queries[kQueriesAtOnce];
      for (size_t i = 0; i < count; ++i) {
        const Head& head = *static_cast<const Head*>(some[i].query);
        queries[i] = {lut_of(some[i].query), head.scale,   head.bias,    head.slack, base_of(some[i].distance), 0,
                      some[i].threshold,     some[i].hits, some[i].count};
      }
      kernels().codes.scan_nibbles(view, queries, count);
      for (size_t i = 0; i < count; ++i) {
        const uint32_t before = some[i].count;
        some[i].count = queries[i].count;
        if (refines()) refine_hits(blocks, before, some + i);
      }
    } else {
      ByteQuery queries[kQueriesAtOnce];
      for (size_t i = 0; i < count; ++i) {
        const Head& head = *static_cast<const Head*>(some[i].query);
        queries[i] = {table_of(some[i].query),        lut_of(some[i].query), head.scale,   head.bias,
                      whole() ? 0 : some[i].distance, some[i].threshold,     some[i].hits, some[i].count};
      }
      kernels().codes.scan_bytes(view, queries, count);
      for (size_t i = 0; i < count; ++i) some[i].count = queries[i].count;
    }
  }
}

// What the rounded tables let pass gets the sum of the exact ones; what that excludes is dropped.
void PqCodec::refine_hits(const uint8_t* blocks, uint32_t before, CodeScan* scan) const {
  const float* table = table_of(scan->query);
  const float base = base_of(scan->distance);
  uint32_t kept = before;
  for (uint32_t h = before; h < scan->count; ++h) {
    CodeHit hit = scan->hits[h];
    const uint8_t* code = blocks + hit.row / kCodeRows * block_bytes_ + hit.row % 16;
    const int shift = hit.row % kCodeRows < 16 ? 0 : 4;
    float sums[4] = {};  // chains that hide each other's latency
    for (size_t j = 0; j < options_.m; ++j) sums[j % 4] += table[16 * j + (code[16 * j] >> shift & 15)];
    // No less than what the rounded tables would have dropped it for: so what stays does not depend on when it is
    // looked at.
    const float exact = base + ((sums[0] + sums[2]) + (sums[1] + sums[3]));
    hit.estimate = hit.bound = std::max(exact, hit.bound);
    if (!(hit.bound > scan->threshold)) scan->hits[kept++] = hit;
  }
  scan->count = kept;
}

void PqCodec::estimate(const void* query, float distance, const uint8_t* const* records, size_t n,
                       float* estimates) const {
  const float* table = table_of(query);
  const size_t m = options_.m;
  for (size_t i = 0; i < n; ++i) {
    const uint8_t* code = records[i];
    float sums[4] = {};  // chains that hide each other's latency
    for (size_t j = 0; j < m; ++j) {
      const size_t c = nibbles() ? code[j / 2] >> (j % 2 * 4) & 15 : code[j];
      sums[j % 4] += table[(j << options_.bits) + c];
    }
    float base = base_of(distance), factor = 0;
    if (factors() != CodeFactors::none) std::memcpy(&factor, code + shape().code_bytes(), sizeof factor);
    if (factors() == CodeFactors::add) base += factor;
    estimates[i] = base + ((sums[0] + sums[2]) + (sums[1] + sums[3]));
    if (factors() == CodeFactors::scale) estimates[i] *= factor;
  }
}

}  // namespace annex
