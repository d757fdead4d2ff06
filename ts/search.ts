import { checkSignal } from './abort.js';
import { allocate } from './allocate.js';
import { type BackendIndex, type CoreFilter, INPUT, type Rows, type SearchJob } from './backend.js';
import { describe } from './describe.js';
import { AnnexError } from './errors.js';
import { checkNumber } from './field.js';
import { type Filter, filterOf, NO_FILTER, type Predicate } from './filter.js';
import { findNotFinite, zeroVector } from './finite.js';
import type { Kind } from './kind.js';
import { checkOptions } from './names.js';
import { BatchResult, type Scale, SearchResult } from './results.js';
import { KEY, type Shape } from './spec.js';
import type { RowSource } from './vectors.js';

/** Options of a synchronous search. */
export interface SearchSyncOptions {
  /** Which ids may be returned; the k nearest of those are. Default: all. */
  filter?: Filter | undefined;
  /** Threads to use, 1 … 1024; more than the pool has are not used. Default: all of the pool. */
  threads?: number | undefined;
}

/** Options of a search. */
export interface SearchOptions extends SearchSyncOptions {
  /** Aborts this search: its promise rejects with code ABORTED. */
  signal?: AbortSignal | undefined;
}

export interface Params {
  readonly filter: CoreFilter | Predicate;
  /** (key, value) pairs of the C ABI. */
  readonly options: Float64Array;
  readonly signal: AbortSignal | undefined;
}

const NO_OPTIONS = new Float64Array(0);
export const NO_PARAMS: Params = { filter: NO_FILTER, options: NO_OPTIONS, signal: undefined };

/** Which parameters the searches of a kind of index take. */
export class SearchGrammar {
  readonly #keys: readonly (readonly [name: string, key: number])[];
  readonly #sync: readonly string[];
  readonly #async: readonly string[];
  /** What the last search was given: making an array known to the core takes longer than comparing it. */
  #last = NO_OPTIONS;

  constructor(kind: Kind) {
    this.#keys = Object.entries(kind.search);
    this.#sync = [...Object.keys(kind.search), 'filter', 'threads'];
    this.#async = [...this.#sync, 'signal'];
  }

  parse(where: string, value: unknown, async: boolean): Params {
    if (value === undefined) return NO_PARAMS;
    const known = (async ? this.#async : this.#sync) as readonly (keyof SearchOptions)[];
    const given = checkOptions<SearchOptions>(where, value, known);
    const filter = filterOf(given.filter);
    const options = this.#options(given);
    return { filter, options, signal: async ? checkSignal(given.signal) : undefined };
  }

  #options(given: SearchOptions): Float64Array {
    const pairs: number[] = [];
    if (given.threads !== undefined) pairs.push(KEY.threads, checkThreads(given.threads));
    for (const [name, key] of this.#keys) {
      const value = (given as Record<string, unknown>)[name];
      if (value !== undefined) pairs.push(key, checkNumber(name, value));
    }
    if (pairs.length === 0) return NO_OPTIONS;
    if (!sameOptions(this.#last, pairs)) this.#last = Float64Array.from(pairs);
    return this.#last;
  }
}

function checkThreads(value: unknown): number {
  const threads = checkNumber('threads', value);
  if (Number.isInteger(threads) && threads >= 1 && threads <= 1024) return threads;
  throw new AnnexError('INVALID_ARGUMENT', `expected threads to be an integer from 1 to 1024, got ${describe(value)}`);
}

/** Whether two searches have the same parameters, so that they can share a batch. */
export function sameOptions(a: Float64Array, b: ArrayLike<number>): boolean {
  if (a === b) return true;
  let i = a.length;
  if (i !== b.length) return false;
  while (i > 0 && a[i - 1] === b[i - 1]) i--;
  return i === 0;
}

export function checkK(k: unknown): number {
  if (typeof k !== 'number') {
    throw new AnnexError('INVALID_TYPE', `expected k, how many neighbours to find, as a number, got ${describe(k)}`);
  }
  if (Number.isInteger(k) && k >= 1) return k;
  throw new AnnexError('INVALID_ARGUMENT', `expected k to be an integer from 1 on, got ${describe(k)}`);
}

/** Columns to search for: never more than there can be, so that a huge k costs nothing; at least 1 for the core. */
export function columns(k: number, index: BackendIndex, filter: CoreFilter): number {
  const most = filter.kind === 1 ? Math.min(filter.count, index.size()) : index.size();
  return Math.max(1, Math.min(k, most));
}

/** What the searches of one call have in common. */
export interface Task {
  readonly index: BackendIndex;
  readonly shape: Shape;
  readonly k: number;
  readonly filter: CoreFilter;
  readonly options: Float64Array;
}

/** Arrays of results, nq × k. */
export interface Found {
  readonly ids: Float64Array;
  readonly distances: Float32Array;
  readonly counts: Uint32Array;
}

export function allocateFound(nq: number, k: number): Found {
  return allocate(
    () => ({ ids: new Float64Array(nq * k), distances: new Float32Array(nq * k), counts: new Uint32Array(nq) }),
    nq * (12 * k + 4),
  );
}

export function jobOf(task: Task, queries: Rows, nq: number, found: Found): SearchJob {
  return {
    queries,
    type: task.shape.type,
    nq,
    k: task.k,
    options: task.options,
    filterKind: task.filter.kind,
    filter: task.filter.data,
    filterCount: task.filter.count,
    ids: found.ids,
    distances: found.distances,
    counts: found.counts,
  };
}

/** Bytes of queries that are copied for the core at once. */
const SLICE_BYTES = 4 * 1024 * 1024;

export function searchRowsSync(task: Task, rows: RowSource): Found {
  const found = allocateFound(rows.n, task.k);
  if (rows.n === 0) return found;
  const queries = rows.take(0, rows.n);
  try {
    task.index.search(jobOf(task, queries, rows.n, found));
  } catch (error) {
    throw located(error, queries, task.shape, 0);
  }
  return found;
}

/** Searches in slices of queries: the next is copied and waits for the core while it works on the one before. */
export async function searchRows(task: Task, rows: RowSource, signal: AbortSignal | undefined): Promise<Found> {
  const found = allocateFound(rows.n, task.k);
  const step = Math.max(1, Math.floor(SLICE_BYTES / task.shape.rowBytes));
  let running: Promise<void> | undefined;
  for (let start = 0; start < rows.n; start += step) {
    const next = searchSlice(task, rows, start, Math.min(rows.n, start + step), found, signal);
    next.catch(() => {}); // should the slice before it fail, nobody waits for this one
    await running;
    running = next;
  }
  await running;
  return found;
}

async function searchSlice(
  task: Task,
  rows: RowSource,
  start: number,
  end: number,
  found: Found,
  signal: AbortSignal | undefined,
): Promise<void> {
  const part = {
    ids: found.ids.subarray(start * task.k, end * task.k),
    distances: found.distances.subarray(start * task.k, end * task.k),
    counts: found.counts.subarray(start, end),
  };
  try {
    await task.index.searchAsync(jobOf(task, rows.take(start, end - start), end - start, part), signal);
  } catch (error) {
    if (!(error instanceof AnnexError) || error.code !== 'NOT_FINITE') throw error;
    throw located(error, again(rows, start, end - start), task.shape, start);
  }
}

/** The rows of a slice once more; none when the caller has since changed them. */
function again(rows: RowSource, start: number, count: number): Rows {
  try {
    return rows.take(start, count);
  } catch {
    return new Float32Array(0);
  }
}

/** The core counts queries from the start of its slice; the caller counts from the start of the batch. */
function located(error: unknown, queries: Rows, shape: Shape, firstRow: number): unknown {
  if (!(error instanceof AnnexError) || error.code !== 'NOT_FINITE') return error;
  const { width } = shape;
  if (shape.type === INPUT.f32) {
    const bad = findNotFinite(queries, queries.length, width, 'query', firstRow);
    if (bad !== undefined) return bad;
  }
  if (shape.metric !== 'cosine') return error;
  for (let row = 0; row * width < queries.length; row++) {
    if (queries.subarray(row * width, (row + 1) * width).every((x) => x === 0)) {
      return zeroVector('query', firstRow + row);
    }
  }
  return error;
}

/** The result of a single search: the arrays themselves where they are full. */
export function singleResult({ ids, distances, counts }: Found, scale: Scale): SearchResult {
  const n = counts[0] as number;
  if (n === ids.length) return new SearchResult(ids, distances, scale);
  return new SearchResult(ids.slice(0, n), distances.slice(0, n), scale);
}

/** Columns that hold nothing for an empty index are left out. */
export function batchResult(found: Found, k: number, empty: boolean, scale: Scale): BatchResult {
  if (!empty) return new BatchResult(found.ids, found.distances, found.counts, k, scale);
  return new BatchResult(new Float64Array(0), new Float32Array(0), found.counts, 0, scale);
}
