/* The C ABI: the only door into the core. The Node-API addon and the WebAssembly build export exactly this.
 *
 * Conventions
 *  - Functions return an AnnexStatus; 0 is success. After a failure annex_last_error() on the same thread tells
 *    what was expected, what came and what to do. Nothing throws, exits or prints.
 *  - Counts are size_t, ids are doubles holding safe integers (0 … 2^53 - 1), options are (key, value) pairs of
 *    doubles, so that both bindings pass flat arrays only.
 *  - Handles are reference-counted and every function may be called from any thread. Searches run side by side.
 *    One writer at a time: a second one gets ANNEX_BUSY at once and never waits for the first.
 *  - `cancel`, where taken, may be null; otherwise it points to an int32 that any thread may set to non-zero: the
 *    call then returns ANNEX_ABORTED within some 50 ms.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The order is part of the ABI: ts/errors.ts holds the same list. */
typedef enum AnnexStatus {
  ANNEX_OK = 0,
  ANNEX_INVALID_ARGUMENT = 1, /* a value of the right type that cannot be used */
  ANNEX_INVALID_TYPE = 2,     /* a value of the wrong type */
  ANNEX_DIMENSION_MISMATCH = 3,
  ANNEX_NOT_FINITE = 4, /* NaN or Infinity, or the zero vector under cosine */
  ANNEX_INVALID_ID = 5, /* not a safe integer in range */
  ANNEX_DUPLICATE_ID = 6,
  ANNEX_CLOSED = 7,
  ANNEX_BUSY = 8,
  ANNEX_ABORTED = 9,
  ANNEX_OUT_OF_MEMORY = 10,
  ANNEX_UNSUPPORTED = 11, /* valid, but not for this structure, codec or backend */
  ANNEX_NOT_TRAINED = 12,
  ANNEX_CORRUPT = 13,
  ANNEX_IO = 14,
  ANNEX_INTERNAL = 15 /* a defect of annex */
} AnnexStatus;

/* How the caller's rows and queries are coded. A float index takes F32; an i8 index takes I8, a u8 index U8 and a
 * bits index BITS (dim / 8 bytes a row). */
typedef enum AnnexInput { ANNEX_F32 = 0, ANNEX_I8 = 1, ANNEX_U8 = 2, ANNEX_BITS = 3 } AnnexInput;

/* Values of the option ANNEX_KIND, ANNEX_METRIC, ANNEX_STORAGE, ANNEX_SIDECAR. */
typedef enum AnnexKind { ANNEX_FLAT = 0, ANNEX_HNSW = 1, ANNEX_IVF = 2 } AnnexKind;
typedef enum AnnexMetric {
  ANNEX_L2 = 0,
  ANNEX_IP = 1,
  ANNEX_COSINE = 2,
  ANNEX_L1 = 3,
  ANNEX_HAMMING = 4,
  ANNEX_JACCARD = 5
} AnnexMetric;
typedef enum AnnexStorage {
  ANNEX_STORE_F32 = 0,
  ANNEX_STORE_F16 = 1,
  ANNEX_STORE_BF16 = 2,
  ANNEX_STORE_SQ8 = 3,
  ANNEX_STORE_I8 = 4,
  ANNEX_STORE_U8 = 5,
  ANNEX_STORE_BITS = 6,
  ANNEX_STORE_PQ = 7,
  ANNEX_STORE_RABITQ = 8
} AnnexStorage;
typedef enum AnnexRotation { ANNEX_ROTATION_NONE = 0, ANNEX_ROTATION_OPQ = 1, ANNEX_ROTATION_RANDOM = 2 } AnnexRotation;
typedef enum AnnexCoarse { ANNEX_COARSE_FLAT = 0, ANNEX_COARSE_HNSW = 1 } AnnexCoarse;
/* hnsw: PLAIN keeps links and rows; CODES keeps codes of the rows besides, by which the graph is walked. */
typedef enum AnnexLayout { ANNEX_LAYOUT_AUTO = 0, ANNEX_LAYOUT_PLAIN = 1, ANNEX_LAYOUT_CODES = 2 } AnnexLayout;
typedef enum AnnexSidecar { ANNEX_SIDECAR_AUTO = 0, ANNEX_SIDECAR_NONE = 1, ANNEX_SIDECAR_I8 = 2 } AnnexSidecar;

/* Option keys. An unknown key, or one that the kind does not take, is ANNEX_INVALID_ARGUMENT. */
typedef enum AnnexKey {
  ANNEX_KEY_KIND = 0,
  ANNEX_KEY_DIM = 1, /* 1 … 32768; under bits a multiple of 8 */
  ANNEX_KEY_METRIC = 2,
  ANNEX_KEY_STORAGE = 3,         /* default F32; BITS for hamming and jaccard */
  ANNEX_KEY_SIDECAR = 4,         /* flat: the int8 copy that speeds up exact f32 search; default AUTO */
  ANNEX_KEY_M = 5,               /* hnsw: links a node above the bottom layer, twice as many there; 2 … 512 */
  ANNEX_KEY_EF_CONSTRUCTION = 6, /* hnsw: candidates looked at for the links of a new node; from 1 on */
  ANNEX_KEY_SEED = 7,            /* of everything random: levels, samples, rotations; a whole number below 2^53 */
  ANNEX_KEY_RERANK = 8,          /* a wider copy of the rows that decides among the best: AnnexStorage, or -1: none */
  ANNEX_KEY_LAYOUT = 9,          /* hnsw: AnnexLayout */
  ANNEX_KEY_NLIST = 10,          /* ivf: lists */
  ANNEX_KEY_COARSE = 11,         /* ivf: AnnexCoarse, how the lists next to a query are found */
  ANNEX_KEY_SPILL = 12,          /* ivf: further lists that a row is put into, 0 or 1 */
  ANNEX_KEY_BALANCED = 13,       /* ivf: 1 evens out the lengths of the lists in training */
  ANNEX_KEY_ITERATIONS = 14,     /* of k-means in training */
  ANNEX_KEY_MAX_POINTS = 15,     /* training rows a centroid beyond which a sample is drawn */
  ANNEX_KEY_CODE_M = 20,         /* pq: sub-quantizers */
  ANNEX_KEY_CODE_BITS = 21,      /* pq: 4 or 8 a sub-quantizer; rabitq: 1 … 8 a dimension */
  ANNEX_KEY_ROTATION = 22,       /* pq: AnnexRotation */
  ANNEX_KEY_ROTATED_DIM = 23,    /* pq: dimensions kept by the rotation; 0: all */
  ANNEX_KEY_ANISOTROPIC = 24,    /* pq under ip and cosine: weight of the error along the row, from 1 (off) on */
  ANNEX_KEY_RESIDUAL =
      25, /* ivf with pq: 0 codes rows themselves, 1 (default) what they differ from their centroid by */
  ANNEX_KEY_LENGTHS =
      26, /* ivf with pq under ip: 1 (default) keeps 4 bytes a row that give decoded rows the length of the rows */
  /* search */
  ANNEX_KEY_THREADS = 100,       /* 0 or absent: all of the pool */
  ANNEX_KEY_EF_SEARCH = 101,     /* hnsw: length of the candidate pool; at least k */
  ANNEX_KEY_NPROBE = 102,        /* ivf: lists to look into; at most nlist */
  ANNEX_KEY_RERANK_FACTOR = 103, /* rerank the best factor × k; a codec with an error bound does not need it */
  ANNEX_KEY_EARLY_STOP = 104     /* ivf: skip lists whose centroid is this many times as far as the nearest one */
} AnnexKey;

typedef struct AnnexIndex AnnexIndex;
typedef struct AnnexWriter AnnexWriter;

/* ---- engine ---- */
const char* annex_version(void);    /* "0.1.0" */
const char* annex_isa(void);        /* "avx512amx", "neon", "wasm128" … */
const char* annex_isa_note(void);   /* why ANNEX_ISA was not followed, or "" */
uint32_t annex_threads(void);       /* size of the pool, 1 on WebAssembly */
const char* annex_last_error(void); /* message of this thread's last failure */
void* annex_alloc(size_t bytes);    /* for bindings that place arrays in linear memory; null when out of memory */
void annex_free(void* pointer);

/* Runs fn(context) on the core's pool (natively; absent on WebAssembly). fn must not throw. */
AnnexStatus annex_submit(void (*fn)(void*), void* context);

/* ---- life ---- */
AnnexStatus annex_create(const double* options, size_t pairs, AnnexIndex** out);
void annex_retain(AnnexIndex* index);
void annex_release(AnnexIndex* index); /* frees with the last reference; null is allowed */
/* A token (positive safe integer) by which another thread of the process attaches to the same index while at least
 * one reference to it lives; 0 is never a token. */
AnnexStatus annex_share(AnnexIndex* index, double* token);
AnnexStatus annex_attach(double token, AnnexIndex** out); /* adds a reference */

/* ---- facts ---- */
size_t annex_size(const AnnexIndex* index);
/* The id that the next row added without ids gets: one past the largest ever given. It stands still while a writer is
 * open. */
double annex_next_id(const AnnexIndex* index);
/* Options as created, as (key, value) pairs: every key of the kind, defaults filled in. Returns how many pairs there
 * are; writes at most `pairs` of them. */
size_t annex_options(const AnnexIndex* index, double* out, size_t pairs);

typedef struct AnnexStats {
  double size;
  double bytes_vectors; /* coded rows, as allocated */
  double bytes_sidecar; /* the narrow copy with its terms */
  double bytes_ids;     /* ids and their hash table; 0 while ids are 0, 1, 2 … */
  double bytes_norms;
  double bytes_total;     /* all of the above and fixed parts */
  double scanned;         /* rows whose distance or bound was computed, over all searches so far */
  double rescored;        /* of those, rows whose canonical distance was computed after the bound had let them pass */
  double bytes_links;     /* hnsw: links of all layers */
  double bytes_codes;     /* pq, rabitq, codes beside the links: codes with their factors */
  double bytes_rerank;    /* the wider copy */
  double bytes_codebooks; /* centroids, codebooks, rotations */
  double removed;         /* rows that are gone but still take room, until compact */
  double trained;         /* 1: ready to add; kinds without training are always */
  double code_searches;   /* hnsw: filtered searches answered by a scan of the codes of what the filter allows */
  double hops;            /* hnsw: nodes expanded, over all searches */
  double exact_searches;  /* hnsw, ivf: filtered searches answered by an exact scan of what the filter allows */
} AnnexStats;
void annex_stats(const AnnexIndex* index, AnnexStats* out);
/* 0 for a mapped file that nothing has touched yet; annex_stats, like almost any call, then loads it first. */
int32_t annex_loaded(const AnnexIndex* index);

/* ---- writing ----
 * A writer stages rows where no search sees them; commit makes them visible at once, abort (or a failed append or
 * step) leaves the index as it was: open, append …, step until it is finished, commit.
 *   ADD, UPSERT  rows become part of the index
 *   TRAIN        rows are the sample that the index is trained on (ids are null); commit makes it trained
 *   COMPACT      no rows; gives back the room of removed rows, and lays a large graph out anew */
typedef enum AnnexWriteMode { ANNEX_ADD = 0, ANNEX_UPSERT = 1, ANNEX_TRAIN = 2, ANNEX_COMPACT = 3 } AnnexWriteMode;
/* What a writer is at: ts/write.ts holds the same list. */
typedef enum AnnexPhase {
  ANNEX_PHASE_ADD = 0,       /* taking rows in */
  ANNEX_PHASE_LINK = 1,      /* linking nodes of a graph */
  ANNEX_PHASE_KMEANS = 2,    /* coarse centroids */
  ANNEX_PHASE_ROTATION = 3,  /* OPQ's alternation */
  ANNEX_PHASE_CODEBOOKS = 4, /* codebooks of a codec */
  ANNEX_PHASE_COMPACT = 5,
  ANNEX_PHASE_READ = 6, /* reading and checking a file; bytes */
  ANNEX_PHASE_WRITE = 7 /* writing a file; bytes */
} AnnexPhase;
typedef struct AnnexProgress {
  double done, total; /* in units of the phase */
  int32_t phase;      /* AnnexPhase */
  int32_t finished;   /* 1: nothing is left to do before commit */
} AnnexProgress;
AnnexStatus annex_writer_open(AnnexIndex* index, AnnexWriteMode mode, AnnexWriter** out); /* BUSY */
/* Rows lie one behind another. `ids` may be null: ids then continue from the largest ever given plus one (null ids are
 * INVALID_ID for upsert). Bad rows are named by their position since the writer was opened: NOT_FINITE, INVALID_ID,
 * DUPLICATE_ID (in the index when adding; among the writer's own ids always). After a failure only abort is possible.
 */
AnnexStatus annex_writer_append(AnnexWriter* writer, AnnexInput type, const void* rows, size_t n, const double* ids,
                                const int32_t* cancel);
/* Does the next part of the work that follows the last append: some 50 ms of it on one thread, the same parts whatever
 * the number of threads, so that results do not depend on it. Commit without having stepped to the end does the rest.
 * After ABORTED or another failure only abort is possible. */
AnnexStatus annex_writer_step(AnnexWriter* writer, const int32_t* cancel, AnnexProgress* progress);
AnnexStatus annex_writer_commit(AnnexWriter* writer); /* frees the writer, also when it fails */
void annex_writer_abort(AnnexWriter* writer);         /* frees the writer; null is allowed */

/* Removes those of the ids that are present; *removed tells how many. INVALID_ID, DUPLICATE_ID (repeated in the
 * list), BUSY: nothing removed. */
AnnexStatus annex_remove(AnnexIndex* index, const double* ids, size_t n, size_t* removed);

/* ---- reading ---- */
/* found[i] = 1 where ids[i] is present, else 0. INVALID_ID for what is no id. */
AnnexStatus annex_has(const AnnexIndex* index, const double* ids, size_t n, uint8_t* found);
/* Rows as floats, or as they were given for i8, u8 and bits; absent rows are zero and found[i] = 0. */
AnnexStatus annex_get(const AnnexIndex* index, const double* ids, size_t n, void* rows, uint8_t* found);
/* The ids in storage order, from position `start`; returns how many were written. */
size_t annex_ids(const AnnexIndex* index, size_t start, size_t n, double* out);

typedef enum AnnexFilterKind { ANNEX_ALLOW_ALL = 0, ANNEX_ALLOW_IDS = 1, ANNEX_ALLOW_BITS = 2 } AnnexFilterKind;
/* A share of a search whose index is divisible. Parts follow each other with the same arguments and the answers of the
 * part before in place; where rows have changed in between, the search begins anew. */
typedef struct AnnexPart {
  size_t first;   /* 0, then what the part before left here; 0 again when the search is finished */
  size_t rows;    /* to look at: so many, or a few more */
  size_t changes; /* the core's, from one part to the next */
} AnnexPart;
typedef struct AnnexSearch {
  const void* queries; /* nq rows of `type` */
  const double* options;
  const void* filter; /* ALLOW_IDS: double[filter_count] (unknown ids allow nothing, repeats are harmless);
                         ALLOW_BITS: uint32_t words, id i is allowed when bit i % 32 of word i / 32 is set,
                         filter_count = number of ids covered; ids beyond are not allowed */
  const int32_t* cancel;
  double* ids;      /* nq × k, best first, ties by smaller id; missing: -1 */
  float* distances; /* nq × k, ascending; missing: +Infinity */
  uint32_t* counts; /* nq: how many were found; may be null */
  size_t nq, k, option_pairs, filter_count;
  int32_t type;        /* AnnexInput */
  int32_t filter_kind; /* AnnexFilterKind */
  AnnexPart* part;     /* null: the whole search; else counts is not null */
} AnnexSearch;
AnnexStatus annex_search(const AnnexIndex* index, const AnnexSearch* search);
/* 1 where searches can be done in parts, on one thread: those that look at every row. */
int32_t annex_divisible(const AnnexIndex* index);

/* ---- files ---- (the bytes: native/file/FORMAT.md)
 * Saving. While a saver is open the index takes no writer (BUSY), and searches go on. The bytes are pulled by read, in
 * order; or, natively, written to a path by target and then step until it is finished. */
typedef struct AnnexSaver AnnexSaver;
/* `metadata` (may be null) is kept in the file and handed out by annex_opener_metadata. */
AnnexStatus annex_saver_open(AnnexIndex* index, const void* metadata, size_t metadata_bytes, AnnexSaver** out);
double annex_saver_size(const AnnexSaver* saver); /* bytes of the whole file */
/* The next bytes: `room` of them, fewer only at the end. */
AnnexStatus annex_saver_read(AnnexSaver* saver, void* buffer, size_t room, size_t* written);
/* Writes to a new file beside `path` (UTF-8), which takes its place at once, and whole, in the last step. IO;
 * UNSUPPORTED on WebAssembly. */
AnnexStatus annex_saver_target(AnnexSaver* saver, const char* path);
AnnexStatus annex_saver_step(AnnexSaver* saver, const int32_t* cancel, AnnexProgress* progress);
/* Frees the saver; a file that was not finished is removed, and what was at its path stays. Null is allowed. */
void annex_saver_close(AnnexSaver* saver);

/* Opening: bytes by append, in order, or, natively, a path; then step until it is finished, then finish. Whatever the
 * bytes are, the outcome is an index or CORRUPT, UNSUPPORTED, IO or OUT_OF_MEMORY with what is wrong and where. After a
 * failure only close is possible. */
typedef enum AnnexOpen {
  ANNEX_OPEN_MMAP = 1,     /* a path: the file is mapped, and loaded at first touch where LAZY too */
  ANNEX_OPEN_LAZY = 2,     /* rows and codes are not compared with their checksums, positions and links always */
  ANNEX_OPEN_READ_ONLY = 4 /* the index takes no writer: UNSUPPORTED */
} AnnexOpen;
typedef struct AnnexOpener AnnexOpener;
AnnexStatus annex_opener_open(int32_t flags, AnnexOpener** out);
AnnexStatus annex_opener_path(AnnexOpener* opener, const char* path);
/* How many bytes append will bring in all, where that is known: checked before there is room for them. */
AnnexStatus annex_opener_expect(AnnexOpener* opener, double bytes);
AnnexStatus annex_opener_append(AnnexOpener* opener, const void* bytes, size_t n);
AnnexStatus annex_opener_step(AnnexOpener* opener, const int32_t* cancel, AnnexProgress* progress);
/* Returns how many bytes of metadata there are (0: none); writes at most `room` of them. Between the last step and
 * finish. */
size_t annex_opener_metadata(const AnnexOpener* opener, void* out, size_t room);
AnnexStatus annex_opener_finish(AnnexOpener* opener, AnnexIndex** out);
void annex_opener_close(AnnexOpener* opener); /* null is allowed */

#ifdef __cplusplus
}
#endif
