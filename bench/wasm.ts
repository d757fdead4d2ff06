// What WebAssembly costs: scans and graph searches beside the same core built natively for AVX2, in one process, by turns.
import * as native from 'annex/native';
import * as wasm from 'annex/wasm';
import { type Dataset, openDataset, repeated } from './data/dataset.js';
import { DATASET_FLAGS, parse, QUICK } from './lib/cli.js';
import { interleave, ratio, spread } from './lib/measure.js';
import { machine, writeResult } from './lib/results.js';
import { printWasm, type WasmLine, type WasmReport } from './lib/wasm_report.js';

const options = parse('bench:wasm', 'Scans and graph searches in WebAssembly over the same on native AVX2.', {
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
const BATCH = 200; // queries of a search that is short

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
  for (const index of indexes) index.addSync(rows as Float32Array);
  return byTurns(
    what,
    created.metric ?? 'l2',
    indexes,
    indexes.map((index) => () => scan(index, queries)),
  );
}

/** Built natively and opened by both from the same bytes. */
async function compareBatch(what: string, built: AnyIndex, queries: Float32Array): Promise<WasmLine> {
  const bytes = await built.toBytes();
  const other = await wasm.open(bytes);
  const search = (index: AnyIndex) => (): number => {
    const start = performance.now();
    index.searchBatchSync(queries, K, { threads: 1 });
    return (performance.now() - start) / (queries.length / index.dim);
  };
  const indexes = [built, other as unknown as AnyIndex];
  return byTurns(what, built.metric, indexes, indexes.map(search));
}

/** What is used of an index of any kind. */
type AnyIndex = Pick<native.FlatIndex, 'toBytes' | 'searchBatchSync' | 'dim' | 'metric' | 'close'>;

async function byTurns(
  what: string,
  metric: string,
  indexes: readonly { close(): void }[],
  searches: readonly (() => number)[],
): Promise<WasmLine> {
  try {
    const tasks = searches.map((search) => async () => search());
    const [nativeMs = [], wasmMs = []] = await interleave(tasks, REPETITIONS);
    return { what, metric, native: spread(nativeMs), wasm: spread(wasmMs), ratio: ratio(nativeMs, wasmMs) };
  } finally {
    for (const index of indexes) index.close();
  }
}

const GRAPH = 'graph';
const FAST_SCAN = '4-bit codes';

/** Over the rows as they are: copies of rows would lie at no distance from each other, and make no graph. */
async function batches({ base, query, dim, metric }: Dataset): Promise<WasmLine[]> {
  const queries = query.subarray(0, BATCH * dim);
  const wanted = (what: string): boolean => options.only === undefined || what.includes(options.only);
  const lines: WasmLine[] = [];
  if (wanted(GRAPH)) {
    const graph = native.HnswIndex.createSync({ dim, metric });
    graph.addSync(base);
    lines.push(await compareBatch(GRAPH, graph as unknown as AnyIndex, queries));
  }
  if (wanted(FAST_SCAN)) {
    const storage = { codec: 'pq', m: dim / 4, bits: 4 } as const;
    const codes = native.FlatIndex.createSync({ dim, metric, storage });
    codes.trainSync(base);
    codes.addSync(base);
    lines.push(await compareBatch(FAST_SCAN, codes as unknown as AnyIndex, queries));
  }
  return lines;
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
  lines.push(...(await batches(dataset)));
  const nativeIsa = native.engineInfo().isa;
  const one = (what: string): number | undefined =>
    nativeIsa === 'avx2' ? lines.find((line) => line.what === what)?.ratio.median : undefined;
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
    graphOverAvx2: one(GRAPH),
    fastScanOverAvx2: one(FAST_SCAN),
  };
}

const report = await run(openDataset(options));
process.stdout.write(`${printWasm(report)}\n`);
if (options.only === undefined) process.stdout.write(`written to ${writeResult('wasm', report)}\n`);
