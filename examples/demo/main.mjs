// What annex does, on real data: builds an index in every form that FlatIndex has, searches it, compares the answers
// with an exact scan, and shows what was found. Run it with `npm run demo`.
import { existsSync } from 'node:fs';
import * as annex from 'annex';
import * as wasm from 'annex/wasm';
import { loadSample } from './sample.mjs';
import { accent, bold, columns, cut, dim, table } from './terminal.mjs';

const K = 10;
const PASSES = 5; // over all queries, so that the percentiles rest on 1,000 searches

/** What is built: a line of the table each. The first is the measure of recall. */
const EXACT = /** @type {const} */ ({ label: 'f32, plain scan', storage: 'f32', sidecar: 'none' });
const FORMS = /** @type {const} */ ([
  EXACT,
  { label: 'f32, int8 sidecar', storage: 'f32', sidecar: 'i8' },
  { label: 'f16', storage: 'f16' },
  { label: 'bf16', storage: 'bf16' },
  { label: 'sq8', storage: 'sq8' },
]);
/** @typedef {typeof FORMS[number]} Form */
/** @typedef {typeof annex | typeof wasm} Api */

const sample = loadSample();
const { queries, queryMatrix } = sample;

/** @param {Api} api @param {Form} form */
async function build(api, form) {
  const { label, ...options } = form;
  const index = await api.FlatIndex.create({ dim: sample.dim, metric: 'cosine', ...options });
  await index.add(sample.vectors);
  return { label, index };
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
async function measure({ label, index }, truth) {
  const found = queries.map((query) => index.searchSync(query, K).ids); // warms up, too
  const times = [];
  for (let pass = 0; pass < PASSES; pass++) {
    for (const query of queries) {
      const start = performance.now();
      index.searchSync(query, K);
      times.push(performance.now() - start);
    }
  }
  times.sort((a, b) => a - b);
  const batches = [];
  for (let pass = 0; pass < PASSES; pass++) {
    const start = performance.now();
    await index.searchBatch(queryMatrix, K);
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
  ];
}

const HEAD = ['storage', `recall@${K}`, 'p50 ms', 'p95 ms', 'queries/s', 'batch q/s', 'bytes/vector'];

/** Builds and measures forms on one backend, prints the table. @param {Api} api @param {readonly Form[]} forms @param {Float64Array[]} truth */
async function compare(api, forms, truth) {
  const { backend, isa, threads } = api.engineInfo();
  const built = await Promise.all(forms.map((form) => build(api, form)));
  const rows = [];
  for (const one of built) rows.push(await measure(one, truth));
  for (const { index } of built) index.close();
  const parallel = threads === 1 ? '1 thread' : `${threads} threads`;
  console.log(`\n${accent(backend)} (${isa}, ${parallel})\n${table(HEAD, rows)}`);
}

/** @param {readonly number[]} picks */
async function show(picks) {
  const { index } = await build(annex, FORMS[1]);
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

console.log(`${bold('annex')}: exact search in ${sample.texts.length.toLocaleString('en')} WordNet synsets`);
console.log(
  `${sample.dim} dimensions, cosine; ${queries.length} queries that are not among them, ${K} neighbours each`,
);

const exact = await build(annex, EXACT);
const truth = queries.map((query) => exact.index.searchSync(query, K).ids);
exact.index.close();

await compare(annex, FORMS, truth);
if (annex.engineInfo().backend === 'native') {
  if (existsSync(new URL('../../dist/annex.wasm', import.meta.url))) {
    await compare(wasm, [FORMS[0], FORMS[1], FORMS[4]], truth);
  } else {
    console.log('\nwasm: not built, for emscripten is not installed');
  }
}
console.log(
  dim('\nrecall: against the plain f32 scan. queries/s: one search at a time; batch: all queries in one call.'),
);

console.log(`\n${accent('nearest texts')} (cosine similarity)`);
await show([7, 46, 120, 188]);
