// FlatIndex of codes: storage pq and rabitq.
import {
  type AnyIndex,
  createIndex,
  FlatIndex,
  type FlatIndexOptions,
  type FloatOptions,
  inspect,
  open,
  type Phase,
} from 'annex';
import { afterEach, describe, expect, it } from 'vitest';
import { byId, distance, floats, row } from './support/data.js';
import { expectFailure, expectNearest, listed, native } from './support/expect.js';
import { recallOfSample, sample } from './support/sample.js';

const open_: { close(): void }[] = [];
const keep = <T extends { close(): void }>(index: T): T => {
  open_.push(index);
  return index;
};
afterEach(() => {
  for (const index of open_.splice(0)) index.close();
});

const make = (options: FloatOptions): FlatIndex => keep(FlatIndex.createSync(options));
const pq = (m: number, bits: 4 | 8, more: object = {}) => ({ codec: 'pq', m, bits, ...more }) as const;
const filled = (options: FloatOptions, rows: Float32Array): FlatIndex => {
  const index = make(options);
  if (!index.trained) index.trainSync(rows.subarray(0, 5000 * options.dim));
  index.addSync(rows);
  return index;
};

describe('create', () => {
  it('tells what it was created with, and takes that again', () => {
    const storage = { codec: 'pq', m: 16, bits: 4, rotation: 'opq', dim: 32, anisotropic: 4 } as const;
    const options = { dim: 64, metric: 'ip', storage, sidecar: 'none', rerank: 'f16', seed: 2 ** 52, metadata: 'm' };
    const index = make(options as FloatOptions);
    expect(index.options()).toEqual(options);
    expect(index.constructor.name).toBe('FlatIndex');
    expect(make(index.options() as FloatOptions).options()).toEqual(options);
    expect(make({ dim: 8, storage: 'rabitq' }).options()).toEqual({
      dim: 8,
      metric: 'l2',
      storage: { codec: 'rabitq', bits: 1 },
      sidecar: 'none',
      rerank: 'none',
      seed: 0,
      metadata: undefined,
    });
    expect(make({ dim: 8 }).options()).not.toHaveProperty('rerank');
    expect(make({ dim: 8, rerank: 'none' }).options()).not.toHaveProperty('rerank');
  });

  it.each<[string, string, object]>([
    ['PQ4', 'pq', { m: 4, bits: 8, rotation: 'none' }],
    ['PQ4x4fs', 'pq', { m: 4, bits: 4, rotation: 'none' }],
    ['OPQ4,PQ4', 'pq', { m: 4, bits: 8, rotation: 'opq' }],
    ['OPQ4_8,PQ4x4', 'pq', { m: 4, bits: 4, rotation: 'opq', dim: 8 }],
    ['RaBitQ', 'rabitq', { bits: 1 }],
    ['RaBitQ4', 'rabitq', { bits: 4 }],
  ])('by the factory string %s', async (factory, codec, storage) => {
    const plain = keep(await createIndex(factory, { dim: 16 }));
    expect(plain).toBeInstanceOf(FlatIndex);
    expect(plain.options()).toMatchObject({ storage: { codec, ...storage }, rerank: 'none' });
    const reranks = keep(await createIndex(`${factory},Refine(SQ8)`, { dim: 16, metric: 'cosine' }));
    expect(reranks.options()).toMatchObject({ rerank: 'sq8' });
    expect(keep(await createIndex(`${factory},RFlat`, { dim: 16 })).options()).toMatchObject({ rerank: 'f32' });
  });

  it.each<[string, object, 'INVALID_ARGUMENT' | 'UNSUPPORTED', RegExp]>([
    ['l1', { storage: 'rabitq', metric: 'l1' }, 'UNSUPPORTED', /l2, ip and cosine, not l1/],
    ['m that does not divide', { storage: pq(5, 8) }, 'INVALID_ARGUMENT', /nearest that do are 4 and 8/],
    ['a sidecar', { storage: 'rabitq', sidecar: 'i8' }, 'UNSUPPORTED', /sidecar i8 serves rows/],
    ['rerank of bytes', { storage: 'rabitq', rerank: 'i8' }, 'UNSUPPORTED', /rerank is i8/],
    ['rerank of rows', { rerank: 'f16' }, 'UNSUPPORTED', /rerank of a flat index serves storage pq and rabitq/],
    ['a seed of rows', { storage: 'sq8', seed: 1 }, 'UNSUPPORTED', /seed of a flat index serves/],
    ['a seed out of range', { storage: 'rabitq', seed: -1 }, 'INVALID_ARGUMENT', /seed/],
  ])('refuses %s', async (_, options, code, message) => {
    await expectFailure(() => FlatIndex.create({ dim: 16, ...options } as FlatIndexOptions), code, message);
  });
});

describe('training', () => {
  it('pq wants it, once', async () => {
    const index = make({ dim: 16, storage: pq(4, 8) });
    expect(index.trained).toBe(false);
    await expectFailure(() => index.add(floats(1, 16)), 'NOT_TRAINED', /9984 rows/);
    await expectFailure(() => index.upsert([1], floats(1, 16)), 'NOT_TRAINED');
    await expectFailure(() => index.search(floats(1, 16)), 'NOT_TRAINED');
    await expectFailure(() => index.train([]), 'INVALID_ARGUMENT', /at least one/);
    await index.train(floats(1, 16)); // one row, if need be
    expect(index.trained).toBe(true);
    await expectFailure(() => index.train(floats(9, 16)), 'INVALID_ARGUMENT', /trained already/);
    await index.add(floats(3, 16));
    expect((await index.search(floats(1, 16), 5)).length).toBe(3);
  });

  it('rabitq refuses it, and answers while it is empty', async () => {
    const index = make({ dim: 16, storage: 'rabitq' });
    expect(index.trained).toBe(true);
    await expectFailure(() => index.train(floats(9, 16)), 'UNSUPPORTED', /needs no training/);
    expect((await index.search(floats(1, 16), 5)).length).toBe(0);
    await index.add([]);
    const same = keep(await open(await index.toBytes()));
    for (const one of [index, same as FlatIndex]) {
      one.addSync(floats(40, 16));
      expect(one.searchSync(floats(1, 16), 50).length).toBe(40);
    }
    expect(await same.toBytes()).toEqual(await index.toBytes());
  });

  it('tells its phases, and aborted it stays untrained', async () => {
    const storage = pq(8, 8, { rotation: 'opq' });
    for (const stop of ['rotation', 'codebooks', undefined] as const) {
      const index = make({ dim: 32, metric: 'cosine', storage });
      const controller = new AbortController();
      const phases: Phase[] = [];
      const training = index.train(floats(2000, 32), {
        signal: controller.signal,
        onProgress({ phase }) {
          if (phases.at(-1) !== phase) phases.push(phase);
          if (phase === stop && phases.includes('rotation')) controller.abort();
        },
      });
      if (stop === undefined) await training;
      else await expectFailure(() => training, 'ABORTED');
      expect(index.trained).toBe(stop === undefined);
      expect(phases).toContain('rotation');
    }
  });

  it.each<[string, () => Float32Array]>([
    ['constant rows', () => new Float32Array(400 * 16).fill(3)],
    ['zero rows', () => new Float32Array(400 * 16)],
    ['two different rows', () => new Float32Array(400 * 16).map((_, i) => Math.floor(i / 16) % 2)],
    ['rows far from the origin', () => floats(400, 16).map((x) => x + 1000)],
    ['huge rows', () => floats(400, 16).map((x) => x * 1e18)],
    ['tiny rows', () => floats(400, 16).map((x) => x * 1e-30)],
  ])('%s: every row can be found', (_, rows) => {
    for (const storage of [pq(4, 8), pq(4, 4), pq(2, 8, { rotation: 'opq', dim: 8 }), 'rabitq'] as const) {
      for (const metric of ['l2', 'ip'] as const) {
        const index = filled({ dim: 16, metric, storage }, rows());
        const found = index.searchSync(row(rows(), 16, 5), 400);
        expect(new Set(found.ids).size).toBe(400);
        expect(found.distances.every(Number.isFinite)).toBe(true);
      }
    }
  });
});

describe('distances', () => {
  const dim = 24;
  const rows = floats(900, dim, 3).map((x, i) => x + (i % dim === 3 ? 5 : 0));
  const queries = floats(20, dim, 4).map((x, i) => x + (i % dim === 3 ? 5 : 0));

  it.each(['l2', 'ip', 'cosine'] as const)('of pq are those of the decoded rows, under %s', (metric) => {
    for (const storage of [pq(6, 8), pq(6, 8, { rotation: 'opq' }), pq(4, 8, { rotation: 'random', dim: 12 })]) {
      const index = filled({ dim, metric, storage }, rows);
      const decoded = byId(new Float32Array(index.getMany(index.ids()).flatMap((x) => [...(x as Float32Array)])), dim);
      for (let q = 0; q < 20; q++) {
        const query = row(queries, dim, q);
        for (const found of listed(index.searchSync(query, 30))) {
          // Under cosine pq codes unit rows for l2: the distance is half the squared one of unit vectors.
          const wanted =
            metric === 'cosine'
              ? distance('l2', unit(query), decoded.get(found.id) as Float32Array) / 2
              : distance(metric, query, decoded.get(found.id) as Float32Array);
          expect(found.distance).toBeCloseTo(wanted, 3);
          if (metric === 'l2') expect(found.distance).toBeGreaterThanOrEqual(0);
        }
      }
    }
  });

  it('reranked ones are exact, single, batch, filtered, by any threads', () => {
    for (const storage of [pq(6, 8), pq(12, 4), 'rabitq', { codec: 'rabitq', bits: 5 }] as const) {
      for (const metric of ['l2', 'ip', 'cosine'] as const) {
        const index = filled({ dim, metric, storage, rerank: 'f32' }, rows);
        const all = { rerankFactor: 900 };
        const batch = index.searchBatchSync(queries, 10, all);
        for (let q = 0; q < 20; q++) {
          const query = row(queries, dim, q);
          expectNearest(batch.at(q), metric, byId(rows, dim), query, 10, { tolerance: 1e-4 });
          expect(listed(index.searchSync(query, 10, { ...all, threads: 2 }))).toEqual(listed(batch.at(q)));
        }
        const filter = [5, 77, 400, 401, 899, 5000];
        const few = index.searchSync(row(queries, dim, 0), 10, { filter });
        expect([...few.ids].sort((a, b) => a - b)).toEqual(filter.slice(0, 5));
      }
    }
  });

  it('of codes alone depend on neither threads, nor batches, nor how rows were handed over', async () => {
    const many = floats(70_000, 8, 9);
    const asked = floats(12, 8, 10);
    for (const storage of [pq(4, 8), pq(4, 4), 'rabitq', { codec: 'rabitq', bits: 3 }] as const) {
      const index = filled({ dim: 8, storage }, many);
      const one = index.searchBatchSync(asked, 50, { threads: 1 });
      expect(index.searchBatchSync(asked, 50, { threads: 2 })).toEqual(one);
      for (let q = 0; q < 12; q++) {
        expect(listed(index.searchSync(row(asked, 8, q), 50, { threads: 2 }))).toEqual(listed(one.at(q)));
      }
      const slices = make({ dim: 8, storage });
      if (!slices.trained) await slices.train(many.subarray(0, 5000 * 8));
      await slices.add(many);
      expect((await slices.toBytes()).length).toBe((await index.toBytes()).length);
      expect(slices.searchBatchSync(asked, 50)).toEqual(one);
    }
  });
});

function unit(x: Float32Array): Float32Array {
  const norm = Math.hypot(...x);
  return x.map((value) => value / norm);
}

describe.each<[string, FloatOptions['storage']]>([
  ['pq 8', pq(4, 8)],
  ['pq 4', pq(8, 4)],
  ['rabitq', 'rabitq'],
  ['rabitq 4', { codec: 'rabitq', bits: 4 }],
])('%s', (_, storage) => {
  const dim = 16;
  const rows = floats(300, dim, 5);

  it('remove, upsert, get, compact: the codes of the rows that are left are what they were', async () => {
    const index = filled({ dim, storage }, rows);
    const before = index.getMany(index.ids());
    await index.remove(Float64Array.from({ length: 100 }, (_, i) => 3 * i));
    await index.upsert([1, 2, 1000], floats(3, dim, 6));
    expect(index.size).toBe(201);
    await index.compact();
    const after = index.getMany(index.ids());
    for (const [at, id] of [...index.ids()].entries()) {
      if (id > 2 && id < 1000) expect(after[at]).toEqual(before[id]);
    }
    expect(index.get(1)).not.toEqual(before[1]);
    // The same row has the same code, wherever it stands.
    index.upsertSync([1, 1000], [...row(rows, dim, 1), ...row(rows, dim, 4)]);
    expect(index.get(1)).toEqual(before[1]);
    expect(index.get(1000)).toEqual(before[4]);
    expect(index.get(0)).toBeUndefined();
    const found = index.searchSync(row(rows, dim, 4), 300);
    expect(new Set(found.ids)).toEqual(new Set(index.ids()));
    const bytes = await index.toBytes();
    const same = keep(await open(bytes)) as FlatIndex;
    expect(listed(same.searchSync(row(rows, dim, 4), 300))).toEqual(listed(found));
    for (const one of [index, same]) {
      one.removeSync([4, 5]);
      one.addSync(floats(50, dim, 7));
    }
    expect(await same.toBytes()).toEqual(await index.toBytes());
    await index.remove(index.ids());
    expect(index.size).toBe(0);
    expect(index.searchSync(row(rows, dim, 4), 3).length).toBe(0);
    await index.add(rows);
    expect(index.searchSync(row(rows, dim, 4), 3).length).toBe(3);
  });

  it('filters of every share of the rows keep to what they allow', () => {
    const index = filled({ dim, storage }, floats(5000, dim, 8));
    const all = [...index.searchSync(row(rows, dim, 0), 5000).ids];
    for (const share of [1, 2, 7, 100, 2500]) {
      const filter = Float64Array.from({ length: 5000 / share }, (_, i) => Math.floor(i * share));
      const allowed = new Set(filter);
      const wanted = all.filter((id) => allowed.has(id)).slice(0, 10);
      expect([...index.searchSync(row(rows, dim, 0), 10, { filter }).ids]).toEqual(wanted);
      expect([...index.searchSync(row(rows, dim, 0), 10, { filter: (id) => allowed.has(id) }).ids]).toEqual(wanted);
    }
  });

  it('a write that fails or is aborted leaves nothing', async () => {
    const index = make({ dim, storage });
    if (!index.trained) index.trainSync(rows);
    const before = { stats: index.stats(), bytes: await index.toBytes() };
    const bad = floats(400, dim, 6);
    bad[399 * dim] = Number.NaN;
    await expectFailure(() => index.addSync(bad), 'NOT_FINITE', /row 399/);
    const controller = new AbortController();
    const adding = index.add(floats(60_000, dim, 6), { signal: controller.signal });
    controller.abort();
    await expectFailure(() => adding, 'ABORTED');
    expect(index.stats()).toEqual(before.stats);
    expect(await index.toBytes()).toEqual(before.bytes);
    index.addSync(rows);
    expect(index.searchSync(row(rows, dim, 4), 3).length).toBe(3);
  });

  it('refuses parameters of other kinds, and rerankFactor without a copy', async () => {
    const index = filled({ dim, storage }, rows);
    const query = row(rows, dim, 0);
    await expectFailure(() => index.searchSync(query, 3, { rerankFactor: 2 }), 'UNSUPPORTED', /nothing to rerank from/);
    await expectFailure(() => index.searchSync(query, 3, { nprobe: 2 } as object), 'INVALID_ARGUMENT', /nprobe/);
  });

  it.runIf(native)('is the same mapped', async () => {
    const { mkdtempSync, rmSync } = await import('node:fs');
    const { tmpdir } = await import('node:os');
    const { join } = await import('node:path');
    const directory = mkdtempSync(join(tmpdir(), 'annex-'));
    const path = join(directory, 'codes.annex');
    const index = filled({ dim, storage, rerank: 'f16' }, rows);
    await index.save(path);
    const mapped = keep((await open(path, { mmap: true })) as AnyIndex) as FlatIndex;
    const query = row(rows, dim, 9);
    expect(listed(mapped.searchSync(query, 20))).toEqual(listed(index.searchSync(query, 20)));
    expect((await inspect(path)).kind).toBe('flat');
    mapped.removeSync([9]);
    expect(mapped.searchSync(query, 300).length).toBe(299);
    mapped.close();
    rmSync(directory, { recursive: true });
  });
});

it('under cosine the zero vector is refused, also among the first rows', async () => {
  const index = make({ dim: 4, metric: 'cosine', storage: 'rabitq' });
  const rows = floats(10, 4);
  rows.fill(0, 12, 16);
  await expectFailure(() => index.add(rows), 'NOT_FINITE', /row 3 is the zero vector/);
  index.addSync(floats(10, 4));
  await expectFailure(() => index.search([0, 0, 0, 0]), 'NOT_FINITE', /zero vector/);
});

describe('memory', () => {
  // As HACKING.md has it.
  it.each<[string, FloatOptions, number]>([
    ['pq 8', { dim: 64, storage: pq(16, 8) }, 16],
    ['pq 4', { dim: 64, storage: pq(32, 4) }, 16],
    ['pq 4, ip, f16', { dim: 64, metric: 'ip', storage: pq(32, 4), rerank: 'f16' }, 16 + 2 * 64],
    ['rabitq', { dim: 64, storage: 'rabitq' }, 8 + 8],
    ['rabitq 3, cosine', { dim: 64, metric: 'cosine', storage: { codec: 'rabitq', bits: 3 } }, 8 + 4 + 16 + 8],
  ])('%s', (_, options, bytes) => {
    const n = 32_768; // rows apart lie in blocks of a power of two
    const index = make(options);
    const rows = floats(n, 64, 3);
    if (!index.trained) index.trainSync(rows.subarray(0, 64 * 2000));
    index.addSync(rows);
    const stats = index.stats();
    expect(stats.bytesCodes + stats.bytesRerank).toBeGreaterThanOrEqual(bytes * n);
    expect(stats.bytesCodes + stats.bytesRerank).toBeLessThan(1.02 * bytes * n);
    expect(stats.bytesIds).toBeLessThan(0.02 * bytes * n);
    expect(stats.bytesVectors).toBe(0);
  });
});

describe('on the WordNet sample', () => {
  const { dim, vectors } = sample;
  it.each<[string, Omit<FloatOptions, 'dim'>, number]>([
    ['pq 64 × 8', { storage: pq(64, 8) }, 0.7],
    ['pq 128 × 4', { storage: pq(128, 4) }, 0.6],
    ['opq 64 × 4', { storage: pq(64, 4, { rotation: 'opq' }) }, 0.5],
    ['pq 64 × 4, reranked by sq8', { storage: pq(64, 4), rerank: 'sq8' }, 0.9],
    ['pq 64 × 8, reranked by f32', { storage: pq(64, 8), rerank: 'f32' }, 0.97],
    ['rabitq 1 bit', { storage: 'rabitq' }, 0.4],
    ['rabitq 4 bits', { storage: { codec: 'rabitq', bits: 4 } }, 0.85],
    ['rabitq 1 bit, reranked by f32', { storage: 'rabitq', rerank: 'f32' }, 0.97],
  ])(
    '%s',
    (_, options, least) => {
      for (const metric of ['cosine', 'ip'] as const) {
        // Unit vectors: the metrics have the same neighbours.
        const index = filled({ ...options, dim, metric }, vectors);
        expect(recallOfSample(index), metric).toBeGreaterThanOrEqual(least);
      }
    },
    240_000,
  );

  it('the same seed makes the same index, another one another', async () => {
    const bytes = [7, 7, 8].map((seed) => filled({ dim, storage: 'rabitq', seed }, vectors).toBytesSync());
    expect(bytes[1]).toEqual(bytes[0]);
    expect(bytes[2]).not.toEqual(bytes[0]);
  });
});
