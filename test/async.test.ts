import { Bitset, FlatIndex, type Progress, type SearchResult } from 'annex';
import { describe, expect, it } from 'vitest';
import { floats, integers, row } from './support/data.js';
import { expectFailure, failure, listed } from './support/expect.js';

const dim = 64;
const rows = integers(new Float32Array(5000 * dim), -5, 5);
const queries = integers(new Float32Array(300 * dim), -5, 5, 2);
const query = (i: number): Float32Array => row(queries, dim, i);
function filled(): FlatIndex {
  const index = FlatIndex.createSync({ dim });
  index.addSync(rows);
  return index;
}
/** Node 20 has resizable buffers, the types of ES2023 do not. */
function resize(buffer: ArrayBuffer, bytes: number): void {
  (buffer as unknown as { resize(bytes: number): void }).resize(bytes);
}
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('searches of one turn', () => {
  it('run as one batch and get what each alone would get', async () => {
    const index = filled();
    const kinds = [{}, { threads: 1 }, { filter: [1, 2, 3, 4, 5] }, { filter: Bitset.fromIds([7, 8, 9]) }];
    const calls = Array.from({ length: 300 }, (_, i) => [query(i), 1 + (i % 3), kinds[i % 4]] as const);
    const hits = await Promise.all(calls.map(([q, k, options]) => index.search(q, k, options)));
    calls.forEach(([q, k, options], i) => {
      expect(listed(hits[i] as SearchResult)).toEqual(listed(index.searchSync(q, k, options)));
    });
    index.close();
  });

  it('scan shared rows once', async () => {
    const index = FlatIndex.createSync({ dim, sidecar: 'none' });
    index.addSync(rows.subarray(0, dim * 10));
    const before = index.stats().scanned;
    await Promise.all(Array.from({ length: 3000 }, (_, i) => index.search(query(i % 300), 2)));
    expect(index.stats().scanned - before).toBe(30_000);
    index.close();
  });

  it('copy their queries at once', async () => {
    const index = filled();
    const scratch = new Float32Array(dim);
    const hits = Array.from({ length: 100 }, (_, i) => {
      scratch.set(query(i));
      return index.search(scratch, 3);
    });
    const gone = query(5).slice();
    const last = index.search(gone, 3);
    structuredClone(gone, { transfer: [gone.buffer as ArrayBuffer] });
    scratch.fill(Number.NaN);
    for (let i = 0; i < 100; i++) {
      expect(listed((await hits[i]) as SearchResult)).toEqual(listed(index.searchSync(query(i), 3)));
    }
    expect(listed(await last)).toEqual(listed(index.searchSync(query(5), 3)));
    index.close();
  });

  it('a bad one fails alone', async () => {
    const index = FlatIndex.createSync({ dim, metric: 'cosine' });
    index.addSync(floats(100, dim));
    const bad = new Map<number, unknown>([
      [3, new Float32Array(dim)],
      [4, new Float32Array(dim).fill(Number.NaN)],
      [5, new Float32Array(dim - 1)],
      [6, 'text'],
    ]);
    const all = await Promise.allSettled(
      Array.from({ length: 10 }, (_, i) => index.search((bad.get(i) ?? query(i)) as Float32Array, 2)),
    );
    expect(all.map((r) => (r.status === 'fulfilled' ? 'ok' : r.reason.code))).toEqual([
      'ok',
      'ok',
      'ok',
      'NOT_FINITE',
      'NOT_FINITE',
      'DIMENSION_MISMATCH',
      'INVALID_TYPE',
      'ok',
      'ok',
      'ok',
    ]);
    index.close();
  });

  it('are aborted one by one', async () => {
    const index = filled();
    const controllers = Array.from({ length: 20 }, () => new AbortController());
    const all = Promise.allSettled(controllers.map(({ signal }, i) => index.search(query(i), 3, { signal })));
    const reason = new Error('changed my mind');
    controllers.forEach((controller, i) => void (i % 2 === 0 && controller.abort(reason)));
    for (const [i, result] of (await all).entries()) {
      if (i % 2 === 0) {
        expect(result.status).toBe('rejected');
        expect((result as PromiseRejectedResult).reason).toMatchObject({ code: 'ABORTED', cause: reason });
      } else {
        expect(listed((result as PromiseFulfilledResult<SearchResult>).value)).toEqual(
          listed(index.searchSync(query(i), 3)),
        );
      }
    }
    index.close();
  });

  it('reject at once when aborted, and nothing is searched when all are', async () => {
    const index = filled();
    const controller = new AbortController();
    const before = index.stats().scanned;
    const all = Array.from({ length: 5 }, (_, i) =>
      failure(() => index.search(query(i), 3, { signal: controller.signal })),
    );
    controller.abort();
    for (const error of await Promise.all(all)) expect(error.code).toBe('ABORTED');
    await turn();
    await turn();
    expect(index.stats().scanned).toBe(before);
    index.close();
  });
});

describe('a long searchBatch', () => {
  const n = 30_000;
  const large = FlatIndex.createSync({ dim: 128, metric: 'l1' });
  large.addSync(floats(n, 128));
  const many = floats(2000, 128, 3);

  it('is aborted within 50 ms', async () => {
    const controller = new AbortController();
    const running = failure(() => large.searchBatch(many, 10, { signal: controller.signal, threads: 1 }));
    await turn();
    await new Promise((resolve) => setTimeout(resolve, 20));
    const at = performance.now();
    controller.abort();
    expect((await running).code).toBe('ABORTED');
    // 50 ms, and as much again for a machine that does other things.
    expect(performance.now() - at).toBeLessThan(100);
    expect(large.searchSync(many.subarray(0, 128), 1).length).toBe(1);
  });

  it('gives every slice its place', async () => {
    const index = FlatIndex.createSync({ dim: 1024 });
    const wide = integers(new Float32Array(20 * 1024), -3, 3);
    index.addSync(wide);
    // 2,300 queries of 4 KB: three slices.
    const batch = new Float32Array(2300 * 1024);
    for (let q = 0; q < 2300; q++) batch.set(row(wide, 1024, (q * 7) % 20), q * 1024);
    const result = await index.searchBatch(batch, 2);
    for (let q = 0; q < 2300; q++) expect(result.at(q).ids[0]).toBe((q * 7) % 20);
    expect(result.distances.filter((d) => d === 0)).toHaveLength(2300);
    index.close();
  });
});

describe('one search on a large index', () => {
  const wide = 512;
  const n = 60_000; // 123 MB: some ten slices where the calling thread searches
  const large = FlatIndex.createSync({ dim: wide, metric: 'l1' });
  const part = integers(new Float32Array(1000 * wide), -3, 3, 7);
  for (let i = 0; i < n; i += 1000) large.addSync(part);
  // Of 60 rows alike those with the least ids.
  const nearest = [5, 1005, 2005];

  it('leaves turns to the event loop', async () => {
    // Of several searches: a machine that gives this thread nothing for as long as one takes tells nothing.
    let most = 0;
    for (let time = 0; time < 5; time++) {
      let turns = 0;
      let running = true;
      const found = large.search(row(part, wide, 5), 3).finally(() => {
        running = false;
      });
      while (running) {
        await turn();
        turns++;
      }
      expect([...(await found).ids]).toEqual(nearest);
      most = Math.max(most, turns);
    }
    expect(most).toBeGreaterThan(2);
  });

  it('finds what is there, and ends, though rows come and go in every turn', async () => {
    const found = large.search(row(part, wide, 5), 3);
    for (let i = 0; i < 20; i++) {
      const ids = large.addSync(row(part, wide, 5));
      await turn();
      expect(large.removeSync([...ids])).toBe(1);
    }
    expect([...(await found).ids]).toEqual(nearest);
    large.removeSync([5]);
    expect([...(await large.search(row(part, wide, 5), 3)).ids]).toEqual([1005, 2005, 3005]);
  });

  it('ends when the index is closed meanwhile', async () => {
    const found = large.search(row(part, wide, 5), 1);
    await turn();
    large.close();
    expect((await found).ids[0]).toBe(1005);
  });
});

describe('a long add', () => {
  const n = 40_000; // 10 MB: five slices
  const many = integers(new Float32Array(n * dim), -9, 9, 5);

  it('reports progress', async () => {
    const index = FlatIndex.createSync({ dim });
    const seen: Progress[] = [];
    await index.add(many, { onProgress: (progress) => seen.push(progress) });
    expect(seen.length).toBeGreaterThanOrEqual(3);
    const done = seen.map((p) => p.done);
    expect(done).toEqual([...done].sort((a, b) => a - b));
    expect(seen.at(-1)).toEqual({ done: n, total: n, phase: 'add' });
    index.close();
  });

  it('is invisible until it is done', async () => {
    const index = filled();
    const sizes = new Set<number>();
    await index.add(many, { onProgress: () => sizes.add(index.size) });
    expect([...sizes]).toEqual([5000]);
    expect(index.size).toBe(5000 + n);
    index.close();
  });

  it.each(['add', 'upsert'] as const)('%s is aborted with nothing changed', async (method) => {
    const index = filled();
    const controller = new AbortController();
    const options = { signal: controller.signal, onProgress: () => controller.abort(new Error('enough')) };
    const ids = Float64Array.from({ length: n }, (_, i) => (method === 'add' ? 5000 + i : i));
    const error = await expectFailure(
      () => (method === 'add' ? index.add(many, { ...options, ids }) : index.upsert(ids, many, options)),
      'ABORTED',
    );
    expect(error.cause).toMatchObject({ message: 'enough' });
    expect(index.size).toBe(5000);
    expect(index.get(0)).toEqual(row(rows, dim, 0));
    expect(await index.add(many.subarray(0, dim))).toEqual(Float64Array.of(5000));
    index.close();
  });

  it('is aborted or closed after its last slice, too', async () => {
    const index = filled();
    const controller = new AbortController();
    const one = many.subarray(0, dim);
    const abort = { signal: controller.signal, onProgress: () => controller.abort() };
    await expectFailure(() => index.add(one, abort), 'ABORTED');
    expect(index.size).toBe(5000);
    await expectFailure(() => index.add(one, { onProgress: () => index.close() }), 'CLOSED');
  });

  it('that waits is aborted at once', async () => {
    const index = filled();
    const controller = new AbortController();
    const first: Promise<Float64Array> = index.add(many);
    let settled = false;
    const second = failure(() => index.add(many, { signal: controller.signal })).then((error) => {
      expect(settled).toBe(false);
      return error;
    });
    void first.then(() => {
      settled = true;
    });
    controller.abort();
    expect((await second).code).toBe('ABORTED');
    await first;
    expect(index.size).toBe(5000 + n);
    index.close();
  });

  it('fails with what its progress callback throws', async () => {
    const index = filled();
    const cause = new Error('display is gone');
    const onProgress = (): void => {
      throw cause;
    };
    const error = await expectFailure(() => index.add(many, { onProgress }), 'INVALID_ARGUMENT', /display is gone/);
    expect(error.cause).toBe(cause);
    expect(index.size).toBe(5000);
    index.addSync(rows.subarray(0, dim));
    index.close();
  });

  it('may be closed by its progress callback', async () => {
    const index = filled();
    await expectFailure(() => index.add(many, { onProgress: () => index.close() }), 'CLOSED');
  });

  it.each([
    ['transferred', (a: Float32Array): void => void structuredClone(a, { transfer: [a.buffer as ArrayBuffer] })],
    ['resized', (a: Float32Array): void => resize(a.buffer as ArrayBuffer, 64)],
  ] as const)('fails when its array is %s meanwhile', async (_, spoil) => {
    const index = filled();
    const Resizable = ArrayBuffer as unknown as new (bytes: number, options: object) => ArrayBuffer;
    const array = new Float32Array(new Resizable(many.byteLength, { maxByteLength: many.byteLength }));
    array.set(many);
    let calls = 0;
    const onProgress = (): void => {
      if (calls++ === 0) spoil(array);
    };
    await expectFailure(() => index.add(array, { onProgress }), 'INVALID_ARGUMENT', /transferred, detached or resized/);
    expect(index.size).toBe(5000);
    expect(index.searchSync(query(0), 3).length).toBe(3);
    index.close();
  });

  it('survives that its array is overwritten, grows or shrinks meanwhile', async () => {
    const index = FlatIndex.createSync({ dim });
    const array = many.slice();
    await index.add(array, { onProgress: () => void array.fill(1) });
    expect(index.get(0)).toEqual(row(many, dim, 0));
    expect(index.size).toBe(n);
    const poisoned = many.slice();
    const onProgress = (): void => void poisoned.fill(Number.NaN);
    await expectFailure(() => index.add(poisoned, { onProgress }), 'NOT_FINITE', /NaN at column 0/);
    for (const change of [(list: number[][]) => list.pop(), (list: number[][]) => list.push([1])]) {
      const list = Array.from({ length: n }, (_, i) => Array.from(row(many, dim, i)));
      let calls = 0;
      const options = { onProgress: () => void (calls++ === 0 && change(list)) };
      await expectFailure(() => index.add(list, options), 'INVALID_ARGUMENT', /meanwhile/);
    }
    expect(index.size).toBe(n);
    index.close();
  });

  it('takes the ids of large adds from every kind of list', async () => {
    const index = FlatIndex.createSync({ dim });
    const ids = Array.from({ length: n }, (_, i) => 3 * i);
    expect(await index.add(many, { ids })).toEqual(Float64Array.from(ids));
    expect(await index.add(many)).toEqual(Float64Array.from(ids, (_, i) => 3 * (n - 1) + 1 + i));
    expect(index.get(3 * 777)).toEqual(row(many, dim, 777));
    index.close();
  });
});
