import { describe } from './describe.js';
import { AnnexError } from './errors.js';
import { type CheckedTruth, type List, listOf, type Ranked, type Truth, truthOf } from './eval_lists.js';
import { checkChoice, checkOptions } from './names.js';
import { checkK } from './search.js';

/** Options of {@link recallAtK}. */
export interface RecallOptions {
  /**
   * Counts ids at the k-th place's distance as found: of neighbours that are equally far, truth can name only some. A
   * found id is a hit when it is in the truth, or when its distance is at most that of the last relevant neighbour plus
   * this (absolute, in units of the metric; 0 for exact ties). Wants distances in both lists. Default: by id alone.
   */
  tolerance?: number | undefined;
}

/** Options of {@link ndcgAtK}. */
export interface GainOptions {
  /** What a gain g adds to the sum: g (`linear`, the default) or 2^g − 1 (`exponential`). */
  gain?: 'linear' | 'exponential' | undefined;
}

/** One query, ready to be measured at k. */
export interface Case {
  readonly found: List;
  readonly truth: CheckedTruth;
  readonly k: number;
  /** Gains of the ids that are relevant at k. */
  readonly gains: ReadonlyMap<number, number>;
}

export function caseOf(found: List, truth: CheckedTruth, k: number): Case {
  if (truth instanceof Map) return { found, truth, k, gains: truth };
  const gains = new Map<number, number>();
  for (const id of (truth as List).ids.subarray(0, Math.min(k, (truth as List).ids.length))) gains.set(id, 1);
  return { found, truth, k, gains };
}

function readCase(found: unknown, truth: unknown, k: unknown): Case {
  return caseOf(listOf(found, 'found'), truthOf(truth, 'truth'), checkK(k));
}

export function checkTolerance(value: unknown): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'number') {
    throw new AnnexError('INVALID_TYPE', `expected tolerance as a number, got ${describe(value)}`);
  }
  if (Number.isFinite(value) && value >= 0) return value;
  throw new AnnexError('INVALID_ARGUMENT', `expected tolerance to be finite and from 0 on, got ${value}`);
}

export function checkGain(value: unknown): 'linear' | 'exponential' {
  return value === undefined ? 'linear' : checkChoice('gain', value, ['linear', 'exponential'] as const);
}

/**
 * Share of the relevant ids that are among the first k found: with a list as truth |found[:k] ∩ truth[:k]| divided by k,
 * or by the length of the truth where that is less. NaN when nothing is relevant.
 *
 * @throws AnnexError INVALID_TYPE, INVALID_ARGUMENT, INVALID_ID, DUPLICATE_ID, DIMENSION_MISMATCH; so do all metrics
 */
export function recallAtK(found: Ranked, truth: Truth, k: number, options: RecallOptions = {}): number {
  const { tolerance } = checkOptions<RecallOptions>('recallAtK', options, ['tolerance']);
  return recall(readCase(found, truth, k), checkTolerance(tolerance));
}

/** Share of relevant ids among the first k found; places that stayed empty count as misses. NaN when nothing is relevant. */
export function precisionAtK(found: Ranked, truth: Truth, k: number): number {
  return precision(readCase(found, truth, k));
}

/** 1 / place of the first relevant id among the first k found, 0 without one. NaN when nothing is relevant. */
export function reciprocalRank(found: Ranked, truth: Truth, k: number): number {
  return reciprocal(readCase(found, truth, k));
}

/**
 * Discounted cumulative gain of the first k found, Σ gain / log2(place + 1), divided by that of the best order there
 * is. NaN when nothing is relevant.
 */
export function ndcgAtK(found: Ranked, truth: Truth, k: number, options: GainOptions = {}): number {
  const { gain } = checkOptions<GainOptions>('ndcgAtK', options, ['gain']);
  return ndcg(readCase(found, truth, k), checkGain(gain));
}

/**
 * Sum of the precisions at the places of relevant ids among the first k found, divided by the number of relevant ids or
 * by k where that is less, so that 1 can be reached. NaN when nothing is relevant.
 */
export function averagePrecision(found: Ranked, truth: Truth, k: number): number {
  return average(readCase(found, truth, k));
}

/**
 * 1 when the target is among the first k found, else 0; its mean is the top-k accuracy. The target is the first id of a
 * list, any id of a set, any id with the largest gain of a map. NaN when there is none.
 */
export function topKHit(found: Ranked, truth: Truth, k: number): number {
  return topHit(readCase(found, truth, k));
}

export function recall({ found, truth, k, gains }: Case, tolerance: number | undefined): number {
  if (gains.size === 0) return Number.NaN;
  const limit = tolerance === undefined ? undefined : farthest(truth, found, gains.size) + tolerance;
  let hits = 0;
  for (let i = 0; i < Math.min(k, found.ids.length); i++) {
    const tied = limit !== undefined && (found.distances?.[i] as number) <= limit;
    if (tied || gains.has(found.ids[i] as number)) hits++;
  }
  return Math.min(hits, gains.size) / gains.size;
}

/** Distance of the last relevant neighbour. */
function farthest(truth: CheckedTruth, found: List, relevant: number): number {
  const distances = truth instanceof Map ? undefined : (truth as List).distances;
  if (distances !== undefined && found.distances !== undefined) return distances[relevant - 1] as number;
  throw new AnnexError(
    'INVALID_ARGUMENT',
    'tolerance compares distances: expected found and truth as { ids, distances }, such as search results',
  );
}

export function precision({ found, k, gains }: Case): number {
  if (gains.size === 0) return Number.NaN;
  let hits = 0;
  for (let i = 0; i < Math.min(k, found.ids.length); i++) if (gains.has(found.ids[i] as number)) hits++;
  return hits / k;
}

export function reciprocal({ found, k, gains }: Case): number {
  if (gains.size === 0) return Number.NaN;
  for (let i = 0; i < Math.min(k, found.ids.length); i++) if (gains.has(found.ids[i] as number)) return 1 / (i + 1);
  return 0;
}

function largestOf(gains: ReadonlyMap<number, number>): number {
  let largest = 0;
  for (const gain of gains.values()) if (gain > largest) largest = gain;
  return largest;
}

export function ndcg({ found, k, gains }: Case, gain: 'linear' | 'exponential'): number {
  if (gains.size === 0) return Number.NaN;
  // The largest gain stands for 1 in the exponential case too: 2^g overflows where the quotient does not.
  const largest = largestOf(gains);
  const worth = (g: number): number => (gain === 'linear' ? g / largest : 2 ** (g - largest) - 2 ** -largest);
  let sum = 0;
  for (let i = 0; i < Math.min(k, found.ids.length); i++) {
    const g = gains.get(found.ids[i] as number);
    if (g !== undefined) sum += worth(g) / Math.log2(i + 2);
  }
  const best = Float64Array.from(gains.values()).sort().reverse();
  let ideal = 0;
  for (let i = 0; i < Math.min(k, best.length); i++) ideal += worth(best[i] as number) / Math.log2(i + 2);
  return sum / ideal;
}

export function average({ found, k, gains }: Case): number {
  if (gains.size === 0) return Number.NaN;
  let hits = 0;
  let sum = 0;
  for (let i = 0; i < Math.min(k, found.ids.length); i++) {
    if (gains.has(found.ids[i] as number)) sum += ++hits / (i + 1);
  }
  return sum / Math.min(k, gains.size);
}

export function topHit({ found, truth, k, gains }: Case): number {
  if (gains.size === 0) return Number.NaN;
  const largest = largestOf(gains);
  const first = truth instanceof Map ? undefined : (truth as List).ids[0];
  for (let i = 0; i < Math.min(k, found.ids.length); i++) {
    const id = found.ids[i] as number;
    if (first === undefined ? gains.get(id) === largest : id === first) return 1;
  }
  return 0;
}
