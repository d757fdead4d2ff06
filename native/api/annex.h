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
typedef enum AnnexKind { ANNEX_FLAT = 0 } AnnexKind;
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
  ANNEX_STORE_BITS = 6
} AnnexStorage;
typedef enum AnnexSidecar { ANNEX_SIDECAR_AUTO = 0, ANNEX_SIDECAR_NONE = 1, ANNEX_SIDECAR_I8 = 2 } AnnexSidecar;

/* Option keys. An unknown key, or one that the kind does not take, is ANNEX_INVALID_ARGUMENT. */
typedef enum AnnexKey {
  ANNEX_KEY_KIND = 0,
  ANNEX_KEY_DIM = 1, /* 1 … 32768; under bits a multiple of 8 */
  ANNEX_KEY_METRIC = 2,
  ANNEX_KEY_STORAGE = 3, /* default F32; BITS for hamming and jaccard */
  ANNEX_KEY_SIDECAR = 4, /* flat: the int8 copy that speeds up exact f32 search; default AUTO */
  /* search */
  ANNEX_KEY_THREADS = 100 /* 0 or absent: all of the pool */
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
  double bytes_total; /* all of the above and fixed parts */
  double scanned;     /* rows whose distance or bound was computed, over all searches so far */
  double rescored;    /* of those, rows whose canonical distance was computed after the bound had let them pass */
} AnnexStats;
void annex_stats(const AnnexIndex* index, AnnexStats* out);

/* ---- writing ----
 * A writer stages rows where no search sees them; commit makes them visible at once, abort (or a failed append)
 * leaves the index as it was. */
typedef enum AnnexWriteMode { ANNEX_ADD = 0, ANNEX_UPSERT = 1 } AnnexWriteMode;
AnnexStatus annex_writer_open(AnnexIndex* index, AnnexWriteMode mode, AnnexWriter** out); /* BUSY */
/* Rows lie one behind another. `ids` may be null: ids then continue from the largest ever given plus one (null ids are
 * INVALID_ID for upsert). Bad rows are named by their position since the writer was opened: NOT_FINITE, INVALID_ID,
 * DUPLICATE_ID (in the index when adding; among the writer's own ids always). After a failure only abort is possible.
 */
AnnexStatus annex_writer_append(AnnexWriter* writer, AnnexInput type, const void* rows, size_t n, const double* ids,
                                const int32_t* cancel);
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
} AnnexSearch;
AnnexStatus annex_search(const AnnexIndex* index, const AnnexSearch* search);

#ifdef __cplusplus
}
#endif
