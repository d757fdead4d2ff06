// The fast rotation, and what RaBitQ promises: estimates without bias, bounds that hold as often as stated, errors that
// shrink with every bit. On a million pairs of rows and queries; --quick takes a tenth.
#include <algorithm>
#include <cmath>
#include <string>

#include "kernels/dispatch.h"
#include "quant/rabitq.h"
#include "testing.h"

using annex::FastRotation;
using annex::kCodeRows;
using annex::Metric;
using annex::Rabitq;
using annex::Status;
using testing::Random;

namespace {

bool quick = false;

using Row = std::vector<float>;

double dot(const Row& a, const Row& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); i++) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}
double square_distance(const Row& a, const Row& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); i++) sum += (static_cast<double>(a[i]) - b[i]) * (static_cast<double>(a[i]) - b[i]);
  return sum;
}

// ---- rotation ----

void test_rotation() {
  Random random(1);
  for (size_t dim :
       {1, 2, 15, 16, 17, 31, 32, 48, 63, 64, 65, 96, 100, 127, 128, 200, 255, 256, 384, 768, 960, 1000, 3072}) {
    FastRotation rotation, same, other;
    CHECK(rotation.create(dim, 7) == Status::ok && same.create(dim, 7) == Status::ok &&
          other.create(dim, 8) == Status::ok);
    const size_t n = rotation.padded_dim();
    CHECK(n >= dim && n < dim + 16 && n % 16 == 0);
    double fourth = 0, cross = 0;
    size_t count = 0;
    for (size_t sample = 0; sample < 40; sample++) {
      // Rows of one element, of two, dense, and constant: those that a weak rotation would leave recognisable.
      Row x(dim, 0.0f), z(dim, 0.0f), y(n), w(n), again(n), back(dim);
      const size_t kind = sample % 4;
      for (size_t d = 0; d < dim; d++) z[d] = random.normal();
      if (kind == 0) x[random.below(dim)] = 1;
      if (kind == 1) x[random.below(dim)] = 1, x[random.below(dim)] = -2;
      if (kind == 2) std::fill(x.begin(), x.end(), 1.0f);
      for (size_t d = 0; kind == 3 && d < dim; d++) x[d] = random.normal();
      rotation.apply(x.data(), y.data());
      rotation.apply(z.data(), w.data());
      same.apply(x.data(), again.data());
      CHECK(y == again);
      other.apply(x.data(), again.data());
      CHECK(y != again);
      CHECK(std::fabs(dot(y, y) - dot(x, x)) <= 1e-5 * dot(x, x));
      CHECK(std::fabs(dot(y, w) - dot(x, z)) <= 1e-5 * std::sqrt(dot(x, x) * dot(z, z)));
      for (float v : y) fourth += std::pow(v, 4) * static_cast<double>(n) / (dot(x, x) * dot(x, x));
      cross += dot(y, Row(again)) / dot(x, x);
      count++;
      Row place = x;
      place.resize(n);
      rotation.apply(place.data(), place.data());
      CHECK(place == y);
      rotation.undo(y.data(), back.data());
      bool close = true;
      for (size_t d = 0; d < dim; d++) close = close && std::fabs(back[d] - x[d]) <= 1e-5 * std::sqrt(dot(x, x));
      CHECK(close);
    }
    // Elements as of a random direction: n E[y⁴] ≈ 3 / (1 + 2 / n); two rotations have nothing to do with each other.
    if (dim >= 48) {
      CHECK(fourth / static_cast<double>(count) > 2.3 && fourth / static_cast<double>(count) < 3.5);
      CHECK(std::fabs(cross / static_cast<double>(count)) < 0.1);
    }
  }
}

// ---- estimates and bounds ----

enum class Look { normal, clustered, offset, sparse, constant };
constexpr Look kLooks[] = {Look::normal, Look::clustered, Look::offset, Look::sparse, Look::constant};

Row make_row(Look look, size_t dim, const Row& near, Random& random) {
  Row x(dim);
  for (size_t d = 0; d < dim; d++) {
    switch (look) {
      case Look::normal: x[d] = random.normal(); break;
      case Look::clustered: x[d] = near[d] + 0.3f * random.normal(); break;
      case Look::offset: x[d] = 100 + random.normal(); break;
      case Look::sparse: x[d] = random.below(dim) < 3 ? random.normal() : 0; break;
      case Look::constant: x[d] = 1 + 0.001f * random.normal(); break;
    }
  }
  return x;
}

struct Tally {
  size_t pairs = 0, held = 0;
  double bias = 0, square = 0;  // of errors, as parts of |q - c||x - c|
  void add(double error, double bound_error, double size) {
    pairs++;
    if (size == 0) size = 1;  // and the estimate is exact
    held += bound_error <= 0;
    bias += error / size;
    square += error / size * (error / size);
  }
  double share() const { return static_cast<double>(held) / static_cast<double>(pairs); }
  double mean() const { return bias / static_cast<double>(pairs); }
  double deviation() const { return std::sqrt(square / static_cast<double>(pairs)); }
};

// Blocks of rows around a centre, and queries: estimates and bounds of the signs, then of all bits.
void tally_pairs(Metric metric, size_t bits, size_t dim, Look look, size_t pairs, Random& random, Tally* signs,
                 Tally* all) {
  size_t done = 0;
  while (done < pairs) {
    Rabitq codec;
    if (!CHECK(codec.create(metric, dim, bits, random.next()) == Status::ok)) return;
    Row near(dim), origin(dim, look == Look::offset ? 100.0f : look == Look::constant ? 1.0f : 0.0f);
    for (float& v : near) v = random.normal();
    annex::Buffer<float> held;
    if (!CHECK(held.resize(dim))) return;
    std::copy(origin.begin(), origin.end(), held.data());
    if (metric == Metric::l2) codec.set_origin(std::move(held));
    const size_t n = codec.padded_dim();
    Row rotated(n), scratch(n), rotated_centre(n);
    const Row centre = make_row(look, dim, near, random);
    codec.rotate(centre.data(), rotated_centre.data());
    constexpr size_t kRows = 64, kQueries = 4;
    std::vector<Row> rows(kRows);
    std::vector<uint8_t> record(codec.record_bytes()), taken(codec.record_bytes());
    std::vector<uint8_t> blocks(kRows / kCodeRows * codec.block_bytes());
    for (size_t r = 0; r < kRows; r++) {
      rows[r] = make_row(look, dim, near, random);
      codec.rotate(rows[r].data(), rotated.data());
      codec.encode(rotated.data(), rotated_centre.data(), record.data(), scratch.data());
      uint8_t* block = blocks.data() + r / kCodeRows * codec.block_bytes();
      codec.place(record.data(), block, r % kCodeRows);
      codec.take(block, r % kCodeRows, taken.data());
      CHECK(taken == record);
    }
    annex::Buffer<uint8_t> query;
    if (!CHECK(query.resize(codec.query_bytes()))) return;
    for (size_t q = 0; q < kQueries; q++) {
      const Row x = make_row(look, dim, near, random);
      codec.rotate(x.data(), rotated.data());
      codec.prepare(rotated.data(), query.data());
      const bool l2 = metric == Metric::l2;
      const double to_centre = l2 ? square_distance(x, centre) : -dot(x, centre);
      annex::NibbleQuery scan = codec.scan_query(query.data(), static_cast<float>(to_centre));
      std::vector<annex::CodeHit> hits(kRows);
      scan.threshold = INFINITY;
      scan.hits = hits.data();
      annex::kernels().codes.scan_nibbles(
          {blocks.data(), codec.block_bytes(), kRows, codec.subquantizers(), codec.factors()}, &scan, 1);
      if (!CHECK(scan.count == kRows)) return;
      for (size_t r = 0; r < kRows; r++) {
        const double exact = l2 ? square_distance(x, rows[r]) : -dot(x, rows[r]);
        const double size =
            (l2 ? 2 * std::sqrt(to_centre) : std::sqrt(dot(x, x))) * std::sqrt(square_distance(rows[r], centre));
        signs->add(hits[r].estimate - exact, hits[r].bound - exact, size);
        if (bits > 1) {
          const uint8_t* block = blocks.data() + r / kCodeRows * codec.block_bytes();
          codec.take(block, r % kCodeRows, taken.data());
          codec.refine(query.data(), static_cast<float>(to_centre), codec.needs_signs() ? taken.data() : nullptr,
                       block + codec.scan_bytes() + r % kCodeRows * codec.refine_bytes(), &hits[r]);
          all->add(hits[r].estimate - exact, hits[r].bound - exact, size);
        }
      }
      done += kRows;
    }
  }
}

void test_bounds() {
  Random random(2);
  size_t pairs = 0, held = 0;
  for (Metric metric : {Metric::l2, Metric::ip}) {
    for (size_t dim : {64, 100, 256}) {
      for (Look look : kLooks) {
        // Without a centre near the rows, an inner product says little about them.
        if (metric == Metric::ip && (look == Look::offset || look == Look::constant)) continue;
        for (size_t bits = 1; bits <= 8; bits++) {
          Tally signs, all;
          tally_pairs(metric, bits, dim, look, quick ? 1200 : bits == 1 ? 16000 : 4000, random, &signs, &all);
          const Tally& last = bits == 1 ? signs : all;
          const double root = std::sqrt(static_cast<double>(dim));
          pairs += last.pairs;
          held += last.held;
          // Pairs of one set share rows and queries, so that a set may stray.
          CHECK(signs.share() >= (bits == 1 ? 0.95 : 0.985));  // signs that are refined leave more room
          CHECK(last.share() >= 0.95);
          CHECK(std::fabs(signs.mean()) < 0.15 / root);
          // Theory: √(π/2 - 1) = 0.756 for signs, about half as much for every further bit.
          CHECK(signs.deviation() * root < 0.95);
          if (bits > 1) CHECK(last.deviation() * root < 1.3 * std::pow(0.53, static_cast<double>(bits - 1)));
        }
      }
    }
  }
  const double share = static_cast<double>(held) / static_cast<double>(pairs);
  std::printf("%zu pairs, bounds held for %.4f\n", pairs, share);
  CHECK(quick || pairs >= 1000000);
  CHECK(share >= 0.97);
  CHECK(share <= 0.99);  // and are no wider than they need be
}

// ---- the way back, and rows that have no direction ----

void test_decode() {
  Random random(3);
  for (Metric metric : {Metric::l2, Metric::ip}) {
    for (size_t dim : {33, 256}) {
      double before = 1;
      for (size_t bits = 1; bits <= 8; bits++) {
        Rabitq codec;
        CHECK(codec.create(metric, dim, bits, 5) == Status::ok);
        const size_t n = codec.padded_dim();
        Row rotated(n), centre(n), scratch(n), back(dim), c(dim);
        std::vector<uint8_t> record(codec.record_bytes());
        for (float& v : c) v = random.normal();
        codec.rotate(c.data(), centre.data());
        double error = 0, size = 0;
        for (size_t r = 0; r < 50; r++) {
          const Row x = make_row(Look::normal, dim, c, random);
          codec.rotate(x.data(), rotated.data());
          codec.encode(rotated.data(), centre.data(), record.data(), scratch.data());
          codec.decode(record.data(), centre.data(), back.data(), scratch.data());
          error += square_distance(x, back);
          size += square_distance(x, c);
        }
        // 1 - 2/π of the length for signs, and a third of that for every further bit.
        CHECK(error / size < before * (bits == 1 ? 0.4 : 0.42));
        before = error / size;
      }
    }
  }
}

void test_edges() {
  for (Metric metric : {Metric::l2, Metric::ip}) {
    for (size_t bits : {1, 2, 5, 8}) {
      for (size_t dim : {1, 3, 16, 40}) {
        Rabitq codec;
        CHECK(codec.create(metric, dim, bits, 1) == Status::ok);
        const size_t n = codec.padded_dim();
        annex::Buffer<uint8_t> query;
        CHECK(query.resize(codec.query_bytes()));
        for (float of_row : {0.0f, 1.0f, 1e-40f, 1e-20f, 3e38f}) {
          for (float of_query : {0.0f, 1.0f, 1e-40f, 3e38f}) {
            Row x(dim, of_row), y(dim, of_query), rotated(n), scratch(n);
            std::vector<uint8_t> record(codec.record_bytes()), block(codec.block_bytes());
            codec.rotate(x.data(), rotated.data());
            codec.encode(rotated.data(), nullptr, record.data(), scratch.data());
            codec.place(record.data(), block.data(), 31);
            codec.decode(record.data(), nullptr, scratch.data(), rotated.data());
            codec.rotate(y.data(), rotated.data());
            codec.prepare(rotated.data(), query.data());
            const float distance = metric == Metric::l2 ? static_cast<float>(dot(y, y)) : 0;
            annex::NibbleQuery scan = codec.scan_query(query.data(), distance);
            annex::CodeHit hits[32];
            scan.threshold = INFINITY;
            scan.hits = hits;
            annex::kernels().codes.scan_nibbles(
                {block.data(), block.size(), 32, codec.subquantizers(), codec.factors()}, &scan, 1);
            CHECK(scan.count == 32);
            if (bits > 1) {
              codec.refine(query.data(), distance, codec.needs_signs() ? record.data() : nullptr,
                           block.data() + codec.scan_bytes() + 31 * codec.refine_bytes(), &hits[31]);
            }
            // A row that is the centre has the distance of the centre; sizes that do not overflow give numbers.
            if (of_row == 0) CHECK(of_query > 1 || hits[31].estimate == distance);
            if (of_row <= 1 && of_query <= 1) CHECK(std::isfinite(hits[31].estimate));
          }
        }
      }
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  quick = argc > 1 && std::string(argv[1]) == "--quick";
  test_rotation();
  test_bounds();
  test_decode();
  test_edges();
  return testing::finish("rabitq_test");
}
