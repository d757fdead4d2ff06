import { type BatchResult, FlatIndex, HnswIndex } from 'annex';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { distance, row } from './support/data.js';
import { recallOf, sample } from './support/sample.js';

const { dim, queries } = sample;
const n = 5000;
const vectors = sample.vectors.subarray(0, n * dim);
const k = 10;
const all = Array.from({ length: n }, (_, id) => id);
const pivot = row(queries, dim, 0);

/** Rows from the nearest to the pivot to the farthest, and the queries likewise. */
const nearFirst = (rows: Float32Array): number[] => {
  const far = Array.from({ length: rows.length / dim }, (_, i) => distance('cosine', row(rows, dim, i), pivot));
  return [...far.keys()].sort((a, b) => (far[a] as number) - (far[b] as number));
};
const take = (rows: Float32Array, ids: readonly number[]): Float32Array =>
  Float32Array.from(ids.flatMap((id) => [...row(rows, dim, id)]));

let flat: FlatIndex;
const make = (ids: readonly number[], layout: 'plain' | 'codes' = 'codes'): HnswIndex => {
  const index = HnswIndex.createSync({ dim, metric: 'cosine', layout, efConstruction: 100 });
  index.addSync(take(vectors, ids), { ids });
  return index;
};
beforeAll(() => {
  flat = FlatIndex.createSync({ dim, metric: 'cosine' });
  flat.addSync(vectors);
});
afterAll(() => flat.close());

describe.each(['codes', 'plain'] as const)('filters, layout %s', (layout) => {
  let index: HnswIndex;
  beforeAll(() => {
    index = make(all, layout);
  });
  afterAll(() => index.close());

  const order = nearFirst(vectors);
  const close = take(queries, nearFirst(queries).slice(0, 40));
  const kinds: [string, (count: number) => number[]][] = [
    ['anywhere', (count) => all.filter((id) => (id * 2654435761) % n < count)],
    ['near the queries', (count) => order.slice(0, count)],
    ['far from the queries', (count) => order.slice(n - count)],
    ['far from the queries but for a few', (count) => [...order.slice(0, 5), ...order.slice(n - count)]],
  ];
  describe.each(kinds)('allow rows %s', (_, choose) => {
    it.each([0.5, 0.1, 0.01, 0.001])('%d of them', (share) => {
      const filter = choose(Math.round(share * n));
      const wanted = flat.searchBatchSync(close, k, { filter });
      const found = index.searchBatchSync(close, k, { filter });
      expect(recallOf(found, wanted)).toBeGreaterThanOrEqual(0.95);
      const alone = Array.from({ length: 10 }, (_, q) => index.searchSync(row(close, dim, q), k, { filter }));
      const first = flat.searchBatchSync(close.subarray(0, 10 * dim), k, { filter });
      expect(recallOf({ length: 10, at: (q: number) => alone[q] } as BatchResult, first)).toBeGreaterThanOrEqual(0.95);
      for (const { ids } of alone) {
        expect(ids.length).toBe(Math.min(k, filter.length));
        expect([...ids].every((id) => filter.includes(id))).toBe(true);
      }
    });
  });

  it('stats tell which way a search went', () => {
    const ways = (graph: HnswIndex, filter: number[]): number[] => {
      const before = graph.stats();
      graph.searchSync(pivot, k, { filter, efSearch: 96 });
      const after = graph.stats();
      return [
        after.hops - before.hops,
        after.codeSearches - before.codeSearches,
        after.exactSearches - before.exactSearches,
      ];
    };
    const [hops, ...none] = ways(index, order.slice(0, 0.9 * n));
    expect(hops).toBeGreaterThan(10);
    expect(none).toEqual([0, 0]);
    expect(ways(index, order.slice(0, 20))).toEqual([0, 0, 1]);
    // Codes pay where there are many rows to scan.
    const large = HnswIndex.createSync({ dim, metric: 'cosine', layout, efConstruction: 40 });
    large.addSync(sample.vectors);
    const far = nearFirst(sample.vectors).slice(0.6 * (sample.vectors.length / dim));
    expect(ways(large, far)).toEqual(layout === 'codes' ? [0, 1, 0] : [0, 0, 1]);
    large.close();
  });
});

it.each([10, 40, 64])('a scan of codes finds the same whatever queries go along, efSearch %s', (efSearch) => {
  const index = HnswIndex.createSync({ dim, metric: 'cosine', efConstruction: 40 });
  index.addSync(sample.vectors);
  const rows = sample.vectors.length / dim;
  const filter = nearFirst(sample.vectors).slice(0.7 * rows);
  const close = take(queries, nearFirst(queries).slice(0, 37));
  const ids = (first: number, count: number): number[][] => {
    const found = index.searchBatchSync(close.subarray(first * dim, (first + count) * dim), k, {
      filter,
      efSearch,
      threads: 1,
    });
    return Array.from({ length: count }, (_, q) => [...found.at(q).ids]);
  };
  const together = ids(0, 37);
  expect(index.stats().codeSearches).toBe(37);
  expect([...ids(0, 4), ...ids(4, 5), ...ids(9, 28)]).toEqual(together);
  index.close();
});

describe('removed rows', () => {
  const order = nearFirst(vectors);
  const share = Math.round(0.3 * n);
  it.each([
    ['anywhere', all.filter((id) => (id * 2654435761) % n < share)],
    ['all in one place', order.slice(0, share)],
  ])('%s: recall before and after compact', (_, gone) => {
    const set = new Set(gone);
    const left = all.filter((id) => !set.has(id));
    const index = make(all);
    const fresh = make(left);
    index.removeSync(gone);
    const wanted = flat.searchBatchSync(queries, k, { filter: left });
    const most = recallOf(fresh.searchBatchSync(queries, k), wanted);
    expect(recallOf(index.searchBatchSync(queries, k), wanted)).toBeGreaterThanOrEqual(most - 0.03);
    index.compactSync();
    expect(recallOf(index.searchBatchSync(queries, k), wanted)).toBeGreaterThanOrEqual(most - 0.01);
    index.close();
    fresh.close();
  });

  it('ten rounds of removing a tenth and adding a tenth', () => {
    const half = n / 2;
    const part = half / 10;
    const index = make(all.slice(0, half));
    for (let round = 0; round < 10; round++) {
      index.removeSync(all.slice(round * part, (round + 1) * part));
      const comes = all.slice(half + round * part, half + (round + 1) * part);
      index.addSync(take(vectors, comes), { ids: comes });
    }
    const left = all.slice(half);
    const fresh = make(left);
    const wanted = flat.searchBatchSync(queries, k, { filter: left });
    const most = recallOf(fresh.searchBatchSync(queries, k), wanted);
    expect(recallOf(index.searchBatchSync(queries, k), wanted)).toBeGreaterThanOrEqual(most - 0.03);
    index.compactSync();
    expect(recallOf(index.searchBatchSync(queries, k), wanted)).toBeGreaterThanOrEqual(most - 0.01);
    index.close();
    fresh.close();
  });
});
