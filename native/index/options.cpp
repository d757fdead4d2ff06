#include "index/options.h"

#include <cmath>

namespace annex {

const char* metric_name(Metric metric) {
  static const char* const names[] = {"l2", "ip", "cosine", "l1", "hamming", "jaccard"};
  return names[static_cast<size_t>(metric)];
}

const char* storage_name(Storage storage) {
  static const char* const names[] = {"f32", "f16", "bf16", "sq8", "i8", "u8", "bits", "pq", "rabitq"};
  return names[static_cast<size_t>(storage)];
}

Status read_whole(const char* name, double value, size_t least, size_t most, size_t* out) {
  if (!(value >= static_cast<double>(least) && value <= static_cast<double>(most)) || value != std::floor(value)) {
    return fail(Status::invalid_argument, "%s is %.17g: expected a whole number from %zu to %zu", name, value, least,
                most);
  }
  *out = static_cast<size_t>(value);
  return Status::ok;
}

Status read_number(const char* name, double value, double least, double most, double* out) {
  if (!(value >= least && value <= most)) {
    return fail(Status::invalid_argument, "%s is %g: expected a number from %g to %g", name, value, least, most);
  }
  *out = value;
  return Status::ok;
}

Status read_seed(double value, uint64_t* out) {
  if (!(value >= 0 && value < 0x1p53) || value != std::floor(value)) {
    return fail(Status::invalid_argument, "seed is %.17g: expected a whole number from 0 to 2^53 - 1", value);
  }
  *out = static_cast<uint64_t>(value);
  return Status::ok;
}

bool is_common(Key key) {
  return key == Key::kind || key == Key::dim || key == Key::metric || key == Key::storage || key == Key::stored;
}

Status read_common(const Option* options, size_t count, CommonOptions* out) {
  size_t dim = 0, metric = 0, storage = 0;
  bool chosen = false;
  for (size_t i = 0; i < count; ++i) {
    Status status = Status::ok;
    switch (key_of(options[i].key)) {
      case Key::dim: status = read_whole("dim", options[i].value, 1, kMaxDim, &dim); break;
      case Key::metric: status = read_whole("metric", options[i].value, 0, 5, &metric); break;
      case Key::storage:
        status = read_whole("storage", options[i].value, 0, 8, &storage);
        chosen = true;
        break;
      case Key::stored: out->stored = true; break;
      default: break;
    }
    if (status != Status::ok) return status;
  }
  if (dim == 0) return fail(Status::invalid_argument, "dim is missing: expected a whole number from 1 to %zu", kMaxDim);
  out->dim = dim;
  out->metric = static_cast<Metric>(metric);
  const bool packed = out->metric == Metric::hamming || out->metric == Metric::jaccard;
  out->storage = chosen ? static_cast<Storage>(storage) : packed ? Storage::bits : Storage::f32;
  if (packed != (out->storage == Storage::bits)) {
    return fail(Status::unsupported,
                packed ? "metric %s compares packed bits: it takes storage bits, not %s"
                       : "metric %s does not compare packed bits: storage %s takes metric hamming or jaccard",
                metric_name(out->metric), storage_name(out->storage));
  }
  if (packed && dim % 8 != 0) {
    return fail(Status::invalid_argument, "dim is %zu: packed bits take a multiple of 8", dim);
  }
  return Status::ok;
}

}  // namespace annex
