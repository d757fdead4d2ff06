// Every kernel table that this processor runs against the plain reference: bit for bit where kernels.h promises it,
// within a proven bound where it does not. --quick takes fewer dimensions, for emulators.
#include <algorithm>
#include <string>

#include "kernels/dispatch.h"
#include "kernels_reference.h"
#include "testing.h"

using annex::Kernels;
using annex::kPanelRows;
using annex::Op;
using annex::row_bytes;
using annex::Scalar;
using reference::check;
using reference::Guarded;
using testing::Random;

namespace {

constexpr Scalar kFloatScalars[] = {Scalar::f32, Scalar::f16, Scalar::bf16, Scalar::sq8};
constexpr Scalar kAllScalars[] = {Scalar::f32, Scalar::f16, Scalar::bf16, Scalar::sq8,
                                  Scalar::i8,  Scalar::u8,  Scalar::bits};
constexpr Op kAllOps[] = {Op::dot, Op::l2, Op::l1, Op::hamming, Op::jaccard};
constexpr const char* kScalarNames[] = {"f32", "f16", "bf16", "sq8", "i8", "u8", "bits"};
constexpr const char* kOpNames[] = {"dot", "l2", "l1", "hamming", "jaccard"};

bool quick = false;
std::vector<const Kernels*> tables;

std::string describe(const char* kernel, Scalar s, size_t dim, size_t n, size_t i) {
  return std::string(kernel) + " " + kScalarNames[static_cast<size_t>(s)] + " dim " + std::to_string(dim) + " n " +
         std::to_string(n) + " at " + std::to_string(i);
}

// How the values of a test look.
enum class Look { normal, huge, tiny, zeros, mixed };
constexpr Look kLooks[] = {Look::normal, Look::huge, Look::tiny, Look::zeros, Look::mixed};

float value(Random& random, Look look) {
  switch (look) {
    case Look::normal: return random.normal();
    case Look::huge: return random.normal() * 0x1p125f;
    case Look::tiny: return random.normal() * 0x1p-135f;
    case Look::zeros: return random.below(3) == 0 ? 0.0f : random.below(2) == 0 ? -0.0f : 1.0f;
    case Look::mixed: return std::ldexp(random.normal(), static_cast<int>(random.below(60)) - 30);
  }
  return 0;
}

std::vector<size_t> dims() {
  std::vector<size_t> list;
  for (size_t d = 1; d <= 65; d += quick && d > 17 ? 6 : 1) list.push_back(d);
  for (size_t d : {96, 100, 128, 200, 256, 384, 768, 960, 1024, 1536, 3072, 4096}) {
    if (!quick || d == 100 || d == 384 || d == 1024) list.push_back(d);
  }
  return list;
}

// ---- scan and gather ----

void test_rows(Scalar s, Op op, size_t dim, Look look, Random& random) {
  const bool floats = s <= Scalar::sq8;
  const size_t bytes = row_bytes(s, dim), n = 1 + random.below(27), stride = bytes + random.below(4) * 3;
  Guarded rows((n - 1) * stride + bytes), query(floats ? 4 * dim : bytes), out(4 * n);
  std::vector<float> x(dim);
  for (size_t i = 0; i < rows.size(); i++) rows.data()[i] = static_cast<uint8_t>(random.next());
  for (size_t i = 0; i < query.size(); i++) query.data()[i] = static_cast<uint8_t>(random.next());
  if (look == Look::huge && !floats) std::memset(rows.data(), s == Scalar::i8 ? 0x80 : 0xff, rows.size());
  if (look == Look::zeros && !floats) std::memset(rows.data(), 0, rows.size());
  if (look == Look::huge && !floats && random.below(2)) std::memset(query.data(), 0x80, query.size());
  if (look == Look::zeros && random.below(2)) std::memset(query.data(), 0, query.size());
  for (size_t r = 0; floats && r <= n; r++) {
    for (float& v : x) v = value(random, look);
    if (r == n) std::memcpy(query.data(), x.data(), 4 * dim);
    if (r == n) break;
    reference::encode(s, x.data(), dim, rows.data() + r * stride);
  }
  std::vector<float> expected(n);
  for (size_t r = 0; r < n; r++) {
    const uint8_t* row = rows.data() + r * stride;
    if (!floats) {
      expected[r] = reference::exact_bytes(s, op, query.data(), row, dim);
      continue;
    }
    double exact, bound;
    expected[r] = reference::canonical(s, op, query.as<float>(), row, dim, &exact, &bound);
    // The reference itself, against double precision.
    if (std::isfinite(expected[r]) && std::isfinite(bound)) {
      check(std::fabs(expected[r] - exact) <= bound, *tables[0], describe("canonical", s, dim, n, r));
    }
  }
  std::vector<const void*> pointers(n);
  std::vector<size_t> order(n);
  for (size_t r = 0; r < n; r++) {
    order[r] = random.below(n);
    pointers[r] = rows.data() + order[r] * stride;
  }
  for (const Kernels* k : tables) {
    const std::string name = kOpNames[static_cast<size_t>(op)];
    std::memset(out.data(), 0xee, out.size());
    k->scan[static_cast<size_t>(s)][static_cast<size_t>(op)](query.data(), rows.data(), stride, n, dim,
                                                             out.as<float>());
    for (size_t r = 0; r < n; r++) {
      check(reference::same(reference::read<float>(out.data() + 4 * r), expected[r]), *k,
            describe(("scan " + name).c_str(), s, dim, n, r));
    }
    std::memset(out.data(), 0xee, out.size());
    k->gather[static_cast<size_t>(s)][static_cast<size_t>(op)](query.data(), pointers.data(), n, dim, out.as<float>());
    for (size_t r = 0; r < n; r++) {
      check(reference::same(reference::read<float>(out.data() + 4 * r), expected[order[r]]), *k,
            describe(("gather " + name).c_str(), s, dim, n, r));
    }
  }
}

bool meaningful(Scalar s, Op op) { return (s == Scalar::bits) == (op == Op::hamming || op == Op::jaccard); }

void test_all_rows() {
  Random random(1);
  for (Scalar s : kAllScalars) {
    for (Op op : kAllOps) {
      for (const Kernels* k : tables) {
        const size_t i = static_cast<size_t>(s), j = static_cast<size_t>(op);
        check((k->scan[i][j] != nullptr) == meaningful(s, op), *k, "scan is null where it has no meaning");
        check((k->gather[i][j] != nullptr) == meaningful(s, op), *k, "gather is null where it has no meaning");
      }
      if (!meaningful(s, op)) continue;
      for (size_t dim : dims()) {
        for (Look look : kLooks) test_rows(s, op, s == Scalar::bits ? 8 * dim : dim, look, random);
      }
      if (s > Scalar::sq8) test_rows(s, op, annex::kMaxDim, Look::huge, random);
    }
  }
}

// ---- codecs ----

void test_codec(Scalar s, const std::vector<float>& x) {
  const size_t dim = x.size(), i = static_cast<size_t>(s);
  Guarded from(4 * dim), row(row_bytes(s, dim)), to(4 * dim);
  std::memcpy(from.data(), x.data(), 4 * dim);
  std::vector<uint8_t> expected(row.size());
  reference::encode(s, x.data(), dim, expected.data());
  for (const Kernels* k : tables) {
    std::memset(row.data(), 0xee, row.size());
    k->encode[i](from.as<float>(), dim, row.data());
    check(std::memcmp(row.data(), expected.data(), row.size()) == 0, *k, describe("encode", s, dim, 1, 0));
    k->decode[i](row.data(), dim, to.as<float>());
    for (size_t d = 0; d < dim; d++) {
      check(reference::same(reference::read<float>(to.data() + 4 * d), reference::element(s, expected.data(), d)), *k,
            describe("decode", s, dim, 1, d));
    }
  }
}

void test_codecs() {
  Random random(2);
  std::vector<float> halves, edges;
  for (uint32_t h = 0; h < 0x7c00; h += quick ? 7 : 1) {
    // Every half, the middle to the next one, and the floats beside the middle.
    const float low = reference::decode_f16(static_cast<uint16_t>(h));
    const float high = h == 0x7bff ? 65536 : reference::decode_f16(static_cast<uint16_t>(h + 1));
    const float middle = (low + high) / 2;
    for (float v : {low, middle, std::nextafter(middle, 0.0f), std::nextafter(middle, INFINITY)}) {
      halves.push_back(h & 1 ? v : -v);
    }
  }
  for (uint32_t i = 0; i < 0x7f80; i += quick ? 17 : 3) {
    for (uint32_t low : {0u, 0x7fffu, 0x8000u, 0x8001u}) edges.push_back(reference::from_bits(i << 16 | low));
  }
  for (Scalar s : {Scalar::f32, Scalar::f16, Scalar::bf16}) {
    test_codec(s, halves);
    test_codec(s, edges);
  }
  for (size_t dim : dims()) {
    for (Look look : kLooks) {
      std::vector<float> x(dim);
      for (float& v : x) v = value(random, look);
      for (Scalar s : kFloatScalars) test_codec(s, x);
      const float same = x[0];
      std::fill(x.begin(), x.end(), same);
      test_codec(Scalar::sq8, x);
    }
    Guarded row(dim), to(4 * dim);
    for (size_t d = 0; d < dim; d++) row.data()[d] = static_cast<uint8_t>(random.next());
    for (Scalar s : {Scalar::i8, Scalar::u8}) {
      for (const Kernels* k : tables) {
        k->decode[static_cast<size_t>(s)](row.data(), dim, to.as<float>());
        for (size_t d = 0; d < dim; d++) {
          check(reference::read<float>(to.data() + 4 * d) == reference::element(s, row.data(), d), *k,
                describe("decode", s, dim, 1, d));
        }
      }
    }
  }
  for (const Kernels* k : tables) {
    for (Scalar s : {Scalar::i8, Scalar::u8, Scalar::bits}) {
      check(k->encode[static_cast<size_t>(s)] == nullptr, *k, "encode is null for bytes");
    }
    check(k->decode[static_cast<size_t>(Scalar::bits)] == nullptr, *k, "decode is null for bits");
  }
}

void test_quantize(const std::vector<float>& x, const std::vector<float>& y) {
  const size_t n = x.size();
  float most = 0, lane[16] = {};
  for (size_t i = 0; i < n; i++) {
    most = std::max(most, std::fabs(x[i]));
    const float product = x[i] * y[i];
    lane[i % 16] += product;
  }
  for (int half = 8; half >= 1; half /= 2) {
    for (int j = 0; j < half; j++) lane[j] += lane[j + half];
  }
  const float scale = most > 1e-30f ? 127 / most : 1;
  Guarded from(4 * n), with(4 * n), codes(n);
  std::memcpy(from.data(), x.data(), 4 * n);
  std::memcpy(with.data(), y.data(), 4 * n);
  for (const Kernels* k : tables) {
    std::memset(codes.data(), 0xee, n);
    const auto got = k->quantize(from.as<float>(), with.as<float>(), n, codes.as<int8_t>());
    int32_t sum = 0;
    for (size_t i = 0; i < n; i++) {
      const float scaled = x[i] * scale;
      const int code = static_cast<int>(std::nearbyint(scaled + 128)) - 128;
      sum += code;
      check(codes.as<int8_t>()[i] == code, *k, describe("quantize", Scalar::f32, n, 1, i));
    }
    check(got.scale == scale && got.sum == sum && reference::same(got.product, lane[0]), *k,
          describe("quantize: scale, sum and product", Scalar::f32, n, 1, 0));
  }
}

void test_quantize() {
  Random random(9);
  for (size_t n : {16, 32, 48, 128, 256, 1040, 4096, 32768}) {
    for (Look look : kLooks) {
      std::vector<float> x(n), y(n);
      for (float& v : x) v = value(random, look);
      for (float& v : y) v = value(random, Look::normal);
      test_quantize(x, y);
      test_quantize(x, x);
    }
    test_quantize(std::vector<float>(n, -1.0f), std::vector<float>(n, 0.0f));
    for (float odd : {INFINITY, -INFINITY, NAN}) {
      std::vector<float> x(n, 1.0f);
      x[n / 2] = odd;
      std::vector<int8_t> codes(n);
      for (const Kernels* k : tables) (void)k->quantize(x.data(), x.data(), n, codes.data());
    }
  }
}

// Products and sums one by one, in order.
void test_project() {
  Random random(10);
  for (const size_t dim : {1, 2, 16, 100, 128, 256, 1000}) {
    for (const size_t panels : {1, 2, 3, 4, 5, 8, 9, 16}) {
      for (const Look look : kLooks) {
        Guarded x(4 * dim), axes(panels * annex::float_panel_bytes(dim)), y(panels * 16 * 4);
        for (size_t d = 0; d < dim; d++) x.as<float>()[d] = value(random, look);
        for (size_t i = 0; i < panels * dim * 16; i++) axes.as<float>()[i] = value(random, Look::normal);
        std::vector<float> expected(panels * 16, 0.0f);
        for (size_t r = 0; r < expected.size(); r++) {
          for (size_t d = 0; d < dim; d++) {
            const float product = x.as<float>()[d] * axes.as<float>()[(r / 16 * dim + d) * 16 + r % 16];
            expected[r] += product;
          }
        }
        for (const Kernels* k : tables) {
          k->project(x.as<float>(), dim, axes.as<float>(), panels, y.as<float>());
          for (size_t r = 0; r < expected.size(); r++) {
            check(reference::same(y.as<float>()[r], expected[r]), *k, describe("project", Scalar::f32, dim, panels, r));
          }
        }
      }
    }
  }
}

// ---- panels ----

void test_pack(Scalar s, size_t dim, size_t n, Random& random) {
  const bool floats = s <= Scalar::sq8;
  const size_t bytes = row_bytes(s, dim), stride = bytes + random.below(3) * 5, groups = (dim + 3) / 4;
  Guarded rows((n - 1) * stride + bytes);
  std::vector<float> x(dim);
  for (size_t i = 0; i < rows.size(); i++) rows.data()[i] = static_cast<uint8_t>(random.next());
  for (size_t r = 0; floats && r < n; r++) {
    for (float& v : x) v = value(random, Look::normal);
    reference::encode(s, x.data(), dim, rows.data() + r * stride);
  }
  const size_t panels = (n + kPanelRows - 1) / kPanelRows;
  Guarded packed(panels * (floats ? annex::float_panel_bytes(dim) : annex::byte_panel_bytes(dim)));
  std::vector<uint8_t> expected(packed.size());
  for (size_t r = 0; r < n; r++) {
    const uint8_t* row = rows.data() + r * stride;
    for (size_t d = 0; d < dim; d++) {
      if (floats) {
        const float v = reference::element(s, row, d);
        std::memcpy(&expected[((r / 16 * dim + d) * 16 + r % 16) * 4], &v, 4);
      } else {
        expected[((r / 16 * groups + d / 4) * 16 + r % 16) * 4 + d % 4] =
            static_cast<uint8_t>(row[d] + (s == Scalar::i8 ? 128 : 0));
      }
    }
  }
  for (const Kernels* k : tables) {
    std::memset(packed.data(), 0xee, packed.size());
    k->pack[static_cast<size_t>(s)](rows.data(), stride, n, dim, packed.data());
    check(std::memcmp(packed.data(), expected.data(), packed.size()) == 0, *k, describe("pack", s, dim, n, 0));
  }
}

struct Terms {
  Guarded scale, a, b, c;
  explicit Terms(size_t n) : scale(4 * n), a(4 * n), b(4 * n), c(4 * n) {}
};

// The hits of a table against those of its own sums. Which way a value at the bound falls is left open.
template <class T, class Run>
void test_hits(const Kernels& k, const char* name, const T* sums, size_t nq, size_t n, size_t dim, double slack,
               Random& random, Run run) {
  const size_t width = (n + kPanelRows - 1) / kPanelRows * kPanelRows, capacity = n + 1;
  Terms t(width);
  std::vector<annex::QueryTerms> queries(nq);
  for (size_t i = 0; i < width; i++) {
    const float special[] = {NAN, INFINITY, 0.0f};
    t.scale.as<float>()[i] = i >= n ? 0 : random.below(40) == 0 ? special[random.below(3)] : random.uniform() + 0.5f;
    t.a.as<float>()[i] = i >= n ? 3e38f : random.normal();  // rows beyond n would pass
    t.b.as<float>()[i] = i >= n ? 0 : random.normal();
    t.c.as<float>()[i] = i >= n ? 0 : random.normal();
  }
  std::vector<std::vector<double>> values(nq, std::vector<double>(n));
  for (size_t q = 0; q < nq; q++) {
    annex::QueryTerms& u = queries[q];
    for (float& v : u.u) v = random.normal();
    u.u[0] = std::fabs(u.u[0]);
    for (size_t r = 0; r < n; r++) {
      values[q][r] = static_cast<double>(t.scale.as<float>()[r]) * static_cast<double>(sums[q * width + r]) +
                     static_cast<double>(t.a.as<float>()[r]) * u.u[0] +
                     static_cast<double>(t.b.as<float>()[r]) * u.u[1] +
                     static_cast<double>(t.c.as<float>()[r]) * u.u[2];
    }
    const float bounds[] = {-INFINITY, INFINITY, NAN, static_cast<float>(values[q][random.below(n)])};
    u.bound = bounds[random.below(8) < 3 ? random.below(3) : 3];
  }
  Guarded rows(nq * capacity * 4), counts(nq * 4);
  std::memset(rows.data(), 0xee, rows.size());
  for (size_t q = 0; q < nq; q++) counts.as<uint32_t>()[q] = q % 2;  // hits are appended
  const annex::PanelTerms terms{t.scale.as<float>(), t.a.as<float>(), t.b.as<float>(), t.c.as<float>()};
  run(terms, queries.data(),
      annex::HitList{rows.as<uint32_t>(), counts.as<uint32_t>(), static_cast<uint32_t>(capacity)});
  for (size_t q = 0; q < nq; q++) {
    const uint32_t* hit = rows.as<uint32_t>() + q * capacity;
    const size_t count = counts.as<uint32_t>()[q];
    bool ok = count <= capacity && (q % 2 == 0 || hit[0] == 0xeeeeeeee);
    size_t at = q % 2;
    for (size_t r = 0; ok && r < n; r++) {
      const bool listed = at < count && hit[at] == r;
      at += listed;
      const double v = values[q][r], bound = queries[q].bound;
      const bool clear = std::isnan(v) || std::isnan(bound) || std::isinf(v) || std::isinf(bound) ||
                         std::fabs(v - bound) > slack + 1e-5 * (std::fabs(v) + 10);
      if (clear) ok = listed == !(v < bound);
    }
    for (size_t i = count; ok && i < capacity; i++) ok = hit[i] == 0xeeeeeeee;
    check(ok && at == count, k, describe(name, Scalar::f32, dim, n, q) + " of " + std::to_string(nq));
  }
}

void test_bytes(size_t dim, size_t nq, size_t n, bool extreme, Random& random) {
  const size_t padded = (dim + 3) / 4 * 4, stride = padded + random.below(3) * 3;
  const size_t width = (n + kPanelRows - 1) / kPanelRows * kPanelRows;
  Guarded queries((nq - 1) * stride + padded), panels(width / kPanelRows * annex::byte_panel_bytes(dim));
  std::vector<uint8_t> rows(n * dim);
  for (uint8_t& v : rows) v = extreme ? 255 : static_cast<uint8_t>(random.next());
  std::memset(queries.data(), 0x55, queries.size());
  for (size_t q = 0; q < nq; q++) {
    int8_t* query = queries.as<int8_t>() + q * stride;
    std::memset(query, 0, padded);
    for (size_t d = 0; d < dim; d++) {
      query[d] = static_cast<int8_t>(extreme ? (q % 2 ? 127 : -127) : static_cast<int>(random.below(255)) - 127);
    }
  }
  tables[0]->pack[static_cast<size_t>(Scalar::u8)](rows.data(), dim, n, dim, panels.data());
  std::vector<int32_t> expected(nq * width);
  for (size_t q = 0; q < nq; q++) {
    for (size_t r = 0; r < n; r++) {
      const int8_t* query = queries.as<int8_t>() + q * stride;
      int32_t sum = 0;
      for (size_t d = 0; d < dim; d++) sum += query[d] * rows[r * dim + d];
      expected[q * width + r] = sum;
    }
  }
  Guarded out(4 * nq * width);
  for (const Kernels* k : tables) {
    std::memset(out.data(), 0xee, out.size());
    k->sums_u8(queries.as<int8_t>(), stride, nq, panels.data(), n, dim, out.as<int32_t>());
    check(std::memcmp(out.data(), expected.data(), out.size()) == 0, *k, describe("sums_u8", Scalar::u8, dim, n, nq));
    test_hits(*k, "hits_u8", expected.data(), nq, n, dim, 0, random,
              [&](const annex::PanelTerms& t, const annex::QueryTerms* u, const annex::HitList& hits) {
                k->hits_u8(queries.as<int8_t>(), stride, nq, panels.data(), n, dim, t, u, hits);
              });
  }
}

void test_floats(size_t dim, size_t nq, size_t n, Random& random) {
  const size_t stride = dim + random.below(3), width = (n + kPanelRows - 1) / kPanelRows * kPanelRows;
  Guarded queries(((nq - 1) * stride + dim) * 4), panels(width / kPanelRows * annex::float_panel_bytes(dim));
  std::vector<float> rows(n * dim);
  for (float& v : rows) v = random.normal();
  for (size_t i = 0; i < queries.size() / 4; i++) queries.as<float>()[i] = random.normal();
  tables[0]->pack[0](rows.data(), 4 * dim, n, dim, panels.data());
  Guarded out(4 * nq * width);
  std::vector<float> sums(nq * width);
  for (const Kernels* k : tables) {
    std::memset(out.data(), 0xee, out.size());
    k->sums_f32(queries.as<float>(), stride, nq, panels.as<float>(), n, dim, out.as<float>());
    double slack = 0;
    bool ok = true;
    for (size_t q = 0; q < nq; q++) {
      for (size_t r = 0; r < width; r++) {
        double sum = 0, size = 0;
        for (size_t d = 0; r < n && d < dim; d++) {
          const double term = static_cast<double>(queries.as<float>()[q * stride + d]) * rows[r * dim + d];
          sum += term;
          size += std::fabs(term);
        }
        const double bound = size * static_cast<double>(dim) * 0x1p-23;
        ok = ok && std::fabs(out.as<float>()[q * width + r] - sum) <= bound;
        slack = std::max(slack, 2 * bound);
      }
    }
    check(ok, *k, describe("sums_f32", Scalar::f32, dim, n, nq));
    std::memcpy(sums.data(), out.data(), out.size());
    test_hits(*k, "hits_f32", sums.data(), nq, n, dim, slack, random,
              [&](const annex::PanelTerms& t, const annex::QueryTerms* u, const annex::HitList& hits) {
                k->hits_f32(queries.as<float>(), stride, nq, panels.as<float>(), n, dim, t, u, hits);
              });
  }
}

void test_panels() {
  Random random(3);
  for (size_t dim : dims()) {
    for (Scalar s : kAllScalars) {
      for (const Kernels* k : tables) {
        check((k->pack[static_cast<size_t>(s)] == nullptr) == (s == Scalar::bits), *k, "pack is null for bits only");
      }
      if (s == Scalar::bits) continue;
      for (size_t n : {size_t{1}, size_t{16}, 2 + random.below(60)}) test_pack(s, dim, n, random);
    }
    for (int repeat = 0; repeat < 3; repeat++) {
      const size_t nq = 1 + random.below(dim > 256 ? 5 : 14), n = 1 + random.below(dim > 256 ? 40 : 100);
      test_bytes(dim, nq, n, repeat == 2, random);
      test_floats(dim, nq, n, random);
    }
  }
  for (size_t nq = 1; nq <= 26; nq++) {
    for (size_t n : {1, 15, 16, 17, 32, 33, 47, 48, 49, 64, 65, 96, 127}) {
      if (quick && (n + nq) % 3 != 0) continue;
      test_bytes(20, nq, n, false, random);
      test_floats(19, nq, n, random);
    }
  }
  // More panels than one block of the cache, and queries longer than what is prepared at once.
  test_bytes(1024, 13, quick ? 430 : 900, false, random);
  test_floats(512, 13, quick ? 230 : 500, random);
  for (size_t dim : {size_t{2048}, size_t{2049}, size_t{4100}}) test_bytes(dim, 3, 20, false, random);
  test_bytes(annex::kMaxDim, 5, 17, true, random);
}

// ---- tests of float arrays ----

void test_arrays() {
  Random random(4);
  for (size_t n = 0; n <= 70; n++) {
    Guarded x(4 * n), out(4 * n);
    for (int repeat = 0; repeat < 30; repeat++) {
      const float specials[] = {NAN, -NAN, INFINITY, -INFINITY, 3.4e38f, 0.5f, -0.0f, 1e-45f};
      const float limits[] = {0.5f, NAN, INFINITY, -INFINITY, 0.0f};
      for (size_t i = 0; i < n; i++) {
        x.as<float>()[i] = random.below(repeat + 1) < 3 && repeat > 2 ? specials[random.below(8)] : random.normal();
      }
      const float limit = limits[random.below(5)];
      size_t first = 0;
      while (first < n && std::isfinite(x.as<float>()[first])) first++;
      std::vector<uint32_t> expected;
      for (size_t i = 0; i < n; i++) {
        if (!(x.as<float>()[i] > limit)) expected.push_back(static_cast<uint32_t>(i));
      }
      for (const Kernels* k : tables) {
        check(k->first_nonfinite(x.as<float>(), n) == first, *k, describe("first_nonfinite", Scalar::f32, 1, n, first));
        const size_t count = k->select_le(x.as<float>(), n, limit, out.as<uint32_t>());
        check(count == expected.size() && std::equal(expected.begin(), expected.end(), out.as<uint32_t>()), *k,
              describe("select_le", Scalar::f32, 1, n, 0));
      }
    }
  }
}

// ---- checksums ----

// One bit at a time, by the definition.
uint32_t crc32c_reference(uint32_t crc, const uint8_t* data, size_t n) {
  crc = ~crc;
  for (size_t i = 0; i < n; i++) {
    crc ^= data[i];
    for (int bit = 0; bit < 8; bit++) crc = (crc & 1) != 0 ? (crc >> 1) ^ 0x82F63B78u : crc >> 1;
  }
  return ~crc;
}

void test_crc() {
  Random random(5);
  for (const Kernels* k : tables) {
    check(k->crc32c(0, "123456789", 9) == 0xE3069283u, *k, describe("crc32c", Scalar::u8, 1, 9, 0));  // RFC 3720
  }
  std::vector<size_t> lengths;
  for (size_t n = 0; n <= 1200; n++) lengths.push_back(n);
  for (size_t i = 0; i < 200; i++) lengths.push_back(random.below(40000));
  for (size_t i = 0; i < 4; i++) lengths.push_back((256 << 10) - 2 + i);
  for (const size_t n : lengths) {
    // What lies before makes another start, and another CRC to begin with.
    const size_t before = random.below(200);
    Guarded bytes(before + n);
    for (size_t i = 0; i < before + n; i++) bytes.data()[i] = static_cast<uint8_t>(random.next());
    const uint32_t head = crc32c_reference(0, bytes.data(), before);
    const uint32_t expected = crc32c_reference(head, bytes.data() + before, n);
    for (const Kernels* k : tables) {
      check(k->crc32c(head, bytes.data() + before, n) == expected, *k, describe("crc32c", Scalar::u8, 1, n, before));
      check(k->crc32c(0, bytes.data(), before + n) == expected, *k,
            describe("crc32c from the start", Scalar::u8, 1, before + n, 0));
    }
  }
}

// Several queries × rows: what each query gets by itself.
void test_nibble_tile(const Kernels& k, Random& random, const std::vector<const void*>& rows, const uint8_t* masks,
                      size_t lines, float square) {
  const size_t n = rows.size(), bytes = 2 * lines * annex::kNibbleLine;
  for (const size_t nq : {1, 3, 4, 5, 8, 11, 16, 31, 32, 45}) {
    std::vector<int8_t> codes(nq * bytes);
    for (int8_t& code : codes) code = static_cast<int8_t>(static_cast<int>(random.below(255)) - 127);
    std::vector<annex::NibbleRowsQuery> queries(nq);
    for (size_t q = 0; q < nq; ++q) {
      queries[q] = {&codes[q * bytes], masks, static_cast<float>(q), 0.5f + static_cast<float>(q), square};
    }
    std::vector<float> out(nq * n), alone(n);
    k.tile_nibbles(queries.data(), nq, rows.data(), n, lines, out.data());
    for (size_t q = 0; q < nq; ++q) {
      k.gather_nibbles(queries[q], rows.data(), n, lines, alone.data());
      check(std::equal(alone.begin(), alone.end(), out.begin() + static_cast<ptrdiff_t>(q * n)), k,
            "nibble tile lines " + std::to_string(lines) + " n " + std::to_string(n) + " nq " + std::to_string(nq));
    }
  }
}

// Masks of all codes of four bits, or of sixteens in turns of four, of seven and of none.
std::vector<uint8_t> nibble_masks(Random& random, size_t lines, bool mixed) {
  std::vector<uint8_t> masks(2 * annex::kNibbleLine * lines, 15);
  for (size_t i = 0; mixed && i < masks.size(); i += 16) {
    const size_t kind = i / annex::kNibbleLine % 2 == 0 ? random.below(3) : 2;
    if (kind == 2) continue;
    std::fill_n(&masks[i], 16, kind == 0 ? 127 : 0);
    std::fill_n(&masks[i + annex::kNibbleLine], 16, 0);
  }
  return masks;
}

// Codes of four and of seven bits: the sums are exact, and what is made of them is computed in one order.
void test_nibbles(bool mixed) {
  Random random(11);
  for (const size_t lines : {1, 2, 3, 7, 24}) {
    const size_t bytes = lines * annex::kNibbleLine;
    const std::vector<uint8_t> masks = nibble_masks(random, lines, mixed);
    for (const size_t n : {1, 2, 3, 4, 7, 8, 9, 33, 66, 131}) {
      std::vector<uint8_t> codes(n * bytes);
      for (uint8_t& byte : codes) byte = static_cast<uint8_t>(random.below(3) == 0 ? 255 : random.below(256));
      std::vector<int8_t> query(2 * bytes);
      for (int8_t& q : query)
        q = static_cast<int8_t>(random.below(3) == 0 ? -127 : static_cast<int>(random.below(255)) - 127);
      std::vector<const void*> rows(n);
      for (size_t i = 0; i < n; ++i) rows[i] = &codes[i * bytes];
      for (const float square : {0.0f, 1.5f}) {
        const annex::NibbleRowsQuery prepared{query.data(), masks.data(), 0.25f, -0.125f, square};
        for (const Kernels* k : tables) {
          std::vector<float> out(n);
          k->gather_nibbles(prepared, rows.data(), n, lines, out.data());
          for (size_t i = 0; i < n; ++i) {
            int dot = 0, squares = 0;
            for (size_t d = 0; d < 2 * bytes; ++d) {
              const size_t line = d / (2 * annex::kNibbleLine), place = d % annex::kNibbleLine;
              const int byte = codes[i * bytes + line * annex::kNibbleLine + place];
              const int code = (d / annex::kNibbleLine % 2 == 0 ? byte : byte >> 4) & masks[d];
              dot += query[d] * code;
              squares += code * code;
            }
            const float expected = 0.25f + -0.125f * static_cast<float>(dot) + square * static_cast<float>(squares);
            check(out[i] == expected, *k, "nibbles lines " + std::to_string(lines) + " n " + std::to_string(n));
          }
          test_nibble_tile(*k, random, rows, masks.data(), lines, square);
        }
      }
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  quick = argc > 1 && std::string(argv[1]) == "--quick";
  const Kernels* const* available;
  const size_t count = annex::available_kernels(&available);
  tables.assign(available, available + count);
  std::string names;
  for (const Kernels* k : tables) names += std::string(names.empty() ? "" : ", ") + k->name;
  test_all_rows();
  test_codecs();
  test_quantize();
  test_project();
  test_panels();
  test_arrays();
  test_crc();
  test_nibbles(false);
  test_nibbles(true);
  std::printf("kernels_test: %zu checks, %zu failed, tables: %s\n", testing::checks.load(), testing::failures.load(),
              names.c_str());
  return testing::failures == 0 ? 0 : 1;
}
