#include "node/call.h"

#include <cstdarg>
#include <cstdio>
#include <iterator>

#include "node/handles.h"

namespace annex::node {
namespace {

const char* array_name(napi_typedarray_type type) {
  switch (type) {
    case napi_float64_array: return "Float64Array";
    case napi_float32_array: return "Float32Array";
    case napi_uint32_array: return "Uint32Array";
    case napi_int8_array: return "Int8Array";
    default: return "Uint8Array";
  }
}

}  // namespace

Call::Call(napi_env env, napi_callback_info info) : env_(env) {
  environment_ = static_cast<Environment*>(read_arguments(info));
}

void* Call::read_arguments(napi_callback_info info) {
  size_t count = kMaxArguments;
  void* data = nullptr;
  napi_get_cb_info(env_, info, &count, values_, nullptr, &data);  // missing arguments become undefined
  return data;
}

Failed Call::fail(AnnexStatus status, const char* format, ...) const {
  char message[256];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  return environment_->fail(status, message);
}

bool Call::number(size_t i, const char* name, double* out) const {
  if (napi_get_value_double(env_, values_[i], out) == napi_ok) return true;
  return fail(ANNEX_INVALID_TYPE, "addon: %s must be a number", name);
}

bool Call::count(size_t i, const char* name, size_t* out) const {
  double value;
  if (!number(i, name, &value)) return false;
  if (whole(value, kMostCount, out)) return true;
  return fail(ANNEX_INVALID_ARGUMENT, "addon: %s must be a non-negative integer, got %g", name, value);
}

bool Call::typed_array(size_t i, const char* name, napi_typedarray_type type, void** data, size_t* length) const {
  napi_typedarray_type actual;
  if (napi_get_typedarray_info(env_, values_[i], &actual, length, data, nullptr, nullptr) == napi_ok &&
      actual == type) {
    if (*data == nullptr) *length = 0;
    return true;
  }
  return fail(ANNEX_INVALID_TYPE, "addon: %s must be a %s", name, array_name(type));
}

bool Call::array(size_t i, const char* name, Array<double>* out) const {
  return typed_array(i, name, napi_float64_array, reinterpret_cast<void**>(&out->data), &out->length);
}
bool Call::array(size_t i, const char* name, Array<float>* out) const {
  return typed_array(i, name, napi_float32_array, reinterpret_cast<void**>(&out->data), &out->length);
}
bool Call::array(size_t i, const char* name, Array<uint8_t>* out) const {
  return typed_array(i, name, napi_uint8_array, reinterpret_cast<void**>(&out->data), &out->length);
}
bool Call::array(size_t i, const char* name, Array<uint32_t>* out) const {
  return typed_array(i, name, napi_uint32_array, reinterpret_cast<void**>(&out->data), &out->length);
}

bool Call::filter(size_t i, AnnexFilterKind kind, size_t count, const void** data, size_t* bytes) const {
  *data = nullptr;
  *bytes = 0;
  if (kind == ANNEX_ALLOW_ALL) return true;
  size_t room;
  if (kind == ANNEX_ALLOW_IDS) {
    Array<double> ids;
    if (!array(i, "filter", &ids)) return false;
    *data = ids.data;
    *bytes = count * sizeof(double);
    room = ids.length;
  } else {
    Array<uint32_t> words;
    if (!array(i, "filter", &words)) return false;
    *data = words.data;
    *bytes = (count + 31) / 32 * sizeof(uint32_t);
    room = words.length * 32;
  }
  return count <= room ||
         fail(ANNEX_INVALID_ARGUMENT, "addon: filterCount is %zu, the filter has room for %zu", count, room);
}

bool Call::rows(size_t i, const char* name, AnnexInput type, size_t n, size_t dim, RowsArray* out) const {
  const napi_typedarray_type expected = type == ANNEX_F32  ? napi_float32_array
                                        : type == ANNEX_I8 ? napi_int8_array
                                                           : napi_uint8_array;
  void* data = nullptr;
  if (!typed_array(i, name, expected, &data, &out->length)) return false;
  if (!is_product(out->length, n, row_length(type, dim))) {
    return fail(ANNEX_DIMENSION_MISMATCH, "addon: %s must hold %zu rows of %zu elements, it holds %zu elements", name,
                n, row_length(type, dim), out->length);
  }
  out->data = data;
  out->bytes = out->length * (type == ANNEX_F32 ? sizeof(float) : 1);
  return true;
}

bool Call::absent(size_t i) const {
  napi_valuetype type;
  return napi_typeof(env_, values_[i], &type) == napi_ok && (type == napi_null || type == napi_undefined);
}

bool Call::handle(size_t i, const char* kind, const napi_type_tag& tag, void** out) const {
  napi_valuetype type;
  bool tagged = false;
  // Of what is no object the runtime would throw an error of its own.
  if (napi_typeof(env_, values_[i], &type) == napi_ok && type == napi_object &&
      napi_check_object_type_tag(env_, values_[i], &tag, &tagged) == napi_ok && tagged &&
      napi_unwrap(env_, values_[i], out) == napi_ok) {
    return true;
  }
  return fail(ANNEX_INVALID_TYPE, "addon: argument %zu must be %s handle that this addon made", i + 1, kind);
}

bool Call::index_handle(size_t i, IndexHandle** out) const {
  return handle(i, "an index", IndexHandle::tag, reinterpret_cast<void**>(out));
}

bool Call::index(size_t i, IndexHandle** out) const {
  if (!index_handle(i, out)) return false;
  return (*out)->index != nullptr || fail(ANNEX_CLOSED, "the index is closed");
}

bool Call::writer(size_t i, WriterHandle** out) const {
  return handle(i, "a writer", WriterHandle::tag, reinterpret_cast<void**>(out));
}

bool Call::string(size_t i, const char* name, std::string* out) const {
  size_t length = 0;
  if (napi_get_value_string_utf8(env_, values_[i], nullptr, 0, &length) != napi_ok) {
    return fail(ANNEX_INVALID_TYPE, "addon: %s must be a string", name);
  }
  out->resize(length);
  napi_get_value_string_utf8(env_, values_[i], out->data(), length + 1, &length);
  return true;
}

napi_value make_number(napi_env env, double value) {
  napi_value number = nullptr;
  napi_create_double(env, value, &number);
  return number;
}

napi_value make_progress(napi_env env, const AnnexProgress& progress) {
  const double fields[] = {progress.done, progress.total, static_cast<double>(progress.phase),
                           static_cast<double>(progress.finished)};
  napi_value out = nullptr;
  napi_create_array_with_length(env, std::size(fields), &out);
  for (uint32_t i = 0; i < std::size(fields); ++i) napi_set_element(env, out, i, make_number(env, fields[i]));
  return out;
}

}  // namespace annex::node
