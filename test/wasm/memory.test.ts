import { describe, expect, test } from 'vitest';
import type { BackendIndex, SearchJob } from '../../ts/backend.js';
import { WasmBackend } from '../../ts/backend_wasm.js';
import { Core } from '../../ts/wasm_core.js';
import { limited, wasmBytes } from './module.js';

const DIM = 64;
const options = Float64Array.of(0, 0, 1, DIM); // kind flat, dim

function rows(n: number, seed = 1): Float32Array<ArrayBuffer> {
  let state = seed;
  return Float32Array.from({ length: n * DIM }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

function jobOf(queries: Float32Array, k: number): SearchJob {
  const nq = queries.length / DIM;
  return {
    queries,
    type: 0,
    nq,
    k,
    options: new Float64Array(0),
    filterKind: 0,
    filter: null,
    filterCount: 0,
    ids: new Float64Array(nq * k),
    distances: new Float32Array(nq * k),
    counts: new Uint32Array(nq),
  };
}

function add(index: BackendIndex, data: Float32Array): void {
  const writer = index.openWriter(0);
  try {
    writer.append(0, data, data.length / DIM, null);
    writer.commit();
  } finally {
    writer.abort();
  }
}

function nearest(index: BackendIndex, query: Float32Array): number {
  const job = jobOf(query, 1);
  index.search(job);
  return job.ids[0]!;
}

/** Adds until it fails; returns how many portions went in and the error. */
function fill(index: BackendIndex, portion: Float32Array): { added: number; error: unknown } {
  for (let added = 0; added < 100_000; added++) {
    try {
      add(index, portion);
    } catch (error) {
      return { added, error };
    }
  }
  throw new Error('expected the memory to run out');
}

describe('out of memory', () => {
  test.each([256, 512, 777, 1024])('with %i pages, an add that does not fit changes nothing', (pages) => {
    const backend = new WasmBackend(Core.fromModule(limited(pages)));
    const index = backend.create(options);
    const portion = rows(1000);
    const { added, error } = fill(index, portion);
    expect(added).toBeGreaterThan(10);
    expect(error).toMatchObject({ name: 'AnnexError', code: 'OUT_OF_MEMORY' });
    expect(index.size()).toBe(added * 1000);
    expect(nearest(index, portion.subarray(5 * DIM, 6 * DIM))).toBe(5);

    // What is freed can be used again.
    const newest = Float64Array.from({ length: 1000 }, (_, i) => added * 1000 - 1 - i); // last first: ids stay 0, 1, 2 …
    expect(index.remove(newest)).toBe(1000);
    expect(nearest(index, portion.subarray(5 * DIM, 6 * DIM))).toBe(5);
    index.close();
    const again = backend.create(options);
    expect(fill(again, portion).added).toBeGreaterThan(added / 2); // the heap is in pieces now
    again.close();
  });

  test('a search whose results do not fit fails, and a smaller one works', () => {
    const backend = new WasmBackend(Core.fromModule(limited(512)));
    const index = backend.create(options);
    const { added } = fill(index, rows(1000));
    const n = added * 1000;
    const huge = jobOf(rows(1), 8_000_000);
    expect(() => index.search(huge)).toThrowError(expect.objectContaining({ code: 'OUT_OF_MEMORY' }));
    expect(nearest(index, rows(1))).toBe(0);
    const filter = {
      ...jobOf(rows(1), 1),
      filterKind: 2,
      filter: new Uint32Array(16_000_000),
      filterCount: 512_000_000,
    };
    expect(() => index.search(filter)).toThrowError(expect.objectContaining({ code: 'OUT_OF_MEMORY' }));
    expect(() => index.remove(new Float64Array(5_000_000).map((_, i) => i))).toThrowError(
      expect.objectContaining({ code: 'OUT_OF_MEMORY' }),
    );
    expect(index.size()).toBe(n);
    expect(nearest(index, rows(1))).toBe(0);
    index.close();
  });

  test('indexes are refused, not crashed on, when there is no room for them', () => {
    const backend = new WasmBackend(Core.fromModule(limited(40)));
    const kept: BackendIndex[] = [];
    let caught: unknown;
    for (let i = 0; i < 100_000 && caught === undefined; i++) {
      try {
        const index = backend.create(options);
        kept.push(index);
        add(index, rows(1));
      } catch (error) {
        caught = error;
      }
    }
    expect(caught).toMatchObject({ code: 'OUT_OF_MEMORY' });
    for (const index of kept.splice(-10)) index.close(); // a search needs some bytes, too
    expect(nearest(kept[0]!, rows(1))).toBe(0);
    for (const index of kept) index.close();
  });

  test('more than linear memory can ever hold', () => {
    const core = Core.fromModule(new WebAssembly.Module(wasmBytes()));
    for (const bytes of [2 ** 32 - 65536, 2 ** 32, 2 ** 32 + 8, 2 ** 40]) {
      expect(() => core.reserve(bytes)).toThrowError(expect.objectContaining({ code: 'OUT_OF_MEMORY' }));
    }
    expect(core.reserve(100)).toBeGreaterThan(0);
  });
});

describe('linear memory', () => {
  test('views follow growth', () => {
    const core = Core.fromModule(new WebAssembly.Module(wasmBytes()));
    const before = core.u8.length;
    const at = core.reserve(before * 2);
    expect(core.u8.length).toBeGreaterThan(before);
    for (const view of [core.u8, core.i8, core.u32, core.f32, core.f64]) expect(view.buffer).toBe(core.u8.buffer);
    core.u8[at + before] = 7;
    expect(core.u8[at + before]).toBe(7);
  });

  test('grows in steps that grow with it: the engine takes the whole memory for garbage each time', () => {
    const core = Core.fromModule(new WebAssembly.Module(wasmBytes()));
    const index = new WasmBackend(core).create(options);
    const data = rows(4000); // 1 MB
    let growths = 0;
    for (let i = 0; i < 128; i++) {
      const { buffer } = core.u8;
      add(index, data);
      if (core.u8.buffer !== buffer) growths++;
    }
    expect(growths).toBeGreaterThan(10);
    expect(growths).toBeLessThan(40);
    expect(core.u8.length).toBeLessThan(250 << 20);
    index.close();
  });

  test('10,000 indexes created and closed, and as many writers dropped, leave nothing behind', () => {
    const core = Core.fromModule(new WebAssembly.Module(wasmBytes()));
    const backend = new WasmBackend(core);
    const data = rows(50);
    const cycle = () => {
      const index = backend.create(options);
      add(index, data);
      nearest(index, data.subarray(0, DIM));
      const writer = index.openWriter(0);
      writer.append(0, data, 50, null);
      index.close();
      writer.abort();
    };
    for (let i = 0; i < 100; i++) cycle();
    const before = core.u8.length;
    for (let i = 0; i < 10_000; i++) cycle();
    expect(core.u8.length).toBe(before);
  });

  test('what is never closed is freed when it is collected', async () => {
    const core = Core.fromModule(limited(512)); // 32 MB
    const backend = new WasmBackend(core);
    const data = rows(4000); // 1 MB
    for (let i = 0; i < 60; i++) {
      const index = backend.create(options);
      add(index, data);
      index.openWriter(0).append(0, data, 4000, null);
      gc?.();
      await new Promise((resolve) => setImmediate(resolve));
    }
  });

  test('a large call leaves no large scratch area', () => {
    const core = Core.fromModule(limited(1024)); // 64 MB
    const index = new WasmBackend(core).create(options);
    add(index, rows(10));
    index.search(jobOf(rows(1), 3_000_000)); // 36 MB of results
    const other = Core.prototype.reserve.call(core, 30 << 20); // fits only where that is free again
    expect(other).toBeGreaterThan(0);
  });
});

describe('a trap', () => {
  test('is an INTERNAL error, and the core refuses everything after it', () => {
    const core = Core.fromModule(new WebAssembly.Module(wasmBytes()));
    const backend = new WasmBackend(core);
    const index = backend.create(options);
    add(index, rows(10));
    expect(() => core.abi.annex_search(0xfffffff0, 0xfffffff0)).toThrowError(
      expect.objectContaining({ name: 'AnnexError', code: 'INTERNAL' }),
    );
    expect(() => index.search(jobOf(rows(1), 1))).toThrowError(expect.objectContaining({ code: 'INTERNAL' }));
    expect(() => backend.create(options)).toThrowError(/has stopped/);
    index.close();
  });
});
