#include "quant/codec.h"

#include <cmath>

#include "quant/codec_pq.h"
#include "quant/codec_rabitq.h"

namespace annex {

Status Codec::check(const CodecOptions& o) {
  if (o.dim == 0) return fail(Status::invalid_argument, "a codec needs dimensions");
  if (o.metric != Metric::l2 && o.metric != Metric::ip && o.metric != Metric::cosine) {
    return fail(Status::unsupported,
                "pq and rabitq serve the metrics l2, ip and cosine; for others store the rows as they are");
  }
  return o.kind == CodecOptions::Kind::pq ? PqCodec::check(o) : RabitqCodec::check(o);
}

Status Codec::create(const CodecOptions& options, Codec** out) {
  *out = nullptr;
  Status status = check(options);
  if (status != Status::ok) return status;
  if (options.kind == CodecOptions::Kind::pq) return PqCodec::create(options, out);
  return RabitqCodec::create(options, out);
}

}  // namespace annex
