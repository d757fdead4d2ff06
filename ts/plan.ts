import { checkSignal, throwIfAborted } from './abort.js';
import { describe } from './describe.js';
import { AnnexError } from './errors.js';
import { checkProgress, report } from './eval_run.js';
import { checkChoice, checkOptions } from './names.js';
import { type Candidate, candidates, emptyBytes, listsFor } from './plan_candidates.js';
import { type ListReach, listReach, type Range } from './plan_lists.js';
import {
  asNear,
  type Bytes,
  generatedRows,
  last,
  type PlanClass,
  type Sample,
  type Trial,
  truthOf,
  tryOut,
} from './plan_trial.js';
import { checkK } from './search.js';
import { METRICS, type Metric, shapeOf } from './spec.js';
import { type Numbers, rowsOf } from './vectors.js';

/** Options of {@link plan}. */
export interface PlanOptions {
  /** Rows that the index will hold. */
  n: number;
  dim: number;
  /** Default `l2`; not those of packed bits. */
  metric?: Metric | undefined;
  /** Bytes of memory that the index may take. Default: no limit. */
  memory?: number | undefined;
  /** Recall@k to reach. Default 0.95. */
  recall?: number | undefined;
  /** Default 10. */
  k?: number | undefined;
  /**
   * Vectors like those to come, 2,000 and more: the more, the narrower the interval of the recall. The last tenth, up to
   * 500, serve as queries. Default: generated vectors, so that predicted recall is that of other data than yours.
   */
  sample?: Numbers | readonly Numbers[] | undefined;
  /** The classes of the entry point in use (`annex`, `annex/native` or `annex/wasm`), which make the trials. */
  FlatIndex: PlanClass;
  HnswIndex: PlanClass;
  IvfIndex: PlanClass;
  /** Aborts the call: its promise rejects with code ABORTED. */
  signal?: AbortSignal | undefined;
  /** Called after every candidate. What it throws aborts the call. */
  onProgress?: ((progress: { readonly done: number; readonly total: number }) => void) | undefined;
}

/** A predicted number and what it rests on. */
export interface Predicted {
  readonly value: number;
  readonly basis: string;
}

/** A predicted recall. */
export interface PredictedRecall extends Predicted {
  /**
   * Where it should lie: between what two ways to extrapolate from the sample say, widened by what the queries of the
   * sample leave open. Where this is too wide, give a larger sample.
   */
  readonly low: number;
  readonly high: number;
}

/** An index that would do, or why it would not. */
export interface Proposal {
  readonly structure: Candidate['structure'];
  /** Options of its `create`. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Options of its searches. */
  readonly search: Readonly<Record<string, number>>;
  /** Bytes that the core will hold, as by `stats().bytesTotal`. */
  readonly ram: Predicted;
  /** Bytes of its file; undefined where it has none. */
  readonly file: Predicted | undefined;
  /** Seconds to train and add, on this machine. */
  readonly buildSeconds: Predicted;
  readonly recall: PredictedRecall;
  /** Seconds of a query in a batch, on this machine, all threads. */
  readonly querySeconds: Predicted;
  /** Whether it fits the memory and reaches the recall. */
  readonly fits: boolean;
}

/** What {@link plan} proposes. */
export interface Plan {
  /** The fastest of those that fit; undefined where none does. */
  readonly best: Proposal | undefined;
  /** All that were considered: those that fit by query time, then the others by memory. */
  readonly proposals: readonly Proposal[];
}

const KEYS = [
  'n',
  'dim',
  'metric',
  'memory',
  'recall',
  'k',
  'sample',
  'FlatIndex',
  'HnswIndex',
  'IvfIndex',
  'signal',
  'onProgress',
] as const;

/** Rows of the larger trial, and of generated samples; the smaller one has a quarter. */
const TRIAL = 8192;
const LEAST = 1800;
/** Graphs of fewer rows walk by another rule (native/index/hnsw_reach.h). */
const LEAST_TRIAL = 512;

/**
 * Proposes an index for n rows before it is built: structure, codec and search parameters, with the memory, file size, build
 * time, recall and query time to expect. Each candidate is built over a quarter and over all of a small sample, lists with
 * as many rows to each as they will have in the end; what was measured there is extrapolated to n. What codes and the choice
 * of lists miss depends on how close the neighbours are: that is measured with the few rows of the sample that are as near as
 * the k nearest of all n, and with as many lists as there will be.
 *
 * ```ts
 * const { best } = await plan({ n: 5e6, dim: 768, metric: 'cosine', memory: 4e9, sample, FlatIndex, HnswIndex, IvfIndex });
 * ```
 *
 * @throws AnnexError INVALID_TYPE, INVALID_ARGUMENT, UNSUPPORTED, DIMENSION_MISMATCH, NOT_FINITE, ABORTED, OUT_OF_MEMORY
 */
export async function plan(options: PlanOptions): Promise<Plan> {
  const checked = checkOptions<PlanOptions>('plan', options, KEYS);
  const n = within('n', checked.n, 1, 2 ** 32, true);
  const metric = checkChoice('metric', checked.metric ?? 'l2', METRICS);
  if (metric === 'hamming' || metric === 'jaccard') {
    throw new AnnexError('UNSUPPORTED', `expected a metric of floats, got "${metric}": its rows are kept as they are`);
  }
  const dim = within('dim', checked.dim, 1, 32768, true);
  const memory = checked.memory === undefined ? Infinity : within('memory', checked.memory, 1, Number.MAX_VALUE);
  const target = within('recall', checked.recall ?? 0.95, 0, 1);
  const k = Math.min(checkK(checked.k ?? 10), n);
  const signal = checkSignal(checked.signal);
  const onProgress = checkProgress(checked.onProgress);
  const { FlatIndex, HnswIndex, IvfIndex } = checked;
  const classes = { FlatIndex, HnswIndex, IvfIndex };
  for (const [name, Class] of Object.entries(classes)) {
    if (typeof Class === 'function' && typeof (Class as Partial<PlanClass>).create === 'function') continue;
    throw new AnnexError(
      'INVALID_TYPE',
      `expected the class ${name} of annex in options.${name}, got ${describe(Class)}`,
    );
  }
  const sample = sampleOf(checked.sample, dim, metric, n);
  const most = sample.rows.length / dim;
  const sizes = most >= n ? [n] : [Math.max(LEAST_TRIAL, most >> 2), most];
  const samples = sizes.map((size) => ({ ...sample, rows: sample.rows.subarray(0, size * dim) }));
  const truths = await Promise.all(samples.map((part) => truthOf(classes, part, k, signal)));
  const few = asNear(k, most, n);
  const thinTruth = most < n ? await truthOf(classes, sample, few, signal) : [];
  const all = candidates(dim, metric);
  const proposals: Proposal[] = [];
  const from = checked.sample === undefined ? 'generated vectors' : 'the sample';
  const nlist = listsFor(n);
  const wanted = { n, dim, metric, nlist, k, memory, target, from, queries: sample.queries.length / dim };
  let reach: ListReach | undefined;
  for (const [done, candidate] of all.entries()) {
    const trials: Trial[] = [];
    for (const [i, part] of samples.entries()) {
      const lists = Math.max(1, Math.round((nlist * (sizes[i] as number)) / n));
      const truth = truths[i] as Set<number>[];
      trials.push(await tryOut(candidate, classes, part, part.rows, lists, k, truth, signal));
      throwIfAborted(signal);
    }
    const inLists = candidate.structure === 'IvfIndex' && most < n;
    // Which lists hold the neighbours is no matter of the codec: the first candidate of this kind tells, with plain rows.
    if (inLists) reach ??= await listReach(candidate, classes, sample, n, nlist, k, signal);
    let thin: Trial | undefined;
    if (most < n && allowed(trials[1] as Trial) < 1) {
      thin = await tryOut(candidate, classes, sample, sample.rows, reach?.nlist ?? 1, few, thinTruth, signal);
      throwIfAborted(signal);
    }
    proposals.push(propose(candidate, trials, { thin, reach: inLists ? reach : undefined }, wanted));
    report(onProgress, { done: done + 1, total: all.length });
  }
  proposals.sort((a, b) => {
    if (a.fits !== b.fits) return a.fits ? -1 : 1;
    return a.fits ? a.querySeconds.value - b.querySeconds.value : a.ram.value - b.ram.value;
  });
  return { best: proposals.find(({ fits }) => fits), proposals };
}

/** What is known beside trials with the k nearest of their few rows. */
interface Beside {
  /** With the fewer that are as near as the k nearest of all. */
  readonly thin: Trial | undefined;
  readonly reach: ListReach | undefined;
}

interface Wanted {
  readonly n: number;
  readonly dim: number;
  readonly metric: Metric;
  readonly nlist: number;
  readonly k: number;
  readonly memory: number;
  readonly target: number;
  readonly from: string;
  readonly queries: number;
}

function propose(candidate: Candidate, trials: readonly Trial[], beside: Beside, wanted: Wanted): Proposal {
  const { n, dim, metric, nlist, k, memory, target, from, queries } = wanted;
  const sizes = trials.map((trial) => trial.n.toLocaleString('en-US')).join(' and ');
  const built = trials.length === 1 ? `measured with all ${sizes} rows` : `measured with ${sizes} rows`;
  const scaled = (how: string): string => (trials.length === 1 ? built : `${built} of ${from}, ${how}`);

  // The cheapest parameters whose recall is predicted to do, else those with the most.
  const searches = candidate.searches(k);
  const recalls = searches.map((_, i) => recallAt(trials, i, n, beside));
  const enough = recalls.findIndex(({ value }) => value >= target);
  const values = recalls.map(({ value }) => value);
  const at = enough >= 0 ? enough : values.indexOf(Math.max(...values));
  const ram = bytesAt(trials, (trial) => trial.ram, n, nlist) + emptyBytes(candidate, dim, metric, n);
  const saved = trials.every((trial) => trial.file !== undefined);
  const file = saved ? bytesAt(trials, (trial) => trial.file as Bytes, n, nlist) : undefined;
  const { value: recall, low, high } = recalls[at] as Range;
  // Recall of a query lies in 0 … 1: its mean over the queries strays by no more.
  const stray = Math.sqrt((recall * (1 - recall)) / queries);
  return {
    structure: candidate.structure,
    options: candidate.options(nlist),
    search: searches[at] as Record<string, number>,
    ram: { value: ram, basis: scaled('in proportion, and whole blocks of rows') },
    file: file === undefined ? undefined : { value: file, basis: scaled('in proportion') },
    buildSeconds: {
      value: power(trials, (trial) => trial.buildSeconds, n, 1, 2),
      basis: scaled('by the power of n that they differ by'),
    },
    recall: {
      value: recall,
      low: Math.max(0, low - stray),
      high: Math.min(1, high + stray),
      basis: recallBasis(built, trials, beside.reach, from),
    },
    querySeconds: {
      value: power(trials, (trial) => last(trial.seconds, at), n, 0, 1),
      basis: scaled('by the power of n that they differ by'),
    },
    fits: ram <= memory && recall >= target,
  };
}

/**
 * Rows in proportion, and what there is without them by the number of lists. A smaller trial tells less of the rows: the
 * fewer lists, the more what their last blocks are padded with is left to chance.
 */
function bytesAt(trials: readonly Trial[], of: (trial: Trial) => Bytes, n: number, nlist: number): number {
  const [a, b] = trials as [Trial, Trial?];
  if (b === undefined) return of(a).empty + of(a).rows;
  const list = b.nlist === a.nlist ? 0 : (of(b).empty - of(a).empty) / (b.nlist - a.nlist);
  return Math.round(of(b).empty + list * (nlist - b.nlist) + (of(b).rows * n) / b.n);
}

function power(trials: readonly Trial[], of: (trial: Trial) => number, n: number, low: number, high: number): number {
  const [a, b] = trials as [Trial, Trial?];
  if (b === undefined) return of(a);
  const exponent = Math.log(of(b) / of(a)) / Math.log(b.n / a.n);
  return of(b) * (n / b.n) ** Math.min(high, Math.max(low, exponent));
}

/** The share of the neighbours that a scan, all lists or a graph's largest pool find: all that codes allow. */
const allowed = ({ recalls }: Trial): number => Math.max(...recalls);

/**
 * From what two trials miss, between a straight line over the logarithm of n and one of its logarithm. What codes miss
 * grows no faster than √n; between that and what they miss of the fewer neighbours that are as near as those of all rows,
 * which counts the more the further it is to n. Beside it lists miss what lies in others than are searched, and walks what
 * they do not come by.
 */
function recallAt(trials: readonly Trial[], at: number, n: number, { thin, reach }: Beside): Range {
  const [a, b] = trials as [Trial, Trial?];
  const now = last((b ?? a).recalls, at);
  if (b === undefined) return { value: now, low: now, high: now };
  const steps = Math.log(n / b.n) / Math.log(b.n / a.n);
  const missed = (before: number, now: number, most: number): Range => {
    const growth = Math.max(1, (now + 1e-3) / (before + 1e-3)) ** steps;
    const line = now + Math.max(0, now - before) * steps;
    const curve = now * Math.min(growth, most);
    return { value: (line + curve) / 2, low: Math.min(line, curve), high: Math.max(line, curve) };
  };
  const grown = missed(1 - allowed(a), 1 - allowed(b), Math.sqrt(n / b.n));
  const close = thin === undefined ? grown.value : 1 - allowed(thin);
  const codes = {
    value: (grown.value + steps * close) / (1 + steps),
    low: Math.min(grown.low, close),
    high: Math.max(grown.high, close),
  };
  if (reach !== undefined) {
    const { value, low, high } = last(reach.recalls, at);
    return { value: value * (1 - codes.value), low: low * (1 - codes.high), high: high * (1 - codes.low) };
  }
  const walks = missed(allowed(a) - last(a.recalls, at), allowed(b) - now, Infinity);
  const [value, low, high] = [
    1 - codes.value - walks.value,
    1 - codes.high - walks.high,
    1 - codes.low - walks.low,
  ].map((recall) => Math.min(now, Math.max(0, recall))) as [number, number, number];
  return { value, low, high };
}

function recallBasis(built: string, trials: readonly Trial[], reach: ListReach | undefined, from: string): string {
  if (trials.length === 1) return built;
  if (reach === undefined) return `${built} of ${from}, extrapolated over the logarithm of n`;
  const rows = reach.n.toLocaleString('en-US');
  return `${built} of ${from}, over the logarithm of n, and which lists hold the neighbours, with ${rows} rows in ${reach.nlist} lists`;
}

function sampleOf(value: unknown, dim: number, metric: Metric, n: number): Sample {
  if (value === undefined) {
    const [count, queries] = [Math.min(n, TRIAL), 200];
    const rows = generatedRows(count + queries, dim);
    return { dim, metric, rows: rows.subarray(0, count * dim), queries: rows.subarray(count * dim) };
  }
  const source = rowsOf(value, shapeOf(dim, metric, 'f32'), 'row');
  if (source.n < LEAST + LEAST / 9) {
    throw new AnnexError('INVALID_ARGUMENT', `expected a sample of at least 2000 vectors, got ${source.n}`);
  }
  const queries = Math.min(500, Math.floor(source.n / 10));
  const rows = Float32Array.from(source.take(0, source.n));
  const count = Math.min(n, source.n - queries);
  return { dim, metric, rows: rows.subarray(0, count * dim), queries: rows.subarray((source.n - queries) * dim) };
}

function within(name: string, value: unknown, low: number, high: number, whole = false): number {
  if (typeof value !== 'number') {
    throw new AnnexError('INVALID_TYPE', `expected ${name} as a number, got ${describe(value)}`);
  }
  if (value >= low && value <= high && (!whole || Number.isInteger(value))) return value;
  const what = whole ? 'an integer from' : 'from';
  throw new AnnexError('INVALID_ARGUMENT', `expected ${name} to be ${what} ${low} to ${high}, got ${value}`);
}
