import {
  type CheckedTruth,
  checkSameCount,
  type List,
  listsOf,
  type Run,
  type Truths,
  truthsOf,
} from './eval_lists.js';
import {
  average,
  type Case,
  caseOf,
  checkGain,
  checkTolerance,
  type GainOptions,
  ndcg,
  precision,
  type RecallOptions,
  recall,
  reciprocal,
  topHit,
} from './eval_metrics.js';
import { type Bootstrap, type BootstrapOptions, bootstrapOf, type Interval, resample } from './eval_stats.js';
import { checkOptions } from './names.js';
import { checkK } from './search.js';

/** Options of {@link measure}. */
export interface MeasureOptions extends RecallOptions, GainOptions {
  /** How many of the found to look at. */
  k: number;
  /** How confidence intervals are computed. */
  bootstrap?: BootstrapOptions | undefined;
}

/** One metric over all queries: its mean with a confidence interval. */
export interface Measured extends Interval {
  /** The value of each query; NaN where its truth holds nothing relevant. The mean is over the others. */
  readonly values: Float64Array;
  /** Queries that the mean is over. */
  readonly counted: number;
}

/** How good the lists found for some queries are. What each metric means stands at the function of one query. */
export interface Quality {
  readonly k: number;
  readonly queries: number;
  /** See {@link recallAtK}. */
  readonly recall: Measured;
  /** See {@link precisionAtK}. */
  readonly precision: Measured;
  /** Mean reciprocal rank: see {@link reciprocalRank}. */
  readonly mrr: Measured;
  /** See {@link ndcgAtK}. */
  readonly ndcg: Measured;
  /** Mean average precision: see {@link averagePrecision}. */
  readonly map: Measured;
  /** Top-k accuracy: see {@link topKHit}. */
  readonly topK: Measured;
}

/** Options of {@link measure}, checked. */
export interface Settings {
  readonly k: number;
  readonly tolerance: number | undefined;
  readonly gain: 'linear' | 'exponential';
  readonly bootstrap: Bootstrap;
}

export function settingsOf(where: string, { k, tolerance, gain, bootstrap }: MeasureOptions): Settings {
  return {
    k: checkK(k),
    tolerance: checkTolerance(tolerance),
    gain: checkGain(gain),
    bootstrap: bootstrapOf(`bootstrap of ${where}`, bootstrap),
  };
}

/**
 * Measures what was found against the truth: each metric for each query, the means, and their confidence intervals.
 * `found` may be a BatchResult or a list of search results; so may `truth`, or sets or maps: see {@link Truth}.
 *
 * @throws AnnexError INVALID_TYPE, INVALID_ARGUMENT, INVALID_ID, DUPLICATE_ID, DIMENSION_MISMATCH
 */
export function measure(found: Run, truth: Truths, options: MeasureOptions): Quality {
  const settings = settingsOf(
    'measure',
    checkOptions<MeasureOptions>('measure', options, ['k', 'tolerance', 'gain', 'bootstrap']),
  );
  const truths = truthsOf(truth);
  const lists = listsOf(found, 'found');
  checkSameCount('truth', truths.length, 'found', lists.length);
  const measuring = measureLists(lists, truths, settings);
  for (;;) {
    const { done, value } = measuring.next();
    if (done === true) return value;
  }
}

/** {@link measure} in slices. */
export function* measureLists(
  lists: readonly List[],
  truths: readonly CheckedTruth[],
  { k, tolerance, gain, bootstrap }: Settings,
): Generator<void, Quality, void> {
  const cases = lists.map((found, i) => caseOf(found, truths[i] as CheckedTruth, k));
  const over = (metric: (one: Case) => number): Generator<void, Measured, void> =>
    summarise(Float64Array.from(cases, metric), bootstrap);
  return {
    k,
    queries: lists.length,
    recall: yield* over((one) => recall(one, tolerance)),
    precision: yield* over(precision),
    mrr: yield* over(reciprocal),
    ndcg: yield* over((one) => ndcg(one, gain)),
    map: yield* over(average),
    topK: yield* over(topHit),
  };
}

/** Mean and interval of those values that are not NaN. */
export function* summarise(values: Float64Array, bootstrap: Bootstrap): Generator<void, Measured, void> {
  const known = values.filter((x) => !Number.isNaN(x));
  const interval = yield* resample(known, bootstrap);
  return { ...interval, values, counted: known.length };
}
