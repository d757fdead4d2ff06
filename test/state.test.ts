import { type AnnexError, IvfIndex, type VectorIndex } from 'annex';
import { describe, expect, it } from 'vitest';
import { floats } from './support/data.js';
import { expectFailure } from './support/expect.js';
import { subjects } from './support/subjects.js';

/** Every method and accessor that needs an open index. */
const methods: Record<string, (index: VectorIndex) => unknown> = {
  size: (i) => i.size,
  stats: (i) => i.stats(),
  ids: (i) => i.ids(),
  has: (i) => i.has(0),
  get: (i) => i.get(0),
  getMany: (i) => i.getMany([0]),
  add: (i) => i.add([1, 2]),
  addSync: (i) => i.addSync([1, 2]),
  upsert: (i) => i.upsert([0], [1, 2]),
  upsertSync: (i) => i.upsertSync([0], [1, 2]),
  compact: (i) => i.compact(),
  compactSync: (i) => i.compactSync(),
  trained: (i) => i.trained,
  remove: (i) => i.remove([0]),
  removeSync: (i) => i.removeSync([0]),
  search: (i) => i.search([1, 2]),
  searchSync: (i) => i.searchSync([1, 2]),
  searchBatch: (i) => i.searchBatch([1, 2]),
  searchBatchSync: (i) => i.searchBatchSync([1, 2]),
  'search with a predicate': (i) => i.search([1, 2], 1, { filter: () => true }),
};
const asynchronous = new Set([
  'add',
  'upsert',
  'compact',
  'remove',
  'search',
  'searchBatch',
  'search with a predicate',
]);
const names = Object.keys(methods);

describe.each(subjects)('$name', ({ create }) => {
  describe('closed', () => {
    it.each(names)('%s fails with CLOSED', async (name) => {
      const index = create({ dim: 2 });
      index.addSync([1, 2]);
      index.close();
      const call = methods[name] as (index: VectorIndex) => unknown;
      if (asynchronous.has(name)) expect(() => void (call(index) as Promise<void>).catch(() => {})).not.toThrow();
      await expectFailure(() => call(index), 'CLOSED', /closed/);
    });

    it('share and train fail with CLOSED', async () => {
      const index = create({ dim: 2 });
      index.close();
      await expectFailure(() => index.share(), 'CLOSED');
      await expectFailure(() => index.train([1, 2]), 'CLOSED');
      await expectFailure(() => index.trainSync([1, 2]), 'CLOSED');
    });
  });

  describe('empty', () => {
    it.each(names)('%s works', async (name) => {
      const index = create({ dim: 2 });
      await (methods[name] as (index: VectorIndex) => unknown)(index);
      index.close();
    });
  });

  describe('busy', () => {
    const rows = floats(5000, 64);
    const writers = ['addSync', 'upsertSync', 'removeSync', 'compactSync'];
    const index = (): VectorIndex => create({ dim: 64 });
    const calls: Record<string, (i: VectorIndex) => unknown> = {
      ...methods,
      add: (i) => i.add(rows.subarray(0, 64)),
      addSync: (i) => i.addSync(rows.subarray(0, 64)),
      upsert: (i) => i.upsert([0], rows.subarray(0, 64)),
      upsertSync: (i) => i.upsertSync([0], rows.subarray(0, 64)),
      search: (i) => i.search(rows.subarray(0, 64)),
      searchSync: (i) => i.searchSync(rows.subarray(0, 64)),
      searchBatch: (i) => i.searchBatch(rows.subarray(0, 64)),
      searchBatchSync: (i) => i.searchBatchSync(rows.subarray(0, 64)),
      'search with a predicate': (i) => i.search(rows.subarray(0, 64), 1, { filter: () => true }),
    };

    it.each(writers)('%s during an asynchronous add fails with BUSY and does no harm', async (name) => {
      const i = index();
      const adding = i.add(rows);
      await expectFailure(() => (calls[name] as (i: VectorIndex) => unknown)(i), 'BUSY', /await it/);
      expect((await adding).length).toBe(5000);
      (calls[name] as (i: VectorIndex) => unknown)(i);
      i.close();
    });

    it.each(names.filter((name) => !writers.includes(name)))('%s works during an asynchronous add', async (name) => {
      const i = index();
      const adding = i.add(rows);
      await (calls[name] as (i: VectorIndex) => unknown)(i);
      await adding;
      expect(i.size).toBeGreaterThanOrEqual(name === 'remove' ? 4999 : 5000);
      i.close();
    });

    it('a synchronous writer works while a search runs', async () => {
      const i = index();
      i.addSync(rows);
      const searching = i.searchBatch(rows.subarray(0, 64 * 200), 5);
      i.addSync(rows.subarray(0, 64));
      i.removeSync([1]);
      const batch = await searching;
      expect(batch.length).toBe(200);
      expect(batch.at(0).distances[0]).toBe(0);
      i.close();
    });

    it('close ends a running add with CLOSED and lets searches finish', async () => {
      const i = index();
      i.addSync(rows);
      const outcome: Promise<AnnexError | null>[] = [];
      const caught = (p: Promise<unknown>): void => void outcome.push(p.then(() => null).catch((e) => e));
      caught(i.add(rows));
      caught(i.add(rows));
      caught(i.remove([1]));
      caught(i.search(rows.subarray(0, 64)));
      caught(i.searchBatch(rows.subarray(0, 64 * 100)));
      i.close();
      const [a, b, c, ...searches] = await Promise.all(outcome);
      expect([a?.code, b?.code, c?.code]).toEqual(['CLOSED', 'CLOSED', 'CLOSED']);
      expect(searches).toEqual([null, null]);
    });
  });

  it('asynchronous writers run in the order of their calls', async () => {
    const i = create({ dim: 1 });
    const results = await Promise.allSettled([
      i.add([0, 1, 2]),
      i.remove([1]),
      i.add([5, 6], { ids: [0, 9] }),
      i.add([7]),
      i.upsert([0, 1], [10, 11]),
      i.remove([2, 3]),
      i.add([8]),
    ]);
    expect(results.map((r) => r.status)).toEqual([
      'fulfilled',
      'fulfilled',
      'rejected',
      'fulfilled',
      'fulfilled',
      'fulfilled',
      'fulfilled',
    ]);
    expect(Object.fromEntries([...i.ids()].sort().map((id) => [id, i.get(id)?.[0]]))).toEqual({ 0: 10, 1: 11, 4: 8 });
    i.addSync([1]);
    i.close();
  });
});

describe('untrained', () => {
  const untrained = (): IvfIndex => IvfIndex.createSync({ dim: 2, nlist: 4 });
  const refused = ['add', 'addSync', 'upsert', 'upsertSync', ...names.filter((name) => name.startsWith('search'))];

  it.each(refused)('%s fails with NOT_TRAINED', async (name) => {
    const index = untrained();
    await expectFailure(() => (methods[name] as (i: VectorIndex) => unknown)(index), 'NOT_TRAINED', /train/);
    expect([index.size, index.trained]).toEqual([0, false]);
    index.close();
  });

  it.each(names.filter((name) => !refused.includes(name)))('%s works', async (name) => {
    const index = untrained();
    await (methods[name] as (i: VectorIndex) => unknown)(index);
    index.close();
  });

  it('kinds that need no training say so, and refuse it', async () => {
    for (const { create } of subjects.filter(({ trains }) => !trains)) {
      const index = create({ dim: 2 });
      expect(index.trained).toBe(true);
      await expectFailure(() => index.train([1, 2]), 'UNSUPPORTED', /training/);
      await expectFailure(() => index.trainSync([1, 2]), 'UNSUPPORTED', /training/);
      index.close();
    }
  });

  it('training during an asynchronous training fails with BUSY', async () => {
    const index = untrained();
    const training = index.train(floats(400, 2));
    await expectFailure(() => index.trainSync(floats(400, 2)), 'BUSY', /await it/);
    await training;
    expect(index.trained).toBe(true);
    index.close();
  });
});
