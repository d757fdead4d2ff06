// What every structure is to the rest of annex: a small interface, and the plain requests that cross it.
#pragma once
#include <cstddef>
#include <cstdint>

#include "base/status.h"
#include "kernels/kernels.h"
#include "quant/sidecar.h"

namespace annex {

/// Type of the caller's rows; the numbers of AnnexInput.
enum class Input : int32_t { f32 = 0, i8 = 1, u8 = 2, bits = 3 };

/// Keys of options; the numbers of AnnexKey.
enum class Key : int32_t { kind = 0, dim = 1, metric = 2, storage = 3, sidecar = 4, threads = 100 };

/// Values of Key::sidecar; the numbers of AnnexSidecar.
enum class SidecarOption : int32_t { automatic = 0, none = 1, i8 = 2 };

struct Option {
  double key;
  double value;
};
static_assert(sizeof(Option) == 2 * sizeof(double), "options cross the C ABI as pairs of doubles");

/// Which ids a search may return.
struct Filter {
  enum class Kind : int32_t { all = 0, ids = 1, bits = 2 };
  Kind kind = Kind::all;
  const void* data = nullptr;  // ids: double[count]; bits: uint32_t words covering ids 0 … count - 1
  size_t count = 0;
};

struct SearchRequest {
  const void* queries;
  Input type;
  size_t nq;
  size_t k;
  size_t threads;
  Filter filter;
  const int32_t* cancel;
  double* ids;       // nq × k
  float* distances;  // nq × k
  uint32_t* counts;  // nq, or null
};

struct Stats {
  size_t size, bytes_vectors, bytes_sidecar, bytes_ids, bytes_norms, bytes_total;
  uint64_t scanned, rescored;
};

enum class WriteMode : int32_t { add = 0, upsert = 1 };

/// Stages rows aside; destroying it without commit leaves the index as it was.
class Writer {
 public:
  virtual ~Writer() = default;
  virtual Status append(Input type, const void* rows, size_t n, const double* ids, const int32_t* cancel) = 0;
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
  virtual Status open_writer(WriteMode mode, Writer** out) = 0;
  virtual Status remove(const double* ids, size_t n, size_t* removed) = 0;
  virtual Status has(const double* ids, size_t n, uint8_t* found) const = 0;
  virtual Status get(const double* ids, size_t n, void* rows, uint8_t* found) const = 0;
  virtual size_t ids(size_t start, size_t n, double* out) const = 0;
  virtual Status search(const SearchRequest& request) const = 0;
};

/// The id that a caller's number means; INVALID_ID naming `what` and its position otherwise.
Status parse_id(double value, const char* what, size_t position, int64_t* id);

}  // namespace annex
