import {
  AnnexError,
  FlatIndex,
  HnswIndex,
  type HnswIndexOptions,
  open as openIndex,
  type Progress,
  type SearchResult,
} from 'annex';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { byId, floats, integers, row, uneven } from './support/data.js';
import { itAnswersExactly } from './support/exact.js';
import { expectFailure, expectNearest, failure, listed } from './support/expect.js';
import { recallOf, recallOfSample, sample } from './support/sample.js';

const open: { close(): void }[] = [];
const keep = <T extends { close(): void }>(index: T): T => {
  open.push(index);
  return index;
};
afterEach(() => {
  for (const index of open.splice(0)) index.close();
});

/** Looks at every node of a small graph. */
const all = { efSearch: 4096 };

describe('create', () => {
  it('fills in defaults', async () => {
    const index = keep(await HnswIndex.create({ dim: 3 }));
    expect(index).toBeInstanceOf(HnswIndex);
    const { M, efConstruction, ...rest } = index.options();
    expect(M).toBeGreaterThanOrEqual(8);
    expect(efConstruction).toBeGreaterThanOrEqual(64);
    expect(rest).toMatchObject({ dim: 3, metric: 'l2', storage: 'f32', rerank: 'none', metadata: undefined });
    expect([index.size, index.dim, index.metric, index.storage, index.trained]).toEqual([0, 3, 'l2', 'f32', true]);
  });

  it('tells what it was created with, and takes that again', () => {
    const options = {
      dim: 16,
      metric: 'ip',
      storage: 'sq8',
      rerank: 'f16',
      M: 12,
      efConstruction: 77,
      seed: 2 ** 52,
    } as const;
    const index = keep(HnswIndex.createSync({ ...options, metadata: [1] }));
    expect(index.options()).toMatchObject({ ...options, metadata: [1] });
    expect(keep(HnswIndex.createSync(index.options() as HnswIndexOptions)).options()).toEqual(index.options());
  });

  const bad: [string, unknown, string, RegExp][] = [
    ['M 1', { M: 1 }, 'INVALID_ARGUMENT', /M is 1/],
    ['M 513', { M: 513 }, 'INVALID_ARGUMENT', /M is 513.*512/],
    ['M 2.5', { M: 2.5 }, 'INVALID_ARGUMENT', /M is 2\.5/],
    ['M NaN', { M: Number.NaN }, 'INVALID_ARGUMENT', /M is/],
    ['M as text', { M: '16' }, 'INVALID_TYPE', /M as a number, got "16"/],
    ['m', { m: 16 }, 'INVALID_ARGUMENT', /no option "m"/],
    ['efConstruction 0', { efConstruction: 0 }, 'INVALID_ARGUMENT', /efConstruction is 0/],
    ['efConstruction -5', { efConstruction: -5 }, 'INVALID_ARGUMENT', /efConstruction is -5/],
    ['an infinite efConstruction', { efConstruction: Number.POSITIVE_INFINITY }, 'INVALID_ARGUMENT', /efConstruction/],
    ['a negative seed', { seed: -1 }, 'INVALID_ARGUMENT', /seed/],
    ['a seed beyond 2^53', { seed: 2 ** 53 }, 'INVALID_ARGUMENT', /seed/],
    ['an unknown rerank', { rerank: 'f64' }, 'INVALID_ARGUMENT', /rerank/],
    ['rerank without codes', { rerank: 'f32', storage: 'f32' }, /INVALID_ARGUMENT|UNSUPPORTED/ as never, /rerank/],
    ['an unknown layout', { layout: 'tree' }, 'INVALID_ARGUMENT', /layout/],
    ['a sidecar', { sidecar: 'i8' }, 'INVALID_ARGUMENT', /HnswIndex\.create has no option "sidecar"/],
    ['nlist', { nlist: 4 }, 'INVALID_ARGUMENT', /no option "nlist"/],
  ];
  it.each(bad)('refuses %s', async (_, options, code, message) => {
    const given = { dim: 4, ...(options as object) } as HnswIndexOptions;
    const sync = await failure(() => HnswIndex.createSync(given));
    const async = await failure(() => HnswIndex.create(given));
    expect(sync.code).toMatch(code);
    expect([async.code, async.message]).toEqual([sync.code, sync.message]);
    expect(sync.message).toMatch(message);
  });

  it('cannot be constructed', () => {
    const Constructor = HnswIndex as unknown as new () => unknown;
    expect(() => new Constructor()).toThrow(AnnexError);
    expect(() => new Constructor()).toThrow(/HnswIndex\.create/);
  });
});

describe('small indexes answer exactly', () => {
  itAnswersExactly((rows, options) => {
    const index = keep(HnswIndex.createSync({ ...options, M: 8 } as HnswIndexOptions));
    index.addSync(rows);
    return index;
  }, all);

  it.each(['hamming', 'jaccard'] as const)('packed bits under %s', (metric) => {
    const rows = integers(new Uint8Array(400 * 16), 0, 255);
    const index = keep(HnswIndex.createSync({ dim: 128, metric }));
    index.addSync(rows);
    for (let q = 0; q < 20; q++) {
      const query = row(rows, 16, q);
      const tolerance = metric === 'jaccard' ? 1e-6 : 0;
      expectNearest(index.searchSync(query, 7, all), metric, byId(rows, 16), query, 7, { tolerance });
    }
  });
});

describe('edges', () => {
  it('empty, one row, k beyond the size', async () => {
    const index = keep(HnswIndex.createSync({ dim: 2 }));
    expect((await index.search([1, 2], 10)).length).toBe(0);
    expect(index.searchBatchSync([1, 2, 3, 4], 10).at(1).length).toBe(0);
    index.addSync([1, 2]);
    expect(listed(await index.search([1, 2], 10))).toEqual([{ id: 0, distance: 0 }]);
    index.addSync(floats(30, 2));
    expect((await index.search([1, 2], 1000)).length).toBe(31);
    index.removeSync([...index.ids()]);
    expect((await index.search([1, 2], 5)).length).toBe(0);
    expect(index.size).toBe(0);
    index.addSync([5, 5], { ids: [3] });
    expect(listed(await index.search([5, 5], 5))).toEqual([{ id: 3, distance: 0 }]);
  });

  it('efSearch below k is k', async () => {
    const index = keep(HnswIndex.createSync({ dim: 4 }));
    index.addSync(floats(2000, 4));
    expect((await index.search([0, 0, 0, 0], 200, { efSearch: 1 })).length).toBe(200);
    expect((await index.search([0, 0, 0, 0], 2000, { efSearch: 1 })).length).toBe(2000);
  });

  it.each([
    ['all equal', () => new Float32Array(1500 * 8).fill(2)],
    ['a few values many times', () => integers(new Float32Array(1500 * 8), 0, 1).map((x, i) => (i % 8 === 0 ? x : 1))],
    ['all zero', () => new Float32Array(1500 * 8)],
  ])('%s: every row can be found', async (_, make) => {
    const rows = make();
    const index = keep(HnswIndex.createSync({ dim: 8 }));
    await index.add(rows);
    for (const k of [1, 50, 1500]) {
      // Of rows at the same distance any may come.
      const tolerance = Number.MIN_VALUE;
      expectNearest(await index.search(row(rows, 8, 1), k), 'l2', byId(rows, 8), row(rows, 8, 1), k, { tolerance });
    }
  });

  it('rows of very different size', () => {
    const rows = floats(400, 6).map((x, i) => x * 10 ** ((Math.floor(i / 6) % 30) - 15));
    const index = keep(HnswIndex.createSync({ dim: 6, metric: 'cosine' }));
    index.addSync(rows);
    for (let q = 0; q < 10; q++) {
      const query = row(rows, 6, q * 31);
      expectNearest(index.searchSync(query, 5, all), 'cosine', byId(rows, 6), query, 5, { tolerance: 1e-5 });
    }
  });

  it.each<[string, object, RegExp]>([
    ['efSearch 0', { efSearch: 0 }, /efSearch is 0/],
    ['efSearch 1.5', { efSearch: 1.5 }, /efSearch is 1\.5/],
    ['efSearch NaN', { efSearch: Number.NaN }, /efSearch/],
    ['nprobe', { nprobe: 3 }, /no option "nprobe"/],
    ['rerankFactor', { rerankFactor: 4 }, /no option "rerankFactor"/],
  ])('%s is refused', async (_, options, message) => {
    const index = keep(HnswIndex.createSync({ dim: 2 }));
    index.addSync([1, 2, 3, 4]);
    for (const call of [
      () => index.searchSync([1, 2], 1, options),
      () => index.search([1, 2], 1, options),
      () => index.searchBatch([1, 2], 1, options),
    ]) {
      await expectFailure(call, 'INVALID_ARGUMENT', message);
    }
    await expectFailure(() => index.search([1, 2], 1, { efSearch: '9' } as never), 'INVALID_TYPE', /efSearch/);
  });
});

// Codes spend their bits along the axes that tell rows apart: some of seven, some of four, some of none.
describe('rows that spread unevenly', () => {
  const [n, nq] = [2400, 60];

  it.each([
    ['l2', 100, 1, 0.97],
    ['l2', 100, 3, 0.97],
    ['cosine', 72, 1, 0.97],
    ['ip', 200, 1.5, 0.9],
    ['l2', 20, 0, 0.97],
  ] as const)('%s, %d dimensions, by 1 / i^%d', async (metric, dim, fall, least) => {
    const rows = uneven(n, dim, fall);
    const queries = uneven(nq, dim, fall, 2);
    const exact = keep(await FlatIndex.create({ dim, metric }));
    exact.addSync(rows);
    const index = keep(await HnswIndex.create({ dim, metric }));
    // What is learnt of the rows is learnt anew as they become more.
    for (const [from, to] of [
      [0, 100],
      [100, 900],
      [900, n],
    ] as const) {
      await index.add(rows.subarray(from * dim, to * dim));
    }
    const recall = (filter?: readonly number[]): number =>
      recallOf(
        index.searchBatchSync(queries, 10, { efSearch: 64, filter }),
        exact.searchBatchSync(queries, 10, { filter }),
      );
    expect(recall()).toBeGreaterThanOrEqual(least);
    expect(recall(Array.from({ length: n / 4 }, (_, i) => 4 * i))).toBeGreaterThanOrEqual(least);

    const found = index.searchBatchSync(queries, 10);
    const reopened = keep((await openIndex(await index.toBytes())) as HnswIndex);
    expect(reopened.searchBatchSync(queries, 10)).toEqual(found);
    expect(Buffer.compare(await reopened.toBytes(), await index.toBytes())).toBe(0);
    const gone = Array.from({ length: n / 10 }, (_, i) => 10 * i);
    await index.remove(gone);
    await exact.remove(gone);
    await index.compact();
    expect(recall()).toBeGreaterThanOrEqual(least);
  });
});

describe('on the WordNet sample', () => {
  const { dim, vectors, queries, n, nq } = sample;
  /** The first rows: enough where a graph of all of them would tell no more. */
  const few = 3000;
  const part = vectors.subarray(0, few * dim);
  const build = async (options: object = {}): Promise<HnswIndex> => {
    const index = keep(await HnswIndex.create({ dim, metric: 'cosine', ...options }));
    await index.add(part);
    return index;
  };
  /** One with default options, for tests that only read. */
  let standing: HnswIndex;
  beforeAll(async () => {
    standing = await HnswIndex.create({ dim, metric: 'cosine' });
    await standing.add(vectors);
  });
  afterAll(() => standing.close());

  it('default options reach a recall of 0.95, and more efSearch more', async () => {
    const index = standing;
    const recall = recallOfSample(index);
    expect(recall).toBeGreaterThanOrEqual(0.95);
    const more = recallOfSample(index, { efSearch: 800 });
    expect(more).toBeGreaterThanOrEqual(recall);
    expect(more).toBeGreaterThanOrEqual(0.99);
    const { hops, bytesLinks, bytesTotal, bytesVectors } = index.stats();
    expect(hops).toBeGreaterThan(nq);
    expect(bytesLinks).toBeGreaterThan(n * 4 * 4);
    expect(bytesTotal).toBeGreaterThanOrEqual(bytesLinks + bytesVectors);
  });

  it.each([
    ['f16', 0.95],
    ['sq8', 0.93],
  ] as const)('storage %s', async (storage, least) => {
    expect(recallOfSample(await build({ storage }), { efSearch: 200 })).toBeGreaterThanOrEqual(least);
  });

  it('sq8 reranked by f32 gives exact distances', async () => {
    const index = await build({ storage: 'sq8', rerank: 'f32' });
    expect(recallOfSample(index, { efSearch: 200 })).toBeGreaterThanOrEqual(0.97);
    const plain = await build();
    const query = row(queries, dim, 3);
    const distances = new Map(listed(plain.searchSync(query, 20, all)).map((x) => [x.id, x.distance]));
    for (const { id, distance } of index.searchSync(query, 10, all)) {
      if (distances.has(id)) expect(distance).toBeCloseTo(distances.get(id) as number, 6);
    }
  });

  it('searches of one turn with different parameters run apart, and each gets what it alone would', async () => {
    const index = standing;
    const calls = Array.from(
      { length: 120 },
      (_, i) => [i % nq, { efSearch: [10, 10, 40, 300][i % 4] as number }] as const,
    );
    const before = index.stats().hops;
    const hits = await Promise.all(calls.map(([q, options]) => index.search(row(queries, dim, q), 10, options)));
    const hops = index.stats().hops - before;
    calls.forEach(([q, options], i) => {
      expect(listed(hits[i] as SearchResult)).toEqual(listed(index.searchSync(row(queries, dim, q), 10, options)));
    });
    expect(index.stats().hops - before).toBe(2 * hops);
  });

  it('the same seed builds the same graph, another one another', async () => {
    const narrow = { efSearch: 10 };
    const results = [];
    for (const seed of [7, 7, 8]) {
      const index = await build({ seed });
      results.push([...index.searchBatchSync(queries, 10, narrow).ids]);
    }
    expect(results[1]).toEqual(results[0]);
    expect(results[2]).not.toEqual(results[0]);
  });

  it('in many small adds recall stays', async () => {
    const index = keep(await HnswIndex.create({ dim, metric: 'cosine' }));
    for (let start = 0; start < few; start += 250) await index.add(part.subarray(start * dim, (start + 250) * dim));
    expect(recallOfSample(index)).toBeGreaterThanOrEqual(0.94);
  });

  it.each([0.5, 0.1, 0.01, 0.001])('a filter that allows %d of the rows keeps recall', async (share) => {
    const index = standing;
    const exact = keep(FlatIndex.createSync({ dim, metric: 'cosine' }));
    exact.addSync(vectors);
    const allowed = Float64Array.from({ length: n }, (_, i) => i).filter((i) => (i * 2654435761) % 1e6 < share * 1e6);
    const options = { filter: allowed };
    const wanted = exact.searchBatchSync(queries, 10, options);
    const found = index.searchBatchSync(queries, 10, options);
    for (let q = 0; q < nq; q++) expect(found.at(q).length).toBe(Math.min(10, allowed.length));
    expect(recallOf(found, wanted)).toBeGreaterThanOrEqual(0.95);
    if (share === 0.001) expect(index.stats().exactSearches).toBeGreaterThanOrEqual(nq);
  });

  it('removed rows: recall before and after compact', async () => {
    const index = await build();
    const gone = Float64Array.from({ length: few }, (_, i) => i).filter((i) => i % 10 < 3);
    expect(await index.remove(gone)).toBe(gone.length);
    expect(index.size).toBe(few - gone.length);
    expect(index.stats().removed).toBe(gone.length);
    const exact = keep(FlatIndex.createSync({ dim, metric: 'cosine' }));
    exact.addSync(part);
    exact.removeSync(gone);
    const wanted = exact.searchBatchSync(queries, 10);
    expect(recallOf(index.searchBatchSync(queries, 10), wanted)).toBeGreaterThanOrEqual(0.93);
    const before = index.stats().bytesTotal;
    const phases = new Set<string>();
    await index.compact({ onProgress: ({ phase }) => phases.add(phase) });
    expect([...phases]).toContain('compact');
    expect(index.stats().removed).toBe(0);
    expect(index.stats().bytesTotal).toBeLessThan(before);
    expect(recallOf(index.searchBatchSync(queries, 10), wanted)).toBeGreaterThanOrEqual(0.94);
    expect(index.has(0)).toBe(false);
    expect(index.get(5)).toEqual(row(vectors, dim, 5));
  });

  it.each(['add', 'link'] as const)('aborted in the phase %s an add leaves nothing', async (phase) => {
    const index = keep(await HnswIndex.create({ dim, metric: 'cosine' }));
    await index.add(vectors.subarray(0, 500 * dim));
    const before = index.searchBatchSync(queries, 10);
    const controller = new AbortController();
    const seen: Progress[] = [];
    const adding = index.add(part.subarray(500 * dim), {
      signal: controller.signal,
      onProgress(progress) {
        seen.push(progress);
        if (progress.phase === phase) controller.abort();
      },
    });
    await expectFailure(() => adding, 'ABORTED');
    expect(seen.at(-1)?.phase).toBe(phase);
    expect(index.size).toBe(500);
    expect(index.searchBatchSync(queries, 10).ids).toEqual(before.ids);
    await index.add(part.subarray(500 * dim));
    expect(recallOfSample(index)).toBeGreaterThanOrEqual(0.94);
  });

  it('compact aborted leaves the index as it was', async () => {
    const index = await build();
    await index.remove(Float64Array.from({ length: few / 3 }, (_, i) => i));
    const before = index.searchBatchSync(queries, 10);
    const controller = new AbortController();
    const compacting = index.compact({ signal: controller.signal, onProgress: () => controller.abort() });
    await expectFailure(() => compacting, 'ABORTED');
    expect(index.stats().removed).toBe(few / 3);
    expect(index.searchBatchSync(queries, 10).ids).toEqual(before.ids);
  });

  it('compact lays a large graph out anew: the same answers, ids and rows, in another order', {
    timeout: 120_000,
  }, async () => {
    const few = 4;
    const rows = floats(2 ** 17, few, 31);
    const index = keep(await HnswIndex.create({ dim: few, M: 4, efConstruction: 8, layout: 'plain' }));
    await index.add(rows);
    const asked = rows.subarray(0, 40 * few);
    const before = index.searchBatchSync(asked, 5);
    const order = [...index.ids()];
    const controller = new AbortController();
    const aborted = index.compact({ signal: controller.signal, onProgress: () => controller.abort() });
    await expectFailure(() => aborted, 'ABORTED');
    expect([...index.ids()]).toEqual(order);
    const seen: Progress[] = [];
    await index.compact({ onProgress: (progress) => seen.push(progress) });
    const shares = seen.map(({ done, total }) => done / total);
    expect(shares).toEqual(shares.toSorted((a, b) => a - b));
    expect(shares.at(-1)).toBe(1);
    const after = index.searchBatchSync(asked, 5);
    expect([after.ids, after.distances]).toEqual([before.ids, before.distances]);
    const laid = [...index.ids()];
    expect(laid).not.toEqual(order);
    expect(laid.toSorted((a, b) => a - b)).toEqual(order);
    expect(index.get(77_777)).toEqual(row(rows, few, 77_777));
    expect(index.removeSync([77_777])).toBe(1);
    expect([index.has(77_777), index.has(77_776)]).toEqual([false, true]);
    const again = keep(await openIndex(await index.toBytes()));
    expect([...again.ids()]).toEqual([...index.ids()]);
    expect(again.searchBatchSync(asked, 5).ids).toEqual(index.searchBatchSync(asked, 5).ids);
  });

  it('searches go on during an add, and see all of it or nothing', async () => {
    const index = keep(await HnswIndex.create({ dim, metric: 'cosine' }));
    await index.add(part.subarray(0, 1000 * dim));
    const query = row(vectors, dim, 2500);
    let done = false;
    const adding = index.add(part.subarray(1000 * dim)).then(() => {
      done = true;
    });
    let searches = 0;
    while (!done) {
      const ids = [...(await index.search(query, 10)).ids];
      if (!done) searches++;
      expect(ids.length).toBe(10);
      expect(ids.every((id) => id < 1000) || ids.includes(2500)).toBe(true);
    }
    await adding;
    expect(searches).toBeGreaterThan(3);
    expect([...(await index.search(query, 1)).ids]).toEqual([2500]);
  });

  it('progress rises within each phase', async () => {
    const seen: Progress[] = [];
    const index = keep(await HnswIndex.create({ dim, metric: 'cosine' }));
    await index.add(part, { onProgress: (p) => seen.push(p) });
    expect(new Set(seen.map(({ phase }) => phase))).toEqual(new Set(['add', 'link']));
    for (const phase of ['add', 'link']) {
      const steps = seen.filter((p) => p.phase === phase);
      expect(steps.map(({ done }) => done)).toEqual(steps.map(({ done }) => done).sort((a, b) => a - b));
      expect(steps.every(({ done, total }) => done <= total)).toBe(true);
    }
    const last = seen.at(-1) as Progress;
    expect(last.done).toBe(last.total);
  });
});
