import {
  BatchResult,
  Bitset,
  FlatIndex,
  HnswIndex,
  type HnswSearchSyncOptions,
  type Metric,
  SearchResult,
} from 'annex';
import { expect, it } from 'vitest';
import { expectFailure } from './support/expect.js';

const index = FlatIndex.createSync({ dim: 2 });
index.addSync([0, 0, 3, 4, 6, 8], { ids: [5, 6, 7] });

it('SearchResult holds what was found, best first', async () => {
  for (const hit of [index.searchSync([0, 0], 2), await index.search([0, 0], 2)]) {
    expect(hit).toBeInstanceOf(SearchResult);
    expect(hit.ids).toEqual(Float64Array.of(5, 6));
    expect(hit.distances).toEqual(Float32Array.of(0, 25));
    expect(hit.length).toBe(2);
    expect([...hit]).toEqual([
      { id: 5, distance: 0 },
      { id: 6, distance: 25 },
    ]);
    expect(hit.scores()).toEqual(Float64Array.of(1, 1 / 26));
    expect(hit.score(1)).toBe(1 / 26);
    await expectFailure(() => hit.score(2), 'INVALID_ARGUMENT', /neighbour from 0 to 1.*got 2/);
    await expectFailure(() => hit.score(0.5), 'INVALID_ARGUMENT', /got 0\.5/);
  }
});

it('results of one batch of searches hang together in nothing', async () => {
  const [a, b] = await Promise.all([index.search([0, 0], 2), index.search([6, 8], 2)]);
  structuredClone(a.ids, { transfer: [a.ids.buffer as ArrayBuffer] });
  expect(a.ids.length).toBe(0);
  expect(b.ids).toEqual(Float64Array.of(7, 6));
  expect(b.ids.buffer.byteLength).toBe(16);
});

it.each([1, 3, 256, 257, 300])(
  'results of synchronous searches one after another hang together in nothing (k = %i)',
  (k) => {
    using many = FlatIndex.createSync({ dim: 1 });
    many.addSync(Float32Array.from({ length: 400 }, (_, i) => i));
    const first = many.searchSync([0], k);
    const second = many.searchSync([399], k);
    const few = many.searchSync([399], k, { filter: [7] });
    expect(first.ids).toEqual(Float64Array.from({ length: k }, (_, i) => i));
    expect(second.ids).toEqual(Float64Array.from({ length: k }, (_, i) => 399 - i));
    expect(second.distances).toEqual(Float32Array.from({ length: k }, (_, i) => i * i));
    expect(few.ids).toEqual(Float64Array.of(7));
    structuredClone(first.ids, { transfer: [first.ids.buffer as ArrayBuffer] });
    structuredClone(second.distances, { transfer: [second.distances.buffer as ArrayBuffer] });
    expect(many.searchSync([0], k).distances).toEqual(Float32Array.from({ length: k }, (_, i) => i * i));
  },
);

it('searches one after another have each their own k, options and filter', () => {
  using graph = HnswIndex.createSync({ dim: 1 });
  graph.addSync(Float32Array.from({ length: 400 }, (_, i) => i));
  const hopsOf = (k: number, options?: HnswSearchSyncOptions): number => {
    const before = graph.stats().hops;
    const { ids } = graph.searchSync([7], k, options);
    expect([...ids.slice(0, 3)].sort((a, b) => a - b)).toEqual(k === 1 ? [7] : [6, 7, 8]);
    expect(ids.length).toBe(k);
    return graph.stats().hops - before;
  };
  const short = hopsOf(3, { efSearch: 3 });
  const usual = hopsOf(3);
  const long = hopsOf(3, { efSearch: 300, threads: 1 });
  expect(short).toBeLessThan(usual);
  expect(usual).toBeLessThan(long);
  expect(hopsOf(1, { efSearch: 3 })).toBe(short);
  expect(hopsOf(3, {})).toBe(usual);
  expect(hopsOf(3, { threads: 1, efSearch: 300 })).toBe(long);
  expect(graph.searchSync([7], 3, { efSearch: 3, filter: [9, 2, 70] }).ids).toEqual(Float64Array.of(9, 2, 70));
  expect(graph.searchSync([7], 3, { filter: Bitset.fromIds([300, 301]) }).ids).toEqual(Float64Array.of(300, 301));
  expect(hopsOf(3, { efSearch: 3 })).toBe(short);
  expect(graph.searchSync([7], 256).length).toBe(256);
  expect(graph.searchSync([7], 1000).length).toBe(400);
});

it('BatchResult is nq × k, padded where fewer were found', async () => {
  const filter = [6, 7, 99];
  for (const batch of [
    index.searchBatchSync([0, 0, 6, 8], 3, { filter }),
    await index.searchBatch([0, 0, 6, 8], 3, { filter }),
  ]) {
    expect(batch).toBeInstanceOf(BatchResult);
    expect([batch.length, batch.k]).toEqual([2, 3]);
    expect(batch.ids).toEqual(Float64Array.of(6, 7, -1, 7, 6, -1));
    expect(batch.distances).toEqual(Float32Array.of(25, 100, Infinity, 0, 25, Infinity));
    expect(batch.counts).toEqual(Uint32Array.of(2, 2));
    expect([...batch].map((hit) => [...hit.ids])).toEqual([
      [6, 7],
      [7, 6],
    ]);
    expect(batch.at(1)).toBeInstanceOf(SearchResult);
    expect(batch.at(1).distances).toEqual(Float32Array.of(0, 25));
    expect(batch.scores()).toEqual(Float64Array.of(1 / 26, 1 / 101, -Infinity, 1, 1 / 26, -Infinity));
    for (const i of [-1, 2, 0.5, Number.NaN])
      await expectFailure(() => batch.at(i), 'INVALID_ARGUMENT', /query from 0 to 1/);
  }
});

it.each([
  ['l2', 1 / (1 + 16 + 4)],
  ['l1', 1 / (1 + 4 + 2)],
  ['ip', 4],
  ['cosine', 4 / Math.sqrt(16 * 5)],
] as [Metric, number][])('score under %s', (metric, score) => {
  const one = FlatIndex.createSync({ dim: 2, metric } as never);
  one.addSync([1, 2] as never);
  const query = metric === 'ip' || metric === 'cosine' ? [4, 0] : [5, 0];
  expect(one.searchSync(query as never, 1).score(0)).toBeCloseTo(score, 6);
});

it.each([
  ['hamming', 1 - 3 / 16],
  ['jaccard', 1 / 4],
] as [Metric, number][])('score under %s', (metric, score) => {
  const one = FlatIndex.createSync({ dim: 16, metric } as never);
  one.addSync(Uint8Array.of(0b11, 0b1) as never);
  expect(one.searchSync(Uint8Array.of(0b1, 0b10) as never, 1).score(0)).toBeCloseTo(score, 6);
});
