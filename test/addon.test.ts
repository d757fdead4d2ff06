// The raw addon, called as the TypeScript API never would: whatever comes in, the process lives and memory is safe.
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { type Addon, type IndexHandle, ONE, type WriterHandle } from '../ts/addon.js';
import { INPUT } from '../ts/backend.js';
import { AnnexError, errorOfStatus } from '../ts/errors.js';
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
/** Whole numbers below n, the same ones for a seed. */
const generator = (start: number) => {
  let seed = start;
  return (n: number): number => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return (seed >>> 8) % n;
  };
};
/** Lists of product-quantized rows, trained and filled. */
const trainedLists = (): IndexHandle => {
  const index = addon.create(Float64Array.of(0, 2, 1, DIM, 3, 7, 8, 0, 10, 2, 20, 4, 21, 4));
  for (const mode of [2, 0] as const) {
    const writer = addon.openWriter(index, mode);
    addon.append(writer, INPUT.f32, rampRows(50, DIM), 50, null);
    addon.commit(writer);
  }
  return index;
};
const codeOf = (call: () => unknown): string => {
  try {
    call();
  } catch (error) {
    expect(error).toBeInstanceOf(AnnexError);
    return (error as AnnexError).code;
  }
  return 'OK';
};

describe.skipIf(!native)('arguments of the raw addon', () => {
  test('results of a plain search are right', () => {
    const index = filledIndex(addon, 100);
    const args = searchArguments(index, 2, 3);
    addon.search(...args);
    const [, , , , , , , , , ids, distances, counts] = args;
    expect([...ids]).toEqual([0, 1, 2, 1, 0, 2]); // query 1 equals row 1; rows 0 and 2 tie, the smaller id first
    expect([...distances.subarray(0, 3)]).toEqual([0, DIM, 4 * DIM]);
    expect([...counts]).toEqual([3, 3]);
  });

  test('a handle must be the right handle', () => {
    const index = filledIndex(addon, 1);
    const writer = addon.openWriter(index, 0);
    const foreign = [undefined, null, 1, 'x', {}, [], () => 1, Symbol('x'), 1n, new Proxy(index, {}), writer];
    for (const handle of [...foreign, Object.create(index), { ...index }, new Map(), new Float64Array(2)]) {
      expect(
        codeOf(() => addon.size(handle as IndexHandle)),
        String(typeof handle),
      ).toBe('INVALID_TYPE');
    }
    for (const handle of [...foreign.slice(0, -1), index, Object.create(writer)]) {
      expect(
        codeOf(() => addon.abort(handle as WriterHandle)),
        String(typeof handle),
      ).toBe('INVALID_TYPE');
    }
    addon.abort(writer);
  });

  test('an array must have the right type and length', () => {
    const index = filledIndex(addon, 4);
    const good = searchArguments(index, 2, 2);
    const wrong: [position: number, value: unknown, code: string][] = [
      [1, new Float32Array(2 * DIM - 1), 'DIMENSION_MISMATCH'],
      [1, new Float32Array(2 * DIM + 1), 'DIMENSION_MISMATCH'],
      [1, new Float64Array(2 * DIM), 'INVALID_TYPE'],
      [1, new Int8Array(2 * DIM), 'INVALID_TYPE'],
      [1, new DataView(new ArrayBuffer(8 * DIM)), 'INVALID_TYPE'],
      [1, new ArrayBuffer(8 * DIM), 'INVALID_TYPE'],
      [2, 9, 'INVALID_ARGUMENT'],
      [2, 0.5, 'INVALID_ARGUMENT'],
      [2, '0', 'INVALID_TYPE'],
      [3, 3, 'DIMENSION_MISMATCH'],
      [3, -1, 'INVALID_ARGUMENT'],
      [3, Number.NaN, 'INVALID_ARGUMENT'],
      [3, 2 ** 62, 'INVALID_ARGUMENT'],
      [4, 3, 'INVALID_ARGUMENT'],
      [4, 2 ** 52, 'INVALID_ARGUMENT'],
      [5, new Float32Array(2), 'INVALID_TYPE'],
      [6, 3, 'INVALID_ARGUMENT'],
      [9, new Float64Array(3), 'INVALID_ARGUMENT'],
      [9, new Float32Array(4), 'INVALID_TYPE'],
      [10, new Float32Array(5), 'INVALID_ARGUMENT'],
      [11, new Uint32Array(1), 'INVALID_ARGUMENT'],
      [11, new Int32Array(2), 'INVALID_TYPE'],
    ];
    for (const [position, value, code] of wrong) {
      const args: unknown[] = [...good];
      args[position] = value;
      expect(
        codeOf(() => addon.search(...(args as typeof good))),
        `argument ${position}: ${String(value)}`,
      ).toBe(code);
    }
    const filtered = (kind: number, filter: unknown, count: number): string => {
      const args: unknown[] = [...good];
      args.splice(6, 3, kind, filter, count);
      return codeOf(() => addon.search(...(args as typeof good)));
    };
    expect(filtered(1, new Float64Array(2), 2)).toBe('OK');
    expect(filtered(1, new Float64Array(2), 3)).toBe('INVALID_ARGUMENT');
    expect(filtered(1, new Uint32Array(2), 2)).toBe('INVALID_TYPE');
    expect(filtered(1, null, 0)).toBe('INVALID_TYPE');
    expect(filtered(2, new Uint32Array(2), 64)).toBe('OK');
    expect(filtered(2, new Uint32Array(2), 65)).toBe('INVALID_ARGUMENT');
    expect(filtered(2, new Float64Array(2), 64)).toBe('INVALID_TYPE');
  });

  /** A block for k, with its views. */
  const blockOf = (k: number) => {
    const block = new Float64Array(ONE.length);
    block[ONE.k] = k;
    const ids = () => [...block.subarray(ONE.ids, ONE.ids + block[ONE.found]!)];
    return { block, ids };
  };

  test('a bound search finds what a search finds, with what its block says', () => {
    const index = filledIndex(addon, 100);
    const search = addon.bindSearch(index);
    const { block, ids } = blockOf(3);
    const query = new Float32Array(DIM).fill(50);
    search(query, block, null);
    expect(ids()).toEqual([50, 49, 51]);
    expect([...new Float32Array(block.buffer, 8 * ONE.distances, 3)]).toEqual([0, DIM, DIM]);
    block.set([1, 2], ONE.filterKind);
    search(query, block, Float64Array.of(7, 60));
    expect(ids()).toEqual([60, 7]);
    block.set([2, 64], ONE.filterKind);
    search(query, block, Uint32Array.of(0, 1 << 3));
    expect(ids()).toEqual([35]);
    block.set([256, 0, 0]);
    expect(ONE.k).toBe(0);
    search(query, block, null);
    expect(ids().length).toBe(100);
    block[ONE.pairs] = 1;
    block.set([1e9, 1], ONE.options); // an option that no search has
    expect(codeOf(() => search(query, block, null))).toBe('INVALID_ARGUMENT');
  });

  test('a bound search checks its arguments and its block', () => {
    const index = filledIndex(addon, 4);
    const search = addon.bindSearch(index);
    const query = new Float32Array(DIM);
    const { block } = blockOf(2);
    expect(codeOf(() => search(query, block, null))).toBe('OK');
    for (const handle of [undefined, {}, 1, search]) {
      expect(codeOf(() => addon.bindSearch(handle as IndexHandle))).toBe('INVALID_TYPE');
    }
    const gone = new Float64Array(ONE.length);
    structuredClone(gone, { transfer: [gone.buffer] });
    const wrong: [query: unknown, block: unknown, code: string][] = [
      [new Float32Array(DIM - 1), block, 'DIMENSION_MISMATCH'],
      [new Float32Array(2 * DIM), block, 'DIMENSION_MISMATCH'],
      [new Float64Array(DIM), block, 'INVALID_TYPE'],
      [undefined, block, 'INVALID_TYPE'],
      [new Float32Array(DIM).fill(Number.NaN), block, 'NOT_FINITE'],
      [query, undefined, 'INVALID_TYPE'],
      [query, new Float32Array(ONE.length), 'INVALID_TYPE'],
      [query, new Float64Array(ONE.length - 1), 'INVALID_ARGUMENT'],
      [query, new Float64Array(ONE.length + 1), 'INVALID_ARGUMENT'],
      [query, gone, 'INVALID_ARGUMENT'],
    ];
    for (const [position, values] of [
      [ONE.k, [0, -1, 0.5, 257, 2 ** 53, Infinity, Number.NaN]],
      [ONE.pairs, [-1, 0.5, 17, 1e9, Number.NaN]],
      [ONE.filterKind, [-1, 0.5, 3, 2 ** 32, Number.NaN]],
      [ONE.filterCount, [-1, 0.5, 2 ** 60, Infinity, Number.NaN]],
    ] as const) {
      for (const value of values) {
        const { block } = blockOf(2);
        block[position] = value;
        wrong.push([query, block, 'INVALID_ARGUMENT']);
      }
    }
    for (const [i, [query, block, code]] of wrong.entries()) {
      expect(
        codeOf(() => search(query as Float32Array, block as Float64Array, null)),
        `case ${i}`,
      ).toBe(code);
    }
    const filtered = (kind: number, filter: unknown, count: number): string => {
      const { block } = blockOf(2);
      block.set([kind, count], ONE.filterKind);
      return codeOf(() => search(query, block, filter as Float64Array));
    };
    expect(filtered(1, new Float64Array(2), 2)).toBe('OK');
    expect(filtered(1, new Float64Array(2), 3)).toBe('INVALID_ARGUMENT');
    expect(filtered(1, new Uint32Array(2), 2)).toBe('INVALID_TYPE');
    expect(filtered(1, null, 0)).toBe('INVALID_TYPE');
    expect(filtered(2, new Uint32Array(2), 64)).toBe('OK');
    expect(filtered(2, new Uint32Array(2), 65)).toBe('INVALID_ARGUMENT');
  });

  test('a bound search outlives its index, and then answers CLOSED', async () => {
    const { block } = blockOf(1);
    const query = new Float32Array(DIM);
    const closed = filledIndex(addon, 4);
    const search = addon.bindSearch(closed);
    addon.close(closed);
    expect(codeOf(() => search(query, block, null))).toBe('CLOSED');
    expect(codeOf(() => addon.bindSearch(closed))).toBe('CLOSED');
    const alone = addon.bindSearch(filledIndex(addon, 4));
    await collectGarbage();
    await collectGarbage();
    expect(codeOf(() => alone(query, block, null))).toBe((globalThis as { gc?: unknown }).gc ? 'CLOSED' : 'OK');
  });

  test('the rows of get must be of the type and size that the index gives out', () => {
    const bytes = addon.create(flatOptions(DIM, { storage: 5 })); // u8
    const bits = addon.create(flatOptions(64, { storage: 6, metric: 4 }));
    const ids = Float64Array.of(0, 1);
    const found = new Uint8Array(2);
    expect(codeOf(() => addon.get(bytes, ids, new Uint8Array(2 * DIM), found))).toBe('OK');
    expect(codeOf(() => addon.get(bytes, ids, new Float32Array(2 * DIM), found))).toBe('INVALID_TYPE');
    expect(codeOf(() => addon.get(bits, ids, new Uint8Array(16), found))).toBe('OK');
    expect(codeOf(() => addon.get(bits, ids, new Uint8Array(15), found))).toBe('DIMENSION_MISMATCH');
    expect(codeOf(() => addon.get(bits, ids, new Uint8Array(16), new Uint8Array(1)))).toBe('INVALID_ARGUMENT');
    expect(codeOf(() => addon.has(bits, ids, new Uint8Array(1)))).toBe('INVALID_ARGUMENT');
    expect(codeOf(() => addon.stats(bits, new Float64Array(7)))).toBe('INVALID_ARGUMENT');
  });

  test('detached, shrunk and shared arrays', () => {
    const index = filledIndex(addon, 4);
    for (const position of [1, 9, 10, 11]) {
      const args = searchArguments(index, 2, 2);
      structuredClone(args[position], { transfer: [(args[position] as Uint8Array).buffer as ArrayBuffer] });
      expect(
        codeOf(() => addon.search(...args)),
        `argument ${position}`,
      ).toMatch(/INVALID_ARGUMENT|DIMENSION_MISMATCH/);
    }
    const resizable = new (
      ArrayBuffer as unknown as new (
        n: number,
        o: object,
      ) => ArrayBuffer & { resize(n: number): void }
    )(8 * DIM, { maxByteLength: 16 * DIM });
    const args = searchArguments(index, 2, 2);
    args[1] = new Float32Array(resizable);
    addon.search(...args);
    resizable.resize(4 * DIM);
    expect(codeOf(() => addon.search(...args))).toBe('DIMENSION_MISMATCH');
    const fixed = searchArguments(index, 2, 2);
    resizable.resize(8 * DIM);
    fixed[1] = new Float32Array(resizable, 0, 2 * DIM);
    resizable.resize(4 * DIM); // out of bounds now
    expect(codeOf(() => addon.search(...fixed))).toBe('DIMENSION_MISMATCH');
    const shared = searchArguments(index, 2, 2);
    shared[1] = new Float32Array(new SharedArrayBuffer(8 * DIM));
    expect(codeOf(() => addon.search(...shared))).toBe('OK');
  });

  test('a closed index answers CLOSED, closing again does nothing', async () => {
    const index = filledIndex(addon, 4);
    const writer = addon.openWriter(index, 0);
    const running = addon.searchAsync(...searchArguments(index, 2, 2), 0);
    addon.close(index);
    addon.close(index);
    await running;
    const calls: (() => unknown)[] = [
      () => addon.size(index),
      () => addon.stats(index, new Float64Array(16)),
      () => addon.options(index, new Float64Array(16)),
      () => addon.share(index),
      () => addon.remove(index, new Float64Array(1)),
      () => addon.ids(index, 0, new Float64Array(1)),
      () => addon.openWriter(index, 0),
      () => addon.search(...searchArguments(index, 1, 1)),
      () => addon.append(writer, INPUT.f32, new Float32Array(DIM), 1, null),
      () => addon.step(writer),
      () => addon.commit(writer),
    ];
    for (const call of calls) expect(codeOf(call), String(call)).toBe('CLOSED');
    await expect(addon.searchAsync(...searchArguments(index, 1, 1), 0)).rejects.toMatchObject({ code: 'CLOSED' });
    await expect(addon.removeAsync(index, new Float64Array(1))).rejects.toMatchObject({ code: 'CLOSED' });
    await expect(addon.stepAsync(writer, 0)).rejects.toMatchObject({ code: 'CLOSED' });
    await expect(addon.commitAsync(writer)).rejects.toMatchObject({ code: 'CLOSED' });
    addon.abort(writer);
  });

  test('errors come from the factory, whatever it does', () => {
    const index = filledIndex(addon, 1);
    expect(codeOf(() => addon.init(1 as never))).toBe('INVALID_TYPE');
    try {
      addon.init((status) => ({ status }));
      expect(() => addon.search(...searchArguments(index, 1, 0.5 as number))).toThrow();
      addon.init(() => {
        throw new RangeError('from the factory');
      });
      expect(() => addon.size({} as IndexHandle)).toThrow(RangeError);
      addon.init(() => addon.size({} as IndexHandle)); // calls back until the stack is full
      expect(() => addon.size({} as IndexHandle)).toThrow();
    } finally {
      addon.init(errorOfStatus);
    }
    expect(codeOf(() => addon.size({} as IndexHandle))).toBe('INVALID_TYPE');
  });

  test('5,000 indexes of options at random', () => {
    const random = generator(99);
    const values = [
      -1,
      0,
      1,
      2,
      3,
      4,
      5,
      7,
      8,
      16,
      100,
      513,
      1e6,
      2 ** 24,
      2 ** 53,
      0.5,
      Number.NaN,
      Infinity,
      -Infinity,
    ];
    const keys = [...Array(26).keys(), 100, 101, -1, 0.5, 1e9, Number.NaN];
    let created = 0;
    for (let round = 0; round < 5000; round += 1) {
      const pairs = [0, random(3), 1, [1, 8, 64, 32768][random(4)]!, 10, 4];
      if (random(2) === 0) pairs.splice(4, 2); // without nlist
      for (let more = random(5); more > 0; more -= 1) {
        pairs.push(keys[random(keys.length)]!, values[random(values.length)]!);
      }
      try {
        const index = addon.create(Float64Array.from(pairs));
        const out = new Float64Array(128);
        const n = addon.options(index, out);
        addon.close(addon.create(out.slice(0, 2 * n))); // what it tells it takes
        addon.close(index);
        created += 1;
      } catch (error) {
        expect(error).toBeInstanceOf(AnnexError);
        expect((error as AnnexError).code).toMatch(/INVALID_ARGUMENT|UNSUPPORTED/);
      }
    }
    expect(created).toBeGreaterThan(100);
  });

  const kinds: [name: string, make: () => IndexHandle][] = [
    ['a flat index', () => filledIndex(addon, 50)],
    ['a graph', () => filledIndex(addon, 50, DIM, Float64Array.of(0, 1, 1, DIM))],
    ['untrained lists', () => addon.create(Float64Array.of(0, 2, 1, DIM, 10, 2))],
    ['lists', () => trainedLists()],
  ];
  test.each(kinds)('10,000 calls of %s with arguments out of place', async (_, make) => {
    const random = generator(12345);
    const index = make();
    const methods = { ...addon, searchOne: addon.bindSearch(index) };
    const closed = filledIndex(addon, 1);
    addon.close(closed);
    const good = (): Record<string, unknown[]> => ({
      cancel: [1],
      poll: [],
      engine: [],
      create: [flatOptions(DIM)],
      attach: [1],
      close: [closed],
      size: [index],
      stats: [index, new Float64Array(16)],
      options: [index, new Float64Array(16)],
      share: [closed],
      remove: [index, Float64Array.of(1e6)],
      removeAsync: [index, Float64Array.of(1e6)],
      has: [index, new Float64Array(2), new Uint8Array(2)],
      get: [index, new Float64Array(2), new Float32Array(2 * DIM), new Uint8Array(2)],
      ids: [index, 0, new Float64Array(4)],
      search: searchArguments(index, 2, 2),
      bindSearch: [index],
      searchOne: [new Float32Array(DIM), blockOf(1 + random(300)).block, null],
      searchAsync: [...searchArguments(index, 2, 2), 7],
      openWriter: [index, random(4)],
      append: [writer, 0, new Float32Array(2 * DIM), 2, null],
      appendAsync: [writer, 0, new Float32Array(2 * DIM), 2, Float64Array.of(random(1e6), 1e7), 8],
      step: [writer],
      stepAsync: [writer, 9],
      commit: [writer],
      commitAsync: [writer],
      abort: [writer],
    });
    const gone = new Float32Array(2 * DIM);
    structuredClone(gone, { transfer: [gone.buffer] });
    let writer: WriterHandle | undefined;
    const pool = [undefined, null, true, 0, 1, 2, 3, -1, 0.5, 64, 1e9, 2 ** 53, Number.NaN, Infinity, 'x', 1n, {}, []];
    const arrays = [Float64Array, Float32Array, Uint32Array, Uint8Array, Int8Array, Int16Array, BigInt64Array];
    const pending: Promise<unknown>[] = []; // of undefined, or of the error
    let accepted = 0;
    for (let round = 0; round < 10_000; round += 1) {
      writer = round % 8 === 0 ? undefined : writer;
      try {
        writer ??= addon.openWriter(index, random(4) as 0);
      } catch {
        // an earlier writer still has the index
      }
      const calls = Object.entries(good());
      const [name, args] = calls[random(calls.length)]!;
      for (let changes = random(3); changes > 0 && args.length > 0; changes -= 1) {
        const odd = [
          ...pool,
          index,
          closed,
          writer,
          gone,
          new arrays[random(arrays.length)]!(random(3 * DIM)),
          addon.size,
        ];
        args[random(args.length)] = odd[random(odd.length)];
      }
      if (name === 'close' && args[0] === index) continue;
      try {
        const method = methods[name as keyof typeof methods] as (...args: unknown[]) => unknown;
        const result = method(...args);
        if (result instanceof Promise)
          pending.push(
            result.then(
              () => undefined,
              (error) => error,
            ),
          );
        accepted += 1;
      } catch (error) {
        expect(error).toBeInstanceOf(AnnexError);
      }
      if (round % 1000 === 0) await sleep(0);
    }
    while (addon.poll()) await sleep(0);
    for (const error of await Promise.all(pending)) if (error !== undefined) expect(error).toBeInstanceOf(AnnexError);
    expect(accepted).toBeGreaterThan(1500);
    if (addon.size(index) > 0) addon.search(...searchArguments(index, 2, 2));
    await collectGarbage();
  });
});
