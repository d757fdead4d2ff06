import { checkSignal, throwIfAborted } from './abort.js';
import { describe } from './describe.js';
import { AnnexError } from './errors.js';
import { exactNeighbors } from './eval_exact.js';
import { checkSameCount, type List, listsOf, type RunTable, type Truths } from './eval_lists.js';
import { checkProgress, report } from './eval_run.js';
import { type Interval, resample } from './eval_stats.js';
import type { FlatIndexClass } from './flat.js';
import type { Ids } from './ids.js';
import { checkOptions } from './names.js';
import { checkK } from './search.js';
import type { Metric, Storage } from './spec.js';
import { fastest, lists, narrowed, type Search, smallest } from './tune_search.js';
import { turn } from './turns.js';

/** What {@link tune} wants of an index; every index of annex is one. */
export interface TunableIndex<Query> {
  readonly dim: number;
  readonly metric: Metric;
  readonly storage: Storage;
  readonly size: number;
  options(): object;
  ids(): Float64Array;
  getMany(ids: Ids): (Query | undefined)[];
  searchBatch(
    queries: Query | readonly Query[],
    k?: number,
    options?: object,
  ): Promise<RunTable & { readonly length: number }>;
}

/** Search parameters that were found; they go into the options of a search as they are. */
export interface TunedParams {
  readonly efSearch?: number;
  readonly nprobe?: number;
  readonly rerankFactor?: number;
}

/** One set of parameters that was tried. */
export interface Trial {
  readonly params: TunedParams;
  /** Over the queries, with a confidence interval: `low` is what is compared with the recall that was asked for. */
  readonly recall: Interval;
  /** Of one searchBatch over all queries; the best where it was measured again. */
  readonly queriesPerSecond: number;
}

/** How far a tuning has come; how many trials there will be is not known before. */
export interface TuneProgress {
  readonly phase: 'truth' | 'search' | 'time';
  /** Sets of parameters tried so far. */
  readonly trials: number;
}

/** Options of {@link tune}. */
export interface TuneOptions<Query> {
  /**
   * Queries like those to come, and none of them in the index: 500 and more make the confidence interval narrow. One flat
   * array, or an array of vectors.
   */
  queries: Query | readonly Query[];
  /** Recall@k to reach, above 0 and up to 1. Default 0.95. */
  recall?: number | undefined;
  /** Default 10. */
  k?: number | undefined;
  /** How sure it must be that the recall is reached, 0.5 … 0.999, one-sided. Default 0.8: surer is slower. */
  confidence?: number | undefined;
  /** Milliseconds after which no other parameters are tried: the best found until then are returned. Default: no limit. */
  budget?: number | undefined;
  /** The true neighbours of each query (see {@link Truths}), such as those in the vectors that the index was made of. */
  truth?: Truths | undefined;
  /** Where no `truth` is given: the class of the entry point in use, for an exact search over the rows of the index. */
  FlatIndex?: FlatIndexClass | undefined;
  /** Threads of the searches, as in `search`. What is cheapest on one thread is nearly always so on several. */
  threads?: number | undefined;
  /** Aborts the call: its promise rejects with code ABORTED. */
  signal?: AbortSignal | undefined;
  /** What it throws aborts the call. */
  onProgress?: ((progress: TuneProgress) => void) | undefined;
}

/** What {@link tune} found. */
export interface Tuned extends Trial {
  /** Whether the recall is reached, with the confidence that was asked for. */
  readonly reached: boolean;
  /** What was found, in a sentence: where the recall is out of reach, why, and what would help. */
  readonly message: string;
  /** Everything that was tried, in order. */
  readonly trials: readonly Trial[];
}

const KEYS = [
  'queries',
  'recall',
  'k',
  'confidence',
  'budget',
  'truth',
  'FlatIndex',
  'threads',
  'signal',
  'onProgress',
] as const;

/**
 * Finds the cheapest search parameters with which an index reaches a recall: the smallest `efSearch` of an HnswIndex; of an
 * IvfIndex the fastest pair of `nprobe` and, where it reranks, `rerankFactor`, which is also what a FlatIndex of
 * reranked codes has. A recall counts as reached where the lower
 * end of its bootstrap confidence interval over the queries does. Truth is exact search.
 *
 * ```ts
 * const { reached, params } = await tune(index, { queries, recall: 0.95, k: 10, FlatIndex });
 * const hits = await index.search(query, 10, params);
 * ```
 *
 * Without `truth` the exact search looks at the rows as the index returns them, in a copy of 4 · dim bytes a row. An index
 * that keeps only codes of its rows (pq, rabitq) has no others: it wants `truth`.
 *
 * @throws AnnexError INVALID_TYPE, INVALID_ARGUMENT (no queries; a truth of another size), UNSUPPORTED (no truth to be had),
 * DIMENSION_MISMATCH, ABORTED, and what the searches throw
 */
export async function tune<Query>(index: TunableIndex<Query>, options: TuneOptions<NoInfer<Query>>): Promise<Tuned> {
  checkIndex(index);
  const checked = checkOptions<TuneOptions<Query>>('tune', options, KEYS);
  const target = range('recall', checked.recall ?? 0.95, 0, 1, true);
  const confidence = range('confidence', checked.confidence ?? 0.8, 0.5, 0.999);
  const budget = checked.budget === undefined ? Infinity : range('budget', checked.budget, 0, Infinity, true);
  const k = checkK(checked.k ?? 10);
  const signal = checkSignal(checked.signal);
  const onProgress = checkProgress(checked.onProgress);
  const truth = listsOf(checked.truth ?? (await exact(index, checked, k)), 'truth');
  if (truth.length === 0)
    throw new AnnexError('INVALID_ARGUMENT', 'expected at least one query to tune with, got none');
  report(onProgress, { phase: 'truth', trials: 0 });

  const end = performance.now() + budget;
  const trials: Trial[] = [];
  const run = async (params: TunedParams): Promise<{ found: RunTable; seconds: number }> => {
    const start = performance.now();
    const { threads } = checked;
    const found = await index.searchBatch(checked.queries, k, { ...params, threads, signal });
    const seconds = (performance.now() - start) / 1000;
    checkSameCount('truth', truth.length, 'queries', found.length);
    return { found, seconds };
  };
  const search: Search = {
    target,
    isOver: () => performance.now() > end,
    async time(params) {
      const { seconds } = await run(params);
      report(onProgress, { phase: 'time', trials: trials.length });
      return truth.length / seconds;
    },
    async try(params) {
      const before = trials.find((trial) => same(trial.params, params));
      if (before !== undefined) return before;
      const { found, seconds } = await run(params);
      const recall = await interval(found, truth, k, confidence);
      throwIfAborted(signal);
      const trial = { params, recall, queriesPerSecond: truth.length / seconds };
      trials.push(trial);
      report(onProgress, { phase: 'search', trials: trials.length });
      return trial;
    },
  };
  const best = await go(index, search, k);
  const reached = best.recall.low >= target;
  return { ...best, reached, message: messageOf(index, best, reached, search, trials), trials };
}

/** The parameters of each kind, by the options that its indexes were created with. */
async function go(index: TunableIndex<unknown>, search: Search, k: number): Promise<Trial> {
  const { nlist, efConstruction, rerank } = index.options() as {
    nlist?: number;
    efConstruction?: number;
    rerank?: string;
  };
  if (efConstruction !== undefined) {
    const most = Math.max(k, Math.min(index.size, 1 << 15));
    return smallest(search, k, most, (efSearch) => ({ efSearch }));
  }
  // A codec with an error bound reranks what it must, whatever the factor.
  const factor = rerank !== undefined && rerank !== 'none' && index.storage !== 'rabitq';
  const most = Math.max(1, Math.floor(index.size / k));
  if (nlist === undefined) {
    return factor ? smallest(search, 1, most, (rerankFactor) => ({ rerankFactor })) : search.try({});
  }
  if (!factor) return smallest(search, 1, nlist, (nprobe) => ({ nprobe }));
  return narrowed(search, await fastest(search, await lists(search, nlist, most)));
}

/** Storages whose rows are not floats. */
const BYTES = ['i8', 'u8', 'bits'] as const;

const same = (a: TunedParams, b: TunedParams): boolean =>
  a.efSearch === b.efSearch && a.nprobe === b.nprobe && a.rerankFactor === b.rerankFactor;

const named = (params: TunedParams): string =>
  Object.entries(params)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ');

/** Whether nothing of a is more than in b. */
const isLess = (a: TunedParams, b: TunedParams): boolean =>
  Object.entries(a).every(([name, value]) => value <= ((b as Record<string, number>)[name] ?? 0));

function messageOf(
  index: TunableIndex<unknown>,
  best: Trial,
  reached: boolean,
  search: Search,
  trials: readonly Trial[],
): string {
  const { params, recall } = best;
  const { target } = search;
  const what = `recall ${recall.mean.toFixed(4)} (at least ${recall.low.toFixed(4)}) with ${named(params) || 'exact search'}`;
  if (reached) {
    // Whole lists are coarse steps where there are few, or a single one is enough.
    if (recall.mean - target <= (1 - target) / 2) return what;
    const less = trials
      .filter((trial) => trial.recall.low < target && isLess(trial.params, params))
      .reduce<Trial | undefined>((a, b) => (a === undefined || b.recall.mean >= a.recall.mean ? b : a), undefined);
    if (less === undefined) return `${what}, the least there is`;
    return `${what}; the best that was tried below that is ${less.recall.mean.toFixed(4)} with ${named(less.params)}`;
  }
  const short = `${target} was not reached: ${what}`;
  if (search.isOver()) return `${short}; the budget ran out before the end of the search, so give it more`;
  const { rerank } = index.options() as { rerank?: string };
  if (recall.mean >= target) return `${short}; more queries would narrow the confidence interval`;
  const coded =
    index.storage !== 'f32' && !BYTES.some((name) => name === index.storage) && (rerank ?? 'none') === 'none';
  return coded
    ? `${short}; the codes of "${index.storage}" limit it: add a rerank copy, or take a storage with more bits`
    : `${short}, which is as far as the parameters go: build with a larger M and efConstruction, or take other lists`;
}

async function exact<Query>(index: TunableIndex<Query>, options: TuneOptions<Query>, k: number): Promise<RunTable> {
  const { FlatIndex, queries, signal, threads } = options;
  const { rerank } = index.options() as { rerank?: string };
  if (FlatIndex === undefined) {
    throw new AnnexError(
      'INVALID_ARGUMENT',
      'expected truth, the true neighbours of the queries, or the class FlatIndex of annex, which then finds them',
    );
  }
  if ((index.storage === 'pq' || index.storage === 'rabitq') && (rerank ?? 'none') === 'none') {
    throw new AnnexError(
      'UNSUPPORTED',
      `expected truth: the index keeps only codes (${index.storage}) of its rows, so their true neighbours are not known here`,
    );
  }
  const ids = index.ids();
  const { dim, metric } = index;
  const storage = BYTES.find((name) => name === index.storage) ?? 'f32';
  const rows = index.getMany(ids);
  return exactNeighbors(rows as never, queries as never, k, { FlatIndex, dim, metric, storage, ids, signal, threads });
}

/** Mean recall with its interval: one-sided confidence c is the lower end of a two-sided interval of level 2c - 1. */
async function interval(found: RunTable, truth: readonly List[], k: number, confidence: number): Promise<Interval> {
  const values = new Float64Array(truth.length);
  const { ids, k: columns } = found as { readonly ids: Float64Array; readonly k: number };
  for (let q = 0; q < truth.length; q++) {
    const wanted = (truth[q] as List).ids.subarray(0, k);
    const relevant = new Set(wanted);
    let hits = 0;
    for (let j = 0; j < Math.min(columns, k); j++) if (relevant.has(ids[q * columns + j] as number)) hits++;
    values[q] = wanted.length === 0 ? 1 : hits / wanted.length;
  }
  const resampling = resample(values, { level: Math.max(0.01, 2 * confidence - 1), samples: 1000, seed: 1 });
  for (;;) {
    const { done, value } = resampling.next();
    if (done === true) return value;
    await turn();
  }
}

function range(name: string, value: unknown, low: number, high: number, open = false): number {
  if (typeof value !== 'number') {
    throw new AnnexError('INVALID_TYPE', `expected ${name} as a number, got ${describe(value)}`);
  }
  if (value <= high && (open ? value > low : value >= low)) return value;
  const most = high === Infinity ? '' : ` and up to ${high}`;
  throw new AnnexError('INVALID_ARGUMENT', `expected ${name} ${open ? 'above' : 'from'} ${low}${most}, got ${value}`);
}

function checkIndex(value: unknown): void {
  const index = value as Partial<Record<keyof TunableIndex<unknown>, unknown>> | null | undefined;
  const methods = [index?.options, index?.searchBatch, index?.getMany, index?.ids];
  if (typeof index?.dim === 'number' && methods.every((method) => typeof method === 'function')) return;
  throw new AnnexError('INVALID_TYPE', `expected an index of annex, got ${describe(value)}`);
}
