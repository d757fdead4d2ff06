import { AnnexError } from './errors.js';

/** Whether all of a[0 … n) are finite. x · 0 is NaN for NaN and ±Infinity alone; four sums hide the add's latency. */
export function allFinite(a: ArrayLike<number>, n: number): boolean {
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  let i = 0;
  for (; i + 4 <= n; i += 4) {
    s0 += (a[i] as number) * 0;
    s1 += (a[i + 1] as number) * 0;
    s2 += (a[i + 2] as number) * 0;
    s3 += (a[i + 3] as number) * 0;
  }
  for (; i < n; i++) s0 += (a[i] as number) * 0;
  return s0 + s1 + s2 + s3 === 0;
}

/** The error for a value that is not finite as an f32, in the words of the core. `what` is `row` or `query`. */
export function notFinite(value: number, what: string, row: number, column: number): AnnexError {
  return new AnnexError(
    'NOT_FINITE',
    Number.isFinite(value)
      ? `${what} ${row} holds ${value} at column ${column}, beyond the range of a 32-bit float (±3.4e38): scale the vectors`
      : `${what} ${row} holds ${value} at column ${column}: every number must be finite`,
  );
}

/** The error for the first number of a[0 … n) that is not finite, rows counted from `firstRow`; undefined without one. */
export function findNotFinite(
  a: ArrayLike<number>,
  n: number,
  width: number,
  what: string,
  firstRow: number,
): AnnexError | undefined {
  if (allFinite(a, n)) return undefined;
  for (let i = 0; i < n; i++) {
    const x = a[i] as number;
    if (!Number.isFinite(x)) return notFinite(x, what, firstRow + Math.floor(i / width), i % width);
  }
  return undefined;
}

export function zeroVector(what: string, row: number): AnnexError {
  return new AnnexError(
    'NOT_FINITE',
    `${what} ${row} is the zero vector, which has no direction: metric cosine needs a non-zero vector`,
  );
}
