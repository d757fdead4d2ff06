import { AnnexError, type AnnexErrorCode, type Metric, type Rows, type SearchResult } from 'annex';
import { expect } from 'vitest';
import { distance, type Found, nearest } from './data.js';

/** Which core this run tests. */
export const native = process.env.ANNEX_BACKEND !== 'wasm';

/** The AnnexError that `call` throws or rejects with. */
export async function failure(call: () => unknown): Promise<AnnexError> {
  let value: unknown;
  try {
    value = await call();
  } catch (error) {
    expect(error).toBeInstanceOf(AnnexError);
    return error as AnnexError;
  }
  throw new Error(`expected an AnnexError, got ${String(value)}`);
}

export async function expectFailure(call: () => unknown, code: AnnexErrorCode, message?: RegExp): Promise<AnnexError> {
  const error = await failure(call);
  expect(`${error.code}: ${error.message}`).toMatch(new RegExp(`^${code}: `));
  if (message !== undefined) expect(error.message).toMatch(message);
  return error;
}

/** The neighbours of a result as plain objects. */
export function listed(result: SearchResult): Found[] {
  return [...result].map(({ id, distance }) => ({ id, distance }));
}

/**
 * Checks a result against the definition: where sums are exact (small integers) it must be the very list, elsewhere
 * distances may differ by rounding, and neighbours may change places within that.
 */
export function expectNearest(
  result: SearchResult,
  metric: Metric,
  rows: ReadonlyMap<number, Rows>,
  query: Rows,
  k: number,
  options: { tolerance?: number; allowed?: (id: number) => boolean } = {},
): void {
  const { tolerance = 0, allowed = () => true } = options;
  const expected = nearest(metric, rows, query, k, allowed);
  if (tolerance === 0) {
    const wanted = expected.map((x) => ({ id: x.id, distance: Math.fround(x.distance) + 0 }));
    expect(listed(result).map((x) => ({ id: x.id, distance: x.distance + 0 }))).toEqual(wanted);
    return;
  }
  expect(result.length).toBe(expected.length);
  expect(new Set(result.ids).size).toBe(result.length);
  let last = Number.NEGATIVE_INFINITY;
  listed(result).forEach((found, i) => {
    expect(allowed(found.id)).toBe(true);
    expect(found.distance).toBeGreaterThanOrEqual(last);
    last = found.distance;
    const vector = rows.get(found.id);
    expect(vector).toBeDefined();
    expect(Math.abs(found.distance - distance(metric, query, vector as Rows))).toBeLessThanOrEqual(tolerance);
    expect(Math.abs(found.distance - (expected[i] as Found).distance)).toBeLessThanOrEqual(tolerance);
  });
}
