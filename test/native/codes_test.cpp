// Kernels of coded rows (kernels/codes.h): every table that this processor runs against plain loops. --quick takes
// fewer sizes, for emulators.
#include <algorithm>
#include <bit>
#include <cmath>
#include <string>

#include "kernels/dispatch.h"
#include "kernels_reference.h"
#include "testing.h"

using annex::CodeBlocks;
using annex::CodeFactors;
using annex::CodeHit;
using annex::kCodeRows;
using annex::Kernels;
using reference::Guarded;
using testing::Random;

namespace {

bool quick = false;
std::vector<const Kernels*> tables;

void check(bool ok, const Kernels& k, const std::string& what) {
  ++testing::checks;
  if (!ok && ++testing::failures <= 20) std::printf("FAILED %s: %s\n", k.name, what.c_str());
}

std::string at(const char* what, size_t m, size_t n, size_t nq = 1) {
  return std::string(what) + " m " + std::to_string(m) + " n " + std::to_string(n) + " queries " + std::to_string(nq);
}

// Entries of `size` tables of `width`, of which the largest two add up to at most 255.
void fill_lut(uint8_t* lut, size_t size, size_t width, int look, Random& random) {
  const size_t large = size > 0 ? random.below(size) : 0;
  for (size_t j = 0; j < size; j++) {
    for (size_t c = 0; c < width; c++) {
      uint8_t& entry = lut[width * j + c];
      if (look == 0) entry = static_cast<uint8_t>(random.below(128));
      if (look == 1) entry = j == large ? 128 : 127;  // as large as they get
      if (look == 2) entry = j == large ? 255 : 0;    // all in one
      if (look == 3) entry = static_cast<uint8_t>(random.below(j == large ? 201 : 55));
    }
  }
}

struct Factors {
  std::vector<float> add, scale, rescale, error;
};

// n rows of codes with factors, the last block ending at an inaccessible page.
struct Rows {
  size_t n, m, blocks, stride, code_bytes;
  CodeFactors kind;
  Guarded data;
  Factors factors;

  static size_t used(bool bytes, size_t m, CodeFactors kind) {
    return bytes ? annex::byte_block_bytes(m, kind) : annex::nibble_block_bytes(m, kind);
  }
  Rows(bool bytes, size_t rows, size_t subs, CodeFactors what, Random& random)
      : n(rows),
        m(subs),
        blocks((rows + kCodeRows - 1) / kCodeRows),
        stride(used(bytes, subs, what) + random.below(3) * 40),
        code_bytes((bytes ? 32 : 16) * subs),
        kind(what),
        data((blocks - 1) * stride + used(bytes, subs, what)),
        factors{std::vector<float>(32 * blocks), std::vector<float>(32 * blocks, 1.0f),
                std::vector<float>(32 * blocks, 1.0f), std::vector<float>(32 * blocks)} {
    for (size_t i = 0; i < data.size(); i++) data.data()[i] = static_cast<uint8_t>(random.next());
    const bool add = kind == CodeFactors::add || kind == CodeFactors::add_rescale_error;
    const bool rescale = kind == CodeFactors::rescale_error || kind == CodeFactors::add_rescale_error;
    for (size_t r = 0; r < 32 * blocks; r++) {
      uint8_t* f = data.data() + r / 32 * stride + code_bytes;
      const size_t i = r % 32;
      if (add) {
        factors.add[r] = random.below(50) == 0 ? NAN : random.normal();
        std::memcpy(f + 4 * i, &factors.add[r], 4);
        f += 128;
      }
      if (kind == CodeFactors::scale) {
        factors.scale[r] = random.below(50) == 0 ? NAN : 2 * random.uniform();
        std::memcpy(f + 4 * i, &factors.scale[r], 4);
      }
      if (rescale) {
        const uint16_t a = reference::encode_bf16(random.normal()), b = reference::encode_bf16(random.uniform());
        std::memcpy(f + 2 * i, &a, 2);
        std::memcpy(f + 64 + 2 * i, &b, 2);
        factors.rescale[r] = reference::from_bits(static_cast<uint32_t>(a) << 16);
        factors.error[r] = reference::from_bits(static_cast<uint32_t>(b) << 16);
      }
    }
  }
  uint8_t code(size_t r, size_t j) const {
    const uint8_t* block = data.data() + r / 32 * stride;
    if (code_bytes == 32 * m) return block[32 * j + r % 32];
    const uint8_t both = block[16 * j + r % 16];
    return r % 32 < 16 ? both & 15 : both >> 4;
  }
  CodeBlocks view() const { return {data.data(), stride, n, m, kind}; }
};

std::vector<size_t> subquantizers() {
  std::vector<size_t> list;
  for (size_t m = 1; m <= 34; m += quick && m > 9 ? 5 : 1) list.push_back(m);
  for (size_t m : {48, 63, 64, 65, 96, 127, 192, 256, 511, 512, 513, 768, 1024, 1029}) {
    if (!quick || m == 65 || m == 513) list.push_back(m);
  }
  return list;
}

void test_sums() {
  Random random(1);
  for (size_t m : subquantizers()) {
    for (int look = 0; look < 4; look++) {
      const Rows rows(false, 1 + random.below(100), m, CodeFactors::none, random);
      const size_t padded = (m + 3) / 4 * 4;
      Guarded lut(16 * padded), out(4 * 32 * rows.blocks);
      std::memset(lut.data(), 0, lut.size());
      fill_lut(lut.data(), m, 16, look, random);
      for (const Kernels* k : tables) {
        std::memset(out.data(), 0xee, out.size());
        k->codes.sum_nibbles(rows.view(), lut.data(), out.as<uint32_t>());
        bool ok = true;
        for (size_t r = 0; r < 32 * rows.blocks; r++) {
          uint32_t sum = 0;
          for (size_t j = 0; j < m; j++) sum += lut.data()[16 * j + rows.code(r, j)];
          ok = ok && out.as<uint32_t>()[r] == sum;
        }
        check(ok, *k, at("sum_nibbles", m, rows.n));
      }
    }
  }
}

// Hits of a query: those before stay, each passing row is listed once and in order.
bool right_hits(const std::vector<CodeHit>& hits, uint32_t before, uint32_t count, size_t n, const float* estimates,
                const float* bounds, const float* sums, float threshold) {
  for (uint32_t i = 0; i < before; i++) {
    if (hits[i].row != 0xeeeeeeee) return false;
  }
  uint32_t next = before;
  for (size_t r = 0; r < n; r++) {
    if (bounds[r] > threshold) continue;
    if (next >= count) return false;
    const CodeHit& hit = hits[next++];
    if (hit.row != r || !reference::same(hit.estimate, estimates[r]) || !reference::same(hit.bound, bounds[r]) ||
        hit.sum != sums[r]) {
      return false;
    }
  }
  return next == count && hits[next].row == 0xeeeeeeee;
}

float pick_threshold(const std::vector<float>& bounds, size_t n, Random& random) {
  const float fixed[] = {INFINITY, -INFINITY, NAN};
  const size_t which = random.below(8);
  return which < 3 ? fixed[which] : bounds[random.below(n)];
}

void test_scan(size_t m, size_t n, size_t nq, CodeFactors kind, Random& random) {
  const Rows rows(false, n, m, kind, random);
  const size_t padded = (m + 3) / 4 * 4, all = 32 * rows.blocks;
  Guarded luts(16 * padded * nq);
  std::memset(luts.data(), 0, luts.size());
  std::vector<annex::NibbleQuery> queries(nq);
  for (size_t q = 0; q < nq; q++) {
    annex::NibbleQuery& query = queries[q];
    fill_lut(luts.data() + 16 * padded * q, m, 16, static_cast<int>(random.below(4)), random);
    query.lut = luts.data() + 16 * padded * q;
    query.scale = random.uniform() / static_cast<float>(m);
    query.bias = random.normal();
    query.slack = random.below(2) ? random.uniform() : 0;
    query.g = random.normal();
    query.ge = random.uniform();
  }
  for (const Kernels* k : tables) {
    std::vector<annex::NibbleQuery> asked = queries;
    std::vector<std::vector<CodeHit>> hits(nq, std::vector<CodeHit>(n + 4));
    std::vector<std::vector<float>> estimates(nq), bounds(nq), sums(nq);
    for (size_t q = 0; q < nq; q++) {
      Guarded estimate(4 * all), bound(4 * all);
      k->codes.estimate_nibbles(rows.view(), queries[q], estimate.as<float>(), bound.as<float>());
      for (size_t r = 0; r < n; r++) {
        uint32_t sum = 0;
        for (size_t j = 0; j < m; j++) sum += queries[q].lut[16 * j + rows.code(r, j)];
        const annex::NibbleQuery& t = queries[q];
        const double add = rows.factors.add[r], rescale = rows.factors.rescale[r], error = rows.factors.error[r];
        const double inner = static_cast<double>(t.scale) * sum + t.bias;
        const double scale = rows.factors.scale[r];
        const double expected = scale * (t.g + add + rescale * inner);
        const double lower = expected - (error * t.ge + scale * std::fabs(rescale) * t.slack);
        const double size = std::fabs(t.g) + std::fabs(add) +
                            std::fabs(rescale) * (std::fabs(t.scale * sum) + std::fabs(t.bias) + t.slack) + error;
        const bool odd = std::isnan(add) || std::isnan(scale);
        const float e = estimate.as<float>()[r], b = bound.as<float>()[r];
        const double most = 1e-6 * size * std::max(1.0, scale);
        check((std::isnan(e) && odd) || std::fabs(e - expected) <= most, *k, at("estimate", m, n, nq));
        check((std::isnan(b) && odd) || std::fabs(b - lower) <= most, *k, at("bound", m, n, nq));
        estimates[q].push_back(e);
        bounds[q].push_back(b);
        sums[q].push_back(static_cast<float>(sum));
      }
      std::memset(static_cast<void*>(hits[q].data()), 0xee, hits[q].size() * sizeof(CodeHit));
      asked[q].hits = hits[q].data();
      asked[q].count = static_cast<uint32_t>(q % 3);
      asked[q].threshold = pick_threshold(bounds[q], n, random);
    }
    k->codes.scan_nibbles(rows.view(), asked.data(), nq);
    for (size_t q = 0; q < nq; q++) {
      check(right_hits(hits[q], q % 3, asked[q].count, n, estimates[q].data(), bounds[q].data(), sums[q].data(),
                       asked[q].threshold),
            *k, at("scan_nibbles", m, n, nq));
    }
  }
}

void test_scans() {
  Random random(2);
  for (size_t m : subquantizers()) {
    for (CodeFactors kind : {CodeFactors::none, CodeFactors::add, CodeFactors::scale, CodeFactors::rescale_error,
                             CodeFactors::add_rescale_error}) {
      test_scan(m, 1 + random.below(140), 1 + random.below(m > 200 ? 3 : 9), kind, random);
    }
  }
  for (size_t n : {1, 15, 16, 17, 31, 32, 33, 63, 64, 65}) {
    for (size_t nq = 1; nq <= 9; nq++) test_scan(7, n, nq, CodeFactors::add_rescale_error, random);
  }
  if (!quick) test_scan(64, 3000, 6, CodeFactors::add, random);  // more than one stretch
}

void test_byte_scan(size_t m, size_t n, size_t nq, CodeFactors kind, Random& random) {
  const Rows rows(true, n, m, kind, random);
  Guarded tables_of(4 * 256 * m * nq), luts(256 * m * nq);
  std::vector<annex::ByteQuery> queries(nq);
  std::vector<std::vector<float>> values(nq), sums(nq);
  for (size_t q = 0; q < nq; q++) {
    annex::ByteQuery& query = queries[q];
    uint8_t* lut = luts.data() + 256 * m * q;
    float* table = tables_of.as<float>() + 256 * m * q;
    fill_lut(lut, m, 256, static_cast<int>(random.below(4)), random);
    query.scale = random.uniform();
    // Somewhat more than what the byte tables say.
    for (size_t i = 0; i < 256 * m; i++) table[i] = query.scale * (static_cast<float>(lut[i]) + random.uniform()) - 3;
    query.bias = -3 * static_cast<float>(m) - 1e-3f * static_cast<float>(m);
    query.table = table;
    query.lut = lut;
    query.g = random.normal();
    for (size_t r = 0; r < n; r++) {
      float sum = 0;
      for (size_t j = 0; j < m; j++) sum += table[256 * j + rows.code(r, j)];
      sums[q].push_back(sum);
      const float whole = (kind == CodeFactors::add ? query.g + rows.factors.add[r] : query.g) + sum;
      values[q].push_back(kind == CodeFactors::scale ? rows.factors.scale[r] * whole : whole);
    }
    query.threshold = pick_threshold(values[q], n, random);
  }
  for (const Kernels* k : tables) {
    std::vector<annex::ByteQuery> asked = queries;
    std::vector<std::vector<CodeHit>> hits(nq, std::vector<CodeHit>(n + 4));
    for (size_t q = 0; q < nq; q++) {
      std::memset(static_cast<void*>(hits[q].data()), 0xee, hits[q].size() * sizeof(CodeHit));
      asked[q].hits = hits[q].data();
      asked[q].count = static_cast<uint32_t>(q % 3);
    }
    k->codes.scan_bytes(rows.view(), asked.data(), nq);
    for (size_t q = 0; q < nq; q++) {
      check(right_hits(hits[q], q % 3, asked[q].count, n, values[q].data(), values[q].data(), sums[q].data(),
                       asked[q].threshold),
            *k, at("scan_bytes", m, n, nq));
    }
  }
}

void test_byte_scans() {
  Random random(3);
  for (size_t m : subquantizers()) {
    for (CodeFactors kind : {CodeFactors::none, CodeFactors::add, CodeFactors::scale}) {
      test_byte_scan(m, 1 + random.below(m > 200 ? 70 : 200), 1 + random.below(m > 200 ? 2 : 4), kind, random);
    }
  }
  for (size_t n : {1, 15, 16, 17, 31, 32, 33, 48, 63, 64, 65, 96, 97})
    test_byte_scan(5, n, 2, CodeFactors::add, random);
}

void test_planes() {
  Random random(4);
  for (size_t dim = 16; dim <= (quick ? 160 : 1040); dim += 16) {
    for (size_t planes = 1; planes <= 7; planes++) {
      const size_t n = 1 + random.below(5), bytes = annex::plane_bytes(dim, planes), padded = (dim + 63) / 64 * 64;
      Guarded data(n * bytes), query(2 * padded), out(4 * n);
      for (size_t i = 0; i < data.size(); i++) data.data()[i] = static_cast<uint8_t>(planes == 5 ? 255 : random.next());
      std::memset(query.data(), 0, query.size());
      for (size_t d = 0; d < dim; d++) {
        query.as<int16_t>()[d] =
            static_cast<int16_t>(planes == 5 ? -16383 : static_cast<int>(random.below(32767)) - 16383);
      }
      std::vector<const uint8_t*> rows(n);
      std::vector<int32_t> expected(n);
      for (size_t i = 0; i < n; i++) {
        rows[i] = data.data() + random.below(n) * bytes;
        uint32_t sum = 0;
        for (size_t d = 0; d < dim; d++) {
          const size_t group = d / 64 * 64, width = std::min<size_t>(64, dim - group);
          uint32_t code = 0;
          for (size_t b = 0; b < planes; b++) {
            const uint8_t byte = rows[i][group / 8 * planes + b * width / 8 + (d - group) / 8];
            code |= static_cast<uint32_t>(byte >> d % 8 & 1) << b;
          }
          sum += static_cast<uint32_t>(query.as<int16_t>()[d]) * code;
        }
        expected[i] = static_cast<int32_t>(sum);
      }
      for (const Kernels* k : tables) {
        std::memset(out.data(), 0xee, out.size());
        k->codes.plane_products(query.as<int16_t>(), rows.data(), n, dim, planes, out.as<int32_t>());
        check(std::memcmp(out.data(), expected.data(), out.size()) == 0, *k, at("plane_products", planes, dim));
      }
    }
  }
}

void test_hadamard() {
  Random random(5);
  for (size_t n = 16; n <= 32768; n *= 2) {
    Guarded x(4 * n);
    std::vector<float> start(n);
    for (float& v : start) v = random.normal();
    std::vector<float> expected = start;
    for (size_t span = n / 2; span > 0; span /= 2) {
      for (size_t i = 0; i < n; i++) {
        if (i & span) continue;
        const float a = expected[i], b = expected[i + span];
        expected[i] = a + b;
        expected[i + span] = a - b;
      }
    }
    // The reference itself, at one element.
    const size_t row = random.below(n);
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += std::popcount(i & row) % 2 ? -start[i] : start[i];
    check(std::fabs(expected[row] - sum) < 1e-3 * std::sqrt(static_cast<double>(n)), *tables[0],
          at("hadamard", n, row));
    for (const Kernels* k : tables) {
      std::memcpy(x.data(), start.data(), x.size());
      k->codes.hadamard(x.as<float>(), n);
      check(std::memcmp(x.data(), expected.data(), x.size()) == 0, *k, at("hadamard", n, n));
    }
  }
}

// Byte tables, within what rounding products may do.
void test_tables() {
  Random random(6);
  for (size_t m = 1; m <= (quick ? 5 : 20); m++) {
    for (size_t width : {16, 256}) {
      Guarded t(4 * m * width), low(4 * m), high(4 * m), lut(m * width);
      for (size_t i = 0; i < m * width; i++) t.as<float>()[i] = random.normal() * static_cast<float>(1 + m);
      std::vector<float> least(m), greatest(m);
      for (size_t j = 0; j < m; j++) {
        const float* first = t.as<float>() + j * width;
        least[j] = *std::min_element(first, first + width);
        greatest[j] = *std::max_element(first, first + width);
      }
      for (const Kernels* k : tables) {
        k->codes.table_extents(t.as<float>(), m, width, low.as<float>(), high.as<float>());
        check(std::equal(least.begin(), least.end(), low.as<float>()) &&
                  std::equal(greatest.begin(), greatest.end(), high.as<float>()),
              *k, at("table_extents", m, width));
        for (float offset : {0.0f, -0.5f}) {
          std::memset(lut.data(), 0xee, lut.size());
          const float inverse = 255 / (greatest[0] - least[0]);  // others may leave the range
          k->codes.quantize_tables(t.as<float>(), m, width, least.data(), inverse, offset, lut.data());
          bool ok = true;
          for (size_t i = 0; i < m * width; i++) {
            const double level = (static_cast<double>(t.as<float>()[i]) - least[i / width]) * inverse + offset;
            const double expected = std::min(255.0, std::max(0.0, level));
            ok = ok && std::fabs(lut.data()[i] - expected) <= 0.5001;
          }
          check(ok, *k, at("quantize_tables", m, width));
        }
      }
    }
    Guarded q(16 * m), lut(16 * m), x(64 * m);
    float widest = 0;
    for (size_t j = 0; j < m; j++) {
      float span = 0;
      for (size_t i = 4 * j; i < 4 * j + 4; i++) span += std::fabs(q.as<float>()[i] = random.normal());
      widest = std::max(widest, span);
    }
    for (size_t i = 0; i < 16 * m; i++) x.as<float>()[i] = std::fabs(random.normal());
    for (const Kernels* k : tables) {
      const float inverse = 255 / widest;
      k->codes.sign_tables(q.as<float>(), m, inverse, lut.data());
      bool ok = true;
      for (size_t j = 0; j < m; j++) {
        for (size_t c = 0; c < 16; c++) {
          double level = 0;
          for (size_t i = 0; i < 4; i++) {
            const double v = q.as<float>()[4 * j + i];
            level += (c >> i & 1 ? v : 0) - std::min(v, 0.0);
          }
          ok = ok && std::fabs(lut.data()[16 * j + c] - level * inverse) <= 0.5001;
        }
      }
      check(ok, *k, at("sign_tables", m, m));
      for (float most : {1.0f, 3.0f, 127.0f}) {
        const float by = most * 0.7f;
        double dot = 0, square = 0;
        for (size_t i = 0; i < 16 * m; i++) {
          const double level =
              std::min(std::floor(static_cast<double>(x.as<float>()[i]) * by), static_cast<double>(most)) + 0.5;
          dot += x.as<float>()[i] * level;
          square += level * level;
        }
        float got_dot, got_square;
        k->codes.fit_levels(x.as<float>(), 16 * m, by, most, &got_dot, &got_square);
        check(std::fabs(got_dot - dot) < 1e-4 * dot && std::fabs(got_square - square) < 1e-4 * square, *k,
              at("fit_levels", m, static_cast<size_t>(most)));
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
  test_sums();
  test_scans();
  test_byte_scans();
  test_planes();
  test_hadamard();
  test_tables();
  std::printf("codes_test: %zu checks, %zu failed, tables: %s\n", testing::checks.load(), testing::failures.load(),
              names.c_str());
  return testing::failures == 0 ? 0 : 1;
}
