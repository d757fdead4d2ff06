#include "index/ivf_options.h"

namespace annex {
namespace {

constexpr size_t kMaxLists = size_t{1} << 24;
// Below this many dimensions the narrow copy with its four terms a row is not smaller enough to pay.
constexpr size_t kNarrowDim = 32;

bool has_bound(Metric metric) { return metric == Metric::l2 || metric == Metric::ip || metric == Metric::cosine; }

Status check(const IvfOptions& o) {
  const Storage storage = o.common.storage;
  const Metric metric = o.common.metric;
  if (metric == Metric::hamming || metric == Metric::jaccard) {
    return fail(Status::unsupported,
                "an ivf index compares by l2, ip, cosine or l1, not %s: packed bits go into a flat index",
                metric_name(metric));
  }
  if (o.nlist == 0) {
    return fail(Status::invalid_argument,
                "nlist is missing: expected how many lists there are, about 4 · √n for n rows");
  }
  if (!o.residual && storage != Storage::pq) {
    return fail(Status::unsupported, "residual: false serves storage pq, not %s: leave it out", storage_name(storage));
  }
  if (!o.reranks) return Status::ok;
  if (o.rerank > Scalar::sq8) {
    return fail(Status::unsupported, "rerank is %s: expected f32, f16, bf16, sq8 or none",
                storage_name(static_cast<Storage>(o.rerank)));
  }
  if (is_codec(storage)) return Status::ok;
  if (storage != Storage::sq8) {
    return fail(Status::unsupported, "storage %s is compared as it is: rerank serves sq8, pq and rabitq; leave it out",
                storage_name(storage));
  }
  if (o.rerank == Scalar::sq8) {
    return fail(Status::invalid_argument, "rerank is sq8 like the storage: expected a wider one, f32, f16 or bf16");
  }
  if (!has_bound(metric)) {
    return fail(Status::unsupported,
                "storage sq8 with rerank serves l2, ip and cosine, not %s: take the storage %s alone",
                metric_name(metric), storage_name(static_cast<Storage>(o.rerank)));
  }
  return Status::ok;
}

}  // namespace

IvfOptions::Entry IvfOptions::entry() const {
  if (is_codec(common.storage)) return Entry::codes;
  const bool pays = common.storage == Storage::f32 && common.dim >= kNarrowDim && has_bound(common.metric);
  return pays || reranks ? Entry::narrow : Entry::rows;
}

RowShape IvfOptions::shape() const {
  const Scalar scalar = reranks ? rerank : is_codec(common.storage) ? Scalar::f32 : static_cast<Scalar>(common.storage);
  return {common.metric, scalar, common.dim, false};
}

RowShape IvfOptions::centroid_shape() const {
  const Metric metric = common.metric == Metric::l1 ? Metric::l2 : common.metric;
  return {flat ? Metric::l2 : metric, Scalar::f32, common.dim, !flat && common.dim >= kNarrowDim};
}

Status read_ivf_options(const Option* options, size_t count, bool flat, IvfOptions* out) {
  *out = {};
  IvfOptions& o = *out;
  Status status = read_common(options, count, &o.common);
  if (status != Status::ok) return status;
  o.flat = flat;
  if (flat) o.nlist = 1;
  o.lengths = !o.common.stored;
  bool wants_lengths = false;
  for (size_t i = 0; i < count; ++i) {
    const Key key = key_of(options[i].key);
    const double value = options[i].value;
    if (is_common(key) || is_codec_key(key)) continue;
    size_t whole = 0;
    if (flat && key == Key::sidecar) {
      status = read_whole("sidecar", value, 0, 2, &whole);
      if (status == Status::ok && static_cast<SidecarOption>(whole) == SidecarOption::i8) {
        status = fail(Status::unsupported, "sidecar i8 serves rows, not codes of storage %s: leave the option out",
                      storage_name(o.common.storage));
      }
      if (status != Status::ok) return status;
      continue;
    }
    if (flat && key != Key::rerank && key != Key::seed) {
      return fail(Status::invalid_argument, "a flat index takes no option with key %g", options[i].key);
    }
    switch (key) {
      case Key::nlist: status = read_whole("nlist", value, 1, kMaxLists, &o.nlist); break;
      case Key::rerank:
        if (value == -1) break;
        status = read_whole("rerank", value, 0, 8, &whole);
        o.reranks = true;
        o.rerank = static_cast<Scalar>(whole);
        break;
      case Key::coarse:
        status = read_whole("coarse", value, 0, 1, &whole);
        o.coarse_graph = whole == 1;
        break;
      case Key::spill: status = read_whole("spill", value, 0, 1, &o.spill); break;
      case Key::balanced:
        status = read_whole("balanced", value, 0, 1, &whole);
        o.balanced = whole == 1;
        break;
      case Key::residual:
        status = read_whole("residual", value, 0, 1, &whole);
        o.residual = whole == 1;
        break;
      case Key::lengths:
        status = read_whole("lengths", value, 0, 1, &whole);
        o.lengths = wants_lengths = whole == 1;
        break;
      case Key::iterations: status = read_whole("iterations", value, 1, 1000, &o.iterations); break;
      case Key::max_points:
        status = read_whole("maxPointsPerCentroid", value, 1, size_t{1} << 24, &o.max_points);
        break;
      case Key::seed: status = read_seed(value, &o.seed); break;
      default: return fail(Status::invalid_argument, "an ivf index takes no option with key %g", options[i].key);
    }
    if (status != Status::ok) return status;
  }
  status = check(o);
  if (status == Status::ok) status = read_codec(options, count, o.common, &o.codec);
  o.codec.seed = o.seed;
  o.codec.one_centre = flat;
  // Anisotropic codes have the right length along the row by themselves.
  o.codec.lengths = o.lengths && !flat && o.common.storage == Storage::pq && o.common.metric == Metric::ip &&
                    o.codec.anisotropic == 0;
  if (status == Status::ok && wants_lengths && !o.codec.lengths) {
    return fail(Status::unsupported,
                "lengths: true serves storage pq under ip, not anisotropic, not storage %s under %s: leave it out",
                storage_name(o.common.storage), metric_name(o.common.metric));
  }
  // Between rows of length 1 the squared Euclidean distance says what the product does, and better so from codes: it
  // makes up for decoded rows being too short.
  if (o.common.storage == Storage::pq && o.common.metric == Metric::cosine && o.codec.anisotropic == 0) {
    o.codec.metric = Metric::l2;
  }
  return status;
}

size_t list_ivf_options(const IvfOptions& o, Option* out, size_t room) {
  OptionList list(out, room);
  list.add(Key::kind, o.flat ? 0 : 2);
  list.add(Key::dim, o.common.dim);
  list.add(Key::metric, o.common.metric);
  list.add(Key::storage, o.common.storage);
  list.add(Key::rerank, o.reranks ? static_cast<int>(o.rerank) : -1);
  if (o.flat) {
    list.add(Key::sidecar, SidecarOption::none);
    list.add(Key::seed, o.seed);
    list_codec(o.codec, &list);
    return list.count();
  }
  list.add(Key::nlist, o.nlist);
  list.add(Key::coarse, o.coarse_graph ? 1 : 0);
  list.add(Key::spill, o.spill);
  list.add(Key::balanced, o.balanced ? 1 : 0);
  list.add(Key::iterations, o.iterations);
  list.add(Key::max_points, o.max_points);
  list.add(Key::seed, o.seed);
  if (!o.residual) list.add(Key::residual, 0);
  if (o.codec.lengths) list.add(Key::lengths, 1);
  if (is_codec(o.common.storage)) list_codec(o.codec, &list);
  return list.count();
}

}  // namespace annex
