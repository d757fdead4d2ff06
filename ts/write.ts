import { orAborted, throwIfAborted } from './abort.js';
import { allocate } from './allocate.js';
import type { Backend, BackendIndex } from './backend.js';
import { describe } from './describe.js';
import { AnnexError } from './errors.js';
import type { IdSource } from './ids.js';
import type { Shape } from './spec.js';
import type { RowSource } from './vectors.js';

/** How far a long call has come. */
export interface Progress {
  /** Rows done. */
  readonly done: number;
  /** Rows in all. */
  readonly total: number;
  /** What is being done: `add`, also for upsert. */
  readonly phase: 'add';
}

export type OnProgress = (progress: Progress) => void;

export interface Write {
  readonly mode: 0 | 1;
  readonly rows: RowSource;
  /** Null to have ids given. */
  readonly ids: IdSource | null;
  readonly shape: Shape;
}

/** Bytes of rows handed to the core at once: little enough to copy within a few milliseconds. */
const SLICE_BYTES = 1024 * 1024;

export function checkCounts(rows: RowSource, ids: IdSource | null): void {
  if (ids !== null && ids.n !== rows.n) {
    throw new AnnexError('INVALID_ARGUMENT', `expected as many ids as vectors, ${rows.n}, got ${ids.n}`);
  }
}

export function checkOnProgress(value: unknown): OnProgress | undefined {
  if (value === undefined || typeof value === 'function') return value as OnProgress | undefined;
  throw new AnnexError('INVALID_TYPE', `expected onProgress to be a function, got ${describe(value)}`);
}

/** Ids of an add, as they are given or found out. */
class Ids {
  readonly out: Float64Array | null;

  constructor(write: Write) {
    this.out = write.mode === 0 ? allocate(() => new Float64Array(write.rows.n), write.rows.n * 8) : null;
  }

  /** Notes the ids given for a slice. */
  note(start: number, given: Float64Array | null): void {
    if (given !== null) this.out?.set(given, start);
  }

  /** Fills in the ids that the core gave, which count on from `first`. */
  *count(first: number): Generator<void> {
    if (this.out === null) return;
    for (let start = 0; start < this.out.length; start += ID_SLICE) {
      const end = Math.min(this.out.length, start + ID_SLICE);
      for (let i = start; i < end; i++) this.out[i] = first + i;
      yield;
    }
  }
}

/** Ids written between turns of the event loop. */
const ID_SLICE = 1 << 19;

/** Writes all rows or none. Returns the ids of an add, null for an upsert. */
export function writeSync(index: BackendIndex, write: Write): Float64Array | null {
  const { rows, ids, shape } = write;
  const out = new Ids(write);
  const writer = index.openWriter(write.mode);
  try {
    const first = index.nextId();
    const step = Math.max(1, Math.floor(SLICE_BYTES / shape.rowBytes));
    for (let start = 0; start < rows.n; start += step) {
      const n = Math.min(step, rows.n - start);
      const part = ids === null ? null : ids.take(start, n);
      writer.append(shape.type, rows.take(start, n), n, part);
      out.note(start, part);
    }
    writer.commit();
    if (ids === null) for (const _ of out.count(first));
    return out.out;
  } catch (error) {
    writer.abort();
    throw error;
  }
}

export interface WriteControl {
  readonly signal: AbortSignal | undefined;
  readonly onProgress: OnProgress | undefined;
  /** Throws CLOSED once the index is closed. */
  readonly check: () => void;
}

/** Writes all rows or none, in slices with a turn of the event loop between them. Returns as {@link writeSync}. */
export async function write(
  backend: Backend,
  index: BackendIndex,
  what: Write,
  control: WriteControl,
): Promise<Float64Array | null> {
  const { rows, ids, shape } = what;
  const { signal, onProgress, check } = control;
  throwIfAborted(signal);
  check();
  const out = new Ids(what);
  const writer = index.openWriter(what.mode);
  try {
    const first = index.nextId();
    const step = Math.max(1, Math.floor(SLICE_BYTES / shape.rowBytes));
    for (let start = 0; start < rows.n; start += step) {
      const n = Math.min(step, rows.n - start);
      const part = ids === null ? null : ids.take(start, n);
      const appended = writer.appendAsync(shape.type, rows.take(start, n), n, part, signal);
      out.note(start, part);
      await appended;
      report(onProgress, start + n, rows.n);
      check();
      throwIfAborted(signal);
    }
    await writer.commitAsync();
    if (ids === null) for (const _ of out.count(first)) if (rows.n > ID_SLICE) await backend.turn();
    return out.out;
  } catch (error) {
    writer.abort();
    throwIfAborted(signal);
    throw error;
  }
}

function report(onProgress: OnProgress | undefined, done: number, total: number): void {
  if (onProgress === undefined) return;
  try {
    onProgress({ done, total, phase: 'add' });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : describe(cause);
    throw new AnnexError('INVALID_ARGUMENT', `onProgress threw: ${reason}; nothing was added`, { cause });
  }
}

/** Asynchronous writers of one index, in the order of their calls. */
export class WriterQueue {
  #last: Promise<unknown> | undefined;
  #pending = 0;

  /** Whether a writer is running or waiting. */
  get busy(): boolean {
    return this.#pending > 0;
  }

  /** Runs `work` after all earlier writers; a signal that fires before its turn rejects at once. */
  run<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    this.#pending++;
    // The first writer starts at once: what it reads of the caller's arrays in its first slice is read in the call.
    const waits = this.#last !== undefined;
    const result = this.#last === undefined ? work() : this.#last.then(() => start());
    let started = !waits;
    const start = (): Promise<T> => {
      started = true;
      return work();
    };
    this.#last = result.then(
      () => this.#leave(),
      () => this.#leave(),
    );
    return waits && signal !== undefined ? orAborted(result, signal, () => !started) : result;
  }

  #leave(): void {
    this.#pending--;
    if (this.#pending === 0) this.#last = undefined;
  }
}
