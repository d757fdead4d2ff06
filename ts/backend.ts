/**
 * The one interface between the TypeScript API and a core: it mirrors the C ABI (native/api/annex.h) and is
 * implemented twice, by backend_node.ts (the addon) and backend_wasm.ts. Nothing above it knows the platform.
 *
 * A backend trusts its caller: arrays have the right type and length (ts/validate.ts saw to it). It turns a failing
 * status into an AnnexError, thrown by plain methods and rejected by those that return a promise.
 *
 * Asynchronous methods copy the caller's arrays before they return the promise, so the caller may do as it
 * likes with them; results are written to the job's own arrays before the promise resolves. The native backend works
 * off the JavaScript thread; the WASM backend works on it, in slices, with a turn of the event loop between slices.
 */
export type Rows = Float32Array | Int8Array | Uint8Array;

/** Codes of AnnexInput. */
export const INPUT = { f32: 0, i8: 1, u8: 2, bits: 3 } as const;
export type InputCode = (typeof INPUT)[keyof typeof INPUT];

export const FILTER = { none: 0, ids: 1, bits: 2 } as const;

export interface EngineInfo {
  /** Which core answers: the native addon or WebAssembly. */
  readonly backend: 'native' | 'wasm';
  /** The instruction set in use, such as `avx512vnni`, `neon`, `wasm128`. */
  readonly isa: string;
  /** Threads of the core's pool; 1 on WASM. */
  readonly threads: number;
  /** Version of the core. */
  readonly version: string;
  /** Why the environment variable `ANNEX_ISA` was not followed, or ''. */
  readonly note: string;
}

/** One batch of queries. The arrays of results belong to the caller: nq × k. */
export interface SearchJob {
  readonly queries: Rows;
  readonly type: InputCode;
  readonly nq: number;
  readonly k: number;
  /** (key, value) pairs of AnnexKey. */
  readonly options: Float64Array;
  readonly filterKind: number;
  /** Float64Array of ids, or Uint32Array of words, or null. */
  readonly filter: Float64Array | Uint32Array | null;
  /** Ids: number of them; bits: number of ids covered. */
  readonly filterCount: number;
  readonly ids: Float64Array;
  readonly distances: Float32Array;
  /** nq entries: how many were found. */
  readonly counts: Uint32Array;
}

/** A filter as a core takes it: a snapshot that no caller can change. */
export interface CoreFilter {
  /** One of {@link FILTER}. */
  readonly kind: number;
  /** Float64Array of ids, or Uint32Array of words, or null. */
  readonly data: Float64Array | Uint32Array | null;
  /** Ids: number of them; bits: number of ids covered. */
  readonly count: number;
}

/** Columns of {@link BackendIndex.searchOne} at most. */
export const MOST_COLUMNS = 256;

/** What was found for one query. */
export interface FoundOne {
  readonly ids: Float64Array;
  readonly distances: Float32Array;
  /** So many of them. */
  readonly count: number;
}

export interface Stats {
  /** Rows in the index. */
  readonly size: number;
  /** Bytes of coded rows, as allocated. */
  readonly bytesVectors: number;
  /** Bytes of the narrow copy that speeds up exact search, 0 without one. */
  readonly bytesSidecar: number;
  /** Bytes of ids and their table; 0 while ids are 0, 1, 2 … */
  readonly bytesIds: number;
  readonly bytesNorms: number;
  /** Bytes of everything the core holds for the index. */
  readonly bytesTotal: number;
  /** Rows looked at by all searches so far. */
  readonly scanned: number;
  /** Rows whose exact distance was computed after the bound had let them pass. */
  readonly rescored: number;
  /** Bytes of a graph's links. */
  readonly bytesLinks: number;
  /** Bytes of codes with their factors: pq, rabitq, and the codes beside a graph's links. */
  readonly bytesCodes: number;
  /** Bytes of the wider copy that reranks. */
  readonly bytesRerank: number;
  /** Bytes of centroids, codebooks and rotations. */
  readonly bytesCodebooks: number;
  /** Removed rows that still take room, until `compact()`. */
  readonly removed: number;
  /** Whether rows can be added: always, for kinds that need no training. */
  readonly trained: boolean;
  /** Filtered searches of a graph that were answered by a scan of the codes of what the filter allows. */
  readonly codeSearches: number;
  /** Nodes of a graph expanded by all searches so far. */
  readonly hops: number;
  /** Filtered searches of a graph that were answered by an exact scan of what the filter allows. */
  readonly exactSearches: number;
}

/** What a writer is at; the position is the code in the C ABI (AnnexPhase). */
export const PHASES = ['add', 'link', 'kmeans', 'rotation', 'codebooks', 'compact', 'read', 'write'] as const;
export type Phase = (typeof PHASES)[number];

/** Modes of a writer; the position is the code in the C ABI (AnnexWriteMode). */
export const WRITE = { add: 0, upsert: 1, train: 2, compact: 3 } as const;
export type WriteMode = (typeof WRITE)[keyof typeof WRITE];

/** How far the work that follows the appends of a writer has come. */
export interface StepProgress {
  readonly done: number;
  readonly total: number;
  readonly phase: Phase;
  /** Nothing is left to do before commit. */
  readonly finished: boolean;
}

/** An index in a core. Opaque to the TypeScript API. */
export interface BackendIndex {
  /** Frees this reference. Idempotent. Running asynchronous work keeps the core's index alive until it ends. */
  close(): void;
  size(): number;
  /** The id that the next row added without ids gets. It stands still while a writer is open. */
  nextId(): number;
  stats(): Stats;
  options(): Float64Array;
  openWriter(mode: WriteMode): BackendWriter;
  remove(ids: Float64Array): number;
  removeAsync(ids: Float64Array): Promise<number>;
  has(ids: Float64Array, found: Uint8Array): void;
  get(ids: Float64Array, rows: Rows, found: Uint8Array): void;
  ids(start: number, out: Float64Array): number;
  search(job: SearchJob): void;
  /**
   * A search for one query, k of 1 … {@link MOST_COLUMNS}. What it returns is good until the next one: to hand new arrays to
   * a core takes longer than a small search.
   */
  searchOne(query: Rows, type: InputCode, k: number, filter: CoreFilter, options: Float64Array): FoundOne;
  /** `signal` cancels running work: the promise then rejects with code ABORTED. */
  searchAsync(job: SearchJob, signal?: AbortSignal): Promise<void>;
  /** A token by which another worker thread attaches to the same index; UNSUPPORTED on WASM. */
  share(): number;
  /**
   * Begins to save; the index takes no writer until the saver is closed. Without a path its bytes are read, with one
   * (only where {@link Backend.files} is true) it is stepped until it is finished.
   */
  openSaver(metadata: Uint8Array | null, path: string | null): BackendSaver;
}

/** An index on its way into a file. */
export interface BackendSaver {
  /** Bytes of the whole file. */
  size(): number;
  /** Fills `out` with the next bytes; returns how many, fewer only at the end. */
  read(out: Uint8Array): number;
  step(): StepProgress;
  stepAsync(signal?: AbortSignal): Promise<StepProgress>;
  /** Idempotent. What was not finished leaves no trace. */
  close(): void;
}

/** Flags of AnnexOpen. */
export const OPEN = { mmap: 1, lazy: 2, readOnly: 4 } as const;

/** A file on its way in: append its bytes, unless it was given a path, step until finished, finish. */
export interface BackendOpener {
  append(bytes: Uint8Array): void;
  step(): StepProgress;
  stepAsync(signal?: AbortSignal): Promise<StepProgress>;
  /** Between the last step and finish. */
  metadata(): Uint8Array;
  finish(): BackendIndex;
  /** Idempotent. */
  close(): void;
}

/** A staged write; see annex_writer_open. */
export interface BackendWriter {
  append(type: InputCode, rows: Rows, n: number, ids: Float64Array | null): void;
  appendAsync(type: InputCode, rows: Rows, n: number, ids: Float64Array | null, signal?: AbortSignal): Promise<void>;
  /** The next part of the work that follows the last append. */
  step(): StepProgress;
  stepAsync(signal?: AbortSignal): Promise<StepProgress>;
  commit(): void;
  commitAsync(): Promise<void>;
  /** Idempotent, and allowed after commit. */
  abort(): void;
}

export interface Backend {
  readonly name: 'native' | 'wasm';
  engineInfo(): EngineInfo;
  create(options: Float64Array): BackendIndex;
  /** Attaches to an index shared by another thread. */
  attach(token: number): BackendIndex;
  /** Whether the core reads and writes files by itself. */
  readonly files: boolean;
  /** `bytes`: how many will be appended in all, 0 when that is not known. */
  openOpener(flags: number, path: string | null, bytes: number): BackendOpener;
  /** One turn of the event loop: what slices of long work wait for. */
  turn(): Promise<void>;
}
