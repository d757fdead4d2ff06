// Small files of every kind of index and codec, for the tests that damage them.
#pragma once
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "file_testing.h"

namespace testing {

struct Seed {
  std::string name;
  Bytes bytes;
};

/// An index of these options with n rows, trained where that is needed; its file. Empty when it cannot be made.
inline Bytes seed_file(const std::vector<double>& options, size_t dim, size_t n, bool ids, bool removes) {
  AnnexIndex* index = nullptr;
  if (annex_create(options.data(), options.size() / 2, &index) != ANNEX_OK) return {};
  int storage = ANNEX_STORE_F32;
  for (size_t i = 0; i < options.size(); i += 2) {
    if (static_cast<int>(options[i]) == ANNEX_KEY_STORAGE) storage = static_cast<int>(options[i + 1]);
  }
  const AnnexInput type = storage == ANNEX_STORE_I8     ? ANNEX_I8
                          : storage == ANNEX_STORE_U8   ? ANNEX_U8
                          : storage == ANNEX_STORE_BITS ? ANNEX_BITS
                                                        : ANNEX_F32;
  Random random(7);
  std::vector<float> floats(n * dim);
  for (float& value : floats) value = random.normal();
  std::vector<uint8_t> raw(n * dim);
  for (uint8_t& byte : raw) byte = static_cast<uint8_t>(random.next());
  const void* rows = type == ANNEX_F32 ? static_cast<const void*>(floats.data()) : raw.data();
  const auto write = [&](AnnexWriteMode mode, size_t count, const double* given) {
    AnnexWriter* writer = nullptr;
    if (annex_writer_open(index, mode, &writer) != ANNEX_OK) return false;
    if (annex_writer_append(writer, type, rows, count, given, nullptr) != ANNEX_OK) {
      annex_writer_abort(writer);
      return false;
    }
    return annex_writer_commit(writer) == ANNEX_OK;
  };
  AnnexStats stats;
  annex_stats(index, &stats);
  if (stats.trained == 0) CHECK(write(ANNEX_TRAIN, n, nullptr));
  std::vector<double> given(n);
  for (size_t i = 0; i < n; ++i) given[i] = static_cast<double>((n - i) * 3);
  CHECK(write(ANNEX_ADD, n, ids ? given.data() : nullptr));
  if (removes) {
    const double gone[] = {3, 6};
    size_t removed = 0;
    CHECK(annex_remove(index, gone, 2, &removed) == ANNEX_OK);
  }
  Bytes bytes = save(index, "{}");
  // What comes out of the file answers as what went in, and is the same file again.
  AnnexIndex* opened = nullptr;
  CHECK(open(bytes.data(), bytes.size(), &opened) == ANNEX_OK);
  if (opened == nullptr) {
    std::printf("  %s\n", annex_last_error());
  } else {
    CHECK(save(opened, "{}") == bytes);
    const size_t nq = n < 12 ? n : 12;
    const auto answer = [&](AnnexIndex* of) {
      Answer found{std::vector<double>(nq * 7), std::vector<float>(nq * 7), std::vector<uint32_t>(nq), ANNEX_OK};
      AnnexSearch search{};
      search.queries = rows;
      search.nq = nq;
      search.k = 7;
      search.ids = found.ids.data();
      search.distances = found.distances.data();
      search.counts = found.counts.data();
      search.type = type;
      found.status = annex_search(of, &search);
      return found;
    };
    const Answer before = answer(index);
    CHECK(before.status == ANNEX_OK && before.counts[0] != 0);
    CHECK(before == answer(opened));
    CHECK(annex_size(index) == annex_size(opened) && annex_next_id(index) == annex_next_id(opened));
    annex_release(opened);
  }
  annex_release(index);
  return bytes;
}

/// One of each; kinds and codecs that this build does not know are left out.
inline std::vector<Seed> seeds() {
  std::vector<Seed> out;
  const auto add = [&](const char* name, std::vector<double> options, size_t dim, size_t n, bool ids, bool removes) {
    options.insert(options.end(), {ANNEX_KEY_DIM, static_cast<double>(dim)});
    Bytes bytes = seed_file(options, dim, n, ids, removes);
    if (!bytes.empty()) out.push_back({name, std::move(bytes)});
  };
  using Options = std::vector<double>;
  const auto key = [](int k) { return static_cast<double>(k); };
  const Options flat = {key(ANNEX_KEY_KIND), ANNEX_FLAT};
  const auto with = [&](Options base, std::initializer_list<std::pair<int, double>> more) {
    for (const auto& [k, v] : more) base.insert(base.end(), {key(k), v});
    return base;
  };
  add("flat", flat, 33, 5, true, false);
  add("flat_f16", with(flat, {{ANNEX_KEY_STORAGE, ANNEX_STORE_F16}, {ANNEX_KEY_METRIC, ANNEX_L1}}), 6, 3, false, false);
  add("flat_sq8", with(flat, {{ANNEX_KEY_STORAGE, ANNEX_STORE_SQ8}, {ANNEX_KEY_METRIC, ANNEX_COSINE}}), 6, 18, false,
      true);
  add("flat_u8", with(flat, {{ANNEX_KEY_STORAGE, ANNEX_STORE_U8}}), 7, 3, true, true);
  add("flat_bits", with(flat, {{ANNEX_KEY_STORAGE, ANNEX_STORE_BITS}, {ANNEX_KEY_METRIC, ANNEX_JACCARD}}), 16, 4, true,
      false);
  add("flat_pq4",
      with(flat, {{ANNEX_KEY_STORAGE, ANNEX_STORE_PQ},
                  {ANNEX_KEY_CODE_M, 4},
                  {ANNEX_KEY_CODE_BITS, 4},
                  {ANNEX_KEY_METRIC, ANNEX_COSINE}}),
      8, 40, true, true);
  add("flat_opq8",
      with(flat, {{ANNEX_KEY_STORAGE, ANNEX_STORE_PQ},
                  {ANNEX_KEY_CODE_M, 2},
                  {ANNEX_KEY_CODE_BITS, 8},
                  {ANNEX_KEY_ROTATION, ANNEX_ROTATION_OPQ},
                  {ANNEX_KEY_RERANK, ANNEX_STORE_SQ8}}),
      4, 70, false, true);
  add("flat_rabitq", with(flat, {{ANNEX_KEY_STORAGE, ANNEX_STORE_RABITQ}, {ANNEX_KEY_CODE_BITS, 1}}), 64, 33, true,
      false);
  add("flat_rabitq4",
      with(flat, {{ANNEX_KEY_STORAGE, ANNEX_STORE_RABITQ},
                  {ANNEX_KEY_CODE_BITS, 4},
                  {ANNEX_KEY_METRIC, ANNEX_IP},
                  {ANNEX_KEY_RERANK, ANNEX_STORE_F32}}),
      16, 24, false, true);
  const Options hnsw = {key(ANNEX_KEY_KIND), ANNEX_HNSW, key(ANNEX_KEY_M), 4};
  add("hnsw_plain", with(hnsw, {{ANNEX_KEY_LAYOUT, ANNEX_LAYOUT_PLAIN}}), 5, 40, false, false);
  add("hnsw_removed", with(hnsw, {{ANNEX_KEY_LAYOUT, ANNEX_LAYOUT_PLAIN}, {ANNEX_KEY_METRIC, ANNEX_COSINE}}), 5, 24,
      true, true);
  add("hnsw_inline", with(hnsw, {{ANNEX_KEY_LAYOUT, ANNEX_LAYOUT_CODES}}), 32, 24, false, true);
  add("hnsw_sq8",
      with(hnsw,
           {{ANNEX_KEY_STORAGE, ANNEX_STORE_SQ8}, {ANNEX_KEY_RERANK, ANNEX_STORE_F32}, {ANNEX_KEY_METRIC, ANNEX_IP}}),
      8, 20, true, false);
  add("hnsw_bits", with(hnsw, {{ANNEX_KEY_STORAGE, ANNEX_STORE_BITS}, {ANNEX_KEY_METRIC, ANNEX_HAMMING}}), 16, 20,
      false, false);
  const Options ivf = {key(ANNEX_KEY_KIND), ANNEX_IVF, key(ANNEX_KEY_NLIST), 3};
  add("ivf", ivf, 4, 40, false, false);
  add("ivf_narrow", ivf, 40, 20, true, true);
  add("ivf_sq8", with(ivf, {{ANNEX_KEY_STORAGE, ANNEX_STORE_SQ8}, {ANNEX_KEY_SPILL, 1}}), 4, 20, true, true);
  add("ivf_u8", with(ivf, {{ANNEX_KEY_STORAGE, ANNEX_STORE_U8}}), 4, 20, false, false);
  add("ivf_pq4", with(ivf, {{ANNEX_KEY_STORAGE, ANNEX_STORE_PQ}, {ANNEX_KEY_CODE_M, 4}, {ANNEX_KEY_CODE_BITS, 4}}), 8,
      64, true, true);
  add("ivf_opq8",
      with(ivf, {{ANNEX_KEY_STORAGE, ANNEX_STORE_PQ},
                 {ANNEX_KEY_CODE_M, 2},
                 {ANNEX_KEY_CODE_BITS, 8},
                 {ANNEX_KEY_ROTATION, ANNEX_ROTATION_OPQ},
                 {ANNEX_KEY_RERANK, ANNEX_STORE_F16}}),
      4, 300, false, true);
  add("ivf_rabitq", with(ivf, {{ANNEX_KEY_STORAGE, ANNEX_STORE_RABITQ}, {ANNEX_KEY_CODE_BITS, 1}}), 64, 24, true, true);
  add("ivf_rabitq4",
      with(ivf, {{ANNEX_KEY_STORAGE, ANNEX_STORE_RABITQ},
                 {ANNEX_KEY_CODE_BITS, 4},
                 {ANNEX_KEY_METRIC, ANNEX_COSINE},
                 {ANNEX_KEY_RERANK, ANNEX_STORE_F32}}),
      16, 24, false, false);
  // Behind the others: the fuzzers' inputs name files by their number.
  add("ivf_pq8_plain",
      with(ivf, {{ANNEX_KEY_STORAGE, ANNEX_STORE_PQ},
                 {ANNEX_KEY_CODE_M, 2},
                 {ANNEX_KEY_CODE_BITS, 8},
                 {ANNEX_KEY_RESIDUAL, 0}}),
      4, 260, false, true);
  add("ivf_pq4_lengths",
      with(ivf, {{ANNEX_KEY_STORAGE, ANNEX_STORE_PQ},
                 {ANNEX_KEY_CODE_M, 4},
                 {ANNEX_KEY_CODE_BITS, 4},
                 {ANNEX_KEY_LENGTHS, 1},
                 {ANNEX_KEY_METRIC, ANNEX_IP}}),
      8, 64, false, true);
  add("ivf_i8", with(ivf, {{ANNEX_KEY_STORAGE, ANNEX_STORE_I8}, {ANNEX_KEY_METRIC, ANNEX_COSINE}}), 4, 20, true, false);
  add("ivf_f16", with(ivf, {{ANNEX_KEY_STORAGE, ANNEX_STORE_F16}, {ANNEX_KEY_METRIC, ANNEX_IP}}), 4, 20, false, true);
  add("hnsw_i8", with(hnsw, {{ANNEX_KEY_STORAGE, ANNEX_STORE_I8}}), 5, 20, true, true);
  add("hnsw_bf16", with(hnsw, {{ANNEX_KEY_STORAGE, ANNEX_STORE_BF16}, {ANNEX_KEY_METRIC, ANNEX_L1}}), 5, 20, false,
      false);
  add("flat_bf16", with(flat, {{ANNEX_KEY_STORAGE, ANNEX_STORE_BF16}, {ANNEX_KEY_METRIC, ANNEX_IP}}), 6, 3, true,
      false);
  add("flat_i8", with(flat, {{ANNEX_KEY_STORAGE, ANNEX_STORE_I8}}), 7, 3, false, true);
  add("hnsw_axes", hnsw, 12, 100, true, true);
  return out;
}

}  // namespace testing
