import { checkSignal, throwIfAborted } from './abort.js';
import { countOf } from './convert.js';
import { describe } from './describe.js';
import { AnnexError } from './errors.js';
import {
  checkSameCount,
  type List,
  listOf,
  listsOf,
  type Ranked,
  type RunTable,
  type Truths,
  truthsOf,
} from './eval_lists.js';
import { type MeasureOptions, measureLists, type Quality, settingsOf } from './eval_measure.js';
import { type LatencySummary, latencySummary } from './eval_stats.js';
import { checkChoice, checkOptions } from './names.js';
import { turn } from './turns.js';
import { tagOf } from './typed_arrays.js';

/**
 * What {@link evaluate} wants of an index; every index of annex is one. `Query` is one vector (or several in a flat
 * array), `Options` are those of its searches.
 */
export interface SearchableIndex<Query, Options extends object> {
  readonly dim: number;
  /** `bits` where a row is dim / 8 bytes. */
  readonly storage?: string | undefined;
  search(query: Query, k?: number, options?: Options): Promise<Ranked>;
  searchBatch(queries: Query | readonly Query[], k?: number, options?: Options): Promise<RunTable>;
}

/** How far an evaluation has come. */
export interface EvaluateProgress {
  /** Queries done in this phase. */
  readonly done: number;
  /** Queries in all. */
  readonly total: number;
  /** `single`: one search after another. `batch`: all in one call. */
  readonly phase: 'single' | 'batch';
}

/** Options of {@link evaluate}, beside those of the index's own searches, which are passed on to it. */
export interface EvaluateOptions extends MeasureOptions {
  /**
   * What to run: `single` searches one after another, which gives latencies; `batch`, one searchBatch over all
   * queries, which gives the throughput; or `both` (default). Quality is that of the single searches, else of the batch.
   */
  run?: 'single' | 'batch' | 'both' | undefined;
  /** Searches before the first that counts, and as many queries as a batch before the one that counts. Default 10. */
  warmup?: number | undefined;
  /** Aborts the call: its promise rejects with code ABORTED. */
  signal?: AbortSignal | undefined;
  /** Called about a hundred times. What it throws aborts the call. */
  onProgress?: ((progress: EvaluateProgress) => void) | undefined;
}

/** Latencies of single searches, from the call to its result, one at a time. */
export interface Latency extends LatencySummary {
  /** Milliseconds of each query. */
  readonly values: Float64Array;
}

/** What one searchBatch over all queries took. */
export interface Throughput {
  readonly queries: number;
  readonly seconds: number;
  readonly queriesPerSecond: number;
}

/** What {@link evaluate} found out. */
export interface Evaluation extends Quality {
  /** Undefined with `run: 'batch'`. */
  readonly latency: Latency | undefined;
  /** Undefined with `run: 'single'`. */
  readonly throughput: Throughput | undefined;
}

const KEYS = ['k', 'tolerance', 'gain', 'bootstrap', 'run', 'warmup', 'signal', 'onProgress'] as const;

/** Milliseconds of searches between two turns of the event loop. */
const SPELL = 20;

/**
 * Searches an index for each query and measures the results against the truth: quality, latency and throughput.
 *
 * @param queries one flat array of n × dim numbers, or an array of n vectors. Leave them alone until the promise settles.
 * @param truth for each query what ought to be found, such as what {@link exactNeighbors} returned: see {@link Truth}.
 * @throws AnnexError INVALID_TYPE, INVALID_ARGUMENT (a truth of another size, before any work), INVALID_ID, DUPLICATE_ID,
 * DIMENSION_MISMATCH, ABORTED, and what the searches throw
 */
export async function evaluate<Query, Options extends object>(
  index: SearchableIndex<Query, Options>,
  queries: NoInfer<Query | readonly Query[]>,
  truth: Truths,
  options: EvaluateOptions & Omit<NoInfer<Options>, keyof EvaluateOptions>,
): Promise<Evaluation> {
  checkIndex(index);
  const { own, passed } = split(options);
  const settings = settingsOf('evaluate', own);
  const run = checkChoice('run', own.run ?? 'both', ['single', 'batch', 'both'] as const);
  const warmup = checkWarmup(own.warmup);
  const signal = checkSignal(own.signal);
  const onProgress = checkProgress(own.onProgress);
  const rows = new Queries<Query>(queries, index);
  const truths = truthsOf(truth);
  checkSameCount('truth', truths.length, 'queries', rows.n);
  const { k } = settings;
  const search = (signal === undefined ? passed : { ...passed, signal }) as Options;

  let lists: List[] | undefined;
  let latency: Latency | undefined;
  if (run !== 'batch') {
    const values = new Float64Array(rows.n);
    const found: Ranked[] = [];
    for (let i = 0; i < Math.min(warmup, rows.n); i++) await index.search(rows.at(i), k, search);
    const step = Math.max(1, Math.ceil(rows.n / 100));
    let rested = performance.now();
    for (let i = 0; i < rows.n; i++) {
      const query = rows.at(i);
      const start = performance.now();
      found.push(await index.search(query, k, search));
      const end = performance.now();
      values[i] = end - start;
      if ((i + 1) % step === 0 || i + 1 === rows.n) report(onProgress, { done: i + 1, total: rows.n, phase: 'single' });
      if (end - rested > SPELL) {
        await turn();
        rested = performance.now();
      }
      throwIfAborted(signal);
    }
    lists = found.map((one, i) => listOf(one, `what was found for query ${i}`));
    latency = { ...latencySummary(values), values };
  }
  let throughput: Throughput | undefined;
  if (run !== 'single') {
    if (warmup > 0 && rows.n > 0) await index.searchBatch(rows.first(warmup), k, search);
    const start = performance.now();
    const found = await index.searchBatch(queries, k, search);
    const seconds = (performance.now() - start) / 1000;
    throughput = { queries: rows.n, seconds, queriesPerSecond: rows.n / seconds };
    lists ??= listsOf(found, 'found');
    report(onProgress, { done: rows.n, total: rows.n, phase: 'batch' });
    throwIfAborted(signal);
  }
  const measuring = measureLists(lists as List[], truths, settings);
  for (;;) {
    const { done, value } = measuring.next();
    if (done === true) return { ...value, latency, throughput };
    await turn();
    throwIfAborted(signal);
  }
}

/** Queries as the caller gave them, one at a time. */
class Queries<Query> {
  readonly n: number;
  readonly #source: Query | readonly Query[];
  /** Elements of a vector in a flat array; 0 for an array of vectors. */
  readonly #width: number;

  constructor(
    source: Query | readonly Query[],
    index: { readonly dim: number; readonly storage?: string | undefined },
  ) {
    const list: unknown = source;
    if (!Array.isArray(list) && tagOf(list) === undefined) {
      throw new AnnexError(
        'INVALID_TYPE',
        `expected queries as a flat array or an array of vectors, got ${describe(source)}`,
      );
    }
    const length = countOf(list as object);
    const first: unknown = (list as ArrayLike<unknown>)[0];
    const nested = Array.isArray(list) && typeof first === 'object' && first !== null;
    this.#width = nested ? 0 : index.storage === 'bits' ? index.dim / 8 : index.dim;
    this.#source = source;
    this.n = nested ? length : length / this.#width;
    if (!Number.isInteger(this.n)) {
      throw new AnnexError(
        'DIMENSION_MISMATCH',
        `expected queries as rows of ${this.#width} numbers, got ${length} in all`,
      );
    }
  }

  at(i: number): Query {
    return this.#width === 0 ? (this.#source as readonly Query[])[i]! : this.#slice(i, i + 1);
  }

  /** The first n, or all there are. */
  first(n: number): Query | readonly Query[] {
    return this.#width === 0 ? (this.#source as readonly Query[]).slice(0, n) : this.#slice(0, Math.min(n, this.n));
  }

  #slice(start: number, end: number): Query {
    const flat = this.#source as unknown as number[] | Float32Array;
    const [a, b] = [start * this.#width, end * this.#width];
    return (Array.isArray(flat) ? flat.slice(a, b) : flat.subarray(a, b)) as Query;
  }
}

/** The options of evaluate itself, and those of the index's searches. */
function split(options: unknown): { own: EvaluateOptions; passed: Record<string, unknown> } {
  if (typeof options !== 'object' || options === null) {
    throw new AnnexError('INVALID_TYPE', `evaluate expects an options object with k, got ${describe(options)}`);
  }
  const own: Record<string, unknown> = {};
  const passed: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(options)) {
    ((KEYS as readonly string[]).includes(key) ? own : passed)[key] = value;
  }
  return { own: checkOptions<EvaluateOptions>('evaluate', own, KEYS), passed };
}

function checkIndex(value: unknown): void {
  const index = value as { dim?: unknown; search?: unknown; searchBatch?: unknown } | null | undefined;
  const good =
    typeof index?.dim === 'number' && typeof index.search === 'function' && typeof index.searchBatch === 'function';
  if (!good) {
    throw new AnnexError('INVALID_TYPE', `expected an index with dim, search and searchBatch, got ${describe(value)}`);
  }
}

function checkWarmup(value: unknown): number {
  if (value === undefined) return 10;
  if (typeof value !== 'number') {
    throw new AnnexError('INVALID_TYPE', `expected warmup, a number of searches, as a number, got ${describe(value)}`);
  }
  if (Number.isInteger(value) && value >= 0) return value;
  throw new AnnexError('INVALID_ARGUMENT', `expected warmup to be an integer from 0 on, got ${value}`);
}

export function checkProgress<T>(value: ((progress: T) => void) | undefined): ((progress: T) => void) | undefined {
  if (value === undefined || typeof value === 'function') return value;
  throw new AnnexError('INVALID_TYPE', `expected onProgress to be a function, got ${describe(value)}`);
}

export function report<T>(onProgress: ((progress: T) => void) | undefined, progress: T): void {
  try {
    onProgress?.(progress);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : describe(cause);
    throw new AnnexError('INVALID_ARGUMENT', `onProgress threw: ${reason}`, { cause });
  }
}
