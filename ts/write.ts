import { orAborted, throwIfAborted } from './abort.js';
import { allocate } from './allocate.js';
import { type BackendIndex, type BackendWriter, type Phase, type Rows, WRITE, type WriteMode } from './backend.js';
import { describe } from './describe.js';
import { AnnexError } from './errors.js';
import type { IdSource } from './ids.js';
import type { Shape } from './spec.js';
import type { RowSource } from './vectors.js';

/** How far a long call has come. */
export interface Progress {
  /** Units of the phase that are done: rows, nodes, iterations … */
  readonly done: number;
  /** Units of the phase in all. */
  readonly total: number;
  /**
   * What is being done: `add` takes the rows in (also for upsert and train), `link` links nodes of a graph, `kmeans`
   * finds coarse centroids, `rotation` and `codebooks` train a codec, `compact` gives back room.
   */
  readonly phase: Phase;
}

export type OnProgress = (progress: Progress) => void;

export interface Write {
  readonly mode: WriteMode;
  /** Null where the mode takes none. */
  readonly rows: RowSource | null;
  /** Null to have ids given, and where rows have none. */
  readonly ids: IdSource | null;
  readonly shape: Shape;
}

/** Bytes of rows handed to the core at once: little enough to copy within a few milliseconds. */
export const SLICE_BYTES = 1024 * 1024;

export function checkCounts(rows: RowSource, ids: IdSource | null): void {
  if (ids !== null && ids.n !== rows.n) {
    throw new AnnexError('INVALID_ARGUMENT', `expected as many ids as vectors, ${rows.n}, got ${ids.n}`);
  }
}

export function checkOnProgress(value: unknown): OnProgress | undefined {
  if (value === undefined || typeof value === 'function') return value as OnProgress | undefined;
  throw new AnnexError('INVALID_TYPE', `expected onProgress to be a function, got ${describe(value)}`);
}

/** Rows of a write that are appended at once. */
interface Slice {
  readonly rows: Rows;
  readonly n: number;
  readonly ids: Float64Array | null;
  /** Rows of the write up to the end of the slice. */
  readonly end: number;
}

/** A write under way: its writer, its slices, and the ids that an add returns. */
class Staging {
  readonly writer: BackendWriter;
  /** Rows in all. */
  readonly total: number;
  /** Ids of an add, known as far as slices were taken; null for other modes. */
  readonly out: Float64Array | null;
  readonly #write: Write;
  readonly #first: number;

  constructor(index: BackendIndex, write: Write) {
    this.#write = write;
    const total = write.rows?.n ?? 0;
    this.total = total;
    this.out = write.mode === WRITE.add ? allocate(() => new Float64Array(total), total * 8) : null;
    this.writer = index.openWriter(write.mode);
    this.#first = index.nextId();
  }

  /** Reads the caller's arrays slice by slice. */
  *slices(): Generator<Slice> {
    const { rows, ids, shape } = this.#write;
    if (rows === null) return;
    const step = Math.max(1, Math.floor(SLICE_BYTES / shape.rowBytes));
    for (let start = 0; start < rows.n; start += step) {
      const n = Math.min(step, rows.n - start);
      const part = ids === null ? null : ids.take(start, n);
      if (part !== null) this.out?.set(part, start);
      else this.#count(start, start + n);
      yield { rows: rows.take(start, n), n, ids: part, end: start + n };
    }
  }

  /** The ids that the core gives. Slice by slice, since filling them all at once holds the event loop. */
  #count(start: number, end: number): void {
    if (this.out === null) return;
    for (let i = start; i < end; i++) this.out[i] = this.#first + i;
  }
}

/** Writes everything or nothing. Returns the ids of an add, null for other modes. */
export function writeSync(index: BackendIndex, write: Write): Float64Array | null {
  const staging = new Staging(index, write);
  const { writer } = staging;
  try {
    for (const { rows, n, ids } of staging.slices()) writer.append(write.shape.type, rows, n, ids);
    while (!writer.step().finished);
    writer.commit();
    return staging.out;
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

/** Writes everything or nothing, in slices with a turn of the event loop between them. As {@link writeSync}. */
export async function write(index: BackendIndex, what: Write, control: WriteControl): Promise<Float64Array | null> {
  const { signal, onProgress, check } = control;
  throwIfAborted(signal);
  check();
  const staging = new Staging(index, what);
  const { writer, total } = staging;
  const passed = (progress: Progress): void => {
    report(onProgress, progress);
    check();
    throwIfAborted(signal);
  };
  try {
    for (const { rows, n, ids, end } of staging.slices()) {
      await writer.appendAsync(what.shape.type, rows, n, ids, signal);
      passed({ done: end, total, phase: 'add' });
    }
    for (let finished = false; !finished; ) {
      const step = await writer.stepAsync(signal);
      finished = step.finished;
      if (step.total > 0) passed({ done: step.done, total: step.total, phase: step.phase });
    }
    await writer.commitAsync();
    return staging.out;
  } catch (error) {
    writer.abort();
    throwIfAborted(signal);
    throw error;
  }
}

function report(onProgress: OnProgress | undefined, progress: Progress): void {
  if (onProgress === undefined) return;
  try {
    onProgress(progress);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : describe(cause);
    throw new AnnexError('INVALID_ARGUMENT', `onProgress threw: ${reason}; the index is as it was`, { cause });
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
