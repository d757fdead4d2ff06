// What every platform without the native backend must do. Plain JavaScript without imports, so that the same file
// runs in a page, in a Worker and in workerd.

/** @param {unknown} condition @param {string} message */
function assert(condition, message) {
  if (!condition) throw new Error(message);
}

/** Deterministic numbers in [-1, 1). @param {number} seed */
function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
}

/** @param {number} n @param {number} seed */
function vectors(n, seed) {
  const next = random(seed);
  return Float32Array.from({ length: n }, next);
}

/** @param {Float32Array} a @param {Float32Array} b @param {(x: number, y: number) => number} term */
function sum(a, b, term) {
  return a.reduce((total, x, i) => total + term(x, b[i] ?? Number.NaN), 0);
}

/** @param {string} metric @param {Float32Array} a @param {Float32Array} b */
function distanceOf(metric, a, b) {
  const dot = (/** @type {Float32Array} */ u, /** @type {Float32Array} */ v) => sum(u, v, (x, y) => x * y);
  if (metric === 'l2') return sum(a, b, (x, y) => (x - y) ** 2);
  if (metric === 'l1') return sum(a, b, (x, y) => Math.abs(x - y));
  return metric === 'ip' ? -dot(a, b) : 1 - dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}

/**
 * The k nearest of the rows that `allowed` admits, in double precision.
 *
 * @param {Float32Array} rows @param {number} dim @param {Float32Array} query @param {number} k @param {string} metric
 * @param {(id: number) => boolean} [allowed]
 */
function reference(rows, dim, query, k, metric, allowed = () => true) {
  const found = [];
  for (let id = 0; id < rows.length / dim; id++) {
    if (allowed(id)) found.push({ id, distance: distanceOf(metric, query, rows.subarray(id * dim, (id + 1) * dim)) });
  }
  return found.sort((a, b) => a.distance - b.distance || a.id - b.id).slice(0, k);
}

/**
 * @param {{ ids: Float64Array, distances: Float32Array }} hit @param {{ id: number, distance: number }[]} expected
 * @param {string} what
 */
function same(hit, expected, what) {
  assert(hit.ids.length === expected.length, `${what}: expected ${expected.length} neighbours, got ${hit.ids.length}`);
  expected.forEach(({ id, distance }, i) => {
    assert(hit.ids[i] === id, `${what}: expected id ${id} at place ${i}, got ${hit.ids[i]}`);
    const off = Math.abs(Number(hit.distances[i]) - distance);
    assert(off <= 1e-4 * (1 + Math.abs(distance)), `${what}: expected distance ${distance}, got ${hit.distances[i]}`);
  });
}

/** @param {() => unknown} call @param {string} code @param {string} text */
async function fails(call, code, text) {
  let caught;
  try {
    await call();
  } catch (error) {
    caught = /** @type {{ name: string, code: string, message: string }} */ (error);
  }
  assert(caught?.name === 'AnnexError', `expected an AnnexError ${code}, got ${caught}`);
  assert(caught?.code === code, `expected code ${code}, got ${caught?.code}: ${caught?.message}`);
  assert(caught?.message.includes(text), `expected "${text}" in the message "${caught?.message}"`);
}

/** @typedef {typeof import('annex/wasm')} Annex */

/** @type {Record<string, (annex: Annex) => Promise<void>>} */
const CASES = {
  async 'a graph and lists'(annex) {
    const dim = 16;
    const rows = vectors(600 * dim, 3);
    const graph = await annex.HnswIndex.create({ dim });
    await graph.add(rows);
    const storage = /** @type {const} */ ({ codec: 'pq', m: 8, bits: 4 });
    const lists = await annex.IvfIndex.build(rows, { dim, storage, rerank: 'f16' });
    for (let id = 0; id < 600; id += 59) {
      const row = rows.subarray(id * dim, (id + 1) * dim);
      assert((await graph.search(row, 1)).ids[0] === id, `the graph does not find row ${id}`);
      assert((await lists.search(row, 1, { nprobe: 20 })).ids[0] === id, `the lists do not hold row ${id}`);
    }
    await fails(() => lists.train(rows), 'INVALID_ARGUMENT', 'trained');
    graph.close();
    lists.close();
  },

  async engine({ engineInfo, ready }) {
    await ready();
    const info = engineInfo();
    assert(
      info.backend === 'wasm' && info.isa === 'wasm128',
      `expected wasm with wasm128, got ${JSON.stringify(info)}`,
    );
  },

  async metrics({ FlatIndex }) {
    const dim = 67;
    const rows = vectors(2000 * dim, 1);
    const queries = vectors(20 * dim, 2);
    for (const metric of /** @type {const} */ (['l2', 'ip', 'cosine', 'l1'])) {
      const index = await FlatIndex.create({ dim, metric });
      await index.add(rows);
      assert(index.size === 2000, `expected 2000 rows, got ${index.size}`);
      const batch = await index.searchBatch(queries, 10);
      for (let q = 0; q < 20; q++) {
        const query = queries.subarray(q * dim, (q + 1) * dim);
        const expected = reference(rows, dim, query, 10, metric);
        same(await index.search(query, 10), expected, `${metric} search`);
        same(index.searchSync(query, 10), expected, `${metric} searchSync`);
        const ids = batch.ids.subarray(q * 10, (q + 1) * 10);
        same({ ids, distances: batch.distances.subarray(q * 10, (q + 1) * 10) }, expected, `${metric} searchBatch`);
      }
      index.close();
    }
  },

  async storages({ FlatIndex }) {
    const dim = 64;
    const rows = vectors(500 * dim, 3);
    for (const storage of /** @type {const} */ (['f32', 'f16', 'bf16', 'sq8'])) {
      const index = await FlatIndex.create({ dim, storage });
      await index.add(rows);
      for (let id = 0; id < 500; id += 50) {
        const hit = await index.search(rows.subarray(id * dim, (id + 1) * dim), 1);
        assert(hit.ids[0] === id, `${storage}: expected row ${id} to be its own nearest, got ${hit.ids[0]}`);
      }
      index.close();
    }
    const bytes = Uint8Array.from(rows, (x) => (x + 1) * 127);
    for (const storage of /** @type {const} */ (['u8', 'bits'])) {
      const index = await FlatIndex.create({ dim: storage === 'u8' ? dim : dim * 8, storage });
      await index.add(bytes);
      const hit = await index.search(bytes.subarray(7 * dim, 8 * dim), 1);
      assert(hit.ids[0] === 7 && hit.distances[0] === 0, `${storage}: expected row 7 at 0, got ${hit.ids[0]}`);
      index.close();
    }
  },

  async filters({ FlatIndex, Bitset }) {
    const dim = 32;
    const rows = vectors(1000 * dim, 4);
    const query = vectors(dim, 5);
    const index = await FlatIndex.create({ dim });
    await index.add(rows);
    const third = Array.from({ length: 334 }, (_, i) => i * 3);
    const expected = reference(rows, dim, query, 8, 'l2', (id) => id % 3 === 0);
    same(await index.search(query, 8, { filter: third }), expected, 'filter of ids');
    same(await index.search(query, 8, { filter: Bitset.fromIds(third) }), expected, 'filter of bits');
    same(await index.search(query, 8, { filter: [] }), [], 'empty filter');
    index.close();
  },

  async writes({ FlatIndex }) {
    const index = await FlatIndex.create({ dim: 4 });
    await index.add(Float32Array.of(1, 0, 0, 0, 0, 1, 0, 0), { ids: [10, 2 ** 53 - 1] });
    await fails(() => index.add(Float32Array.of(9, 9, 9, 9), { ids: [10] }), 'DUPLICATE_ID', '10');
    assert(index.has(10) && !index.has(11), 'expected id 10 and no id 11');
    await index.upsert([10], Float32Array.of(0, 0, 5, 0));
    assert(index.get(10)?.[2] === 5, 'expected the row of the upsert');
    assert((await index.remove([10])) === 1, 'expected one row to be removed');
    assert(index.size === 1 && index.get(10) === undefined, 'expected one row to be left');
    index.close();
    await fails(() => index.search(new Float32Array(4), 1), 'CLOSED', 'closed');
  },

  async errors({ FlatIndex }) {
    const index = await FlatIndex.create({ dim: 3, metric: 'cosine' });
    await index.add(Float32Array.of(1, 2, 3));
    await fails(() => FlatIndex.create({ dim: 0 }), 'INVALID_ARGUMENT', 'dim');
    await fails(() => index.search(new Float32Array(4), 1), 'DIMENSION_MISMATCH', '4');
    await fails(() => index.search(Float32Array.of(1, Number.NaN, 0), 1), 'NOT_FINITE', 'NaN');
    await fails(() => index.search(new Float32Array(3), 1), 'NOT_FINITE', 'zero');
    await fails(() => index.search(Float32Array.of(1, 1, 1), 0), 'INVALID_ARGUMENT', 'k');
    const hit = await index.search(Float32Array.of(1, 1, 1), 1e9);
    assert(hit.ids.length === 1, `expected the one row, got ${hit.ids.length}`);
    index.close();
  },

  async abort({ FlatIndex }) {
    const dim = 128;
    const index = await FlatIndex.create({ dim });
    const rows = vectors(20_000 * dim, 6);
    await index.add(rows);
    const controller = new AbortController();
    const search = index.searchBatch(vectors(2000 * dim, 7), 10, { signal: controller.signal });
    setTimeout(() => controller.abort(), 0);
    await fails(() => search, 'ABORTED', 'signal');
    const query = vectors(dim, 8);
    same(await index.search(query, 3), reference(rows, dim, query, 3, 'l2'), 'after abort');
    index.close();
  },

  async many({ FlatIndex }) {
    const dim = 16;
    const rows = vectors(300 * dim, 9);
    const index = await FlatIndex.create({ dim });
    await index.add(rows);
    const hits = await Promise.all(
      Array.from({ length: 300 }, (_, id) => index.search(rows.subarray(id * dim, (id + 1) * dim), 1)),
    );
    for (const [id, hit] of hits.entries()) assert(hit.ids[0] === id, `expected row ${id}, got ${hit.ids[0]}`);
    index.close();
  },
};

/** Runs every case and tells what went wrong. @param {Annex} annex @returns {Promise<{ ran: number, failures: string[] }>} */
export async function runCases(annex) {
  const failures = [];
  for (const [name, run] of Object.entries(CASES)) {
    try {
      await run(annex);
    } catch (error) {
      failures.push(`${name}: ${error instanceof Error ? (error.stack ?? error.message) : error}`);
    }
  }
  return { ran: Object.keys(CASES).length, failures };
}
