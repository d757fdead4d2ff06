// What annex does, on real data: builds indexes of every kind, searches them, compares the answers with an exact scan,
// saves and opens a file, and shows what was found. Run it with `npm run demo`.
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as annex from 'annex';
import * as wasm from 'annex/wasm';
import { loadSample } from './sample.mjs';
import { accent, bold, columns, cut, dim, table } from './terminal.mjs';

const K = 10;
const PASSES = 5; // over all queries, so that the percentiles rest on 1,000 searches

/** @typedef {typeof annex | typeof wasm} Api */

const sample = loadSample();
const { queries, queryMatrix } = sample;
const common = /** @type {const} */ ({ dim: sample.dim, metric: 'cosine' });

/** What is built: a line of the table each, with parameters of its searches. */
const FLAT = [
  { label: 'f32, plain scan', options: { sidecar: 'none' }, search: {} },
  { label: 'f32, int8 sidecar', options: { sidecar: 'i8' }, search: {} },
  { label: 'f16', options: { storage: 'f16' }, search: {} },
  { label: 'bf16', options: { storage: 'bf16' }, search: {} },
  { label: 'sq8', options: { storage: 'sq8' }, search: {} },
].map(({ label, options, search }) => ({
  label: `FlatIndex ${label}`,
  search,
  /** @param {Api} api */
  build: async (api) => {
    const index = await api.FlatIndex.create(/** @type {any} */ ({ ...common, ...options }));
    await index.add(sample.vectors);
    return index;
  },
}));

const GRAPHS = [
  { label: 'f32', options: {}, search: {} },
  { label: 'f32, efSearch 200', options: {}, search: { efSearch: 200 } },
  { label: 'sq8, rerank f16', options: { storage: 'sq8', rerank: 'f16' }, search: {} },
].map(({ label, options, search }) => ({
  label: `HnswIndex ${label}`,
  search,
  /** @param {Api} api */
  build: async (api) => {
    const index = await api.HnswIndex.create(/** @type {any} */ ({ ...common, ...options }));
    await index.add(sample.vectors);
    return index;
  },
}));

const pq = { codec: 'pq', m: 128, bits: 4, rotation: 'opq' };
const LISTS = [
  { label: 'f32', options: {}, search: {} },
  { label: 'pq 128 × 4', options: { storage: pq }, search: { nprobe: 64 } },
  { label: 'pq 128 × 4, rerank f16', options: { storage: pq, rerank: 'f16' }, search: { nprobe: 64, rerankFactor: 4 } },
  { label: 'rabitq, rerank f16', options: { storage: 'rabitq', rerank: 'f16' }, search: { nprobe: 64 } },
].map(({ label, options, search }) => ({
  label: `IvfIndex ${label}`,
  search,
  /** @param {Api} api */
  build: (api) => api.IvfIndex.build(sample.vectors, /** @type {any} */ ({ ...common, ...options })),
}));

/** @typedef {{ label: string, search: object, build: (api: Api) => Promise<annex.VectorIndex> }} Form */

/** @param {Api} api @param {Form} form */
async function build(api, form) {
  const start = performance.now();
  const index = await form.build(api);
  return { ...form, index, seconds: (performance.now() - start) / 1000 };
}
/** @typedef {Awaited<ReturnType<typeof build>>} Built */

/** Share of the true neighbours that were found. @param {Float64Array[]} truth @param {Float64Array[]} found */
function recall(truth, found) {
  let hits = 0;
  truth.forEach((ids, i) => {
    const wanted = new Set(ids);
    for (const id of found[i] ?? []) if (wanted.has(id)) hits++;
  });
  return hits / (truth.length * K);
}

/** @param {number[]} sorted @param {number} share */
const percentile = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;

/** One line of the table. @param {Built} built @param {Float64Array[]} truth */
async function measure({ label, index, search, seconds }, truth) {
  const found = queries.map((query) => index.searchSync(query, K, search).ids); // warms up, too
  const times = [];
  for (let pass = 0; pass < PASSES; pass++) {
    for (const query of queries) {
      const start = performance.now();
      index.searchSync(query, K, search);
      times.push(performance.now() - start);
    }
  }
  times.sort((a, b) => a - b);
  const batches = [];
  for (let pass = 0; pass < PASSES; pass++) {
    const start = performance.now();
    await index.searchBatch(queryMatrix, K, search);
    batches.push(performance.now() - start);
  }
  batches.sort((a, b) => a - b);
  const { bytesTotal, size } = index.stats();
  const single = times.reduce((sum, time) => sum + time, 0) / times.length;
  /** @param {number} milliseconds @param {number} count */
  const perSecond = (milliseconds, count) => Math.round((count * 1000) / milliseconds).toLocaleString('en');
  return [
    label,
    recall(truth, found).toFixed(3),
    percentile(times, 0.5).toFixed(3),
    percentile(times, 0.95).toFixed(3),
    perSecond(single, 1),
    perSecond(percentile(batches, 0.5), queries.length),
    Math.round(bytesTotal / size).toLocaleString('en'),
    seconds.toFixed(2),
  ];
}

const HEAD = ['index', `recall@${K}`, 'p50 ms', 'p95 ms', 'queries/s', 'batch q/s', 'bytes/vector', 'build s'];

/** Builds and measures forms on one backend, prints the table. @param {Api} api @param {readonly Form[]} forms @param {Float64Array[]} truth */
async function compare(api, forms, truth) {
  const { backend, isa, threads } = api.engineInfo();
  const rows = [];
  for (const form of forms) {
    const built = await build(api, form);
    rows.push(await measure(built, truth));
    built.index.close();
  }
  const parallel = threads === 1 ? '1 thread' : `${threads} threads`;
  console.log(`\n${accent(backend)} (${isa}, ${parallel})\n${table(HEAD, rows)}`);
}

/** Saves an index, opens the file again, and searches there. @param {annex.VectorIndex} index */
async function reopen(index) {
  const folder = mkdtempSync(join(tmpdir(), 'annex-demo-'));
  try {
    const file = join(folder, 'wordnet.annex');
    const start = performance.now();
    await index.save(file);
    const saved = performance.now();
    const same = /** @type {annex.VectorIndex} */ (/** @type {unknown} */ (await annex.open(file)));
    const opened = performance.now();
    const agree = queries.every((query) => {
      const [a, b] = [index.searchSync(query, K), same.searchSync(query, K)];
      return a.ids.every((id, i) => id === b.ids[i]);
    });
    const size = (statSync(file).size / 2 ** 20).toFixed(1);
    const took = `saved in ${(saved - start).toFixed(1)} ms, opened in ${(opened - saved).toFixed(1)} ms`;
    console.log(`\n${accent('file')}: ${size} MB, ${took}`);
    console.log(agree ? 'all queries find the same there' : 'the answers differ, which is a defect');
    same.close();
    if (!agree) process.exitCode = 1;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** @param {readonly number[]} picks */
async function show(picks) {
  const { index } = await build(annex, /** @type {Form} */ (GRAPHS[0]));
  await reopen(index);
  console.log(`\n${accent('nearest texts')} (cosine similarity)`);
  for (const pick of picks) {
    const query = /** @type {Float32Array} */ (queries[pick]);
    console.log(`\n${bold('›')} ${bold(cut(sample.queryTexts[pick] ?? '', columns - 2))}`);
    const result = await index.search(query, 4);
    result.ids.forEach((id, i) => {
      console.log(`  ${dim(result.score(i).toFixed(3))}  ${cut(sample.texts[id] ?? '', columns - 9)}`);
    });
  }
  index.close();
}

console.log(`${bold('annex')}: search in ${sample.texts.length.toLocaleString('en')} WordNet synsets`);
console.log(
  `${sample.dim} dimensions, cosine; ${queries.length} queries that are not among them, ${K} neighbours each`,
);

const exact = await annex.FlatIndex.create({ ...common, sidecar: 'none' });
await exact.add(sample.vectors);
const truth = queries.map((query) => exact.searchSync(query, K).ids);
exact.close();

await compare(annex, [...FLAT, ...GRAPHS, ...LISTS], truth);
if (annex.engineInfo().backend === 'native') {
  if (existsSync(new URL('../../dist/annex.wasm', import.meta.url))) {
    await compare(wasm, /** @type {Form[]} */ ([FLAT[0], FLAT[1], GRAPHS[0], LISTS[0], LISTS[3]]), truth);
  } else {
    console.log('\nwasm: not built, for emscripten is not installed');
  }
}
console.log(
  dim('\nrecall: against the plain f32 scan. queries/s: one search at a time; batch: all queries in one call.'),
);

await show([7, 46, 120, 188]);
