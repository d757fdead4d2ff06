import type { Backend, BackendIndex, Rows, Stats } from './backend.js';
import { AnnexError } from './errors.js';
import { checkedId, type Ids, idsOf } from './ids.js';
import type { KindName } from './kind.js';
import { type CreatedWith, type Described, describeIndex, type Json } from './options.js';
import type { BatchResult, SearchResult } from './results.js';
import {
  bytesOfIndex,
  bytesOfIndexSync,
  type SaveOptions,
  type Saving,
  saveTo,
  saveToSync,
  streamOfIndex,
} from './save.js';
import type { SearchOptions, SearchSyncOptions } from './search.js';
import { Searcher } from './searcher.js';
import type { ShareToken } from './share.js';
import { pathOf } from './source.js';
import { allocateRows, type Metric, type Shape, type Storage, shapeOf } from './spec.js';
import type { Vector, Vectors } from './vectors.js';
import {
  type AddOptions,
  type AddSyncOptions,
  checkControl,
  rejecting,
  type WriteOptions,
  Writers,
} from './writers.js';

/** Only this package makes indexes: a constructor that users see must not. */
export const MAKER = Symbol('maker');

/**
 * What all indexes have in common. Ids are safe integers, 0 … 2^53 − 1. Asynchronous methods never throw: they reject.
 * Every failure is an {@link AnnexError}, and a call that fails leaves the index as it was.
 */
export class VectorIndex<
  Row extends Rows = Float32Array,
  Search extends SearchSyncOptions = SearchSyncOptions,
  Created extends CreatedWith = CreatedWith,
> {
  readonly #backend: Backend;
  readonly #described: Described;
  readonly #shape: Shape;
  readonly #searcher: Searcher;
  readonly #writers: Writers;
  readonly #open: () => BackendIndex;
  #core: BackendIndex | undefined;
  /** {@link VectorIndex.close}, for `using`. */
  declare readonly [Symbol.dispose]: () => void;

  /** @internal */
  constructor(maker: symbol, backend: Backend, core: BackendIndex, metadata: Json | undefined) {
    if (maker !== MAKER) {
      throw new AnnexError(
        'INVALID_ARGUMENT',
        `expected \`await ${new.target.name}.create(…)\` or \`${new.target.name}.createSync(…)\`, got \`new\``,
      );
    }
    this.#backend = backend;
    this.#core = core;
    this.#described = describeIndex(core.options(), metadata);
    const { kind, storage, created } = this.#described;
    this.#shape = shapeOf(created.dim, created.metric, storage);
    this.#open = () => {
      if (this.#core === undefined) throw closed();
      return this.#core;
    };
    this.#searcher = new Searcher(backend, this.#open, kind, this.#shape);
    this.#writers = new Writers(this.#open, this.#shape);
  }

  /** Length of every vector. */
  get dim(): number {
    return this.#shape.dim;
  }

  get metric(): Metric {
    return this.#shape.metric;
  }

  /** The codec of the rows; `options().storage` has its parameters, too. */
  get storage(): Storage {
    return this.#shape.storage;
  }

  /** The metadata that the index was created with, deeply frozen; undefined without any. */
  get metadata(): Json | undefined {
    return this.#described.created.metadata;
  }

  /** Rows in the index. @throws AnnexError CLOSED */
  get size(): number {
    return this.#open().size();
  }

  /** Whether rows can be added: always, but for structures and codecs that `train` comes first for. @throws AnnexError CLOSED */
  get trained(): boolean {
    return this.stats().trained;
  }

  /** Whether `close()` was called. */
  get closed(): boolean {
    return this.#core === undefined;
  }

  /** What the index was created with, defaults filled in. */
  options(): Created {
    return { ...this.#described.created } as Created;
  }

  /** Bytes by part, and how much searches have looked at. @throws AnnexError CLOSED */
  stats(): Stats {
    return this.#open().stats();
  }

  /**
   * Trains an index whose structure (lists) or codec (pq) wants it, before rows are added: once, and while it is empty.
   * Until the promise resolves the index is untrained, and remains so if the call fails or is aborted.
   *
   * @param sample n × dim numbers, row-major, or an array of n rows, like those that will be added; only read, as by
   * {@link add}. About 40 to 250 rows for every list are good.
   * @throws AnnexError UNSUPPORTED (nothing to train), INVALID_ARGUMENT (too few rows; it says how many it takes, or
   * trained already), DIMENSION_MISMATCH, NOT_FINITE, INVALID_TYPE, ABORTED, BUSY, CLOSED, OUT_OF_MEMORY
   */
  train(sample: Vectors<Row>, options?: WriteOptions): Promise<void> {
    return this.#writers.train(sample, options);
  }

  /** As {@link train}, on the calling thread (and the core's pool). */
  trainSync(sample: Vectors<Row>): void {
    this.#writers.trainSync(sample);
  }

  /**
   * Gives back the room of removed rows, where the structure keeps it (`stats().removed` tells how many there are), and
   * repairs what led through them. Searches go on meanwhile. A graph of 131,072 rows or more is laid out anew besides,
   * also where nothing was removed, unless no rows came since it last was: see {@link HnswIndex}.
   *
   * @throws AnnexError ABORTED (the index is as it was), BUSY, CLOSED, OUT_OF_MEMORY
   */
  compact(options?: WriteOptions): Promise<void> {
    return this.#writers.compact(options);
  }

  /** As {@link compact}, on the calling thread (and the core's pool). */
  compactSync(): void {
    this.#writers.compactSync();
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
    return this.#writers.add(vectors, options);
  }

  /** As {@link add}, on the calling thread. Throws BUSY while an asynchronous writer is at work. */
  addSync(vectors: Vectors<Row>, options?: AddSyncOptions): Float64Array {
    return this.#writers.addSync(vectors, options);
  }

  /**
   * Adds the vectors whose ids are new and replaces those whose ids are in the index, all or none.
   *
   * @param ids one distinct id for each vector.
   * @param vectors as for {@link add}.
   * @throws AnnexError as {@link add}
   */
  upsert(ids: Ids | number, vectors: Vectors<Row>, options?: WriteOptions): Promise<void> {
    return this.#writers.upsert(ids, vectors, options);
  }

  /** As {@link upsert}, on the calling thread. Throws BUSY while an asynchronous writer is at work. */
  upsertSync(ids: Ids | number, vectors: Vectors<Row>): void {
    this.#writers.upsertSync(ids, vectors);
  }

  /**
   * Removes rows. Ids that are not in the index are passed over.
   *
   * @param ids distinct ids, or one. They are copied before the call returns.
   * @returns how many rows were removed.
   * @throws AnnexError INVALID_ID, DUPLICATE_ID, INVALID_TYPE, BUSY (another thread is writing), CLOSED
   */
  remove(ids: Ids | number): Promise<number> {
    return this.#writers.remove(ids);
  }

  /** As {@link remove}, on the calling thread. Throws BUSY while an asynchronous writer is at work. */
  removeSync(ids: Ids | number): number {
    return this.#writers.removeSync(ids);
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
  search(query: Vector<Row>, k = 10, options?: Search & SearchOptions): Promise<SearchResult> {
    return this.#searcher.search(query, k, options);
  }

  /** As {@link search}, on the calling thread (and the core's pool). */
  searchSync(query: Vector<Row>, k = 10, options?: Search): SearchResult {
    return this.#searcher.searchSync(query, k, options);
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
  searchBatch(queries: Vectors<Row>, k = 10, options?: Search & SearchOptions): Promise<BatchResult> {
    return this.#searcher.searchBatch(queries, k, options);
  }

  /** As {@link searchBatch}, on the calling thread (and the core's pool). */
  searchBatchSync(queries: Vectors<Row>, k = 10, options?: Search): BatchResult {
    return this.#searcher.searchBatchSync(queries, k, options);
  }

  /**
   * A token by which other worker threads of this process use the same index, without a copy: pass it to `attach()`
   * there. Searches run side by side; one thread writes at a time, the others get BUSY.
   *
   * @throws AnnexError UNSUPPORTED on WASM, CLOSED
   */
  share(): ShareToken<KindName> {
    const token = this.#open().share();
    const { name } = this.#described.kind;
    const { metadata } = this;
    return metadata === undefined ? { annex: name, token } : { annex: name, token, metadata };
  }

  /**
   * Saves the index to a file, which `open` reads on every platform. The file comes into being beside `path` and then
   * takes its place, at once and whole: whatever happens, there is the old file or the new one. Searches go on
   * meanwhile; writers wait.
   *
   * @param path a path or `file:` URL. A link stays a link.
   * @throws AnnexError IO, UNSUPPORTED (no file system here: see {@link toBytes}), ABORTED, BUSY (another thread is
   * writing), CLOSED, INVALID_TYPE, INVALID_ARGUMENT, OUT_OF_MEMORY
   */
  save(path: string | URL, options?: SaveOptions): Promise<void> {
    return rejecting(() => {
      const control = checkControl('save', options);
      const target = pathOf(path, 'the path to save to');
      this.#open();
      return this.#writers.run(async () => saveTo(this.#saving(), target, control), control.signal);
    });
  }

  /** As {@link save}, on the calling thread. Throws BUSY while an asynchronous writer is at work. */
  saveSync(path: string | URL): void {
    const target = pathOf(path, 'the path to save to');
    this.#writers.idle();
    saveToSync(this.#saving(), target);
  }

  /**
   * The bytes of the file that {@link save} would write, for an object store, a key-value store or a page.
   *
   * @throws AnnexError as {@link save}, but for IO and UNSUPPORTED
   */
  toBytes(options?: SaveOptions): Promise<Uint8Array> {
    return rejecting(() => {
      const control = checkControl('toBytes', options);
      this.#open();
      return this.#writers.run(async () => bytesOfIndex(this.#saving(), control), control.signal);
    });
  }

  /** As {@link toBytes}, on the calling thread. Throws BUSY while an asynchronous writer is at work. */
  toBytesSync(): Uint8Array {
    this.#writers.idle();
    return bytesOfIndexSync(this.#saving());
  }

  /**
   * The same bytes as a stream, for what is too large for one array, such as the body of a request. From the first read
   * on until it ends or is cancelled searches go on and writers wait; its errors are those of {@link toBytes}.
   *
   * @throws AnnexError CLOSED
   */
  saveStream(): ReadableStream<Uint8Array> {
    this.#open();
    return streamOfIndex(
      (work) => this.#writers.run(work),
      () => this.#saving(),
    );
  }

  /**
   * Gives the memory back. Searches that have been called still complete; writers that have not finished reject with
   * CLOSED, and so does every later call. Closing twice is allowed.
   */
  close(): void {
    const core = this.#core;
    if (core === undefined) return;
    this.#searcher.flush();
    this.#core = undefined;
    core.close();
  }

  #saving(): Saving {
    return { backend: this.#backend, index: this.#open(), metadata: this.metadata };
  }
}

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
