import { describe } from './describe.js';
import { AnnexError } from './errors.js';
import { checkOptions } from './names.js';
import { uniforms } from './random.js';
import { isShared, tagOf } from './typed_arrays.js';

/** Options of {@link confidenceInterval}. */
export interface BootstrapOptions {
  /** How sure: the share of resampled means that lie within. Default 0.95. */
  level?: number | undefined;
  /** Resampled means, 1 … 1,000,000. Default 1000. */
  samples?: number | undefined;
  /** Integer from 0 on; the same seed gives the same interval on every platform. Default 1. */
  seed?: number | undefined;
}

/** A mean and its confidence interval. All NaN where there are no values. */
export interface Interval {
  readonly mean: number;
  readonly low: number;
  readonly high: number;
  readonly level: number;
}

/** Latencies in milliseconds; percentiles by nearest rank: each is one of the values measured. */
export interface LatencySummary {
  readonly count: number;
  readonly mean: number;
  readonly min: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

export interface Bootstrap {
  readonly level: number;
  readonly samples: number;
  readonly seed: number;
}

export function bootstrapOf(where: string, value: unknown): Bootstrap {
  const {
    level = 0.95,
    samples = 1000,
    seed = 1,
  } = checkOptions<BootstrapOptions>(where, value ?? {}, ['level', 'samples', 'seed']);
  checkNumber('level', level, 'between 0 and 1', level > 0 && level < 1);
  checkNumber('samples', samples, 'from 1 to 1000000', isWhole(samples, 1, 1e6));
  checkNumber('seed', seed, 'an integer from 0 to 2^53 - 1', isWhole(seed, 0, Number.MAX_SAFE_INTEGER));
  return { level, samples, seed };
}

/**
 * The mean of values and its confidence interval by the percentile bootstrap: as many values are drawn with replacement,
 * `samples` times; the interval cuts off (1 − level) / 2 of the means on either side.
 *
 * @throws AnnexError INVALID_TYPE, INVALID_ARGUMENT, NOT_FINITE
 */
export function confidenceInterval(values: ArrayLike<number>, options: BootstrapOptions = {}): Interval {
  const bootstrap = bootstrapOf('confidenceInterval', options);
  const resampling = resample(numbersOf(values), bootstrap);
  for (;;) {
    const { done, value } = resampling.next();
    if (done === true) return value;
  }
}

/** Values drawn between two yields. */
const DRAWS = 1 << 17;

/** {@link confidenceInterval} in slices. */
export function* resample(values: Float64Array, { level, samples, seed }: Bootstrap): Generator<void, Interval, void> {
  const n = values.length;
  if (n === 0) return { mean: Number.NaN, low: Number.NaN, high: Number.NaN, level };
  const next = uniforms(seed);
  const means = new Float64Array(samples);
  let drawn = 0;
  for (let s = 0; s < samples; s++) {
    let sum = 0;
    for (let i = 0; i < n; i++) {
      sum += values[Math.floor(next() * n)] as number;
      if (++drawn % DRAWS === 0) yield;
    }
    means[s] = sum / n;
  }
  means.sort();
  const low = means[rank(50 * (1 - level), samples)] as number;
  const high = means[rank(50 * (1 + level), samples)] as number;
  return { mean: meanOf(values), low, high, level };
}

export function meanOf(values: Float64Array): number {
  let sum = 0;
  for (const x of values) sum += x;
  return sum / values.length;
}

/**
 * The p-th percentile, 0 … 100, by nearest rank: the smallest of the values that at least p % of them do not exceed. It
 * is always one of them, nothing is interpolated. NaN for no values.
 *
 * @throws AnnexError INVALID_TYPE, INVALID_ARGUMENT, NOT_FINITE
 */
export function percentile(values: ArrayLike<number>, p: number): number {
  checkNumber('p', p, 'from 0 to 100', p >= 0 && p <= 100);
  const sorted = numbersOf(values).sort();
  return sorted.length === 0 ? Number.NaN : (sorted[rank(p, sorted.length)] as number);
}

/** Percentiles of latencies (see {@link percentile}); all NaN but `count` for none. @throws AnnexError as there */
export function latencySummary(milliseconds: ArrayLike<number>): LatencySummary {
  const sorted = numbersOf(milliseconds).sort();
  const at = (p: number): number => sorted[rank(p, sorted.length)] ?? Number.NaN;
  return {
    count: sorted.length,
    mean: meanOf(sorted),
    min: at(0),
    p50: at(50),
    p95: at(95),
    p99: at(99),
    p999: at(99.9),
    max: at(100),
  };
}

/** Position of the p-th percentile among n sorted values. The small number takes back what p · n was rounded up by. */
function rank(p: number, n: number): number {
  return Math.max(0, Math.ceil((p * n) / 100 - 1e-9) - 1);
}

function numbersOf(values: unknown): Float64Array {
  const tag = tagOf(values);
  if (!Array.isArray(values) && (tag === undefined || tag.startsWith('Big') || isShared(values))) {
    throw new AnnexError('INVALID_TYPE', `expected values as an array of numbers, got ${describe(values)}`);
  }
  return Float64Array.from(values as ArrayLike<unknown>, (x, i) => {
    if (typeof x !== 'number') {
      throw new AnnexError('INVALID_TYPE', `expected a number at position ${i} of values, got ${describe(x)}`);
    }
    if (Number.isFinite(x)) return x;
    throw new AnnexError('NOT_FINITE', `values hold ${x} at position ${i}: every number must be finite`);
  });
}

const isWhole = (x: number, low: number, high: number): boolean => Number.isInteger(x) && x >= low && x <= high;

function checkNumber(name: string, value: unknown, range: string, good: boolean): void {
  if (typeof value !== 'number') {
    throw new AnnexError('INVALID_TYPE', `expected ${name} as a number, got ${describe(value)}`);
  }
  if (!good) throw new AnnexError('INVALID_ARGUMENT', `expected ${name} ${range}, got ${value}`);
}
