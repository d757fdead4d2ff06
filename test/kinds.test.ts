// What holds for every kind of index, beyond the suites of state, filters, bad input and the model.
import { type AnyIndex, HnswIndex, IvfIndex, open, type VectorIndex } from 'annex';
import { describe, expect, it } from 'vitest';
import { floats, row } from './support/data.js';
import { listed } from './support/expect.js';
import { subjects } from './support/subjects.js';

const dim = 24;
const rows = floats(1500, dim, 21);
const queries = floats(40, dim, 22);

/** Everything that a caller can see of an index. */
function seen(index: VectorIndex, parameters: object = {}): unknown {
  const { size } = index;
  const ids = [...index.ids()].sort((a, b) => a - b);
  const found = [...index.searchBatchSync(queries, 10, parameters)].map(listed);
  return { kind: index.constructor.name, options: index.options(), size, ids, rows: index.getMany(ids), found };
}

describe.each(subjects)('$name', ({ create, exact }) => {
  const filled = (): VectorIndex => {
    const index = create({ dim });
    index.addSync(rows);
    index.removeSync(Float64Array.from({ length: 200 }, (_, i) => 5 * i));
    index.upsertSync([7, 5000], floats(2, dim, 23));
    return index;
  };

  it('is the same after it was saved and opened, and goes on from there', async () => {
    const index = filled();
    const bytes = await index.toBytes();
    expect(index.toBytesSync()).toEqual(bytes);
    const same = (await open(bytes)) as unknown as VectorIndex;
    for (const parameters of [{}, exact]) expect(seen(same, parameters)).toEqual(seen(index, parameters));
    for (const one of [index, same]) {
      expect([...one.addSync(floats(300, dim, 24))]).toEqual(Array.from({ length: 300 }, (_, i) => 5001 + i));
      one.compactSync();
    }
    expect(seen(same, exact)).toEqual(seen(index, exact));
    expect(await same.toBytes()).toEqual(await index.toBytes());
    index.close();
    same.close();
  });

  it('the same calls make the same bytes', async () => {
    const [a, b] = [filled(), filled()];
    expect(await a.toBytes()).toEqual(await b.toBytes());
    a.close();
    b.close();
  });

  it('rows come back as they were given, and by the parts of stats their bytes are told', () => {
    const index = filled();
    for (const id of [1, 2, 499, 1499]) expect(index.get(id)).toEqual(row(rows, dim, id));
    expect(index.get(5)).toBeUndefined();
    const stats = index.stats();
    const {
      bytesTotal,
      bytesVectors,
      bytesSidecar,
      bytesIds,
      bytesNorms,
      bytesLinks,
      bytesCodes,
      bytesRerank,
      bytesCodebooks,
    } = stats;
    const parts = [
      bytesVectors,
      bytesSidecar,
      bytesIds,
      bytesNorms,
      bytesLinks,
      bytesCodes,
      bytesRerank,
      bytesCodebooks,
    ];
    for (const part of parts) expect(part).toBeGreaterThanOrEqual(0);
    const sum = parts.reduce((a, b) => a + b, 0);
    expect(sum).toBeGreaterThanOrEqual(1301 * dim * 4);
    expect(bytesTotal).toBeGreaterThanOrEqual(sum);
    expect(bytesTotal).toBeLessThan(1.1 * sum + 8192);
    expect(stats.size).toBe(1301);
    index.close();
  });

  it('a search by threads finds what one thread finds', () => {
    const index = filled();
    const one = index.searchBatchSync(queries, 10, { threads: 1 });
    const many = index.searchBatchSync(queries, 10, { threads: 8 });
    expect(many).toEqual(one);
    for (let q = 0; q < 40; q++) {
      const single = index.searchSync(row(queries, dim, q), 10, { threads: 8 });
      expect(listed(single)).toEqual(listed(one.at(q)));
    }
    index.close();
  });
});

it('an untrained index is saved and opened, too', async () => {
  const index = IvfIndex.createSync({ dim, nlist: 4, storage: { codec: 'pq', m: 8, bits: 4 }, metadata: [1] });
  const same: AnyIndex = await open(await index.toBytes());
  expect([same.trained, same.metadata, same.options()]).toEqual([false, [1], index.options()]);
  same.trainSync(rows);
  expect(same.trained).toBe(true);
  index.close();
  same.close();
});

it.each(['f16', 'sq8'] as const)('a graph of %s with a copy to rerank from is the same in a file', async (storage) => {
  const index = HnswIndex.createSync({ dim, storage, rerank: 'f32' });
  index.addSync(rows);
  const same = (await open(await index.toBytes())) as unknown as VectorIndex;
  expect(seen(same)).toEqual(seen(index));
  index.close();
  same.close();
});

it.each([
  { storage: { codec: 'pq', m: 8, bits: 4, rotation: 'opq' } },
  { storage: { codec: 'pq', m: 8, bits: 8 }, rerank: 'f16' },
  { storage: { codec: 'rabitq', bits: 3 }, rerank: 'f32', metric: 'cosine' },
  { storage: 'sq8', spill: 1 },
  { storage: 'f32', coarse: 'hnsw', balanced: true },
] as const)('lists of %j are the same in a file', async (options) => {
  const index = IvfIndex.buildSync(rows, { dim, nlist: 16, ...(options as { storage: 'f32' }) });
  const same = (await open(await index.toBytes())) as unknown as VectorIndex;
  expect(seen(same)).toEqual(seen(index));
  index.close();
  same.close();
});
