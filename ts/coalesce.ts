import { aborted } from './abort.js';
import type { BackendIndex, CoreFilter, Rows } from './backend.js';
import { AnnexError, type AnnexErrorCode } from './errors.js';
import { sameFilter } from './filter.js';
import { type Scale, SearchResult } from './results.js';
import { allocateFound, columns, type Found, jobOf, sameOptions, singleResult, type Task } from './search.js';
import { allocateRows, type Shape } from './spec.js';

/** A batch is handed over at this many queries or bytes, so that the core starts while more are being collected. */
const MAX_QUERIES = 1024;
const MAX_BYTES = 4 * 1024 * 1024;
const FIRST_CAPACITY = 16;

/** Failures of a batch that are not about one of its queries. */
const COMMON: readonly AnnexErrorCode[] = ['CLOSED', 'OUT_OF_MEMORY', 'ABORTED', 'INTERNAL', 'UNSUPPORTED'];

/** One caller of search(). */
class Waiting {
  readonly resolve: (result: SearchResult) => void;
  readonly reject: (error: unknown) => void;
  /** Removes the listener of the caller's signal. */
  release: (() => void) | undefined;
  settled = false;

  constructor(resolve: (result: SearchResult) => void, reject: (error: unknown) => void) {
    this.resolve = resolve;
    this.reject = reject;
  }

  settle(result: SearchResult | undefined, error: unknown): void {
    if (this.settled) return;
    this.settled = true;
    this.release?.();
    if (result !== undefined) this.resolve(result);
    else this.reject(error);
  }
}

/** Searches that will run as one batch. */
class Group {
  readonly k: number;
  readonly filter: CoreFilter;
  readonly options: Float64Array;
  readonly waiting: Waiting[] = [];
  rows: Rows;
  /** Callers that have not gone away. */
  alive = 0;
  /** Whether every caller has a signal, so that the batch itself may come to be cancelled. */
  cancellable = true;
  controller: AbortController | undefined;

  constructor(k: number, filter: CoreFilter, options: Float64Array, rows: Rows) {
    this.k = k;
    this.filter = filter;
    this.options = options;
    this.rows = rows;
  }
}

/**
 * Collects the searches that are called in one turn of the event loop and gives them to the core as one batch for each
 * set of parameters. Each caller keeps its own promise: its own abort, its own error, its own arrays.
 */
export class Coalescer {
  readonly #index: () => BackendIndex;
  readonly #shape: Shape;
  readonly #scale: Scale;
  readonly #limit: number;
  #open: Group[] = [];
  #scheduled = false;

  constructor(index: () => BackendIndex, shape: Shape, scale: Scale) {
    this.#index = index;
    this.#shape = shape;
    this.#scale = scale;
    this.#limit = Math.max(1, Math.min(MAX_QUERIES, Math.floor(MAX_BYTES / shape.rowBytes)));
  }

  /** The query is copied at once. */
  search(
    query: Rows,
    k: number,
    filter: CoreFilter,
    options: Float64Array,
    signal: AbortSignal | undefined,
  ): Promise<SearchResult> {
    const group = this.#groupOf(k, filter, options);
    const n = group.waiting.length;
    const { width } = this.#shape;
    if (n * width === group.rows.length) group.rows = this.#larger(group.rows, n);
    group.rows.set(query, n * width);
    return new Promise<SearchResult>((resolve, reject) => {
      const waiting = new Waiting(resolve, reject);
      group.waiting.push(waiting);
      group.alive++;
      if (signal === undefined) group.cancellable = false;
      else watch(group, waiting, signal);
      if (n + 1 === this.#limit) this.#hand(group);
    });
  }

  /** Hands over what has been collected: at the end of the turn, and before the index is closed. */
  flush(): void {
    const groups = this.#open;
    this.#open = [];
    for (const group of groups) void this.#run(group);
  }

  #groupOf(k: number, filter: CoreFilter, options: Float64Array): Group {
    for (const group of this.#open) {
      if (group.k === k && sameOptions(group.options, options) && sameFilter(group.filter, filter)) return group;
    }
    if (!this.#scheduled) {
      this.#scheduled = true;
      queueMicrotask(() => {
        this.#scheduled = false;
        this.flush();
      });
    }
    const group = new Group(k, filter, options, allocateRows(this.#shape, 1));
    this.#open.push(group);
    return group;
  }

  #larger(rows: Rows, n: number): Rows {
    const larger = allocateRows(this.#shape, Math.min(this.#limit, Math.max(FIRST_CAPACITY, 2 * n)));
    larger.set(rows);
    return larger;
  }

  #hand(group: Group): void {
    this.#open = this.#open.filter((other) => other !== group);
    void this.#run(group);
  }

  async #run(group: Group): Promise<void> {
    const { waiting } = group;
    if (group.alive === 0) return;
    try {
      const task = this.#taskOf(group);
      const nq = waiting.length;
      const { width } = this.#shape;
      const queries = group.rows.length === nq * width ? group.rows : group.rows.subarray(0, nq * width);
      const found = allocateFound(nq, task.k);
      if (group.cancellable) group.controller = new AbortController();
      await task.index.searchAsync(jobOf(task, queries, nq, found), group.controller?.signal);
      if (nq === 1) waiting[0]?.settle(singleResult(found, this.#scale), undefined);
      else for (let i = 0; i < nq; i++) this.#settle(waiting[i] as Waiting, found, i, task.k);
    } catch (error) {
      await this.#fail(group, error);
    }
  }

  #taskOf(group: Group): Task {
    const index = this.#index();
    const k = columns(group.k, index, group.filter);
    return { index, shape: this.#shape, k, filter: group.filter, options: group.options };
  }

  /** Copies, so that nobody's arrays hang together and keeping one result does not keep the batch. */
  #settle(waiting: Waiting, found: Found, i: number, k: number): void {
    if (waiting.settled) return;
    const start = i * k;
    const end = start + (found.counts[i] as number);
    waiting.settle(
      new SearchResult(found.ids.slice(start, end), found.distances.slice(start, end), this.#scale),
      undefined,
    );
  }

  /** A query that the core refuses fails alone: the others are searched again one by one. */
  async #fail(group: Group, error: unknown): Promise<void> {
    const { waiting } = group;
    const common = !(error instanceof AnnexError) || COMMON.includes(error.code);
    if (common || waiting.length === 1) {
      for (const one of waiting) one.settle(undefined, error);
      return;
    }
    const { width } = this.#shape;
    for (let i = 0; i < waiting.length; i++) {
      const one = waiting[i] as Waiting;
      if (one.settled) continue;
      try {
        const task = this.#taskOf(group);
        const found = allocateFound(1, task.k);
        const query = group.rows.subarray(i * width, (i + 1) * width);
        await task.index.searchAsync(jobOf(task, query, 1, found));
        one.settle(singleResult(found, this.#scale), undefined);
      } catch (reason) {
        one.settle(undefined, reason);
      }
    }
  }
}

function watch(group: Group, waiting: Waiting, signal: AbortSignal): void {
  const onAbort = (): void => {
    if (waiting.settled) return;
    waiting.settle(undefined, aborted(signal));
    group.alive--;
    if (group.alive === 0) group.controller?.abort();
  };
  signal.addEventListener('abort', onAbort, { once: true });
  waiting.release = () => signal.removeEventListener('abort', onAbort);
}
