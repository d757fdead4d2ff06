import { checkSignal } from './abort.js';
import type { Backend, BackendIndex, Rows, Stats } from './backend.js';
import { Coalescer } from './coalesce.js';
import { AnnexError } from './errors.js';
import { type CoreFilter, evaluate, evaluateSync } from './filter.js';
import { findNotFinite } from './finite.js';
import { checkedId, type Ids, idsOf } from './ids.js';
import { checkOptions } from './names.js';
import { type CreatedWith, createdWith, type Json } from './options.js';
import { type BatchResult, SearchResult } from './results.js';
import {
  batchResult,
  checkK,
  columns,
  NO_PARAMS,
  optionsOf,
  type Params,
  paramsOf,
  type SearchOptions,
  type SearchSyncOptions,
  searchRows,
  searchRowsSync,
  type Task,
} from './search.js';
import type { ShareToken } from './share.js';
import { allocateRows, type Metric, type Shape, type Storage, shapeOf } from './spec.js';
import { queryOf, rowsOf, type Vector, type Vectors } from './vectors.js';
import { checkCounts, checkOnProgress, type OnProgress, type Write, WriterQueue, write, writeSync } from './write.js';

/** Options of `upsert`. */
export interface WriteOptions {
  /** Aborts the call: its promise rejects with code ABORTED and the index is as it was. */
  signal?: AbortSignal | undefined;
  /** Called after every slice of rows. What it throws aborts the call. */
  onProgress?: OnProgress | undefined;
}

/** Options of `addSync`. */
export interface AddSyncOptions {
  /** One id for each vector, none of them in the index yet. Default: counted on from the largest id ever used. */
  ids?: Ids | number | undefined;
}

/** Options of `add`. */
export interface AddOptions extends AddSyncOptions, WriteOptions {}

/**
 * What all indexes have in common. Ids are safe integers, 0 … 2^53 − 1. Asynchronous methods never throw: they reject.
 * Every failure is an {@link AnnexError}, and a call that fails leaves the index as it was.
 */
export abstract class VectorIndex<Row extends Rows = Float32Array> {
  readonly #backend: Backend;
  readonly #created: CreatedWith;
  readonly #shape: Shape;
  readonly #writers = new WriterQueue();
  readonly #coalescer: Coalescer;
  readonly #open: () => BackendIndex;
  #core: BackendIndex | undefined;
  /** {@link VectorIndex.close}, for `using`. */
  declare readonly [Symbol.dispose]: () => void;

  /** @internal */
  protected constructor(backend: Backend, core: BackendIndex, metadata: Json | undefined) {
    this.#backend = backend;
    this.#core = core;
    this.#created = createdWith(core.options(), metadata);
    const { dim, metric, storage } = this.#created;
    this.#shape = shapeOf(dim, metric, storage);
    this.#open = () => {
      if (this.#core === undefined) throw closed();
      return this.#core;
    };
    this.#coalescer = new Coalescer(this.#open, this.#shape, this.#created);
  }

  /** Length of every vector. */
  get dim(): number {
    return this.#created.dim;
  }

  get metric(): Metric {
    return this.#created.metric;
  }

  get storage(): Storage {
    return this.#created.storage;
  }

  /** The metadata that the index was created with, deeply frozen; undefined without any. */
  get metadata(): Json | undefined {
    return this.#created.metadata;
  }

  /** Rows in the index. @throws AnnexError CLOSED */
  get size(): number {
    return this.#open().size();
  }

  /** Whether `close()` was called. */
  get closed(): boolean {
    return this.#core === undefined;
  }

  /** What the index was created with, defaults filled in. */
  options(): CreatedWith {
    return { ...this.#created };
  }

  /** Bytes by part, and how much searches have looked at. @throws AnnexError CLOSED */
  stats(): Stats {
    return this.#open().stats();
  }

  /**
   * Adds vectors, all or none: they become visible to searches at once, when the promise resolves.
   *
   * The array is read in slices between turns of the event loop: leave it alone until then. Adds, upserts and removes
   * of one index run in the order in which they are called.
   *
   * @param vectors n × dim numbers, row-major, or an array of n rows. Floats must be finite.
   * @returns the ids of the rows, in their order.
   * @throws AnnexError DIMENSION_MISMATCH, NOT_FINITE, INVALID_ID, DUPLICATE_ID, INVALID_TYPE, INVALID_ARGUMENT,
   * ABORTED, BUSY (another thread is writing), CLOSED, OUT_OF_MEMORY
   */
  add(vectors: Vectors<Row>, options?: AddOptions): Promise<Float64Array> {
    try {
      const what = 'add';
      const parsed =
        options === undefined ? {} : checkOptions<AddOptions>(what, options, ['ids', 'signal', 'onProgress']);
      return this.#write(this.#addition(vectors, parsed), parsed) as Promise<Float64Array>;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** As {@link add}, on the calling thread. Throws BUSY while an asynchronous writer is at work. */
  addSync(vectors: Vectors<Row>, options?: AddSyncOptions): Float64Array {
    const parsed = options === undefined ? {} : checkOptions<AddSyncOptions>('addSync', options, ['ids']);
    const what = this.#addition(vectors, parsed);
    return writeSync(this.#idle(), what) as Float64Array;
  }

  /**
   * Adds the vectors whose ids are new and replaces those whose ids are in the index, all or none.
   *
   * @param ids one distinct id for each vector.
   * @param vectors as for {@link add}.
   * @throws AnnexError as {@link add}
   */
  upsert(ids: Ids | number, vectors: Vectors<Row>, options?: WriteOptions): Promise<void> {
    try {
      const parsed =
        options === undefined ? {} : checkOptions<WriteOptions>('upsert', options, ['signal', 'onProgress']);
      return this.#write(this.#replacement(ids, vectors), parsed).then(() => undefined);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** As {@link upsert}, on the calling thread. Throws BUSY while an asynchronous writer is at work. */
  upsertSync(ids: Ids | number, vectors: Vectors<Row>): void {
    const what = this.#replacement(ids, vectors);
    writeSync(this.#idle(), what);
  }

  /**
   * Removes rows. Ids that are not in the index are passed over.
   *
   * @param ids distinct ids, or one. They are copied before the call returns.
   * @returns how many rows were removed.
   * @throws AnnexError INVALID_ID, DUPLICATE_ID, INVALID_TYPE, BUSY (another thread is writing), CLOSED
   */
  remove(ids: Ids | number): Promise<number> {
    try {
      this.#open();
      const list = idsOf(ids);
      const copy = list.take(0, list.n).slice();
      return this.#writers.run(async () => this.#open().removeAsync(copy));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** As {@link remove}, on the calling thread. Throws BUSY while an asynchronous writer is at work. */
  removeSync(ids: Ids | number): number {
    const core = this.#idle();
    const list = idsOf(ids);
    return core.remove(list.take(0, list.n));
  }

  /** Whether a row has this id. @throws AnnexError INVALID_ID, INVALID_TYPE, CLOSED */
  has(id: number): boolean {
    const found = new Uint8Array(1);
    this.#open().has(Float64Array.of(checkedId(id)), found);
    return found[0] === 1;
  }

  /**
   * The row with this id, as stored: float storages give floats (what rounding left of them), the others the bytes as
   * they were given. Undefined when there is none.
   *
   * @throws AnnexError INVALID_ID, INVALID_TYPE, CLOSED
   */
  get(id: number): Row | undefined {
    const row = allocateRows(this.#shape, 1);
    const found = new Uint8Array(1);
    this.#open().get(Float64Array.of(checkedId(id)), row, found);
    return found[0] === 1 ? (row as Row) : undefined;
  }

  /** The rows with these ids, undefined for those that are not in the index. @throws AnnexError as {@link get} */
  getMany(ids: Ids): (Row | undefined)[] {
    const core = this.#open();
    const list = idsOf(ids);
    const { width, rowBytes } = this.#shape;
    const step = Math.max(1, Math.min(list.n, Math.floor(2 ** 20 / rowBytes)));
    const rows = allocateRows(this.#shape, step);
    const found = new Uint8Array(step);
    const out: (Row | undefined)[] = [];
    for (let start = 0; start < list.n; start += step) {
      const n = Math.min(step, list.n - start);
      core.get(list.take(start, n), rows.subarray(0, n * width), found.subarray(0, n));
      for (let i = 0; i < n; i++) {
        out.push(found[i] === 1 ? (rows.slice(i * width, (i + 1) * width) as Row) : undefined);
      }
    }
    return out;
  }

  /** All ids, in the order in which rows are stored. @throws AnnexError CLOSED */
  ids(): Float64Array {
    const core = this.#open();
    const out = new Float64Array(core.size());
    const n = core.ids(0, out);
    return n === out.length ? out : out.slice(0, n);
  }

  /**
   * Finds the k nearest rows, best first, ties by the smaller id.
   *
   * The query is copied before the call returns. Searches called in one turn of the event loop with the same k and
   * options run as one batch, each with its own result, error and abort.
   *
   * @param query one vector of exactly dim numbers; floats must be finite.
   * @param k how many, from 1 on; default 10. Beyond the size of the index all there is is found.
   * @throws AnnexError DIMENSION_MISMATCH, NOT_FINITE, INVALID_ARGUMENT, INVALID_TYPE, ABORTED, CLOSED, OUT_OF_MEMORY
   */
  search(query: Vector<Row>, k = 10, options?: SearchOptions): Promise<SearchResult> {
    try {
      this.#open();
      const shape = this.#shape;
      const rows = queryOf(query, shape);
      checkK(k);
      const params = options === undefined ? NO_PARAMS : paramsOf('search', options, true);
      if (shape.rowBytes > shape.width) {
        // Floats are checked here: one bad query must not fail the batch in which it would run.
        const bad = findNotFinite(rows, shape.width, shape.width, 'query', 0);
        if (bad !== undefined) throw bad;
      }
      const { filter, threads, signal } = params;
      if (typeof filter !== 'function') return this.#coalescer.search(rows, k, filter, threads, signal);
      const copy = rows.slice();
      return this.#evaluated(params).then((allowed) => this.#coalescer.search(copy, k, allowed, threads, signal));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** As {@link search}, on the calling thread (and the core's pool). */
  searchSync(query: Vector<Row>, k = 10, options?: SearchSyncOptions): SearchResult {
    const index = this.#open();
    const queries = queryOf(query, this.#shape);
    checkK(k);
    const params = options === undefined ? NO_PARAMS : paramsOf('searchSync', options, false);
    const filter = this.#evaluatedSync(params);
    const columnCount = columns(k, index, filter);
    const ids = new Float64Array(columnCount);
    const distances = new Float32Array(columnCount);
    index.search({
      queries,
      type: this.#shape.type,
      nq: 1,
      k: columnCount,
      options: optionsOf(params.threads),
      filterKind: filter.kind,
      filter: filter.data,
      filterCount: filter.count,
      ids,
      distances,
      counts: COUNT,
    });
    const found = COUNT[0] as number;
    return found === columnCount
      ? new SearchResult(ids, distances, this.#created)
      : new SearchResult(ids.slice(0, found), distances.slice(0, found), this.#created);
  }

  /**
   * Finds the k nearest rows of each query. Faster than as many searches: queries share the rows that are read.
   *
   * Up to 4 MB of queries are copied before the call returns; more are read in slices between turns of the event loop,
   * so leave the array alone until the promise settles.
   *
   * @param queries nq × dim numbers, row-major, or an array of nq rows.
   * @param k how many, from 1 on; default 10.
   * @throws AnnexError as {@link search}
   */
  async searchBatch(queries: Vectors<Row>, k = 10, options?: SearchOptions): Promise<BatchResult> {
    this.#open();
    const rows = rowsOf(queries, this.#shape, 'query');
    checkK(k);
    const params = paramsOf('searchBatch', options, true);
    const filter = typeof params.filter === 'function' ? await this.#evaluated(params) : params.filter;
    const task = this.#task(k, filter, params.threads);
    const empty = task.index.size() === 0;
    return batchResult(await searchRows(task, rows, params.signal), task.k, empty, this.#created);
  }

  /** As {@link searchBatch}, on the calling thread (and the core's pool). */
  searchBatchSync(queries: Vectors<Row>, k = 10, options?: SearchSyncOptions): BatchResult {
    this.#open();
    const rows = rowsOf(queries, this.#shape, 'query');
    checkK(k);
    const params = paramsOf('searchBatchSync', options, false);
    const task = this.#task(k, this.#evaluatedSync(params), params.threads);
    const empty = task.index.size() === 0;
    return batchResult(searchRowsSync(task, rows), task.k, empty, this.#created);
  }

  /**
   * A token by which other worker threads of this process use the same index, without a copy: pass it to `attach()`
   * there. Searches run side by side; one thread writes at a time, the others get BUSY.
   *
   * @throws AnnexError UNSUPPORTED on WASM, CLOSED
   */
  abstract share(): ShareToken;

  /**
   * Gives the memory back. Searches that have been called still complete; writers that have not finished reject with
   * CLOSED, and so does every later call. Closing twice is allowed.
   */
  close(): void {
    const core = this.#core;
    if (core === undefined) return;
    this.#coalescer.flush();
    this.#core = undefined;
    core.close();
  }

  /** @internal */
  protected shareToken(): number {
    return this.#open().share();
  }

  #task(k: number, filter: CoreFilter, threads: number): Task {
    const index = this.#open();
    return { index, shape: this.#shape, k: columns(k, index, filter), filter, threads };
  }

  #evaluatedSync({ filter }: Params): CoreFilter {
    return typeof filter === 'function' ? evaluateSync(this.#open, filter) : filter;
  }

  async #evaluated({ filter, signal }: Params): Promise<CoreFilter> {
    if (typeof filter !== 'function') return filter;
    return evaluate(this.#backend, this.#open, filter, () => {
      checkSignal(signal);
    });
  }

  #addition(vectors: unknown, options: AddSyncOptions): Write {
    this.#open();
    const rows = rowsOf(vectors, this.#shape, 'row');
    const ids = options.ids === undefined ? null : idsOf(options.ids);
    checkCounts(rows, ids);
    return { mode: 0, rows, ids, shape: this.#shape };
  }

  #replacement(given: unknown, vectors: unknown): Write {
    this.#open();
    const ids = idsOf(given);
    const rows = rowsOf(vectors, this.#shape, 'row');
    checkCounts(rows, ids);
    return { mode: 1, rows, ids, shape: this.#shape };
  }

  #write(what: Write, options: WriteOptions): Promise<Float64Array | null> {
    const signal = checkSignal(options.signal);
    const onProgress = checkOnProgress(options.onProgress);
    const control = { signal, onProgress, check: this.#open };
    return this.#writers.run(async () => write(this.#backend, this.#open(), what, control), signal);
  }

  /** The index for a synchronous writer. */
  #idle(): BackendIndex {
    const core = this.#open();
    if (!this.#writers.busy) return core;
    throw new AnnexError(
      'BUSY',
      'an asynchronous add, upsert or remove of this index is not finished: await it first, or use the asynchronous method',
    );
  }
}

/** Where a synchronous search counts what it found. */
const COUNT = new Uint32Array(1);

function closed(): AnnexError {
  return new AnnexError('CLOSED', 'the index is closed: create or open another one');
}

// Only where the JavaScript engine has explicit resource management: `using index = FlatIndex.createSync(…)`.
if (typeof Symbol.dispose === 'symbol') {
  Object.defineProperty(VectorIndex.prototype, Symbol.dispose, {
    value(this: VectorIndex) {
      this.close();
    },
    writable: true,
    configurable: true,
  });
}
