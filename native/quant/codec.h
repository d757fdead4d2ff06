// Coded rows, as lists hold them: product quantization (4 and 8 bits) and RaBitQ behind one interface. A structure
// knows codecs, not formats.
//
// A row x is coded relative to a centre c (a list's centroid, a node's own vector, or nothing). A distance is estimated
// from a prepared query, which depends on no centre, and from the distance of the query to the centre:
//   estimate = distance(query, centre) + add[row] + rescale[row] · (sum of table entries that the row's code picks)
// or, with lengths, scale[row] · (distance(query, centre) + that sum).
// Under cosine, rows and queries come normalised.
//
// A row exists in two forms. Its *record* is a flat run of record_bytes(). In a list, 32 rows share a *block* of
// block_bytes(), interleaved as kernels/codes.h says. Records are placed into blocks and taken from them.
#pragma once
#include <cstddef>
#include <cstdint>

#include "base/buffer.h"
#include "base/sections.h"
#include "base/status.h"
#include "kernels/codes.h"
#include "quant/sidecar.h"
#include "quant/training.h"

namespace annex {

struct CodecOptions {
  enum class Kind : uint8_t { pq, rabitq };
  Kind kind = Kind::pq;
  Metric metric = Metric::l2;  // l2, ip, cosine
  size_t dim = 0;
  size_t m = 0;     // pq: sub-quantizers
  size_t bits = 8;  // pq: 4 or 8; rabitq: 1 … 8
  enum class Rotation : uint8_t { none, random, opq };
  Rotation rotation = Rotation::none;  // pq; rabitq always rotates at random
  size_t rotated_dim = 0;              // pq with a rotation: dimensions behind it; 0: dim
  float anisotropic = 0;               // pq
  bool lengths = false;                // pq under ip: a float a row gives decoded rows the length of the rows
  uint64_t seed = 0;
  size_t iterations = 0;  // of k-means; 0: the default
  /// All rows have one centre, and it is the origin: pq keeps no factors then, and under l2 finds the whole distance
  /// in its tables, so that what a caller says of the centre's is not read.
  bool one_centre = false;
};

/// One query's part in the scan of a list.
struct CodeScan {
  const void* query;  // prepared
  float distance;     // of the query to the list's centre: |q - c|², -q·c, 1 - q·c; without a centre |q|², 0, 1
  float threshold;    // rows whose bound is above it are left out
  CodeHit* hits;      // room for all rows of the list behind `count`
  uint32_t count;     // hits are appended here, ascending in row
};

class Codec {
 public:
  virtual ~Codec() = default;

  /// INVALID_ARGUMENT where the numbers do not go together (m does not divide the dimensions, bits out of range).
  static Status check(const CodecOptions& options);
  /// The codec for checked options; to be deleted.
  static Status create(const CodecOptions& options, Codec** out);

  const CodecOptions& options() const { return options_; }
  size_t record_bytes() const { return record_bytes_; }
  size_t block_bytes() const { return block_bytes_; }
  /// Bytes of a list of n rows.
  size_t list_bytes(size_t n) const { return (n + kCodeRows - 1) / kCodeRows * block_bytes_; }
  /// Bytes of a prepared query, a multiple of 64; prepared queries lie at multiples of 64.
  size_t query_bytes() const { return query_bytes_; }
  /// Bytes of scratch that encode, decode and prepare need, aligned to 64.
  size_t scratch_bytes() const { return scratch_bytes_; }
  /// Whether bounds of hits lie below their estimates (rabitq), so that they can spare rescoring.
  bool has_bounds() const { return options_.kind == CodecOptions::Kind::rabitq; }

  // ---- training: open, step until finished; only the last step changes the codec ----

  /// False before a pq's training; rabitq needs none, but is the better for an origin.
  virtual bool trained() const = 0;
  /// n ≥ 1 rows of residuals (row less its centre), n × dim, that stay where they are until the training ends. `origin`
  /// (l2; may be null) is a point near all rows and queries, such as the mean of the centres: queries are coded
  /// relative to it, so that a common offset costs no precision. `rows` (anisotropic; may be null) are the rows
  /// themselves.
  virtual Status train_open(const float* residuals, size_t n, const float* origin, size_t threads,
                            const float* rows = nullptr) = 0;
  /// The next part: some 50 ms of one thread's work, the same parts for any number of threads.
  virtual Status train_step(const int32_t* cancel, TrainProgress* progress) = 0;
  /// Forgets an unfinished training.
  virtual void train_abort() = 0;

  /// What a file keeps beside the options. Of a trained codec.
  virtual void save(Sections& sections) const = 0;
  virtual Status load(const SectionReader& reader) = 0;
  /// Bytes of codebooks, rotation, origin.
  virtual size_t bytes() const = 0;

  // ---- rows ----

  /// Codes n rows that share a centre (null: none) into records, record_bytes() apart. Any thread.
  virtual void encode(const float* const* rows, size_t n, const float* centre, uint8_t* records,
                      uint8_t* scratch) const = 0;
  /// The row that a record stands for.
  virtual void decode(const uint8_t* record, const float* centre, float* row, uint8_t* scratch) const = 0;
  /// Moves single rows between records and the blocks of a list. Blocks begin zeroed.
  virtual void place(const uint8_t* record, uint8_t* blocks, size_t row) const = 0;
  virtual void take(const uint8_t* blocks, size_t row, uint8_t* record) const = 0;

  // ---- queries ----

  /// Writes query_bytes() for a query of dim floats: serves any number of lists and threads.
  virtual void prepare(const float* query, void* prepared, uint8_t* scratch) const = 0;
  /// Scans the blocks of a list of n rows for several queries at once (any number; groups of four share reads).
  virtual void scan(const uint8_t* blocks, size_t n, CodeScan* scans, size_t nq) const = 0;
  /// Estimates for n records anywhere in memory that share a centre: for graphs and for single rows.
  virtual void estimate(const void* query, float distance, const uint8_t* const* records, size_t n,
                        float* estimates) const = 0;

 protected:
  CodecOptions options_;
  size_t record_bytes_ = 0, block_bytes_ = 0, query_bytes_ = 0, scratch_bytes_ = 0;
};

}  // namespace annex
