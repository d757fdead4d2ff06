// The arguments of one call from JavaScript. Nothing that JavaScript passes is believed: kinds, lengths and handles are
// checked here for memory safety (ts/validate.ts checks them before, for better messages). Readers return false after
// throwing.
#pragma once
#include <node_api.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "node/environment.h"

namespace annex::node {

struct IndexHandle;
struct WriterHandle;

/// The most of anything: an integer of JavaScript, of which 16 bytes each can be addressed.
inline constexpr double kMostCount =
    SIZE_MAX / 16 < (uint64_t{1} << 53) ? static_cast<double>(SIZE_MAX / 16) : 9007199254740991.0;

/// Whether a number is whole and of 0 … most, which is kMostCount at the most.
inline bool whole(double value, double most, size_t* out) {
  if (!(value >= 0 && value <= most)) return false;
  *out = static_cast<size_t>(value);
  return static_cast<double>(*out) == value;
}

template <class T>
struct Array {
  T* data = nullptr;
  size_t length = 0;
};

/// Rows or queries, coded as AnnexInput says.
struct RowsArray {
  const void* data = nullptr;
  size_t length = 0;  // elements: floats or bytes
  size_t bytes = 0;
};

class Call {
 public:
  /// Of a function of the addon, whose data is its environment.
  Call(napi_env env, napi_callback_info info);
  /// Of a function that has an environment beside its other data.
  template <class Data>
  Call(napi_env env, napi_callback_info info, Data** data) : env_(env) {
    *data = static_cast<Data*>(read_arguments(info));
    environment_ = (*data)->environment;
  }

  napi_env env() const { return env_; }
  Environment& environment() const { return *environment_; }
  napi_value operator[](size_t i) const { return values_[i]; }

  Failed fail(AnnexStatus status) const { return environment_->fail(status); }
  Failed fail(AnnexStatus status, const char* format, ...) const
#if defined(__GNUC__)
      __attribute__((format(printf, 3, 4)))
#endif
      ;

  bool number(size_t i, const char* name, double* out) const;
  /// An integer of 0 … kMostCount.
  bool count(size_t i, const char* name, size_t* out) const;
  bool array(size_t i, const char* name, Array<double>* out) const;
  bool array(size_t i, const char* name, Array<float>* out) const;
  bool array(size_t i, const char* name, Array<uint8_t>* out) const;
  bool array(size_t i, const char* name, Array<uint32_t>* out) const;
  /// A code of an enumeration whose last value is `last`.
  template <class Enum>
  bool code(size_t i, const char* name, Enum last, Enum* out) const {
    size_t value;
    if (!count(i, name, &value)) return false;
    if (value > static_cast<size_t>(last)) {
      return fail(ANNEX_INVALID_ARGUMENT, "addon: %s must be a code from 0 to %d, got %zu", name,
                  static_cast<int>(last), value);
    }
    *out = static_cast<Enum>(value);
    return true;
  }
  /// An array of ids or words, as `kind` says, that holds `count` of them: at ANNEX_ALLOW_BITS, so many bits.
  bool filter(size_t i, AnnexFilterKind kind, size_t count, const void** data, size_t* bytes) const;
  /// n rows of `dim` dimensions: the array must hold exactly that.
  bool rows(size_t i, const char* name, AnnexInput type, size_t n, size_t dim, RowsArray* out) const;
  /// True when argument i is null or undefined. Throws nothing.
  bool absent(size_t i) const;
  /// An open index; CLOSED after close().
  bool index(size_t i, IndexHandle** out) const;
  /// The handle, open or not.
  bool index_handle(size_t i, IndexHandle** out) const;
  bool writer(size_t i, WriterHandle** out) const;
  /// The object that wraps a Handle; `kind` is what messages call it.
  template <class Handle>
  bool wrapped(size_t i, const char* kind, Handle** out) const {
    return handle(i, kind, Handle::tag, reinterpret_cast<void**>(out));
  }
  bool string(size_t i, const char* name, std::string* out) const;

 private:
  /// Returns the data of the function.
  void* read_arguments(napi_callback_info info);
  bool typed_array(size_t i, const char* name, napi_typedarray_type type, void** data, size_t* length) const;
  bool handle(size_t i, const char* kind, const napi_type_tag& tag, void** out) const;

  static constexpr size_t kMaxArguments = 13;
  const napi_env env_;
  Environment* environment_ = nullptr;
  napi_value values_[kMaxArguments];
};

/// length == a × b, computed without overflow.
inline bool is_product(size_t length, size_t a, size_t b) {
  if (a == 0 || b == 0) return length == 0;
  return length % a == 0 && length / a == b;
}

/// Elements of one row as `type` codes it.
inline size_t row_length(AnnexInput type, size_t dim) { return type == ANNEX_BITS ? dim / 8 : dim; }

napi_value make_number(napi_env env, double value);
/// [done, total, phase, finished].
napi_value make_progress(napi_env env, const AnnexProgress& progress);

}  // namespace annex::node
