import { AnnexError, FlatIndex, type FlatIndexOptions, type Storage } from 'annex';
import { afterEach, describe, expect, it } from 'vitest';
import { floats, integers, row } from './support/data.js';
import { expectFailure, failure, listed } from './support/expect.js';

const open: { close(): void }[] = [];
const keep = <T extends { close(): void }>(index: T): T => {
  open.push(index);
  return index;
};
afterEach(() => {
  for (const index of open.splice(0)) index.close();
});

describe('create', () => {
  it('fills in defaults', async () => {
    const index = keep(await FlatIndex.create({ dim: 3 }));
    expect(index).toBeInstanceOf(FlatIndex);
    expect(index.options()).toEqual({ dim: 3, metric: 'l2', storage: 'f32', sidecar: 'none', metadata: undefined });
    expect([index.size, index.dim, index.metric, index.storage, index.metadata]).toEqual([
      0,
      3,
      'l2',
      'f32',
      undefined,
    ]);
  });

  it('takes storage as a name or as an object', () => {
    for (const storage of ['f16', { codec: 'f16' }] as const) {
      expect(keep(FlatIndex.createSync({ dim: 8, storage })).storage).toBe('f16');
    }
  });

  it('chooses packed bits for their metrics, and a metric for packed bits', () => {
    expect(keep(FlatIndex.createSync({ dim: 8, metric: 'jaccard' })).storage).toBe('bits');
    expect(keep(FlatIndex.createSync({ dim: 8, storage: 'bits' })).metric).toBe('hamming');
  });

  it('tells what the sidecar came to', () => {
    const sidecars = (['auto', 'none', 'i8'] as const).map(
      (sidecar) => keep(FlatIndex.createSync({ dim: 128, sidecar })).options().sidecar,
    );
    expect(sidecars).toEqual(['i8', 'none', 'i8']);
  });

  it('copies and freezes metadata', () => {
    const metadata = { model: 'all-MiniLM', tags: ['a'], n: 3, none: null };
    const index = keep(FlatIndex.createSync({ dim: 2, metadata }));
    metadata.tags.push('b');
    expect(index.metadata).toEqual({ model: 'all-MiniLM', tags: ['a'], n: 3, none: null });
    expect(() => (index.metadata as { tags: string[] }).tags.push('c')).toThrow(TypeError);
  });

  const bad: [string, unknown, string, RegExp][] = [
    ['no options', undefined, 'INVALID_TYPE', /options object, got undefined/],
    ['a number', 5, 'INVALID_TYPE', /options object, got 5/],
    ['an array', [3], 'INVALID_TYPE', /got an array of 1/],
    ['no dim', {}, 'INVALID_TYPE', /dim.*got undefined/],
    ['dim as text', { dim: '3' }, 'INVALID_TYPE', /got "3"/],
    ['dim 0', { dim: 0 }, 'INVALID_ARGUMENT', /1 to 32768, got 0/],
    ['dim 1.5', { dim: 1.5 }, 'INVALID_ARGUMENT', /got 1\.5/],
    ['dim NaN', { dim: Number.NaN }, 'INVALID_ARGUMENT', /got NaN/],
    ['dim 32769', { dim: 32769 }, 'INVALID_ARGUMENT', /got 32769/],
    ['an unknown option', { dim: 3, metrics: 'l2' }, 'INVALID_ARGUMENT', /"metrics" \(did you mean "metric"\?\)/],
    ['an unknown metric', { dim: 3, metric: 'cosin' }, 'INVALID_ARGUMENT', /did you mean "cosine"/],
    ['a metric of a wrong type', { dim: 3, metric: 2 }, 'INVALID_TYPE', /metric.*got 2/],
    ['an unknown storage', { dim: 3, storage: 'fp16' }, 'INVALID_ARGUMENT', /did you mean "f16"/],
    ['an unknown codec', { dim: 3, storage: { codec: 'pqq' } }, 'INVALID_ARGUMENT', /storage\.codec/],
    ['a codec option', { dim: 3, storage: { codec: 'f32', m: 4 } }, 'INVALID_ARGUMENT', /no option "m"/],
    ['an unknown sidecar', { dim: 3, sidecar: 'bf16' }, 'INVALID_ARGUMENT', /sidecar/],
    ['hamming of floats', { dim: 8, metric: 'hamming', storage: 'f32' }, 'UNSUPPORTED', /storage "bits", got "f32"/],
    ['l2 of bits', { dim: 8, metric: 'l2', storage: 'bits' }, 'UNSUPPORTED', /"hamming" or "jaccard", got "l2"/],
    ['bits of dim 12', { dim: 12, storage: 'bits' }, 'INVALID_ARGUMENT', /multiple of 8.*got 12/],
    ['a sidecar of bytes', { dim: 8, storage: 'i8', sidecar: 'i8' }, 'UNSUPPORTED', /sidecar/],
    [
      'product quantization of bits',
      { dim: 8, metric: 'hamming', storage: { codec: 'pq', m: 2 } },
      'UNSUPPORTED',
      /bits/,
    ],
    ['metadata with a BigInt', { dim: 3, metadata: { n: 1n } }, 'INVALID_ARGUMENT', /metadata/],
    ['metadata that is a function', { dim: 3, metadata: () => 1 }, 'INVALID_TYPE', /metadata/],
  ];
  it.each(bad)('refuses %s', async (_, options, code, message) => {
    const sync = await failure(() => FlatIndex.createSync(options as FlatIndexOptions));
    const async = await failure(() => FlatIndex.create(options as FlatIndexOptions));
    expect([sync.code, async.code]).toEqual([code, code]);
    expect(sync.message).toMatch(message);
    expect(async.message).toBe(sync.message);
  });

  it('cannot be constructed', () => {
    const Constructor = FlatIndex as unknown as new () => unknown;
    expect(() => new Constructor()).toThrow(AnnexError);
    expect(() => new Constructor()).toThrow(/FlatIndex\.create/);
  });
});

describe('add', () => {
  it('gives ids 0, 1, 2 … and goes on from the largest ever used', async () => {
    const index = keep(await FlatIndex.create({ dim: 2 }));
    expect(await index.add([1, 2, 3, 4])).toEqual(Float64Array.of(0, 1));
    expect(index.addSync([[5, 6]], { ids: [10] })).toEqual(Float64Array.of(10));
    expect(index.removeSync(10)).toBe(1);
    expect(await index.add(Float32Array.of(7, 8, 9, 10))).toEqual(Float64Array.of(11, 12));
    expect(index.ids()).toEqual(Float64Array.of(0, 1, 11, 12));
  });

  it('takes vectors in every form', async () => {
    const index = keep(await FlatIndex.create({ dim: 2 }));
    const forms = [
      Float32Array.of(1, 2, 3, 4),
      Float64Array.of(1, 2, 3, 4),
      [1, 2, 3, 4],
      [
        [1, 2],
        [3, 4],
      ],
      [Float32Array.of(1, 2), Float64Array.of(3, 4)],
    ];
    for (const form of forms) {
      const [a, b] = await index.add(form);
      const [c, d] = index.addSync(form);
      for (const id of [a, c]) expect(index.get(id as number)).toEqual(Float32Array.of(1, 2));
      for (const id of [b, d]) expect(index.get(id as number)).toEqual(Float32Array.of(3, 4));
    }
  });

  it('takes ids in every form', () => {
    const index = keep(FlatIndex.createSync({ dim: 1 }));
    const forms = [
      [0, 1],
      [2n, 3n],
      Float64Array.of(4, 5),
      Uint32Array.of(6, 7),
      Int32Array.of(8, 9),
      BigInt64Array.of(10n, 11n),
      BigUint64Array.of(12n, 13n),
      Uint16Array.of(14, 15),
      Uint8Array.of(16, 17),
    ];
    for (const ids of forms) index.addSync([0, 1], { ids });
    index.addSync([5], { ids: 18 });
    index.addSync([5], { ids: [Number.MAX_SAFE_INTEGER] });
    expect(index.ids()).toEqual(Float64Array.from([...Array(19).keys(), Number.MAX_SAFE_INTEGER]));
  });

  it('takes nothing', async () => {
    const index = keep(await FlatIndex.create({ dim: 2 }));
    for (const nothing of [[], new Float32Array(0), new Float64Array(0)]) {
      expect(await index.add(nothing)).toEqual(new Float64Array(0));
      expect(index.addSync(nothing, { ids: [] })).toEqual(new Float64Array(0));
    }
    expect(index.size).toBe(0);
  });

  it('takes views at any offset, Buffers and subclasses', () => {
    class Vector extends Float32Array {}
    const index = keep(FlatIndex.createSync({ dim: 3 }));
    const buffer = new ArrayBuffer(64);
    const view = new Float32Array(buffer, 4, 3);
    view.set([1, 2, 3]);
    index.addSync(view);
    index.addSync(Vector.of(4, 5, 6));
    expect([index.get(0), index.get(1)]).toEqual([Float32Array.of(1, 2, 3), Float32Array.of(4, 5, 6)]);
    const bytes = keep(FlatIndex.createSync({ dim: 3, storage: 'u8' }));
    bytes.addSync(Buffer.from([7, 8, 9]));
    expect(bytes.get(0)).toEqual(Uint8Array.of(7, 8, 9));
  });

  it('stores bytes exactly, also from integral floats', () => {
    const i8 = keep(FlatIndex.createSync({ dim: 3, storage: 'i8' }));
    for (const form of [Int8Array.of(-128, 0, 127), Float32Array.of(-128, 0, 127), [-128, 0, 127]]) {
      const [id] = i8.addSync(form);
      expect(i8.get(id as number)).toEqual(Int8Array.of(-128, 0, 127));
    }
    const u8 = keep(FlatIndex.createSync({ dim: 3, storage: 'u8' }));
    for (const form of [
      Uint8Array.of(0, 1, 255),
      Float64Array.of(0, 1, 255),
      [[0, 1, 255]],
      Uint8ClampedArray.of(0, 1, 255),
    ]) {
      const [id] = u8.addSync(form);
      expect(u8.get(id as number)).toEqual(Uint8Array.of(0, 1, 255));
    }
    const bits = keep(FlatIndex.createSync({ dim: 24, storage: 'bits' }));
    bits.addSync([Uint8Array.of(1, 2, 3), Uint8Array.of(255, 0, 128)]);
    expect(bits.getMany([0, 1])).toEqual([Uint8Array.of(1, 2, 3), Uint8Array.of(255, 0, 128)]);
  });

  it('rounds floats as their storage says', () => {
    const dim = 40;
    const rows = floats(50, dim);
    const largest: Record<string, number> = { f32: 0, f16: 2 ** -11, bf16: 2 ** -8, sq8: 2 / 255 };
    for (const storage of ['f32', 'f16', 'bf16', 'sq8'] as const) {
      const index = keep(FlatIndex.createSync({ dim, storage }));
      index.addSync(rows);
      const stored = index.getMany(index.ids());
      const errors = stored.flatMap((r, i) =>
        Array.from(r ?? [], (x, j) => Math.abs(x - (rows[i * dim + j] as number))),
      );
      expect(errors).toHaveLength(rows.length);
      expect(Math.max(...errors)).toBeLessThanOrEqual(largest[storage] as number);
    }
  });
});

describe('upsert, remove, has, get', () => {
  it('replaces what is there and adds what is not', async () => {
    const index = keep(await FlatIndex.create({ dim: 2 }));
    await index.add([1, 1, 2, 2]);
    await index.upsert([1, 5], [9, 9, 5, 5]);
    index.upsertSync(5, [6, 6]);
    expect(index.size).toBe(3);
    expect(index.getMany([0, 1, 5])).toEqual([Float32Array.of(1, 1), Float32Array.of(9, 9), Float32Array.of(6, 6)]);
    expect(listed(await index.search([9, 9], 1))).toEqual([{ id: 1, distance: 0 }]);
  });

  it('removes what is there and passes over the rest', async () => {
    const index = keep(await FlatIndex.create({ dim: 1 }));
    await index.add([0, 1, 2, 3, 4]);
    expect(await index.remove([1, 3, 77])).toBe(2);
    expect(index.removeSync(Uint32Array.of(1))).toBe(0);
    expect(await index.remove(0)).toBe(1);
    expect([...index.ids()].sort()).toEqual([2, 4]);
    expect([0, 1, 2, 3, 4].map((id) => index.has(id))).toEqual([false, false, true, false, true]);
    expect(index.get(3)).toBeUndefined();
    expect(index.getMany([4, 3, 2])).toEqual([Float32Array.of(4), undefined, Float32Array.of(2)]);
    expect(listed(index.searchSync([1], 5))).toEqual([
      { id: 2, distance: 1 },
      { id: 4, distance: 9 },
    ]);
  });

  it('gives rows that are the caller’s own', () => {
    const index = keep(FlatIndex.createSync({ dim: 2 }));
    index.addSync([1, 2, 3, 4]);
    (index.get(0) as Float32Array)[0] = 99;
    const [a, b] = index.getMany([0, 1]);
    expect(a?.buffer).not.toBe(b?.buffer);
    expect(a).toEqual(Float32Array.of(1, 2));
  });

  it('gets many rows, more than fit in one slice', () => {
    const dim = 512;
    const rows = integers(new Float32Array(1500 * dim), -9, 9);
    const index = keep(FlatIndex.createSync({ dim }));
    index.addSync(rows);
    const got = index.getMany(index.ids());
    expect(got).toHaveLength(1500);
    for (const i of [0, 511, 512, 513, 1499]) expect(got[i]).toEqual(row(rows, dim, i));
  });

  it('refuses what is no id', async () => {
    const index = keep(FlatIndex.createSync({ dim: 1 }));
    for (const id of [-1, 1.5, Number.NaN, 2 ** 53, Number.POSITIVE_INFINITY]) {
      await expectFailure(() => index.has(id), 'INVALID_ID', /2\^53/);
      await expectFailure(() => index.get(id), 'INVALID_ID', /2\^53/);
      await expectFailure(() => index.getMany([0, id]), 'INVALID_ID', /2\^53/);
    }
    for (const id of ['0', null, undefined, {}, [0]]) {
      await expectFailure(() => index.has(id as never), 'INVALID_TYPE');
      await expectFailure(() => index.get(id as never), 'INVALID_TYPE');
    }
  });
});

describe('stats', () => {
  it('counts bytes by part', () => {
    const index = keep(FlatIndex.createSync({ dim: 64, sidecar: 'i8', metric: 'cosine' }));
    index.addSync(floats(1000, 64));
    const stats = index.stats();
    expect(stats.size).toBe(1000);
    expect(stats.bytesVectors).toBeGreaterThanOrEqual(1000 * 64 * 4);
    expect(stats.bytesSidecar).toBeGreaterThanOrEqual(1000 * 64);
    expect(stats.bytesIds).toBe(0);
    const parts = stats.bytesVectors + stats.bytesSidecar + stats.bytesIds + stats.bytesNorms;
    expect(stats.bytesTotal).toBeGreaterThanOrEqual(parts);
    index.searchSync(floats(1, 64, 9), 3);
    expect(index.stats().scanned).toBeGreaterThanOrEqual(1000);
    index.removeSync(0);
    expect(index.stats().bytesIds).toBeGreaterThan(0);
  });
});

describe('edges', () => {
  it('searches nothing, one row, and fewer rows than k', async () => {
    const index = keep(await FlatIndex.create({ dim: 2 }));
    for (const k of [1, 10, 1e9, Number.MAX_SAFE_INTEGER]) {
      expect(index.searchSync([1, 2], k).length).toBe(0);
      expect((await index.search([1, 2], k)).length).toBe(0);
      const batch = await index.searchBatch([1, 2, 3, 4], k);
      expect([batch.length, batch.k, batch.ids.length, ...batch.counts]).toEqual([2, 0, 0, 0, 0]);
    }
    await index.add([1, 2]);
    for (const k of [1, 1e9]) expect(listed(index.searchSync([1, 4], k))).toEqual([{ id: 0, distance: 4 }]);
    expect(listed(await index.search([1, 4], 1e9))).toEqual([{ id: 0, distance: 4 }]);
    expect((await index.searchBatch([1, 4], 1e9)).ids).toEqual(Float64Array.of(0));
    expect((await index.searchBatch([], 5)).length).toBe(0);
    expect(index.searchBatchSync(new Float32Array(0)).length).toBe(0);
  });

  it('finds ten by default', () => {
    const index = keep(FlatIndex.createSync({ dim: 1 }));
    index.addSync([...Array(20).keys()]);
    expect(index.searchSync([0]).length).toBe(10);
    expect(index.searchBatchSync([0, 1]).k).toBe(10);
  });

  it.each([1, 2, 4096, 32768])('works with dim %i', (dim) => {
    const index = keep(FlatIndex.createSync({ dim }));
    const rows = integers(new Float32Array(5 * dim), -3, 3, dim);
    index.addSync(rows);
    const hit = index.searchSync(row(rows, dim, 3), 5);
    expect(hit.length).toBe(5);
    expect(hit.distances[0]).toBe(0);
    if (dim > 100) expect(hit.ids[0]).toBe(3);
    expect(index.get(4)).toEqual(row(rows, dim, 4));
  });

  it('orders equal distances by id', async () => {
    for (const storage of ['f32', 'i8', 'sq8'] satisfies Storage[]) {
      const index = keep(await FlatIndex.create({ dim: 64, storage } as FlatIndexOptions));
      const ids = [50, 7, 900, 3, 41, 8, 1000, 2];
      await index.add(new Float32Array(8 * 64).fill(1), { ids });
      const sorted = [...ids].sort((a, b) => a - b);
      const query = new Float32Array(64).fill(2);
      expect([...(await index.search(query, 8)).ids]).toEqual(sorted);
      expect([...index.searchSync(query, 3).ids]).toEqual(sorted.slice(0, 3));
      const many = new Float32Array(64 * 40).fill(2);
      for (const hit of await index.searchBatch(many, 5)) expect([...hit.ids]).toEqual(sorted.slice(0, 5));
    }
  });
});

describe('close', () => {
  it('is allowed twice and works with Symbol.dispose', () => {
    const index = FlatIndex.createSync({ dim: 1, metric: 'ip' });
    expect(index.closed).toBe(false);
    index[Symbol.dispose]();
    index.close();
    expect(index.closed).toBe(true);
    expect([index.dim, index.metric, index.storage]).toEqual([1, 'ip', 'f32']);
  });
});
