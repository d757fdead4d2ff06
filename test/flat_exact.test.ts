import { FlatIndex, type FlatIndexOptions, type Metric, type Rows } from 'annex';
import { describe, expect, it } from 'vitest';
import { floats, integers, random, row } from './support/data.js';
import { expectNearest, listed } from './support/expect.js';

const floatMetrics: Metric[] = ['l2', 'ip', 'cosine', 'l1'];
const floatStorages = ['f32', 'f16', 'bf16', 'sq8'] as const;

function indexOf(options: FlatIndexOptions, rows: Rows, ids?: number[]): FlatIndex<Rows> {
  const index = FlatIndex.createSync(options);
  index.addSync(rows, ids === undefined ? {} : { ids });
  return index;
}

/** Rows as the index stores them: what its distances are of. */
function stored(index: FlatIndex<Rows>): Map<number, Rows> {
  const ids = index.ids();
  return new Map(index.getMany(ids).map((r, i) => [ids[i] as number, r as Rows]));
}

async function checkAll(
  index: FlatIndex<Rows>,
  queries: Rows,
  width: number,
  k: number,
  tolerance: number,
): Promise<void> {
  const rows = stored(index);
  const nq = queries.length / width;
  const batch = await index.searchBatch(queries, k);
  for (let q = 0; q < nq; q++) {
    const query = row(queries, width, q);
    const single = index.searchSync(query, k);
    expectNearest(single, index.metric, rows, query, k, { tolerance });
    expect(listed(batch.at(q))).toEqual(listed(single));
    expect(listed(await index.search(query, k))).toEqual(listed(single));
  }
}

describe.each([1, 3, 16, 33, 100])('dim %i', (dim) => {
  it.each(floatStorages.flatMap((s) => floatMetrics.map((m) => [s, m] as const)))(
    '%s under %s agrees with the definition',
    async (storage, metric) => {
      const index = indexOf({ dim, metric, storage }, floats(300, dim, dim));
      // A distance of 32-bit sums over dim terms of size 1, or 4 for l2.
      await checkAll(index, floats(20, dim, 77), dim, 10, 2e-6 * (4 + dim));
      index.close();
    },
  );

  it.each(['l2', 'ip', 'l1'] as const)('integers under %s are exact, ties by id', async (metric) => {
    // f16 and bf16 hold small integers exactly; sq8 rounds.
    for (const storage of ['f32', 'f16', 'bf16'] as const) {
      const index = indexOf({ dim, metric, storage }, integers(new Float32Array(400 * dim), -2, 2, dim));
      await checkAll(index, integers(new Float32Array(20 * dim), -2, 2, 5), dim, 15, 0);
      index.close();
    }
  });

  it.each(floatMetrics)('bytes under %s', async (metric) => {
    const tolerance = metric === 'cosine' ? 1e-5 : 0;
    const i8 = indexOf({ dim, metric, storage: 'i8' }, nonZero(integers(new Int8Array(300 * dim), -128, 127), dim));
    await checkAll(i8, nonZero(integers(new Int8Array(20 * dim), -128, 127, 3), dim), dim, 10, tolerance);
    const u8 = indexOf({ dim, metric, storage: 'u8' }, nonZero(integers(new Uint8Array(300 * dim), 0, 255), dim));
    await checkAll(u8, nonZero(integers(new Uint8Array(20 * dim), 0, 255, 3), dim), dim, 10, tolerance);
    i8.close();
    u8.close();
  });
});

/** The zero vector has no place under cosine. */
function nonZero<T extends Rows>(rows: T, dim: number): T {
  for (let i = 0; i < rows.length; i += dim) if (rows[i] === 0) rows[i] = 1;
  return rows;
}

it.each([8, 24, 64, 200, 1024])('packed bits of dim %i', async (dim) => {
  for (const metric of ['hamming', 'jaccard'] as const) {
    const width = dim / 8;
    const index = indexOf({ dim, metric }, integers(new Uint8Array(300 * width), 0, 255, dim));
    await checkAll(index, integers(new Uint8Array(20 * width), 0, 255, 4), width, 10, metric === 'jaccard' ? 1e-6 : 0);
    index.close();
  }
});

it('two empty sets of bits are the same under jaccard', () => {
  const index = indexOf({ dim: 8, metric: 'jaccard' }, Uint8Array.of(0, 1));
  expect(listed(index.searchSync(Uint8Array.of(0), 2))).toEqual([
    { id: 0, distance: 0 },
    { id: 1, distance: 1 },
  ]);
});

describe('one answer, however it is found', () => {
  const dim = 96;
  const n = 2000;
  const families: Record<string, () => Float32Array> = {
    uniform: () => floats(n, dim, 1),
    'large norms': () => floats(n, dim, 2).map((x) => x * 1e15),
    denormals: () => floats(n, dim, 3).map((x) => x * 1e-39),
    'one large column': () => floats(n, dim, 4).map((x, i) => (i % dim === 7 ? 1e6 : x)),
    'few distinct rows': () => {
      const some = floats(7, dim, 5);
      return floats(n, dim, 5).map((_, i) => some[(Math.floor(i / dim) % 7) * dim + (i % dim)] as number);
    },
    'near ties': () => {
      const base = floats(1, dim, 6);
      const noise = floats(n, dim, 7);
      return noise.map((x, i) => (base[i % dim] as number) + x * 1e-6);
    },
  };
  it.each(Object.keys(families).flatMap((f) => (['l2', 'ip', 'cosine'] as const).map((m) => [f, m] as const)))(
    '%s under %s: sidecar, threads, single and batch',
    async (family, metric) => {
      const rows = (families[family] as () => Float32Array)();
      const next = random(8);
      const queries = new Float32Array(40 * dim);
      for (let q = 0; q < 40; q++) {
        const from = Math.floor(next() * n) * dim;
        for (let j = 0; j < dim; j++) queries[q * dim + j] = (rows[from + j] as number) * (q % 2 === 0 ? 1 : 0.9);
      }
      const ids = Array.from({ length: n }, (_, i) => (i * 7919) % 100_003);
      const plain = indexOf({ dim, metric, sidecar: 'none' }, rows, ids);
      const narrow = indexOf({ dim, metric, sidecar: 'i8' }, rows, ids);
      expect(narrow.options().sidecar).toBe('i8');
      const expected = plain.searchBatchSync(queries, 12, { threads: 1 });
      for (const index of [plain, narrow]) {
        for (const threads of [1, 2]) {
          const batch = await index.searchBatch(queries, 12, { threads });
          expect(batch.ids).toEqual(expected.ids);
          expect(batch.distances).toEqual(expected.distances);
        }
        const together = await Promise.all(
          Array.from({ length: 40 }, (_, q) => index.search(row(queries, dim, q), 12)),
        );
        for (let q = 0; q < 40; q++) {
          expect(listed(together[q] as never)).toEqual(listed(expected.at(q)));
          expect(listed(index.searchSync(row(queries, dim, q), 12))).toEqual(listed(expected.at(q)));
        }
      }
      plain.close();
      narrow.close();
    },
  );
});

it('agrees after many changes', async () => {
  const dim = 20;
  const index = FlatIndex.createSync({ dim, storage: 'i8' });
  const model = new Map<number, Int8Array>();
  const next = random(3);
  for (let step = 0; step < 60; step++) {
    const ids = [...new Set(Array.from({ length: 50 }, () => Math.floor(next() * 1500)))];
    if (step % 3 === 2) {
      expect(index.removeSync(ids)).toBe(ids.filter((id) => model.delete(id)).length);
      continue;
    }
    const rows = integers(new Int8Array(ids.length * dim), -50, 50, step);
    await index.upsert(ids, rows);
    ids.forEach((id, i) => void model.set(id, row(rows, dim, i).slice()));
  }
  expect(index.size).toBe(model.size);
  expect([...index.ids()].sort((a, b) => a - b)).toEqual([...model.keys()].sort((a, b) => a - b));
  const queries = integers(new Int8Array(30 * dim), -50, 50, 99);
  const batch = index.searchBatchSync(queries, 20);
  for (let q = 0; q < 30; q++) expectNearest(batch.at(q), 'l2', model, row(queries, dim, q), 20);
});

it('a million columns of results are not made for a small index', async () => {
  const index = indexOf({ dim: 2 }, Float32Array.of(0, 0, 1, 1));
  const batch = await index.searchBatch(new Float32Array(2 * 10_000), 1e9);
  expect([batch.k, batch.length, batch.ids.length]).toEqual([2, 10_000, 20_000]);
});
