// Any sequence of calls, decoded from bytes, keeps the index equal to a simple model. Built with -fsanitize=fuzzer
// this is a libFuzzer target.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>

#include "fuzz_main.h"

using testing::Answer;
using testing::Index;
using testing::Random;

namespace {

class Bytes {
 public:
  Bytes(const uint8_t* data, size_t size) : data_(data), end_(data + size) {}
  bool empty() const { return data_ == end_; }
  uint8_t byte() { return empty() ? 0 : *data_++; }
  size_t below(size_t n) { return byte() % n; }

 private:
  const uint8_t* data_;
  const uint8_t* end_;
};

// Ids collide often, and sometimes are none.
double make_id(Bytes& in) {
  const uint8_t b = in.byte();
  if (b >= 252) return b == 252 ? -1 : b == 253 ? 0.5 : b == 254 ? 9007199254740992.0 : std::nan("");
  return b % 4 == 0 ? 9007199254740991.0 - b : b;
}

struct Model {
  std::map<double, std::vector<uint8_t>> rows;
  double next_id = 0;
};

void run(const uint8_t* data, size_t size) {
  Bytes in(data, size);
  const size_t storage = in.below(7);
  const size_t metric = in.below(6);
  const size_t dim = storage == ANNEX_STORE_BITS ? 8 * (1 + in.below(20)) : 1 + in.below(70);
  const Index index(dim, static_cast<int>(metric), static_cast<int>(storage), static_cast<int>(in.below(3)));
  if (index.status != ANNEX_OK) {
    CHECK(index.handle == nullptr && annex_last_error()[0] != 0);
    return;
  }
  Index& subject = const_cast<Index&>(index);
  const bool floats = index.type == ANNEX_F32;
  const size_t row_bytes = floats ? dim * 4 : storage == ANNEX_STORE_BITS ? dim / 8 : dim;
  Model model;
  bool exact = storage == ANNEX_STORE_F32 || !floats;  // get returns what was given

  // Rows of a few values, so that equal distances abound; once in a while something that must be refused.
  const auto make_rows = [&](size_t n, bool* bad) {
    std::vector<uint8_t> rows(n * row_bytes + 8);
    for (size_t i = 0; i < n; ++i) {
      const uint8_t seed = in.byte();
      for (size_t d = 0; d < (floats ? dim : row_bytes); ++d) {
        if (floats) {
          float value = static_cast<float>((seed + d * 3) % 5) - 2.0f + (seed == 0 ? 1e-3f * d : 0);
          if (d == 0) value += 0.5f;
          if (seed == 255 && d == dim - 1) value = std::nanf("");
          std::memcpy(&rows[(i * dim + d) * 4], &value, 4);
        } else {
          rows[i * row_bytes + d] = static_cast<uint8_t>(seed * (d + 1) | (d == 0));
        }
      }
      if (seed == 255 && floats) *bad = true;
    }
    return rows;
  };

  while (!in.empty()) {
    switch (in.below(7)) {
      case 0:
      case 1: {  // add or upsert, one part or two
        const bool upsert = in.byte() % 2 != 0;
        const size_t n = in.below(40);
        const bool with_ids = upsert || in.byte() % 2 != 0;
        bool bad = false;
        const std::vector<uint8_t> rows = make_rows(n, &bad);
        std::vector<double> ids(n);
        for (size_t i = 0; i < n; ++i) {
          ids[i] = with_ids ? make_id(in) : model.next_id + static_cast<double>(i);
          const bool repeated =
              std::find(ids.begin(), ids.begin() + static_cast<long>(i), ids[i]) != ids.begin() + static_cast<long>(i);
          if (!(ids[i] >= 0 && ids[i] <= 9007199254740991.0) || ids[i] != std::floor(ids[i])) bad = true;
          // Without ids, one past the largest may be no id any more.
          if (with_ids && (repeated || (!upsert && model.rows.count(ids[i]) != 0))) bad = true;
        }
        const size_t before = annex_size(index.handle);
        AnnexWriter* writer = nullptr;
        CHECK(annex_writer_open(index.handle, upsert ? ANNEX_UPSERT : ANNEX_ADD, &writer) == ANNEX_OK);
        AnnexWriter* second = nullptr;
        CHECK(annex_writer_open(index.handle, ANNEX_ADD, &second) == ANNEX_BUSY && second == nullptr);
        const size_t part = n == 0 ? 0 : in.below(n);
        const double* given = with_ids ? ids.data() : nullptr;
        AnnexStatus status = annex_writer_append(writer, index.type, rows.data(), part, given, nullptr);
        if (status == ANNEX_OK && n > part) {
          status = annex_writer_append(writer, index.type, rows.data() + part * row_bytes, n - part,
                                       with_ids ? given + part : nullptr, nullptr);
        }
        CHECK(annex_size(index.handle) == before);
        const bool abandon = in.byte() % 8 == 0;
        if (status != ANNEX_OK || abandon) {
          annex_writer_abort(writer);
          CHECK(abandon || bad);
          CHECK(annex_size(index.handle) == before);
          break;
        }
        CHECK(!bad && annex_writer_commit(writer) == ANNEX_OK);
        for (size_t i = 0; i < n; ++i) {
          const auto* row = rows.data() + i * row_bytes;
          model.rows[ids[i]].assign(row, row + row_bytes);
          model.next_id = std::max(model.next_id, ids[i] + 1);
        }
        break;
      }
      case 2: {  // remove
        std::vector<double> ids(in.below(12));
        bool bad = false;
        size_t present = 0;
        for (size_t i = 0; i < ids.size(); ++i) {
          ids[i] = make_id(in);
          if (in.byte() % 2 != 0 && !model.rows.empty()) ids[i] = model.rows.rbegin()->first;
          if (!(ids[i] >= 0 && ids[i] <= 9007199254740991.0) || ids[i] != std::floor(ids[i])) bad = true;
          if (std::find(ids.begin(), ids.begin() + static_cast<long>(i), ids[i]) != ids.begin() + static_cast<long>(i))
            bad = true;
          present += model.rows.count(ids[i]);
        }
        size_t removed = 99;
        const AnnexStatus status = annex_remove(index.handle, ids.data(), ids.size(), &removed);
        CHECK((status != ANNEX_OK) == bad);
        CHECK(removed == (bad ? 0 : present));
        if (!bad) {
          for (const double id : ids) model.rows.erase(id);
        }
        break;
      }
      case 3: {  // has and get
        const double id = make_id(in);
        uint8_t found = 9;
        std::vector<uint8_t> row(row_bytes + 8);
        const AnnexStatus status = annex_get(index.handle, &id, 1, row.data(), &found);
        const bool valid = id >= 0 && id <= 9007199254740991.0 && id == std::floor(id);
        CHECK((status == ANNEX_OK) == valid);
        if (!valid) break;
        const auto entry = model.rows.find(id);
        CHECK(found == (entry != model.rows.end()));
        if (found && exact) CHECK(std::memcmp(row.data(), entry->second.data(), row_bytes) == 0);
        uint8_t has = 9;
        CHECK(annex_has(index.handle, &id, 1, &has) == ANNEX_OK && has == found);
        break;
      }
      default: {  // search, all ways, with a filter or not
        const size_t nq = 1 + in.below(12), k = 1 + in.below(15);
        bool bad = false;
        const std::vector<uint8_t> queries = make_rows(nq, &bad);
        std::vector<double> allowed;
        std::vector<uint32_t> words;
        const int kind = static_cast<int>(in.below(3));
        size_t covered = 0;
        if (kind == ANNEX_ALLOW_IDS) {
          allowed.resize(in.below(30));
          for (double& id : allowed) id = make_id(in);
        } else if (kind == ANNEX_ALLOW_BITS) {
          covered = in.below(256);
          words.resize(covered / 32 + 1);
          for (uint32_t& word : words) word = in.byte() * 0x01010101u;
        }
        const auto allows = [&](double id) {
          if (kind == ANNEX_ALLOW_IDS) return std::find(allowed.begin(), allowed.end(), id) != allowed.end();
          if (kind == ANNEX_ALLOW_ALL) return true;
          return id < static_cast<double>(covered) &&
                 (words[static_cast<size_t>(id) / 32] >> static_cast<size_t>(id) % 32 & 1) != 0;
        };
        size_t candidates = 0;
        for (const auto& [id, row] : model.rows) candidates += allows(id);
        const void* filter = kind == ANNEX_ALLOW_IDS ? static_cast<const void*>(allowed.data()) : words.data();
        const size_t count = kind == ANNEX_ALLOW_IDS ? allowed.size() : covered;
        const Answer answer = subject.search(queries.data(), nq, k, 1 + in.below(2), kind, filter, count);
        CHECK((answer.status == ANNEX_OK) == !bad);
        if (bad) break;
        for (size_t q = 0; q < nq; ++q) {
          CHECK(answer.counts[q] == std::min(k, candidates));
          for (size_t i = 0; i < k; ++i) {
            const double id = answer.ids[q * k + i];
            if (i >= answer.counts[q]) {
              CHECK(id == -1);
              continue;
            }
            CHECK(model.rows.count(id) == 1 && allows(id));
            if (i == 0) continue;
            const float before = answer.distances[q * k + i - 1], after = answer.distances[q * k + i];
            CHECK(before < after || (before == after && answer.ids[q * k + i - 1] < id));
          }
        }
        // The widest answer holds every allowed row; the asked-for one is its beginning.
        if (candidates != 0) {
          const Answer all = subject.search(queries.data(), 1, candidates, 1, kind, filter, count);
          CHECK(all.counts[0] == candidates);
          for (size_t i = 0; i < answer.counts[0]; ++i) {
            CHECK(all.ids[i] == answer.ids[i] && all.distances[i] == answer.distances[i]);
          }
        }
      }
    }
    CHECK(annex_size(index.handle) == model.rows.size() && annex_next_id(index.handle) == model.next_id);
  }
  std::vector<double> ids(model.rows.size() + 1);
  CHECK(annex_ids(index.handle, 0, ids.size(), ids.data()) == model.rows.size());
  ids.pop_back();
  std::sort(ids.begin(), ids.end());
  size_t i = 0;
  for (const auto& [id, row] : model.rows) CHECK(ids[i++] == id);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  run(data, size);
  if (testing::failures != 0) std::abort();
  return 0;
}

#if !defined(ANNEX_LIBFUZZER)
int main(int argc, char** argv) {
  return testing::fuzz_main("fuzz_api", argc, argv, 2000, [](Random& random, testing::Input& input) {
    input.resize(random.below(600));
    for (uint8_t& byte : input) byte = static_cast<uint8_t>(random.next());
  });
}
#endif
