// What every structure is to the rest of annex: a small interface, and the plain requests that cross it.
#pragma once
#include <cstddef>
#include <cstdint>

#include "base/sections.h"
#include "base/status.h"
#include "kernels/kernels.h"
#include "quant/sidecar.h"

namespace annex {

/// Type of the caller's rows; the numbers of AnnexInput.
enum class Input : int32_t { f32 = 0, i8 = 1, u8 = 2, bits = 3 };

/// Keys of options; the numbers of AnnexKey.
enum class Key : int32_t {
  kind = 0,
  dim = 1,
  metric = 2,
  storage = 3,
  sidecar = 4,
  m = 5,
  ef_construction = 6,
  seed = 7,
  rerank = 8,
  layout = 9,
  nlist = 10,
  coarse = 11,
  spill = 12,
  balanced = 13,
  iterations = 14,
  max_points = 15,
  code_m = 20,
  code_bits = 21,
  rotation = 22,
  rotated_dim = 23,
  anisotropic = 24,
  residual = 25,
  lengths = 26,
  threads = 100,
  ef_search = 101,
  nprobe = 102,
  rerank_factor = 103,
  early_stop = 104,
  stored = 900,  // of a file: options that it lacks were not there when it was made
};

/// How rows are coded; the numbers of AnnexStorage. Those before `pq` are the numbers of Scalar.
enum class Storage : int32_t { f32 = 0, f16 = 1, bf16 = 2, sq8 = 3, i8 = 4, u8 = 5, bits = 6, pq = 7, rabitq = 8 };

/// Values of Key::sidecar; the numbers of AnnexSidecar.
enum class SidecarOption : int32_t { automatic = 0, none = 1, i8 = 2 };

struct Option {
  double key;
  double value;
};

/// The key that a caller's number means, or one that no structure takes.
inline Key key_of(double number) {
  const bool whole = number >= 0 && number < 1000 && number == static_cast<double>(static_cast<int32_t>(number));
  return static_cast<Key>(whole ? static_cast<int32_t>(number) : -1);
}

static_assert(sizeof(Option) == 2 * sizeof(double), "options cross the C ABI as pairs of doubles");

/// Which ids a search may return.
struct Filter {
  enum class Kind : int32_t { all = 0, ids = 1, bits = 2 };
  Kind kind = Kind::all;
  const void* data = nullptr;  // ids: double[count]; bits: uint32_t words covering ids 0 … count - 1
  size_t count = 0;
};

/// Parameters of a search beyond k; 0 where the caller gave none. A structure refuses those that it does not take.
struct SearchParams {
  size_t threads;  // 0: all of the pool
  size_t ef_search;
  size_t nprobe;
  float rerank_factor;
  float early_stop;
};

/// A share of the rows of a search that is done in parts, on one thread. What the parts before found is in the answers
/// of the request, whose counts are not null.
struct SearchPart {
  size_t first;      // to begin with; 0 in the first part
  size_t rows;       // to look at, rounded up to whole panels
  uint64_t changes;  // of the rows, when the last part was done: where there have been others the search begins anew
  size_t next = 0;   // out: to go on with; 0 when the search is finished
};

struct SearchRequest {
  const void* queries;
  Input type;
  size_t nq;
  size_t k;
  SearchParams params;
  Filter filter;
  const int32_t* cancel;
  double* ids;       // nq × k
  float* distances;  // nq × k
  uint32_t* counts;  // nq, or null
  SearchPart* part;  // null for all of it at once; else the index is divisible()
};

struct Stats {
  size_t size, bytes_vectors, bytes_sidecar, bytes_ids, bytes_norms, bytes_total;
  uint64_t scanned, rescored;
  size_t bytes_links, bytes_codes, bytes_rerank, bytes_codebooks;
  size_t removed;
  bool trained;
  uint64_t hops, exact_searches, code_searches;
};

enum class WriteMode : int32_t { add = 0, upsert = 1, train = 2, compact = 3 };

/// What a writer is at; the numbers of AnnexPhase.
enum class Phase : int32_t {
  add = 0,
  link = 1,
  kmeans = 2,
  rotation = 3,
  codebooks = 4,
  compact = 5,
  read = 6,
  write = 7
};

struct Progress {
  double done = 0, total = 0;
  Phase phase = Phase::add;
  bool finished = true;
};

/// Stages rows aside; destroying it without commit leaves the index as it was.
class Writer {
 public:
  virtual ~Writer() = default;
  virtual Status append(Input type, const void* rows, size_t n, const double* ids, const int32_t* cancel) = 0;
  /// The next part of the work that follows the appends: some 50 ms of one thread, the same parts for any number of
  /// them.
  virtual Status step(const int32_t*, Progress* progress) {
    *progress = Progress{};
    return Status::ok;
  }
  /// Does what is left of the steps, and makes the result visible.
  virtual Status commit() = 0;
};

class Index {
 public:
  virtual ~Index() = default;
  /// Any time, without waiting.
  virtual size_t size() const = 0;
  /// The id that the next row added without ids gets.
  virtual int64_t next_id() const = 0;
  virtual size_t options(Option* out, size_t room) const = 0;
  virtual Stats stats() const = 0;
  /// False for a mapped file that nothing has touched yet: the next call of almost any kind loads it.
  virtual bool loaded() const { return true; }
  virtual Status open_writer(WriteMode mode, Writer** out) = 0;
  virtual Status remove(const double* ids, size_t n, size_t* removed) = 0;
  virtual Status has(const double* ids, size_t n, uint8_t* found) const = 0;
  virtual Status get(const double* ids, size_t n, void* rows, uint8_t* found) const = 0;
  virtual size_t ids(size_t start, size_t n, double* out) const = 0;
  virtual Status search(const SearchRequest& request) const = 0;
  /// Whether a search can be done in parts of the rows.
  virtual bool divisible() const { return false; }

  /// Lists what a file keeps of the index beside its options, size() and next_id(), as spans of the index's memory.
  /// BUSY while a writer is open; after success none opens (BUSY) until end_save(), and searches go on.
  virtual Status begin_save(Sections* out);
  virtual void end_save() {}
  /// Fills an index that was just created with the options of the file, from memory that outlives it. Believes nothing:
  /// CORRUPT where content could lead out of bounds or astray. After a failure the index is of no use.
  virtual Status load(const SectionReader& sections);
};

/// The id that a caller's number means; INVALID_ID naming `what` and its position otherwise.
Status parse_id(double value, const char* what, size_t position, int64_t* id);

}  // namespace annex
