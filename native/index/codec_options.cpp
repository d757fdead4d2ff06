#include "index/codec_options.h"

namespace annex {
namespace {

const char* key_name(Key key) {
  switch (key) {
    case Key::code_m: return "m";
    case Key::code_bits: return "bits";
    case Key::rotation: return "rotation";
    case Key::rotated_dim: return "dim";
    default: return "anisotropic";
  }
}

// The divisors of `whole` next to m, below and above.
Status not_divisor(size_t m, size_t whole, const char* of) {
  size_t below = m, above = m;
  while (below > 1 && whole % below != 0) --below;
  while (above < whole && whole % above != 0) ++above;
  if (m > whole) {
    return fail(Status::invalid_argument, "storage pq: m is %zu, more than %s, %zu: expected a divisor of it", m, of,
                whole);
  }
  return fail(Status::invalid_argument,
              "storage pq: m is %zu, which does not divide %s, %zu: the nearest that do are %zu and %zu", m, of, whole,
              below, above);
}

size_t divisor_near(size_t whole, size_t wish) {
  size_t m = wish < 1 ? 1 : wish;
  while (whole % m != 0) --m;
  return m;
}

}  // namespace

bool is_codec_key(Key key) {
  return key == Key::code_m || key == Key::code_bits || key == Key::rotation || key == Key::rotated_dim ||
         key == Key::anisotropic;
}

Status read_codec(const Option* options, size_t count, const CommonOptions& common, CodecOptions* out) {
  const bool pq = common.storage == Storage::pq;
  *out = {};
  out->kind = pq ? CodecOptions::Kind::pq : CodecOptions::Kind::rabitq;
  out->metric = common.metric;
  out->dim = common.dim;
  out->bits = pq ? 8 : 1;
  for (size_t i = 0; i < count; ++i) {
    const Key key = key_of(options[i].key);
    const double value = options[i].value;
    if (!is_codec_key(key)) continue;
    if (!is_codec(common.storage) || (!pq && key != Key::code_bits)) {
      return fail(Status::invalid_argument, "storage %s takes no %s: leave it out", storage_name(common.storage),
                  key_name(key));
    }
    Status status = Status::ok;
    size_t whole = 0;
    double number = 0;
    switch (key) {
      case Key::code_m: status = read_whole("storage pq: m", value, 1, kMaxDim, &out->m); break;
      case Key::code_bits:
        status = pq ? read_whole("storage pq: bits", value, 4, 8, &out->bits)
                    : read_whole("storage rabitq: bits", value, 1, 8, &out->bits);
        if (status == Status::ok && pq && out->bits != 4 && out->bits != 8) {
          status = fail(Status::invalid_argument, "storage pq: bits is %g: expected 4 or 8", value);
        }
        break;
      case Key::rotation:
        status = read_whole("storage pq: rotation", value, 0, 2, &whole);
        out->rotation = whole == 0   ? CodecOptions::Rotation::none
                        : whole == 1 ? CodecOptions::Rotation::opq
                                     : CodecOptions::Rotation::random;
        break;
      case Key::rotated_dim: status = read_whole("storage pq: dim", value, 0, common.dim, &out->rotated_dim); break;
      default:
        status = read_number("storage pq: anisotropic", value, 1, 1000, &number);
        out->anisotropic = number > 1 ? static_cast<float>(number) : 0.0f;
        break;
    }
    if (status != Status::ok) return status;
  }
  if (!is_codec(common.storage)) return Status::ok;
  if (common.metric != Metric::l2 && common.metric != Metric::ip && common.metric != Metric::cosine) {
    return fail(Status::unsupported,
                "storage %s estimates l2, ip and cosine, not %s: take storage f32, f16, bf16 or sq8",
                storage_name(common.storage), metric_name(common.metric));
  }
  if (!pq) return Status::ok;
  const bool turned = out->rotation != CodecOptions::Rotation::none;
  if (out->rotated_dim != 0 && out->rotated_dim != common.dim && !turned) {
    return fail(Status::invalid_argument,
                "storage pq: dim is %zu without a rotation, which alone could drop dimensions: choose rotation opq or "
                "random, or leave dim out",
                out->rotated_dim);
  }
  if (!turned) out->rotated_dim = 0;  // an index without a rotation reports dim
  const size_t whole = turned && out->rotated_dim != 0 ? out->rotated_dim : common.dim;
  if (out->m == 0) out->m = divisor_near(whole, out->bits == 4 ? whole / 2 : whole / 8);
  if (whole % out->m != 0) return not_divisor(out->m, whole, turned && out->rotated_dim != 0 ? "storage.dim" : "dim");
  if (out->anisotropic != 0 && common.metric == Metric::l2) {
    return fail(Status::unsupported, "storage pq: anisotropic serves metrics ip and cosine, not l2: leave it out");
  }
  return Status::ok;
}

void list_codec(const CodecOptions& codec, OptionList* out) {
  if (codec.kind == CodecOptions::Kind::rabitq) {
    out->add(Key::code_bits, codec.bits);
    return;
  }
  out->add(Key::code_m, codec.m);
  out->add(Key::code_bits, codec.bits);
  out->add(Key::rotation, codec.rotation == CodecOptions::Rotation::none  ? 0
                          : codec.rotation == CodecOptions::Rotation::opq ? 1
                                                                          : 2);
  out->add(Key::rotated_dim, codec.rotated_dim == 0 ? codec.dim : codec.rotated_dim);
  out->add(Key::anisotropic, codec.anisotropic == 0 ? 1.0f : codec.anisotropic);
}

}  // namespace annex
