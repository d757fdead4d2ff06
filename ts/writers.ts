import { checkSignal } from './abort.js';
import { type BackendIndex, WRITE } from './backend.js';
import { AnnexError } from './errors.js';
import { type Ids, idsOf } from './ids.js';
import { checkOptions } from './names.js';
import type { Shape } from './spec.js';
import { rowsOf } from './vectors.js';
import { checkCounts, checkOnProgress, type OnProgress, type Write, WriterQueue, write, writeSync } from './write.js';

/** Options of `upsert`, `train` and `compact`. */
export interface WriteOptions {
  /** Aborts the call: its promise rejects with code ABORTED and the index is as it was. */
  signal?: AbortSignal | undefined;
  /** Called after every slice of rows, and every part of the work that follows. What it throws aborts the call. */
  onProgress?: OnProgress | undefined;
}

/** Options of `addSync`. */
export interface AddSyncOptions {
  /** One id for each vector, none of them in the index yet. Default: counted on from the largest id ever used. */
  ids?: Ids | number | undefined;
}

/** Options of `add`. */
export interface AddOptions extends AddSyncOptions, WriteOptions {}

/** What an asynchronous method throws at once rejects its promise. */
export function rejecting<T>(start: () => Promise<T>): Promise<T> {
  try {
    return start();
  } catch (error) {
    return Promise.reject(error);
  }
}

/** Options of a call that goes on for long, checked. */
export function checkControl(where: string, options: unknown): Control {
  const given = options === undefined ? {} : checkOptions<WriteOptions>(where, options, ['signal', 'onProgress']);
  return controlOf(given);
}

export interface Control {
  readonly signal: AbortSignal | undefined;
  readonly onProgress: OnProgress | undefined;
}

function controlOf({ signal, onProgress }: WriteOptions): Control {
  return { signal: checkSignal(signal), onProgress: checkOnProgress(onProgress) };
}

/** The writers of one index: what callers pass is checked here; asynchronous ones run in the order of their calls. */
export class Writers {
  readonly #open: () => BackendIndex;
  readonly #shape: Shape;
  readonly #queue = new WriterQueue();

  /** `open` throws CLOSED once the index is closed. */
  constructor(open: () => BackendIndex, shape: Shape) {
    this.#open = open;
    this.#shape = shape;
  }

  /** Runs `work` after all earlier writers; a signal that fires before its turn rejects at once. */
  run<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    return this.#queue.run(work, signal);
  }

  /** The index for a synchronous writer. */
  idle(): BackendIndex {
    const core = this.#open();
    if (!this.#queue.busy) return core;
    throw new AnnexError(
      'BUSY',
      'an asynchronous writer of this index (add, upsert, remove, train, compact, save) is not finished: await it ' +
        'first, or use the asynchronous method',
    );
  }

  add(vectors: unknown, options: unknown): Promise<Float64Array> {
    return rejecting(() => {
      const given =
        options === undefined ? {} : checkOptions<AddOptions>('add', options, ['ids', 'signal', 'onProgress']);
      return this.#write(this.#addition(vectors, given.ids), controlOf(given)) as Promise<Float64Array>;
    });
  }

  addSync(vectors: unknown, options: unknown): Float64Array {
    const given = options === undefined ? {} : checkOptions<AddSyncOptions>('addSync', options, ['ids']);
    return this.#writeSync(this.#addition(vectors, given.ids)) as Float64Array;
  }

  upsert(ids: unknown, vectors: unknown, options: unknown): Promise<void> {
    return this.#finished(() => this.#write(this.#replacement(ids, vectors), checkControl('upsert', options)));
  }

  upsertSync(ids: unknown, vectors: unknown): void {
    this.#writeSync(this.#replacement(ids, vectors));
  }

  train(sample: unknown, options: unknown): Promise<void> {
    return this.#finished(() => this.#write(this.#training(sample), checkControl('train', options)));
  }

  trainSync(sample: unknown): void {
    this.#writeSync(this.#training(sample));
  }

  compact(options: unknown): Promise<void> {
    return this.#finished(() => this.#write(this.#compaction(), checkControl('compact', options)));
  }

  compactSync(): void {
    this.#writeSync(this.#compaction());
  }

  remove(ids: unknown): Promise<number> {
    return rejecting(() => {
      this.#open();
      const list = idsOf(ids);
      const copy = list.take(0, list.n).slice();
      return this.#queue.run(async () => this.#open().removeAsync(copy));
    });
  }

  removeSync(ids: unknown): number {
    const core = this.idle();
    const list = idsOf(ids);
    return core.remove(list.take(0, list.n));
  }

  #addition(vectors: unknown, given: unknown): Write {
    this.#open();
    const rows = rowsOf(vectors, this.#shape, 'row');
    const ids = given === undefined ? null : idsOf(given);
    checkCounts(rows, ids);
    return { mode: WRITE.add, rows, ids, shape: this.#shape };
  }

  #replacement(given: unknown, vectors: unknown): Write {
    this.#open();
    const ids = idsOf(given);
    const rows = rowsOf(vectors, this.#shape, 'row');
    checkCounts(rows, ids);
    return { mode: WRITE.upsert, rows, ids, shape: this.#shape };
  }

  #training(sample: unknown): Write {
    this.#open();
    return { mode: WRITE.train, rows: rowsOf(sample, this.#shape, 'row'), ids: null, shape: this.#shape };
  }

  #compaction(): Write {
    this.#open();
    return { mode: WRITE.compact, rows: null, ids: null, shape: this.#shape };
  }

  #finished(start: () => Promise<unknown>): Promise<void> {
    return rejecting(() => start().then(() => undefined));
  }

  #write(what: Write, control: Control): Promise<Float64Array | null> {
    const checked = { ...control, check: this.#open };
    return this.#queue.run(async () => write(this.#open(), what, checked), control.signal);
  }

  #writeSync(what: Write): Float64Array | null {
    return writeSync(this.idle(), what);
  }
}
