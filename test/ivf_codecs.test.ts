import { FlatIndex, IvfIndex, type IvfIndexOptions, type Phase } from 'annex';
import { afterEach, describe, expect, it } from 'vitest';
import { floats, row } from './support/data.js';
import { expectFailure, listed } from './support/expect.js';
import { recallOfSample, sample } from './support/sample.js';

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

const pq = (m: number, bits: number, more: object = {}) => ({ storage: { codec: 'pq', m, bits, ...more } });

describe('create', () => {
  it('tells what it was created with, and takes that again', () => {
    const options = {
      dim: 64,
      metric: 'ip',
      nlist: 16,
      storage: { codec: 'pq', m: 16, bits: 4, rotation: 'opq', dim: 32, anisotropic: 4 },
      rerank: 'f16',
      coarse: 'hnsw',
      spill: 1,
      balanced: true,
      iterations: 9,
      maxPointsPerCentroid: 100,
      seed: 2 ** 52,
      metadata: 'm',
    } as const;
    const index = keep(IvfIndex.createSync(options));
    expect(index.options()).toEqual(options);
    expect(index.storage).toBe('pq');
    expect(keep(IvfIndex.createSync(index.options() as IvfIndexOptions)).options()).toEqual(options);
    const rabitq = keep(IvfIndex.createSync({ dim: 8, nlist: 2, storage: { codec: 'rabitq', bits: 5 } }));
    expect(rabitq.options().storage).toEqual({ codec: 'rabitq', bits: 5 });
    const plain = keep(IvfIndex.createSync({ dim: 8, nlist: 2, storage: { codec: 'pq', m: 4 } }));
    expect(plain.options().storage).toMatchObject({ codec: 'pq', m: 4, bits: 8, rotation: 'none' });
    expect(keep(IvfIndex.createSync({ dim: 8, nlist: 2, storage: 'rabitq' })).storage).toBe('rabitq');
  });
});

describe('lengths', () => {
  const rows = floats(900, 16).map((x, i) => (x + 0.3) * (1 + (Math.floor(i / 16) % 7)));
  const make = (more: object) => {
    const index = keep(IvfIndex.createSync({ dim: 16, nlist: 6, metric: 'ip', ...more } as IvfIndexOptions));
    index.trainSync(rows);
    index.addSync(rows);
    return index;
  };
  const norm = (x: Float32Array): number => Math.hypot(...x);

  it.each([
    ['4 bits', 4, {}],
    ['8 bits', 8, {}],
    ['two lists a row', 8, { spill: 1 }],
    ['codes of rows themselves', 4, { residual: false }],
  ] as [string, number, Partial<IvfIndexOptions>][])(
    'distances are those of the rows as coded, drawn to their length: %s',
    (_, bits, more) => {
      const index = make({ ...pq(8, bits), ...more });
      expect(index.options()).toMatchObject({ lengths: true });
      const query = row(floats(1, 16, 5), 16, 0);
      const again = keep(IvfIndex.createSync(index.options() as IvfIndexOptions));
      expect(again.options()).toEqual(index.options());
      const found = index.searchSync(query, 900, all);
      expect(found.ids.length).toBe(900);
      if (more.spill === 1) return; // a row has two codes, and get decodes the first
      const span = Math.abs(found.distances[0] as number) + Math.abs(found.distances[899] as number);
      for (const { id, distance } of found) {
        const coded = index.get(id) as Float32Array;
        const scale = norm(row(rows, 16, id)) / norm(coded);
        const wanted = -scale * coded.reduce((sum, x, d) => sum + x * (query[d] as number), 0);
        expect(Math.abs(distance - wanted)).toBeLessThan((bits === 4 ? 0.02 : 1e-4) * span);
      }
    },
  );

  it('find more of the nearest, for 4 bytes a row', () => {
    const vectors = sample.vectors.subarray(0, 4000 * sample.dim);
    const recall = (lengths: boolean): number => {
      const options = { nlist: 16, metric: 'ip', lengths, ...pq(16, 4) } as const;
      const index = keep(IvfIndex.createSync({ dim: sample.dim, ...options } as IvfIndexOptions));
      index.trainSync(vectors);
      index.addSync(vectors);
      expect(index.options().lengths ?? false).toBe(lengths);
      return recallOfSample(index as IvfIndex, all);
    };
    const [without, with_] = [recall(false), recall(true)];
    expect(with_).toBeGreaterThan(without + 0.03);
    const bytes = (lengths: boolean): number => make({ lengths, ...pq(8, 8) }).stats().bytesCodes;
    expect(bytes(true) - bytes(false)).toBeGreaterThanOrEqual(900 * 4);
    expect(bytes(true) - bytes(false)).toBeLessThan((900 + 6 * 96) * 4);
  });
});

describe('residual: false', () => {
  it.each(['l2', 'ip', 'cosine'] as const)(
    '%s: distances are those of the rows as coded, and of errors a share',
    (metric) => {
      const rows = floats(600, 16).map((x) => x + 0.3);
      for (const bits of [4, 8]) {
        const index = keep(
          IvfIndex.createSync({ dim: 16, nlist: 6, metric, residual: false, lengths: false, ...pq(8, bits) } as never),
        );
        expect(index.options()).toMatchObject({ residual: false });
        index.trainSync(rows);
        index.addSync(rows);
        const decoded = keep(FlatIndex.createSync({ dim: 16, metric }));
        for (let i = 0; i < 600; i++) decoded.addSync(index.get(i) as Float32Array);
        const query = row(floats(1, 16, 5), 16, 0);
        const exact = new Map([...decoded.searchSync(query, 600)].map(({ id, distance }) => [id, distance]));
        const span = Math.max(...exact.values()) - Math.min(...exact.values());
        for (const threads of [1, 2]) {
          const found = index.searchSync(query, 600, { ...all, threads });
          expect(found.ids.length).toBe(600);
          // Under cosine rows as coded are not quite of length 1.
          const most = (bits === 4 ? 0.02 : 1e-4) + (metric === 'cosine' ? 0.2 : 0);
          for (const { id, distance } of found) {
            const [x, coded] = [row(rows, 16, id), index.get(id) as Float32Array];
            const error = x.reduce((sum, v, d) => sum + (v - (coded[d] as number)) ** 2, 0);
            const share = metric === 'l2' ? 0.15 * error : 0; // under cosine it is within what is allowed anyway
            expect(Math.abs(distance - share - (exact.get(id) as number))).toBeLessThan(most * span);
          }
        }
      }
    },
  );

  it('serves pq alone', async () => {
    const make = (storage: string) => () => IvfIndex.create({ dim: 8, nlist: 2, residual: false, storage } as never);
    await expectFailure(make('f32'), 'UNSUPPORTED', /residual: false serves storage pq/);
    await expectFailure(make('rabitq'), 'UNSUPPORTED', /residual/);
  });
});

describe('train', () => {
  it.each<[string, () => Float32Array]>([
    ['constant rows', () => new Float32Array(400 * 16).fill(3)],
    ['zero rows', () => new Float32Array(400 * 16)],
    ['two different rows', () => new Float32Array(400 * 16).map((_, i) => Math.floor(i / 16) % 2)],
    ['one column that varies', () => floats(400, 16).map((x, i) => (i % 16 === 3 ? x : 1))],
    ['huge rows', () => floats(400, 16).map((x) => x * 1e18)],
    ['tiny rows', () => floats(400, 16).map((x) => x * 1e-30)],
  ])('%s: every row can be found', async (_, make) => {
    const rows = make();
    for (const storage of ['f32', 'sq8', { codec: 'pq', m: 4, bits: 4 }, 'rabitq'] as const) {
      const index = keep(IvfIndex.createSync({ dim: 16, nlist: 8, storage }));
      await index.train(rows);
      await index.add(rows);
      const found = await index.search(row(rows, 16, 5), 400, all);
      expect(found.length).toBe(400);
      expect(new Set(found.ids).size).toBe(400);
      expect(found.distances.every(Number.isFinite)).toBe(true);
    }
  });

  it('tells its phases', async () => {
    const phases: Phase[] = [];
    const storage = { codec: 'pq', m: 16, rotation: 'opq' } as const;
    const index = keep(await IvfIndex.create({ dim: 64, metric: 'cosine', nlist: 8, storage }));
    await index.train(floats(1000, 64), {
      onProgress({ phase, done, total }) {
        if (phases.at(-1) !== phase) phases.push(phase);
        expect(done).toBeLessThanOrEqual(total);
      },
    });
    expect([...new Set(phases)]).toEqual(['add', 'kmeans', 'rotation', 'codebooks']);
  });

  it.each(['add', 'kmeans', 'rotation', 'codebooks'] as const)(
    'aborted in the phase %s it stays untrained',
    async (phase) => {
      const storage = { codec: 'pq', m: 16, rotation: 'opq' } as const;
      const index = keep(await IvfIndex.create({ dim: 64, metric: 'cosine', nlist: 8, storage }));
      const controller = new AbortController();
      const seen: Phase[] = [];
      const rows = floats(1000, 64);
      const training = index.train(rows, {
        signal: controller.signal,
        onProgress(progress) {
          seen.push(progress.phase);
          if (progress.phase === phase) controller.abort();
        },
      });
      await expectFailure(() => training, 'ABORTED');
      expect(seen.at(-1)).toBe(phase);
      expect(index.trained).toBe(false);
      await expectFailure(() => index.add(rows), 'NOT_TRAINED');
      await index.train(rows.subarray(0, 500 * 64));
      expect(index.trained).toBe(true);
    },
  );
});

it('rerank asked of an index that has nothing to rerank from is an error', async () => {
  const index = keep(IvfIndex.createSync({ dim: 2, nlist: 2, storage: { codec: 'pq', m: 1 } }));
  index.trainSync(floats(400, 2));
  await expectFailure(() => index.search([1, 2], 1, { rerankFactor: 4 }), 'UNSUPPORTED', /nothing to rerank from/);
});

describe('on the WordNet sample', () => {
  const { dim, queries } = sample;
  /** The first rows: enough for every codec to show what it loses. */
  const n = 4000;
  const vectors = sample.vectors.subarray(0, n * dim);
  const build = async (options: object = {}): Promise<IvfIndex> =>
    keep(await IvfIndex.build(vectors, { dim, metric: 'cosine', ...options }));

  it.each<[string, object, number]>([
    ['sq8', { storage: 'sq8' }, 0.95],
    ['f16', { storage: 'f16' }, 0.99],
    ['pq 64 × 8', pq(64, 8), 0.7],
    ['pq 128 × 4', pq(128, 4), 0.6],
    ['opq 64 × 4', pq(64, 4, { rotation: 'opq' }), 0.5],
    ['pq 64 × 8 turned at random', pq(64, 8, { rotation: 'random' }), 0.65],
    ['pq 64 × 4, reranked by f16', { ...pq(64, 4), rerank: 'f16' }, 0.95],
    ['pq 64 × 8, reranked by f32', { ...pq(64, 8), rerank: 'f32' }, 0.97],
    ['rabitq 1 bit', { storage: 'rabitq' }, 0.4],
    ['rabitq 4 bits', { storage: { codec: 'rabitq', bits: 4 } }, 0.85],
    ['rabitq 8 bits', { storage: { codec: 'rabitq', bits: 8 } }, 0.97],
    ['rabitq 1 bit, reranked by f32', { storage: 'rabitq', rerank: 'f32' }, 0.97],
    ['rabitq 4 bits, reranked by f16', { storage: { codec: 'rabitq', bits: 4 }, rerank: 'f16' }, 0.97],
  ])(
    '%s',
    async (_, options, least) => {
      for (const metric of ['cosine', 'l2'] as const) {
        const index = await build({ ...options, metric, nlist: 32 });
        const rerank = 'rerank' in options ? { rerankFactor: 10 } : {};
        // Unit vectors: both metrics have the same neighbours.
        const recall = recallOfSample(index, { ...all, ...rerank });
        expect(recall, metric).toBeGreaterThanOrEqual(least);
        const { bytesCodes, bytesVectors, bytesRerank, bytesTotal } = index.stats();
        expect(bytesTotal).toBeGreaterThanOrEqual(bytesCodes + bytesVectors + bytesRerank);
      }
    },
    240_000,
  );

  it('the same seed makes the same index, another one another', async () => {
    const few = queries.subarray(0, 50 * dim);
    const results = [];
    for (const seed of [7, 7, 8]) {
      const index = await build({ ...pq(32, 4), nlist: 40, seed });
      results.push([...index.searchBatchSync(few, 10, { nprobe: 5 }).ids]);
    }
    expect(results[1]).toEqual(results[0]);
    expect(results[2]).not.toEqual(results[0]);
  });

  it('reranked distances are those of the copy', async () => {
    const index = await build({ ...pq(64, 4), rerank: 'f32' });
    const exact = keep(FlatIndex.createSync({ dim, metric: 'cosine' }));
    exact.addSync(vectors);
    const query = row(queries, dim, 3);
    const distances = new Map(listed(exact.searchSync(query, n)).map((x) => [x.id, x.distance]));
    for (const { id, distance } of index.searchSync(query, 10, { nprobe: 50 })) {
      expect(distance).toBeCloseTo(distances.get(id) as number, 6);
    }
  });

  it('a filter and removed rows are kept to', async () => {
    const index = await build({ ...pq(64, 4), rerank: 'f16' });
    await index.remove(Float64Array.from({ length: 1200 }, (_, i) => 3 * i));
    const filter = Float64Array.from({ length: n / 2 }, (_, i) => 2 * i);
    const before = index.searchBatchSync(queries, 10, { ...all, filter });
    for (const { ids } of before) expect(ids.every((id) => id % 2 === 0 && (id % 3 !== 0 || id >= 3600))).toBe(true);
    await index.compact();
    expect(index.stats().removed).toBe(0);
    expect(index.searchBatchSync(queries, 10, { ...all, filter })).toEqual(before);
  });
});
