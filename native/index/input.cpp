#include "index/input.h"

#include "kernels/dispatch.h"

namespace annex {
namespace {

const char* input_name(Input type) {
  switch (type) {
    case Input::f32: return "f32 rows (Float32Array)";
    case Input::i8: return "i8 rows (Int8Array)";
    case Input::u8: return "u8 rows (Uint8Array)";
    default: return "packed bits (Uint8Array)";
  }
}

}  // namespace

Input input_of(const RowShape& shape) {
  switch (shape.scalar) {
    case Scalar::i8: return Input::i8;
    case Scalar::u8: return Input::u8;
    case Scalar::bits: return Input::bits;
    default: return Input::f32;
  }
}

Status check_input(const RowShape& shape, Input type, const char* what, const void* rows, size_t n, size_t named_from) {
  if (type != input_of(shape)) {
    return fail(Status::invalid_type, "this index takes %s, got %s", input_name(input_of(shape)), input_name(type));
  }
  if (type != Input::f32) return Status::ok;
  const float* values = static_cast<const float*>(rows);
  const size_t bad = kernels().first_nonfinite(values, n * shape.dim);
  if (bad == n * shape.dim) return Status::ok;
  const float value = values[bad];
  return fail(Status::not_finite, "%s %zu holds %s at column %zu: every number must be finite", what,
              named_from + bad / shape.dim,
              value != value ? "NaN"
              : value > 0    ? "Infinity"
                             : "-Infinity",
              bad % shape.dim);
}

}  // namespace annex
