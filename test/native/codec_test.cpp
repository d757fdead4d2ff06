// Codecs as lists use them (quant/codec.h): what is placed is taken, estimates are those of the decoded rows, scans
// find what estimates say, bounds hold, and nothing depends on threads.
#include <algorithm>
#include <cmath>
#include <memory>
#include <string>

#include "quant/codec.h"
#include "testing.h"

using annex::Buffer;
using annex::Codec;
using annex::CodecOptions;
using annex::CodeHit;
using annex::Metric;
using annex::Status;
using testing::Random;

namespace {

using Row = std::vector<float>;

double dot(const float* a, const float* b, size_t n) {
  double sum = 0;
  for (size_t i = 0; i < n; i++) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}
double square_distance(const float* a, const float* b, size_t n) {
  double sum = 0;
  for (size_t i = 0; i < n; i++) sum += (static_cast<double>(a[i]) - b[i]) * (static_cast<double>(a[i]) - b[i]);
  return sum;
}
double distance(Metric metric, const float* a, const float* b, size_t n) {
  if (metric == Metric::l2) return square_distance(a, b, n);
  return metric == Metric::ip ? -dot(a, b, n) : 1 - dot(a, b, n);
}

double length(const Row& x) { return std::sqrt(dot(x.data(), x.data(), x.size())); }

void normalise(Row& x) {
  const double norm = length(x);
  for (float& v : x) v = static_cast<float>(v / norm);
}

std::string describe(const CodecOptions& o) {
  return std::string(o.kind == CodecOptions::Kind::pq ? "pq" : "rabitq") + " metric " +
         std::to_string(static_cast<int>(o.metric)) + " dim " + std::to_string(o.dim) + " m " + std::to_string(o.m) +
         " bits " + std::to_string(o.bits) + " rotation " + std::to_string(static_cast<int>(o.rotation));
}

void check(bool ok, const CodecOptions& o, const char* what) {
  ++testing::checks;
  if (!ok && ++testing::failures <= 20) std::printf("FAILED %s: %s\n", describe(o).c_str(), what);
}

std::unique_ptr<Codec> make(const CodecOptions& o, const std::vector<float>& residuals, const Row* origin,
                            size_t threads) {
  Codec* raw = nullptr;
  if (Codec::create(o, &raw) != Status::ok) return nullptr;
  std::unique_ptr<Codec> codec(raw);
  const float* point = origin != nullptr ? origin->data() : nullptr;
  if (codec->train_open(residuals.data(), residuals.size() / o.dim, point, threads) != Status::ok) return nullptr;
  for (annex::TrainProgress progress; !progress.finished;) {
    if (codec->train_step(nullptr, &progress) != Status::ok) return nullptr;
  }
  return codec;
}

void test_codec(CodecOptions o, size_t n, float offset, Random& random) {
  const bool l2 = o.metric == Metric::l2;
  Row centre(o.dim), origin(o.dim, offset);
  for (float& v : centre) v = offset + 0.5f * random.normal();
  if (o.one_centre) origin = centre;
  std::vector<Row> rows(n, Row(o.dim));
  std::vector<float> residuals;
  for (Row& x : rows) {
    for (size_t d = 0; d < o.dim; d++) x[d] = centre[d] + 0.3f * random.normal();
    if (o.metric == Metric::cosine) normalise(x);
    for (size_t d = 0; d < o.dim; d++) residuals.push_back(x[d] - centre[d]);
  }
  std::unique_ptr<Codec> codec = make(o, residuals, &origin, 1);
  std::unique_ptr<Codec> again = make(o, residuals, &origin, 2);
  check(codec != nullptr && again != nullptr, o, "trains");
  if (codec == nullptr || again == nullptr) return;
  check(codec->trained(), o, "is trained");

  // Records, one by one and together.
  const size_t bytes = codec->record_bytes();
  Buffer<uint8_t> scratch, blocks, prepared;
  if (!CHECK(scratch.resize(std::max(codec->scratch_bytes(), again->scratch_bytes())) &&
             blocks.resize_zeroed(codec->list_bytes(n)))) {
    return;
  }
  std::vector<const float*> pointers;
  for (const Row& x : rows) pointers.push_back(x.data());
  std::vector<uint8_t> records(n * bytes), same(n * bytes), taken(bytes);
  codec->encode(pointers.data(), n, centre.data(), records.data(), scratch.data());
  for (size_t r = 0; r < n; r++) {
    again->encode(&pointers[r], 1, centre.data(), same.data() + r * bytes, scratch.data());
  }
  check(records == same, o, "the same bytes whatever the threads and the number at once");
  std::vector<size_t> order(n);
  for (size_t r = 0; r < n; r++) order[r] = r;
  for (size_t r = 0; r < n; r++) std::swap(order[r], order[random.below(n)]);
  for (size_t r : order) {
    codec->place(records.data() + random.below(n) * bytes, blocks.data(), r);  // is overwritten
    codec->place(records.data() + r * bytes, blocks.data(), r);
  }
  double error = 0, size = 0;
  std::vector<Row> decoded(n, Row(o.dim));
  for (size_t r = 0; r < n; r++) {
    codec->take(blocks.data(), r, taken.data());
    check(std::equal(taken.begin(), taken.end(), records.begin() + static_cast<std::ptrdiff_t>(r * bytes)), o,
          "what is placed is taken");
    codec->decode(taken.data(), centre.data(), decoded[r].data(), scratch.data());
    error += square_distance(decoded[r].data(), rows[r].data(), o.dim);
    size += square_distance(centre.data(), rows[r].data(), o.dim);
  }
  check(error < 0.95 * size, o, "decoded rows are nearer than the centre");

  // Queries.
  const size_t nq = 1 + random.below(20), step = codec->query_bytes();
  check(step % 64 == 0, o, "prepared queries are whole cache lines");
  if (!CHECK(prepared.resize(nq * step))) return;
  std::vector<annex::CodeScan> scans(nq);
  std::vector<std::vector<CodeHit>> hits(nq, std::vector<CodeHit>(n + 1));
  std::vector<std::vector<float>> estimates(nq, std::vector<float>(n));
  std::vector<Row> queries(nq, Row(o.dim));
  size_t held = 0, pairs = 0, seen = 0, rare = 0;
  double worst = 0;
  for (size_t q = 0; q < nq; q++) {
    Row& x = queries[q];
    for (size_t d = 0; d < o.dim; d++) x[d] = rows[random.below(n)][d] + 0.1f * random.normal();
    if (o.metric == Metric::cosine) normalise(x);
    uint8_t* query = prepared.data() + q * step;
    codec->prepare(x.data(), query, scratch.data());
    const float g = static_cast<float>(distance(o.metric, x.data(), centre.data(), o.dim));
    std::vector<const uint8_t*> records_of(n);
    for (size_t r = 0; r < n; r++) records_of[r] = records.data() + r * bytes;
    codec->estimate(query, g, records_of.data(), n, estimates[q].data());
    const float threshold = q % 3 == 0 ? INFINITY : estimates[q][random.below(n)];
    scans[q] = {query, g, threshold, hits[q].data(), 1};
    hits[q][0].row = 0xeeeeeeee;
  }
  codec->scan(blocks.data(), n, scans.data(), nq);
  for (size_t q = 0; q < nq; q++) {
    const annex::CodeScan& scan = scans[q];
    check(hits[q][0].row == 0xeeeeeeee, o, "hits are appended");
    check(scan.count >= 1 && scan.count <= n + 1, o, "no more hits than rows");
    check(std::isfinite(scan.threshold) || scan.count == n + 1, o, "everything passes an infinite threshold");
    const double reach = std::sqrt(square_distance(queries[q].data(), centre.data(), o.dim));
    double tables = 0;  // what rounding of the tables may do
    for (size_t i = 1; i < scan.count; i++) {
      const CodeHit& hit = hits[q][i];
      check(hit.row < n && (i == 1 || hit.row > hits[q][i - 1].row), o, "hits ascend");
      if (hit.row >= n) continue;
      check(!(hit.bound > scan.threshold) && hit.bound <= hit.estimate, o, "hits pass");
      const double exact = distance(o.metric, queries[q].data(), rows[hit.row].data(), o.dim);
      // An estimate below the bound of the signs is raised to it.
      const bool refined = o.kind == CodecOptions::Kind::pq && o.bits == 4 && o.one_centre;
      const bool raised = codec->has_bounds() && o.bits > 1 && hit.estimate == hit.bound;
      const double apart = std::fabs(static_cast<double>(hit.estimate) - estimates[q][hit.row]);
      if (!raised) tables = std::max(tables, apart);
      if (refined && apart > 1e-4 * (1 + reach)) rare++;
      seen++;
      rare += raised;
      if (o.kind == CodecOptions::Kind::pq) {
        // The distance of the decoded row, and under l2 with a factor a share of the square of its error.
        double coded = distance(o.metric, queries[q].data(), decoded[hit.row].data(), o.dim);
        if (l2 && !o.one_centre) {
          coded += 0.15 * square_distance(rows[hit.row].data(), decoded[hit.row].data(), o.dim);
        }
        if (o.lengths) coded *= length(rows[hit.row]) / length(decoded[hit.row]);
        worst = std::max(worst, std::fabs(estimates[q][hit.row] - coded) / (1 + reach));
      }
      if (!std::isfinite(scan.threshold)) {
        pairs++;
        held += hit.bound <= exact;
      }
    }
    // Byte tables have 127 steps, and errors of many average out.
    check(tables <= (o.kind == CodecOptions::Kind::pq && o.bits == 8 ? 1e-4 * (1 + reach) : 0.3 * (0.1 + reach)), o,
          "scans and single rows agree");
  }
  const double scale = 1 + std::fabs(offset) * static_cast<double>(o.dim);
  check(worst <= 2e-5 * scale * (l2 ? 1 : 1), o, "estimates are distances of decoded rows");
  check(rare * 50 <= seen + 50, o, "few estimates are raised");
  if (codec->has_bounds())
    check(pairs == 0 || static_cast<double>(held) >= 0.95 * static_cast<double>(pairs), o, "bounds hold");
}

void test_codecs() {
  Random random(1);
  for (Metric metric : {Metric::l2, Metric::ip, Metric::cosine}) {
    const float offset = metric == Metric::l2 ? 10.0f : 0.0f;
    for (size_t bits : {4, 8}) {
      for (auto rotation :
           {CodecOptions::Rotation::none, CodecOptions::Rotation::random, CodecOptions::Rotation::opq}) {
        for (size_t m : {1, 3, 6, 12}) {
          CodecOptions o;
          o.metric = metric;
          o.dim = 24;
          o.m = m;
          o.bits = bits;
          o.rotation = rotation;
          o.iterations = 3;
          if (rotation == CodecOptions::Rotation::random && m > 1) o.rotated_dim = 12;
          if (rotation == CodecOptions::Rotation::none && m == 6) o.anisotropic = 2;
          o.lengths = metric == Metric::ip && m != 6;
          test_codec(o, 300 + random.below(70), offset, random);
        }
      }
    }
    for (size_t bits = 1; bits <= 8; bits++) {
      CodecOptions o;
      o.kind = CodecOptions::Kind::rabitq;
      o.metric = metric;
      o.dim = 64 + random.below(70);
      o.bits = bits;
      o.seed = bits;
      test_codec(o, 100 + random.below(70), offset, random);
    }
  }
}

// Rows that share a centre, the origin.
void test_one_centre() {
  Random random(2);
  for (Metric metric : {Metric::l2, Metric::ip, Metric::cosine}) {
    for (size_t bits : {4, 8}) {
      for (auto rotation : {CodecOptions::Rotation::none, CodecOptions::Rotation::random}) {
        CodecOptions o;
        o.metric = metric;
        o.dim = 24;
        o.m = 6;
        o.bits = bits;
        o.rotation = rotation;
        o.rotated_dim = rotation == CodecOptions::Rotation::none ? 0 : 12;
        o.iterations = 3;
        o.one_centre = true;
        test_codec(o, 300 + random.below(70), metric == Metric::l2 ? 10.0f : 0.0f, random);
      }
    }
  }
}

void test_refusals() {
  Codec* codec = nullptr;
  CodecOptions o;
  o.dim = 24;
  o.m = 7;
  CHECK(Codec::create(o, &codec) == Status::invalid_argument && codec == nullptr);
  o.m = 6;
  o.bits = 5;
  CHECK(Codec::create(o, &codec) == Status::invalid_argument);
  o.bits = 8;
  o.metric = Metric::l1;
  CHECK(Codec::create(o, &codec) == Status::unsupported);
  o.metric = Metric::l2;
  o.rotated_dim = 12;
  CHECK(Codec::create(o, &codec) == Status::invalid_argument);  // without a rotation
  o.kind = CodecOptions::Kind::rabitq;
  o.rotated_dim = 0;
  for (size_t bits : {0, 9}) {
    o.bits = bits;
    CHECK(Codec::create(o, &codec) == Status::invalid_argument);
  }
  // An aborted training leaves the codec as it was.
  o = CodecOptions{};
  o.dim = 8;
  o.m = 2;
  CHECK(Codec::create(o, &codec) == Status::ok);
  std::vector<float> rows(8 * 300, 1.0f);
  CHECK(codec->train_open(rows.data(), 300, nullptr, 1) == Status::ok);
  const int32_t cancel = 1;
  annex::TrainProgress progress;
  CHECK(codec->train_step(&cancel, &progress) == Status::aborted);
  codec->train_abort();
  CHECK(!codec->trained());
  delete codec;
}

}  // namespace

int main() {
  test_codecs();
  test_one_centre();
  test_refusals();
  return testing::finish("codec_test");
}
