import { AnnexError, FlatIndex, IvfIndex, type IvfIndexOptions, type Rows } from 'annex';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { listsFor } from '../ts/ivf_build.js';
import { badRows, badVectors } from './support/bad.js';
import { byId, floats, integers, row } from './support/data.js';
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

/** Looks into every list. */
const all = { nprobe: 1 << 20 };

describe('create', () => {
  it('fills in defaults', async () => {
    const index = keep(await IvfIndex.create({ dim: 3, nlist: 7 }));
    expect(index).toBeInstanceOf(IvfIndex);
    const { iterations, maxPointsPerCentroid, seed, ...rest } = index.options();
    expect(iterations).toBeGreaterThanOrEqual(5);
    expect(maxPointsPerCentroid).toBeGreaterThanOrEqual(39);
    expect(seed).toBeGreaterThanOrEqual(0);
    expect(rest).toEqual({
      ...{ dim: 3, metric: 'l2', storage: 'f32', metadata: undefined },
      ...{ nlist: 7, rerank: 'none', coarse: 'flat', spill: 0, balanced: false },
    });
    expect([index.size, index.trained]).toEqual([0, false]);
  });

  const pq = (more: object): object => ({ storage: { codec: 'pq', m: 4, ...more } });
  const bad: [string, unknown, string, RegExp][] = [
    ['no nlist', { nlist: undefined }, 'INVALID_ARGUMENT', /nlist is missing/],
    ['nlist 0', { nlist: 0 }, 'INVALID_ARGUMENT', /nlist is 0/],
    ['nlist 2.5', { nlist: 2.5 }, 'INVALID_ARGUMENT', /nlist is 2\.5/],
    ['nlist as text', { nlist: '8' }, 'INVALID_TYPE', /nlist as a number/],
    ['a number as balanced', { balanced: 1 }, 'INVALID_TYPE', /balanced as a boolean, got 1/],
    ['spill 2', { spill: 2 }, 'INVALID_ARGUMENT', /spill is 2/],
    ['iterations 0', { iterations: 0 }, 'INVALID_ARGUMENT', /iterations is 0/],
    ['an unknown coarse', { coarse: 'tree' }, 'INVALID_ARGUMENT', /coarse/],
    ['maxPoints', { maxPoints: 5 }, 'INVALID_ARGUMENT', /did you mean "maxPointsPerCentroid"|no option "maxPoints"/],
    ['pq without m', { storage: 'pq' }, 'INVALID_ARGUMENT', /codec: "pq", m/],
    ['an unknown option of pq', pq({ nbits: 4 }), 'INVALID_ARGUMENT', /storage "pq" has no option "nbits"/],
    ['m that does not divide dim', pq({ m: 5 }), 'INVALID_ARGUMENT', /m is 5, which does not divide.*4 and/],
    ['m 0', pq({ m: 0 }), 'INVALID_ARGUMENT', /m is 0/],
    ['m beyond dim', pq({ m: 64 }), 'INVALID_ARGUMENT', /m is 64/],
    ['m as text', pq({ m: '4' }), 'INVALID_TYPE', /storage\.m as a number/],
    ['bits 5', pq({ bits: 5 }), 'INVALID_ARGUMENT', /bits is 5: expected 4 or 8/],
    ['an unknown rotation', pq({ rotation: 'pca' }), 'INVALID_ARGUMENT', /storage\.rotation/],
    ['a rotation that keeps more', pq({ rotation: 'opq', dim: 64 }), 'INVALID_ARGUMENT', /64/],
    ['anisotropic under l2', pq({ anisotropic: 4 }), 'UNSUPPORTED', /anisotropic.*ip and cosine/],
    ['anisotropic below 1', { metric: 'ip', ...pq({ anisotropic: 0.5 }) }, 'INVALID_ARGUMENT', /anisotropic/],
    ['lengths under l2', { lengths: true, ...pq({}) }, 'UNSUPPORTED', /lengths: true serves storage pq under ip/],
    ['lengths of f32', { lengths: true, metric: 'ip' }, 'UNSUPPORTED', /lengths.*not storage f32/],
    [
      'lengths, anisotropic',
      { lengths: true, metric: 'ip', ...pq({ anisotropic: 2 }) },
      'UNSUPPORTED',
      /not anisotropic/,
    ],
    ['lengths as a number', { lengths: 1, metric: 'ip', ...pq({}) }, 'INVALID_TYPE', /lengths as a boolean/],
    ['rabitq of 9 bits', { storage: { codec: 'rabitq', bits: 9 } }, 'INVALID_ARGUMENT', /bits is 9/],
    ['m of rabitq', { storage: { codec: 'rabitq', m: 4 } }, 'INVALID_ARGUMENT', /no option "m"/],
    ['pq under l1', { metric: 'l1', ...pq({}) }, 'UNSUPPORTED', /l1/],
    ['rabitq under l1', { metric: 'l1', storage: 'rabitq' }, 'UNSUPPORTED', /l1/],
    ['packed bits', { metric: 'hamming' }, 'UNSUPPORTED', /hamming/],
    ['rerank of f32', { rerank: 'f32' }, 'UNSUPPORTED', /rerank/],
    ['rerank by bytes', { ...pq({}), rerank: 'i8' }, 'UNSUPPORTED', /rerank/],
    ['M', { M: 16 }, 'INVALID_ARGUMENT', /no option "M"/],
  ];
  it.each(bad)('refuses %s', async (_, options, code, message) => {
    const given = { dim: 16, nlist: 4, ...(options as object) } as IvfIndexOptions;
    const sync = await failure(() => IvfIndex.createSync(given));
    const async = await failure(() => IvfIndex.create(given));
    expect([sync.code, async.code]).toEqual([code, code]);
    expect(sync.message).toMatch(message);
    expect(async.message).toBe(sync.message);
  });

  it('cannot be constructed', () => {
    const Constructor = IvfIndex as unknown as new () => unknown;
    expect(() => new Constructor()).toThrow(AnnexError);
    expect(() => new Constructor()).toThrow(/IvfIndex\.create/);
  });
});

describe('train', () => {
  const untrained = (options: object = {}): IvfIndex =>
    keep(IvfIndex.createSync({ dim: 4, nlist: 8, ...(options as { storage: 'f32' }) }));

  it.each([...badVectors, ...badRows].map((bad) => [bad.name, bad] as const))(
    'refuses %s and stays untrained',
    async (_, { value, code, message }) => {
      const index = untrained();
      const sample = value() as never;
      expect(() => void index.train(sample).catch(() => {})).not.toThrow();
      await expectFailure(() => index.train(sample), code, message);
      await expectFailure(() => index.trainSync(sample), code, message);
      expect(index.trained).toBe(false);
    },
  );

  it('refuses too few rows, and says how many it takes', async () => {
    const index = untrained();
    for (const n of [0, 1, 7]) {
      const error = await expectFailure(() => index.train(floats(n, 4)), 'INVALID_ARGUMENT', new RegExp(`got ${n}`));
      expect(error.message).toMatch(/39|312/);
      expect(error.message).toMatch(/8/);
      await expectFailure(() => index.trainSync(floats(n, 4)), 'INVALID_ARGUMENT', /got/);
    }
    expect(index.trained).toBe(false);
    index.trainSync(floats(8, 4));
    expect(index.trained).toBe(true);
  });

  it('happens once', async () => {
    const index = untrained();
    await index.train(floats(400, 4));
    const before = index.searchBatchSync(floats(5, 4), 3);
    index.addSync(floats(50, 4));
    await expectFailure(() => index.train(floats(400, 4, 2)), 'INVALID_ARGUMENT', /trained/);
    expect(before.length).toBe(5);
    expect(index.size).toBe(50);
  });

  it('closed meanwhile it rejects with CLOSED', async () => {
    const index = untrained();
    const training = index.train(floats(4000, 4));
    index.close();
    await expectFailure(() => training, 'CLOSED');
  });
});

describe('with every list looked into, answers are exact', () => {
  itAnswersExactly(
    (rows, options) => keep(IvfIndex.buildSync(rows as never, { ...options, nlist: 16 } as never)) as IvfIndex<Rows>,
    all,
  );

  it('spilled rows are found once', () => {
    const rows = integers(new Float32Array(800 * 8), -3, 3);
    const index = keep(IvfIndex.buildSync(rows, { dim: 8, nlist: 12, spill: 1 }));
    for (let q = 0; q < 20; q++) {
      expectNearest(index.searchSync(row(rows, 8, q), 50, all), 'l2', byId(rows, 8), row(rows, 8, q), 50);
    }
    expect(index.size).toBe(800);
    expect(index.removeSync([...Array(400).keys()])).toBe(400);
    expect(index.searchSync(row(rows, 8, 3), 800, all).length).toBe(400);
  });
});

describe('edges', () => {
  it('empty, one row, k beyond the size', async () => {
    const index = keep(IvfIndex.createSync({ dim: 2, nlist: 4 }));
    index.trainSync(floats(200, 2));
    expect((await index.search([1, 2], 10)).length).toBe(0);
    index.addSync([1, 2]);
    expect(listed(await index.search([1, 2], 10, all))).toEqual([{ id: 0, distance: 0 }]);
    index.addSync(floats(30, 2));
    expect((await index.search([1, 2], 1000, all)).length).toBe(31);
    index.removeSync([...index.ids()]);
    expect((await index.search([1, 2], 5, all)).length).toBe(0);
    await index.compact();
    index.addSync([5, 5], { ids: [3] });
    expect(listed(await index.search([5, 5], 5, all))).toEqual([{ id: 3, distance: 0 }]);
  });

  it.each<[string, object, RegExp]>([
    ['nprobe 0', { nprobe: 0 }, /nprobe is 0/],
    ['nprobe 1.5', { nprobe: 1.5 }, /nprobe is 1\.5/],
    ['rerankFactor 0.5', { rerankFactor: 0.5 }, /rerankFactor is 0\.5/],
    ['earlyStop NaN', { earlyStop: Number.NaN }, /earlyStop/],
    ['efSearch', { efSearch: 3 }, /no option "efSearch"/],
  ])('%s is refused', async (_, options, message) => {
    const index = keep(IvfIndex.createSync({ dim: 2, nlist: 2, storage: 'sq8', rerank: 'f32' }));
    index.trainSync(floats(400, 2));
    index.addSync([1, 2, 3, 4]);
    for (const call of [
      () => index.searchSync([1, 2], 1, options),
      () => index.search([1, 2], 1, options),
      () => index.searchBatch([1, 2], 1, options),
    ]) {
      await expectFailure(call, 'INVALID_ARGUMENT', message);
    }
    await expectFailure(() => index.search([1, 2], 1, { nprobe: '9' } as never), 'INVALID_TYPE', /nprobe/);
  });
});

describe('build', () => {
  it.each([
    [1, 1],
    [38, 1],
    [100, 2],
    [1000, 25],
    [10_000, 256],
    [100_000, 1265],
    [1_000_000, 4000],
  ])('%i rows get %i lists', (n, lists) => {
    expect(listsFor(n)).toBe(lists);
  });

  it('takes few rows, ids, and bytes', async () => {
    for (const n of [1, 2, 39, 100]) {
      const rows = floats(n, 8);
      const index = keep(
        await IvfIndex.build(rows, { dim: 8, ids: Float64Array.from({ length: n }, (_, i) => 7 * i) }),
      );
      expect(index.options().nlist).toBe(listsFor(n));
      expect([...(await index.search(row(rows, 8, n - 1), 1, all)).ids]).toEqual([7 * (n - 1)]);
    }
    const bytes = keep(await IvfIndex.build(integers(new Int8Array(800), -9, 9), { dim: 8, storage: 'i8' }));
    expect(bytes.get(0)).toBeInstanceOf(Int8Array);
  });

  it('samples where there is more than training looks at', async () => {
    const n = 70_000;
    const rows = floats(n, 4);
    const phases: string[] = [];
    const index = keep(
      await IvfIndex.build(rows, {
        dim: 4,
        nlist: 16,
        onProgress: ({ phase, total }) => phases.push(`${phase} ${total}`),
      }),
    );
    expect(phases[0]).toBe('add 65536');
    expect(phases).toContain(`add ${n}`);
    expect(index.size).toBe(n);
    expect([...(await index.search(row(rows, 4, n - 1), 1)).ids]).toEqual([n - 1]);
  });

  it.each<[string, unknown, object, string, RegExp]>([
    ['no vectors', new Float32Array(0), {}, 'INVALID_ARGUMENT', /IvfIndex\.build.* at least one vector/],
    ['rows that do not divide', new Float32Array(7), {}, 'DIMENSION_MISMATCH', /rows of 4/],
    ['NaN', new Float32Array(400).fill(Number.NaN), {}, 'NOT_FINITE', /row 0 holds NaN/],
    [
      'an unknown option',
      new Float32Array(400),
      { lists: 4 },
      'INVALID_ARGUMENT',
      /IvfIndex\.build(Sync)? has no option "lists"/,
    ],
    ['too few ids', floats(100, 4), { ids: [1] }, 'INVALID_ARGUMENT', /as many ids/],
    ['nlist beyond the rows', floats(100, 4), { nlist: 101 }, 'INVALID_ARGUMENT', /got 100/],
  ])('refuses %s', async (_, vectors, options, code, message) => {
    const given = { dim: 4, ...options };
    await expectFailure(() => IvfIndex.build(vectors as Float32Array, given), code as never, message);
    await expectFailure(() => IvfIndex.buildSync(vectors as Float32Array, given), code as never, message);
  });

  it('is aborted', async () => {
    const controller = new AbortController();
    const abort = { signal: controller.signal, onProgress: () => controller.abort() };
    await expectFailure(() => IvfIndex.build(floats(1000, 4), { dim: 4, ...abort }), 'ABORTED');
    await expectFailure(() => IvfIndex.build(floats(1000, 4), { dim: 4, signal: AbortSignal.abort() }), 'ABORTED');
  });
});

describe('on the WordNet sample', () => {
  const { dim, vectors, queries, n } = sample;
  const build = async (options: object = {}): Promise<IvfIndex> =>
    keep(await IvfIndex.build(vectors, { dim, metric: 'cosine', ...options }));

  it('default options reach a recall of 0.95, and more nprobe more', async () => {
    const index = await build();
    expect(recallOfSample(index)).toBeGreaterThanOrEqual(0.95);
    expect(recallOfSample(index, all)).toBe(1);
    const recalls = [1, 4, 16, 64, 256].map((nprobe) => recallOfSample(index, { nprobe }));
    expect(recalls).toEqual([...recalls].sort((a, b) => a - b));
    expect(recallOfSample(index, { nprobe: 64, earlyStop: 1.02 })).toBeLessThanOrEqual(recalls[3] as number);
  });

  it('coarse search in a graph finds as much', async () => {
    const part = vectors.subarray(0, 4000 * dim);
    const lists = { dim, metric: 'cosine', nlist: 128 } as const;
    const flat = keep(await IvfIndex.build(part, lists));
    const graph = keep(await IvfIndex.build(part, { ...lists, coarse: 'hnsw' }));
    const nprobe = 12;
    expect(recallOfSample(graph, { nprobe })).toBeGreaterThanOrEqual(recallOfSample(flat, { nprobe }) - 0.03);
  });

  describe.each([{}, { storage: 'sq8', rerank: 'f16' }, { storage: 'rabitq', rerank: 'f16' }])(
    'filters of %j',
    (options) => {
      let index: IvfIndex;
      let exact: FlatIndex;
      beforeAll(async () => {
        index = await IvfIndex.build(vectors, { dim, metric: 'cosine', ...(options as object) });
        exact = FlatIndex.createSync({ dim, metric: 'cosine' });
        exact.addSync(vectors);
      });
      afterAll(() => {
        index.close();
        exact.close();
      });

      it.each([0.5, 0.1, 0.01, 0.001])('one that allows %d of the rows is kept, and gives k', (share) => {
        const allowed = Float64Array.from({ length: n }, (_, i) => i).filter(
          (i) => (i * 2654435761) % 1e6 < share * 1e6,
        );
        const found = index.searchBatchSync(queries, 10, { filter: allowed, nprobe: 64 });
        const few = index.searchBatchSync(queries, 10, { filter: allowed, nprobe: 1 });
        const wanted = exact.searchBatchSync(queries, 10, { filter: allowed });
        const set = new Set(allowed);
        for (const { length } of few) expect(length).toBe(Math.min(10, allowed.length));
        for (const one of found) {
          expect(one.length).toBe(Math.min(10, allowed.length));
          expect(one.ids.every((id) => set.has(id))).toBe(true);
        }
        expect(recallOf(found, wanted)).toBeGreaterThanOrEqual(0.8);
      });
    },
  );

  // Neighbours among a few rows lie far apart, in lists that a search without a filter need not look into.
  it.each([0.5, 0.1, 0.01, 0.001])(
    'with a filter of %d of the rows the default finds as much as without',
    async (share) => {
      const allowed = Float64Array.from({ length: n }, (_, i) => i).filter((i) => (i * 2654435761) % 1e6 < share * 1e6);
      const exact = keep(FlatIndex.createSync({ dim, metric: 'cosine' }));
      exact.addSync(vectors);
      const wanted = exact.searchBatchSync(queries, 10);
      const among = exact.searchBatchSync(queries, 10, { filter: allowed });
      const pq = { codec: 'pq', m: 64, bits: 4 } as const;
      for (const options of [{}, { storage: 'f16' }, { storage: pq, rerank: 'f32' }] as const) {
        const index = await build({ nlist: 128, ...options });
        const usual = recallOf(index.searchBatchSync(queries, 10), wanted);
        expect(recallOf(index.searchBatchSync(queries, 10, { filter: allowed }), among)).toBeGreaterThanOrEqual(usual);
        const apart = !('storage' in options && options.storage === 'f16');
        if (share !== 0.01) expect(index.stats().exactSearches > 0).toBe(apart && share < 0.01);
      }
      // With codes alone, as much as they tell in all lists.
      const codes = await build({ nlist: 128, storage: pq });
      const most = recallOf(codes.searchBatchSync(queries, 10, { filter: allowed, ...all }), among);
      expect(recallOf(codes.searchBatchSync(queries, 10, { filter: allowed }), among)).toBeGreaterThanOrEqual(
        most - 0.015,
      );
    },
  );

  it('removed rows are gone at once, and their room after compact', async () => {
    const index = await build({ storage: 'sq8' });
    const gone = Float64Array.from({ length: 3000 }, (_, i) => 3 * i);
    expect(await index.remove(gone)).toBe(3000);
    expect(index.size).toBe(n - 3000);
    const before = index.searchBatchSync(queries, 10, all);
    for (const { ids } of before) expect(ids.every((id) => id % 3 !== 0 || id >= 9000)).toBe(true);
    await index.compact();
    expect([index.size, index.stats().removed]).toEqual([n - 3000, 0]);
    expect(index.searchBatchSync(queries, 10, all)).toEqual(before);
    await index.add(vectors.subarray(0, dim), { ids: [0] });
    expect([...(await index.search(vectors.subarray(0, dim), 1, all)).ids]).toEqual([0]);
  });

  it('an add that is aborted leaves nothing', async () => {
    const index = keep(IvfIndex.createSync({ dim, metric: 'cosine', nlist: 64 }));
    await index.train(vectors);
    const controller = new AbortController();
    const adding = index.add(vectors, { signal: controller.signal, onProgress: () => controller.abort() });
    await expectFailure(() => adding, 'ABORTED');
    expect(index.size).toBe(0);
    await index.add(vectors);
    expect(index.size).toBe(n);
  });
});
