import { Worker } from 'node:worker_threads';
import { attach, FlatIndex, HnswIndex, IvfIndex, type ShareToken } from 'annex';
import { describe, expect, it } from 'vitest';
import { floats } from './support/data.js';
import { expectFailure, listed, native } from './support/expect.js';

describe.runIf(native)('native', () => {
  it('attaches to the same index, metadata and all', async () => {
    const index = FlatIndex.createSync({ dim: 2, metric: 'l1', metadata: { model: 'm' } });
    index.addSync([1, 2, 3, 4]);
    const token = structuredClone(index.share());
    const other = attach(token);
    expect(other).toBeInstanceOf(FlatIndex);
    expect(other.options()).toEqual(index.options());
    expect(other.metadata).toEqual({ model: 'm' });
    other.addSync([5, 6] as never);
    expect(index.size).toBe(3);
    index.close();
    expect(listed(other.searchSync([5, 6] as never, 1))).toEqual([{ id: 2, distance: 0 }]);
    other.close();
    await expectFailure(() => attach(token), 'INVALID_ARGUMENT', /token/);
  });

  it('attaches to every kind', async () => {
    const options = { dim: 4, metadata: { of: 'it' } };
    for (const index of [HnswIndex.createSync(options), IvfIndex.createSync({ ...options, nlist: 2 })]) {
      const token = structuredClone(index.share());
      const other = attach(token as ShareToken);
      expect([other.constructor, other.metadata]).toEqual([index.constructor, { of: 'it' }]);
      expect(other.options()).toEqual(index.options());
      if (!other.trained) other.trainSync([...floats(200, 4)]);
      other.addSync([1, 2, 3, 4]);
      index.close();
      expect([...other.searchSync([1, 2, 3, 4], 1).ids]).toEqual([0]);
      await expectFailure(() => attach({ ...token, annex: 'flat' } as never), 'INVALID_ARGUMENT', /"flat".*kind/);
      other.close();
    }
  });

  it('serves another thread', async () => {
    const index = FlatIndex.createSync({ dim: 2 });
    index.addSync([1, 2, 3, 4]);
    // The worker is plain JavaScript: it uses the addon as the entry point does.
    const worker = new Worker(new URL('./support/share_worker.mjs', import.meta.url), {
      workerData: { token: index.share() },
    });
    const answer = await new Promise((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    });
    expect(answer).toEqual({ size: 2, added: [2], hit: [{ id: 1, distance: 0 }], code: 'OK' });
    expect(index.get(2)).toEqual(Float32Array.of(7, 8));
    await worker.terminate();
    expect(index.searchSync([7, 8], 1).ids[0]).toBe(2);
    index.close();
  });
});

describe.runIf(!native)('wasm', () => {
  it('cannot share', async () => {
    const index = FlatIndex.createSync({ dim: 2 });
    await expectFailure(() => index.share(), 'UNSUPPORTED');
    await expectFailure(() => attach({ annex: 'flat', token: 1 }), 'UNSUPPORTED');
  });
});

it.each([
  ['undefined', undefined],
  ['null', null],
  ['a number', 1],
  ['an object', {}],
  ['text as token', { annex: 'flat', token: '1' }],
  ['another kind', { annex: 'tree', token: 1 }],
])('%s is no token', async (_, token) => {
  await expectFailure(() => attach(token as never), 'INVALID_TYPE', /index\.share\(\)/);
});
