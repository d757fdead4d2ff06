import { describe, expect, it } from 'vitest';
import type { Dataset } from '../../bench/data/dataset.js';
import { compareExact, sameBits } from '../../bench/lib/exactness.js';
import { interleave, ratio, spread } from '../../bench/lib/measure.js';
import { recall } from '../../ts/bench_measure.js';
import { markdownTable, short, table } from '../../ts/bench_table.js';

describe('spread and ratio', () => {
  it('are medians with their range', () => {
    expect(spread([3, 1, 2])).toEqual({ median: 2, min: 1, max: 3 });
    expect(spread([4, 1, 3, 2])).toEqual({ median: 2.5, min: 1, max: 4 });
    expect(() => spread([])).toThrow(/at least one/);
  });

  it('compare repetition by repetition, so that a slow spell of the machine cancels out', () => {
    expect(ratio([10, 1, 4], [5, 0.5, 2])).toEqual({ median: 2, min: 2, max: 2 });
  });
});

describe('interleave', () => {
  it('takes every task in turn and does not count the first round', async () => {
    const order: string[] = [];
    const task = (name: string) => async () => order.push(name);
    const values = await interleave([task('a'), task('b')], 2);
    expect(order.join('')).toBe('ababab');
    expect(values).toEqual([
      [3, 5],
      [4, 6],
    ]);
  });
});

describe('exactness', () => {
  // Two rows equally far up to rounding, one elsewhere.
  const dataset: Dataset = {
    name: 'three rows',
    metric: 'ip',
    rows: 3,
    queries: 1,
    distinct: 1,
    dim: 2,
    base: Float32Array.of(1, 0, 1 + 2 ** -23, 0, -1, 0),
    query: Float32Array.of(1, 1),
  };
  const found = (...ids: number[]) => ({ ids: Float64Array.from(ids), distances: new Float32Array(ids.length) });

  it.each(['ip', 'l2', 'cosine'] as const)('%s: tells ties by rounding from wrong answers', (metric) => {
    const check = (ours: number[], theirs: number[]) =>
      compareExact({ ...dataset, metric }, ours.length, found(...ours), found(...theirs));
    expect(check([0, 1], [0, 1])).toMatchObject({ slots: 2, same: 2, ties: 0, wrong: 0 });
    expect(check([0, 1], [1, 0])).toMatchObject({ same: 0, ties: 2, wrong: 0 });
    expect(check([0, 2], [0, 1])).toMatchObject({
      same: 1,
      ties: 0,
      wrong: 1,
      example: expect.stringMatching(/rank 1/),
    });
    expect(check([0, -1], [0, 1])).toMatchObject({ same: 1, wrong: 1 });
  });

  it('sameBits sees a distance that differs in its last bit', () => {
    const other = found(1, 2);
    expect(sameBits(found(1, 2), other)).toBe(true);
    other.distances[1] = 2 ** -149;
    expect(sameBits(found(1, 2), other)).toBe(false);
    expect(sameBits(found(1, 2), found(2, 1))).toBe(false);
  });

  it('recall counts ids in any order, over a wider truth, for queries that repeat', () => {
    expect(recall([2, 1], [1, 2], 2)).toBe(1);
    expect(recall([2, 9], [1, 2, 9], 2, 3)).toBe(0.5);
    expect(recall([1, 3, 2, 1], [1, 3], 1, 1)).toBe(0.5);
  });
});

describe('tables', () => {
  it('line up', () => {
    const rows = [
      ['first', 1],
      ['b', 12.5],
      ['c', undefined],
    ];
    expect(table(['what', 'n'], rows)).toBe('what      n\n───────────\nfirst     1\nb      12.5\nc         –');
    expect(markdownTable(['what', 'n'], rows).split('\n').at(-1)).toBe('| c | – |');
  });

  it('write three digits', () => {
    expect([short(1234.5), short(0.012345), short(undefined), short(Number.NaN)]).toEqual([
      '1,235',
      '0.0123',
      undefined,
      undefined,
    ]);
  });
});
