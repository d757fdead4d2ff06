// What WebAssembly costs: single-query scans beside the same core built natively for AVX2, in one process, by turns.
import * as native from 'annex/native';
import * as wasm from 'annex/wasm';
import { type Dataset, openDataset, repeated } from './data/dataset.js';
import { DATASET_FLAGS, parse, QUICK } from './lib/cli.js';
import { interleave, ratio, spread } from './lib/measure.js';
import { machine, writeResult } from './lib/results.js';
import { printWasm, type WasmLine, type WasmReport } from './lib/wasm_report.js';

const options = parse('bench:wasm', 'Single-query scans in WebAssembly over the same scans on native AVX2.', {
  ...DATASET_FLAGS,
  ...QUICK,
  isa: { type: 'string', help: 'instruction set of the native side, default avx2 on x64' },
  only: { type: 'string', help: 'only storages whose name contains this' },
});
const quick = options.quick ?? false;
const ROWS = 116_000; // the sample is repeated up to so many: a scan must come from memory, not from the cache
const K = 10;
const QUERIES = quick ? 3 : 8; // per measurement
const REPETITIONS = quick ? 7 : 25;

// Read when the native core first looks for the processor's instruction sets.
const isa = options.isa ?? (process.arch === 'x64' ? 'avx2' : undefined);
if (isa !== undefined) process.env.ANNEX_ISA = isa;

type Index = native.FlatIndex<native.Rows>;
type Create = { createSync(options: native.FlatIndexOptions): Index };

/** Milliseconds a query. */
function scan(index: Index, queries: readonly native.Rows[]): number {
  const start = performance.now();
  for (const query of queries) index.searchSync(query as Float32Array, K, { threads: 1 });
  return (performance.now() - start) / queries.length;
}

async function compare(
  what: string,
  created: native.FlatIndexOptions,
  rows: native.Rows,
  queries: readonly native.Rows[],
): Promise<WasmLine> {
  const indexes = [native.FlatIndex, wasm.FlatIndex].map((flat) => (flat as unknown as Create).createSync(created));
  try {
    for (const index of indexes) index.addSync(rows as Float32Array);
    const tasks = indexes.map((index) => async () => scan(index, queries));
    const [nativeMs = [], wasmMs = []] = await interleave(tasks, REPETITIONS);
    return {
      what,
      metric: created.metric ?? 'l2',
      native: spread(nativeMs),
      wasm: spread(wasmMs),
      ratio: ratio(nativeMs, wasmMs),
    };
  } finally {
    for (const index of indexes) index.close();
  }
}

/** Bytes by the range of the values, and bits by their sign. */
function bytesOf(values: Float32Array): Uint8Array {
  const most = values.reduce((most, x) => Math.max(most, Math.abs(x)), 1e-9);
  return Uint8Array.from(values, (x) => Math.round(128 + (x / most) * 127));
}
function bitsOf(values: Float32Array): Uint8Array {
  const bits = new Uint8Array(values.length >> 3);
  for (const [i, x] of values.entries()) if (x > 0) bits[i >> 3]! |= 1 << (i & 7);
  return bits;
}

function split<T extends native.Rows>(rows: T, width: number, n: number): native.Rows[] {
  return Array.from({ length: n }, (_, i) => rows.slice(i * width, (i + 1) * width));
}

async function run(dataset: Dataset): Promise<WasmReport> {
  const { dim } = dataset;
  if (dim % 8 !== 0) throw new Error(`--dim must be a multiple of 8 for packed bits, got ${dim}`);
  const n = options.rows ?? Math.max(ROWS, dataset.rows);
  const base = repeated(dataset.base, n * dim);
  const queries = dataset.query.subarray(0, QUERIES * dim);
  const floats = split(queries, dim, QUERIES);
  const bytes = bytesOf(base);
  const byteQueries = split(bytesOf(queries), dim, QUERIES);
  const bits = bitsOf(base);
  const bitQueries = split(bitsOf(queries), dim / 8, QUERIES);

  const cases: [string, native.FlatIndexOptions, native.Rows, native.Rows[]][] = [];
  for (const metric of ['l2', 'ip', 'cosine'] as const) {
    cases.push(['f32', { dim, metric, sidecar: 'none' }, base, floats]);
  }
  for (const storage of ['f16', 'bf16', 'sq8'] as const) cases.push([storage, { dim, storage }, base, floats]);
  cases.push(['u8', { dim, storage: 'u8' }, bytes, byteQueries]);
  cases.push(['bits', { dim, metric: 'hamming' }, bits, bitQueries]);
  cases.push(['f32 + sidecar', { dim, sidecar: 'i8' }, base, floats]);

  const lines: WasmLine[] = [];
  for (const [what, created, rows, these] of cases) {
    if (options.only === undefined || what.includes(options.only)) {
      lines.push(await compare(what, created, rows, these));
    }
  }
  const nativeIsa = native.engineInfo().isa;
  const plain = lines.filter(({ what }) => what === 'f32').map((line) => line.ratio.median);
  return {
    machine: machine(),
    dataset: dataset.name,
    rows: n,
    dim,
    nativeIsa,
    wasmIsa: wasm.engineInfo().isa,
    lines,
    scanOverAvx2: nativeIsa === 'avx2' && plain.length > 0 ? Math.min(...plain) : undefined,
  };
}

const report = await run(openDataset(options));
process.stdout.write(`${printWasm(report)}\n`);
if (options.only === undefined) process.stdout.write(`written to ${writeResult('wasm', report)}\n`);
