// Pins the layouts that ts/backend_wasm.ts writes and reads in linear memory.
#include <stddef.h>

#include "api/annex.h"

static_assert(sizeof(void*) == 4 && sizeof(size_t) == 4);

static_assert(offsetof(AnnexSearch, queries) == 0);
static_assert(offsetof(AnnexSearch, options) == 4);
static_assert(offsetof(AnnexSearch, filter) == 8);
static_assert(offsetof(AnnexSearch, cancel) == 12);
static_assert(offsetof(AnnexSearch, ids) == 16);
static_assert(offsetof(AnnexSearch, distances) == 20);
static_assert(offsetof(AnnexSearch, counts) == 24);
static_assert(offsetof(AnnexSearch, nq) == 28);
static_assert(offsetof(AnnexSearch, k) == 32);
static_assert(offsetof(AnnexSearch, option_pairs) == 36);
static_assert(offsetof(AnnexSearch, filter_count) == 40);
static_assert(offsetof(AnnexSearch, type) == 44);
static_assert(offsetof(AnnexSearch, filter_kind) == 48);
static_assert(offsetof(AnnexSearch, part) == 52);
static_assert(sizeof(AnnexSearch) == 56);

static_assert(offsetof(AnnexPart, first) == 0);
static_assert(offsetof(AnnexPart, rows) == 4);
static_assert(offsetof(AnnexPart, changes) == 8);
static_assert(sizeof(AnnexPart) == 12);

static_assert(offsetof(AnnexStats, size) == 0);
static_assert(offsetof(AnnexStats, bytes_vectors) == 8);
static_assert(offsetof(AnnexStats, bytes_sidecar) == 16);
static_assert(offsetof(AnnexStats, bytes_ids) == 24);
static_assert(offsetof(AnnexStats, bytes_norms) == 32);
static_assert(offsetof(AnnexStats, bytes_total) == 40);
static_assert(offsetof(AnnexStats, scanned) == 48);
static_assert(offsetof(AnnexStats, rescored) == 56);
static_assert(offsetof(AnnexStats, bytes_links) == 64);
static_assert(offsetof(AnnexStats, bytes_codes) == 72);
static_assert(offsetof(AnnexStats, bytes_rerank) == 80);
static_assert(offsetof(AnnexStats, bytes_codebooks) == 88);
static_assert(offsetof(AnnexStats, removed) == 96);
static_assert(offsetof(AnnexStats, trained) == 104);
static_assert(offsetof(AnnexStats, code_searches) == 112);
static_assert(offsetof(AnnexStats, hops) == 120);
static_assert(offsetof(AnnexStats, exact_searches) == 128);
static_assert(sizeof(AnnexStats) == 136);

static_assert(offsetof(AnnexProgress, done) == 0);
static_assert(offsetof(AnnexProgress, total) == 8);
static_assert(offsetof(AnnexProgress, phase) == 16);
static_assert(offsetof(AnnexProgress, finished) == 20);
static_assert(sizeof(AnnexProgress) == 24);
