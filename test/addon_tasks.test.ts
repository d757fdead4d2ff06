// Asynchronous work of the raw addon: cancelling, collecting, detaching and tearing down while it runs; memory.
import { spawnSync } from 'node:child_process';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import type { Addon, IndexHandle } from '../ts/addon.js';
import { NodeBackend } from '../ts/backend_node.js';
import { loadAddon } from '../ts/load_native.js';
import {
  collectGarbage,
  DIM,
  filledIndex,
  flatOptions,
  openAddon,
  rampRows,
  searchArguments,
} from './addon_support.js';

const native = process.env.ANNEX_BACKEND !== 'wasm';
const addon = native ? openAddon() : (undefined as unknown as Addon);
const path = native ? loadAddon().path : '';

/** A search that takes some tenths of a second. */
const LONG_ROWS = 20_000;
const LONG_DIM = 64;
let long: IndexHandle | undefined;
const longIndex = (): IndexHandle => {
  long ??= filledIndex(addon, LONG_ROWS, LONG_DIM);
  return long;
};
const longSearch = (): Parameters<Addon['search']> => searchArguments(longIndex(), 20_000, 10, LONG_DIM);
const codes = (settled: PromiseSettledResult<unknown>[]): unknown[] =>
  settled.map((one) => (one.status === 'fulfilled' ? 'OK' : one.reason.code));

describe.skipIf(!native)('tasks of the raw addon', () => {
  test('asynchronous results equal synchronous ones, also when they take many slices to hand over', async () => {
    const index = filledIndex(addon, 1200);
    for (const [nq, k] of [
      [1, 1],
      [3, 7],
      [0, 5],
      [900, 1100],
    ] as const) {
      const sync = searchArguments(index, nq, k);
      const async = searchArguments(index, nq, k);
      addon.search(...sync);
      await addon.searchAsync(...async, 0);
      for (const position of [9, 10, 11]) {
        expect(Buffer.compare(bytesOf(async[position]), bytesOf(sync[position])), `${nq} × ${k}`).toBe(0);
      }
    }
  });

  test('the caller may overwrite and transfer the arrays at once', async () => {
    const index = filledIndex(addon, 100);
    const args = searchArguments(index, 2, 3);
    const running = addon.searchAsync(...args, 0);
    (args[1] as Float32Array).fill(99);
    structuredClone(args[1], { transfer: [args[1].buffer as ArrayBuffer] });
    await running;
    expect([...args[9]]).toEqual([0, 1, 2, 1, 0, 2]);
    for (const position of [9, 10, 11]) {
      const lost = searchArguments(index, 2, 3);
      const search = addon.searchAsync(...lost, 0);
      structuredClone(lost[position], { transfer: [(lost[position] as Uint8Array).buffer as ArrayBuffer] });
      await expect(search).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    }
  });

  test('cancelling stops what runs and what waits', async () => {
    const keys = [11, 12, 13, 14, 15, 16];
    const searches = keys.map((key) => addon.searchAsync(...longSearch(), key));
    await sleep(5);
    const start = performance.now();
    for (const key of keys) addon.cancel(key);
    expect(codes(await Promise.allSettled(searches))).toEqual(keys.map(() => 'ABORTED'));
    expect(performance.now() - start).toBeLessThan(250);
    addon.cancel(11); // settled: nothing happens
    addon.cancel(0);
  });

  test('a signal cancels through the backend, and lets go of its listener', async () => {
    const backend = new NodeBackend(addon);
    const index = backend.create(flatOptions(DIM));
    const [, queries, type, nq, k, options, filterKind, filter, filterCount, ids, distances, counts] = searchArguments(
      longIndex(),
      1,
      1,
    );
    const job = { queries, type, nq, k, options, filterKind, filter, filterCount, ids, distances, counts };
    const controller = new AbortController();
    let listeners = 0;
    const { addEventListener: add, removeEventListener: remove } = controller.signal;
    controller.signal.addEventListener = function (this: AbortSignal, ...args: [string, never]) {
      listeners += 1;
      add.apply(this, args);
    } as typeof add;
    controller.signal.removeEventListener = function (this: AbortSignal, ...args: [string, never]) {
      listeners -= 1;
      remove.apply(this, args);
    } as typeof remove;
    await index.searchAsync(job, controller.signal);
    expect(listeners).toBe(0);
    const writer = index.openWriter(0);
    const appends = writer.appendAsync(0, rampRows(LONG_ROWS * 5, DIM), LONG_ROWS * 5, null, controller.signal);
    controller.abort();
    expect(codes(await Promise.allSettled([appends, index.searchAsync(job, controller.signal)]))[1]).toBe('ABORTED');
    expect(listeners).toBe(0);
    writer.abort();
    expect(index.size()).toBe(0);
  });

  test('a writer does one thing at a time; abort stops it and is idempotent', async () => {
    const index = addon.create(flatOptions(DIM));
    const writer = addon.openWriter(index, 0);
    const rows = rampRows(LONG_ROWS * 5, DIM);
    const running = addon.appendAsync(writer, 0, rows, LONG_ROWS * 5, null, 0);
    rows.fill(Number.NaN); // it was copied
    expect(() => addon.append(writer, 0, rampRows(1, DIM), 1, null)).toThrow(expect.objectContaining({ code: 'BUSY' }));
    expect(() => addon.commit(writer)).toThrow(expect.objectContaining({ code: 'BUSY' }));
    await running;
    const committed = addon.commitAsync(writer);
    addon.abort(writer);
    const outcome = codes(await Promise.allSettled([committed]))[0];
    addon.abort(writer);
    expect(addon.size(index)).toBe(outcome === 'OK' ? LONG_ROWS * 5 : 0);
    expect(() => addon.commit(writer)).toThrow(expect.objectContaining({ code: 'CLOSED' }));

    const second = addon.openWriter(index, 0);
    const stopped = addon.appendAsync(second, 0, rampRows(1000, DIM), 1000, null, 0);
    addon.abort(second);
    addon.abort(second);
    await Promise.allSettled([stopped]);
    addon.abort(addon.openWriter(index, 1)); // the index is free again
  });

  test('what is collected while it works stays until the work is done', async () => {
    const searches: Promise<void>[] = [];
    for (let i = 0; i < 20; i += 1)
      searches.push(addon.searchAsync(...searchArguments(filledIndex(addon, 5000), 50, 5), 0));
    const appends = Array.from({ length: 20 }, () => {
      const writer = addon.openWriter(addon.create(flatOptions(DIM)), 0);
      return addon.appendAsync(writer, 0, rampRows(5000, DIM), 5000, null, 0);
    });
    await collectGarbage();
    await Promise.all([...searches, ...appends]);
    await collectGarbage();
  });

  test('a collected writer aborts', async () => {
    const index = addon.create(flatOptions(DIM));
    (() => addon.append(addon.openWriter(index, 0), 0, rampRows(3, DIM), 3, null))();
    expect(() => addon.openWriter(index, 0)).toThrow(expect.objectContaining({ code: 'BUSY' }));
    await sleep(0);
    await collectGarbage();
    addon.abort(addon.openWriter(index, 0));
    expect(addon.size(index)).toBe(0);
  });
});

describe.skipIf(!native)('memory of the raw addon', () => {
  test('the garbage collector is told what an index weighs', async () => {
    const rows = rampRows(25_000, 64);
    const before = process.memoryUsage().rss;
    let most = 0;
    for (let i = 0; i < 200; i += 1) {
      const writer = addon.openWriter(addon.create(flatOptions(64)), 0); // 8 MB, at once out of reach
      addon.append(writer, 0, rows, 25_000, null);
      if (i % 2 === 0) addon.commit(writer);
      else await addon.commitAsync(writer);
      await turn();
      most = Math.max(most, process.memoryUsage().rss);
    }
    expect((most - before) / 2 ** 20).toBeLessThan(600); // of 1,600 MB and more
  });

  test('10,000 indexes closed, and 10,000 left to the collector', async () => {
    const cycle = async (close: boolean): Promise<void> => {
      for (let i = 0; i < 10_000; i += 1) {
        const index = filledIndex(addon, 1, 256);
        addon.search(...searchArguments(index, 1, 1, 256));
        if (i % 10 === 0) await addon.searchAsync(...searchArguments(index, 1, 1, 256), 0);
        if (close) addon.close(index);
        if (i % 1000 === 999) await collectGarbage();
      }
    };
    await cycle(true); // warms allocators and code up
    const settled = process.memoryUsage().rss;
    await cycle(true);
    await cycle(false);
    await collectGarbage();
    expect((process.memoryUsage().rss - settled) / 2 ** 20).toBeLessThan(12); // one 256-float row each would be 20
  });
});

describe.skipIf(!native)('environments', () => {
  // What a worker or process runs: `index` of many rows and `search(key)` that takes long.
  const prelude = `
    const addon = require(${JSON.stringify(path)});
    const dim = ${LONG_DIM}, n = ${LONG_ROWS};
    const index = addon.create(Float64Array.of(0, 0, 1, dim));
    const writer = addon.openWriter(index, 0);
    const rows = new Float32Array(n * dim).map((_, i) => i % 7);
    addon.append(writer, 0, rows, n, null);
    addon.commit(writer);
    const search = (nq = 5000) => addon.searchAsync(index, rows.slice(0, nq * dim), 0, nq, 10, new Float64Array(0), 0, null,
      0, new Float64Array(nq * 10), new Float32Array(nq * 10), new Uint32Array(nq), 0);
    const append = () => addon.appendAsync(addon.openWriter(index, 0), 0, rows, n, null, 0);
  `;

  test('workers side by side, ended by terminate while they search and write', async () => {
    for (let round = 0; round < 4; round += 1) {
      const workers = Array.from(
        { length: 3 },
        () =>
          new Worker(
            `${prelude} append(); for (let i = 0; i < 20; i++) search(); require('worker_threads').parentPort.postMessage(1);`,
            { eval: true },
          ),
      );
      await Promise.all(workers.map((worker) => new Promise((resolve) => worker.once('message', resolve))));
      const exits = await Promise.all(workers.map((worker) => worker.terminate()));
      expect(exits).toEqual([1, 1, 1]);
    }
    const index = filledIndex(addon, 10);
    const args = searchArguments(index, 1, 1);
    await addon.searchAsync(...args, 0);
    expect([...args[9]]).toEqual([0]);
  });

  test('an index attached by a worker outlives the handle of its maker', async () => {
    const index = filledIndex(addon, 10);
    const token = addon.share(index);
    const worker = new Worker(
      `const { parentPort, workerData } = require('worker_threads');
       const addon = require(${JSON.stringify(path)});
       const index = addon.attach(workerData);
       parentPort.once('message', () => parentPort.postMessage(addon.size(index)));
       parentPort.postMessage('attached');`,
      { eval: true, workerData: token },
    );
    const message = (): Promise<unknown> => new Promise((resolve) => worker.once('message', resolve));
    expect(await message()).toBe('attached');
    addon.close(index);
    worker.postMessage('go');
    expect(await message()).toBe(10);
    await worker.terminate();
  });

  const run = (code: string): { status: number | null; signal: string | null; out: string; ms: number } => {
    const start = performance.now();
    const child = spawnSync(process.execPath, ['-e', prelude + code], { encoding: 'utf8', timeout: 30_000 });
    const out = child.stdout + child.stderr;
    return { status: child.status, signal: child.signal, out, ms: performance.now() - start };
  };

  test('a process waits for pending work, and ends without', () => {
    expect(run(`search(50).then(() => console.log('done'))`)).toMatchObject({ status: 0, out: 'done\n' });
    expect(run(``)).toMatchObject({ status: 0, out: '' });
  });

  test('a process may exit, or throw, while work is pending', () => {
    const exited = run(`for (let i = 0; i < 50; i++) search(); append(); setTimeout(() => process.exit(7), 10)`);
    expect(exited).toMatchObject({ status: 7, signal: null, out: '' });
    const threw = run(`for (let i = 0; i < 50; i++) search(); setTimeout(() => { throw new Error('x') }, 10)`);
    expect(threw).toMatchObject({ status: 1, signal: null });
  });

  test('a worker that alone loaded the addon may end while its work runs', () => {
    const searches = `${prelude} for (let i = 0; i < 20; i++) search(); append();`;
    // Threads that only ever removed keep nothing that would by itself keep the library in memory.
    const removes = `
      const addon = require(${JSON.stringify(path)});
      const index = addon.create(Float64Array.of(0, 0, 1, 8));
      const ids = new Float64Array(2e6).map((_, i) => 3 * i);
      for (let i = 0; i < 20; i++) addon.removeAsync(index, ids).catch(() => {});`;
    for (const code of [searches, removes, removes]) {
      const inner = JSON.stringify(`${code} setTimeout(() => process.exit(3), 20)`);
      const child = spawnSync(
        process.execPath,
        [
          '-e',
          `const w = new (require('worker_threads').Worker)(${inner}, { eval: true });
              w.on('exit', (code) => { console.log(code); setTimeout(() => {}, 500); });`,
        ],
        { encoding: 'utf8', timeout: 30_000 },
      );
      expect(child).toMatchObject({ status: 0, signal: null, stdout: '3\n', stderr: '' });
    }
  });
});

describe.skipIf(!native)('loading', () => {
  const load = (file: string): string => {
    const saved = process.env.ANNEX_ADDON;
    process.env.ANNEX_ADDON = file;
    try {
      loadAddon();
      return 'loaded';
    } catch (error) {
      expect(error).toMatchObject({ name: 'AnnexError', code: 'UNSUPPORTED' });
      return (error as Error).message;
    } finally {
      if (saved === undefined) delete process.env.ANNEX_ADDON;
      else process.env.ANNEX_ADDON = saved;
    }
  };

  test('a failure tells what was tried, why it failed and what to do', () => {
    const missing = load('/nowhere/annex.node');
    expect(missing).toContain('/nowhere/annex.node: no such file');
    expect(missing).toContain(`${process.platform}-${process.arch}`);
    expect(missing).toMatch(/To fix it: .*ANNEX_ADDON/);
    const text = load(fileURLToPath(import.meta.url));
    expect(text).toMatch(/addon_tasks\.test\.ts: .+/);
    expect(load(path)).toBe('loaded');
  });
});

function bytesOf(array: unknown): Uint8Array {
  const { buffer, byteOffset, byteLength } = array as Uint8Array;
  return new Uint8Array(buffer, byteOffset, byteLength);
}
