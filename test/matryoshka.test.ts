import { FlatIndex, truncate, twoStageSearch } from 'annex';
import { describe, expect, it } from 'vitest';
import { floats, row } from './support/data.js';
import { expectFailure, listed } from './support/expect.js';

describe('truncate', () => {
  it('keeps the first numbers of each vector and makes its length 1', () => {
    const out = truncate([3, 4, 9, 0, 0, 5, 6, 8, 1], 3, 2);
    expect([...out]).toEqual([0.6, 0.8, 0, 0, 0.6, 0.8].map(Math.fround));
    expect([...truncate([[3, 4, 9], new Float64Array([0, -2, 5])], 3, 2)]).toEqual([0.6, 0.8, 0, -1].map(Math.fround));
    expect(truncate(new Float32Array(0), 3, 2).length).toBe(0);
  });

  it('takes many rows, very long and very short ones', () => {
    const n = 40_000;
    const out = truncate(floats(n, 16, 3), 16, 7);
    expect(out.length).toBe(n * 7);
    for (const i of [0, 1, 16_383, 16_384, n - 1]) {
      expect(row(out, 7, i).reduce((sum, x) => sum + x * x, 0)).toBeCloseTo(1, 5);
    }
    expect([...truncate([3e38, 3e38, 1e-40, 0], 2, 2)]).toEqual([Math.SQRT1_2, Math.SQRT1_2, 1, 0].map(Math.fround));
  });

  it.each<[string, unknown[], string, RegExp]>([
    ['rows that do not divide', [[1, 2, 3, 4], 3, 2], 'DIMENSION_MISMATCH', /rows of 3/],
    ['toDim beyond fromDim', [[1, 2, 3], 3, 4], 'INVALID_ARGUMENT', /toDim .* 1 to 3/],
    ['toDim 0', [[1, 2, 3], 3, 0], 'INVALID_ARGUMENT', /toDim/],
    ['half a dimension', [[1, 2, 3], 3, 1.5], 'INVALID_ARGUMENT', /toDim/],
    ['text', [[1, 2, 3], '3', 1], 'INVALID_TYPE', /fromDim/],
    ['no vectors', [null, 3, 1], 'INVALID_TYPE', /the vectors/],
    ['NaN', [new Float32Array([1, 2, 3, 1, Number.NaN, 3]), 3, 2], 'NOT_FINITE', /row 1, column 1/],
    ['Infinity in plain numbers', [[1, 2, 3, Number.POSITIVE_INFINITY, 2, 3], 3, 2], 'NOT_FINITE', /row 1/],
  ])('refuses %s', async (_, args, code, message) => {
    await expectFailure(() => truncate(...(args as Parameters<typeof truncate>)), code as never, message);
  });
});

describe('two stages', () => {
  const [n, dim, short] = [2000, 64, 16];
  // The first numbers say most, as in embeddings that are trained for it.
  const vectors = floats(n, dim, 9).map((x, i) => x / (1 + (i % dim) / 4));
  const queries = floats(50, dim, 10).map((x, i) => x / (1 + (i % dim) / 4));
  const full = FlatIndex.createSync({ dim, metric: 'cosine' });
  full.addSync(vectors);
  const prefix = FlatIndex.createSync({ dim: short, metric: 'cosine' });
  prefix.addSync(truncate(vectors, dim, short));

  it('finds what the full index finds, with distances of the full vectors', async () => {
    let hits = 0;
    for (let q = 0; q < 50; q++) {
      const query = row(queries, dim, q);
      const truth = listed(await full.search(query, 10));
      const found = listed(await twoStageSearch(prefix, full, query, 10, { candidates: 200 }));
      expect(found.length).toBe(10);
      for (const one of found) {
        const same = truth.find(({ id }) => id === one.id);
        if (same !== undefined) {
          expect(one.distance).toBe(same.distance);
          hits++;
        }
      }
    }
    expect(hits / 500).toBeGreaterThan(0.95);
  });

  it('with all rows as candidates it is exact, and the filter holds', async () => {
    const query = row(queries, dim, 0);
    const all = await twoStageSearch(prefix, full, query, 5, { candidates: n });
    expect(listed(all)).toEqual(listed(await full.search(query, 5)));
    const even = (id: number) => id % 2 === 0;
    const some = await twoStageSearch(prefix, full, query, 5, { candidates: n, filter: even, search: { threads: 1 } });
    expect(listed(some)).toEqual(listed(await full.search(query, 5, { filter: even })));
    expect((await twoStageSearch(prefix, full, query)).length).toBe(10);
    expect((await twoStageSearch(prefix, full, query, 3, { candidates: 1 })).length).toBe(3);
  });

  it('refuses what does not fit', async () => {
    const query = row(queries, dim, 0);
    await expectFailure(() => twoStageSearch(full, prefix, query), 'DIMENSION_MISMATCH', /short index first/);
    await expectFailure(() => twoStageSearch(prefix, full, query.slice(1)), 'DIMENSION_MISMATCH', /64 numbers/);
    await expectFailure(() => twoStageSearch(prefix, full, query, 0), 'INVALID_ARGUMENT', /k/);
    await expectFailure(
      () => twoStageSearch(prefix, full, query, 5, { candidates: 0 }),
      'INVALID_ARGUMENT',
      /candidates/,
    );
    await expectFailure(
      () => twoStageSearch(prefix, full, query, 5, { x: 1 } as never),
      'INVALID_ARGUMENT',
      /no option/,
    );
    const signal = AbortSignal.abort();
    await expectFailure(() => twoStageSearch(prefix, full, query, 5, { signal }), 'ABORTED');
  });
});
