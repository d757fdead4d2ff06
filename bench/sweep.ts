// Sweeps over build and search parameters: recall against speed, beside the peers, in one run.
import { writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { sweepPage } from '../ts/bench_page.js';
import { printPoints, printSweep } from '../ts/bench_print.js';
import {
  MODES,
  newState,
  readState,
  type SweepMode,
  type SweepState,
  unfinished,
  writeState,
} from '../ts/bench_state.js';
import { keyOf } from '../ts/data_cache.js';
import { type Prepared, prepare } from './data/prepare.js';
import { DATASET_FLAGS, orExitAsync, parse, QUICK } from './lib/cli.js';
import { RESULTS } from './lib/results.js';
import type { Params } from './peers/ann.js';
import { runSweep } from './sweep/run.js';
import {
  faiss,
  GRID,
  type Grid,
  graphPeers,
  listPeers,
  listsFor,
  ourGraphs,
  ourLists,
  ours,
  ourWasm,
  QUICK_GRID,
  type Structure,
  type SystemSpec,
  wasmPeers,
} from './sweep/systems.js';

const options = parse(
  'bench -- sweep',
  `Recall against queries a second and latency, beside hnswlib, usearch and FAISS, all in one run.
graphs and lists are sweeps over graphs, or over lists of codes, alone; wasm-peers is one over our graphs on
WebAssembly beside hnswlib-wasm, edgevec and voy:

  npm run bench -- graphs --generate clustered --rows 1000000 --dim 128
  npm run bench -- lists --base x.npy --query q.npy --metric ip --faiss 'IVF1024,PQ32' --ivf '{"nlist":1024}'

Rows, true neighbours and peers' indexes are kept in the folder of caches (ANNEX_BENCH_CACHE names another), so
the next run starts at once. A run that was interrupted goes on where it was when it is started again.`,
  {
    ...DATASET_FLAGS,
    base: {
      type: 'string',
      help: 'rows: .npy, .fvecs, .bvecs, .fbin, .u8bin, .i8bin, .parquet, or .hdf5 of ann-benchmarks',
    },
    ...QUICK,
    gt: {
      type: 'string',
      help: "true neighbours (.ivecs, .ibin); default: the file's own, or found by exact search and kept",
    },
    column: { type: 'string', help: 'of a Parquet file: the column with the vectors, where there are several' },
    preset: {
      type: 'string',
      help: 'graphs, lists, wasm-peers or all (default: graphs and lists); npm run bench -- graphs is short for it',
    },
    k: { type: 'number', help: 'neighbours, default 10' },
    repetitions: { type: 'number', help: 'default 5, with --quick 3' },
    ms: { type: 'number', help: 'milliseconds of one repetition of one point, default 300, with --quick 40' },
    threads: { type: 'number', help: 'for builds and where all threads are measured; default all there are' },
    modes: { type: 'string', help: 'of single, batch, all: what to measure, default all three, with commas' },
    ef: { type: 'string', help: 'graphs: pool lengths, such as 10,20,40' },
    nprobe: { type: 'string', help: 'lists: how many to look into, such as 1,4,16' },
    rerank: { type: 'string', help: 'lists with rerank: factors, such as 4,10' },
    nlist: { type: 'number', help: 'lists of the preset, default some 4 · √rows' },
    hnsw: {
      type: 'strings',
      help: "ours instead of the preset's graphs: options of HnswIndex as JSON; may be repeated",
    },
    ivf: { type: 'strings', help: "ours instead of the preset's lists: options of IvfIndex as JSON; may be repeated" },
    flat: { type: 'strings', help: 'ours: options of FlatIndex as JSON; may be repeated' },
    faiss: { type: 'strings', help: "instead of the preset's: a factory string; may be repeated" },
    only: { type: 'string', help: 'systems whose name contains one of these, with commas' },
    alone: { type: 'boolean', help: 'without peers' },
    fresh: { type: 'boolean', help: "builds peers' indexes anew and forgets an interrupted run" },
    cpu: { type: 'boolean', help: 'tables by processor time, for a machine that has other work' },
    points: { type: 'boolean', help: 'prints every point of the fronts' },
    out: { type: 'string', help: 'where to write; default bench/results/<preset>-<dataset>-<rows>.json' },
  },
);

const presets = ['all', 'graphs', 'lists', 'wasm-peers'] as const;
/** Some of the peers on WebAssembly build slower than that by a thousand times: so many rows have to do. */
const WASM_ROWS = options.quick ? 1000 : 5000;

function numbers(flag: string, text: string | undefined): number[] | undefined {
  const list = text?.split(',').map(Number);
  if (list?.some((x) => !(Number.isInteger(x) && x >= 1))) {
    throw new Error(`--${flag} must be whole numbers from 1 on with commas between them, got ${text}`);
  }
  return list;
}

function json(flag: string, text: string): Params {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // told below
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Params;
  throw new Error(`--${flag} must be options as JSON, such as '{"M":16}', got ${text}`);
}

function modesOf(text: string | undefined): readonly SweepMode[] {
  if (text === undefined) return MODES;
  return text.split(',').map((name) => {
    const mode = MODES.find((one) => one === name);
    if (mode === undefined) throw new Error(`--modes must be of ${MODES.join(', ')}, got ${name}`);
    return mode;
  });
}

/** Checks the options, and returns what makes the systems once the shape of the rows is known. */
function specsOf(preset: string): (data: Prepared) => SystemSpec[] {
  const standard = options.quick ? QUICK_GRID : GRID;
  const grid: Grid = {
    ef: numbers('ef', options.ef) ?? standard.ef,
    nprobe: numbers('nprobe', options.nprobe) ?? standard.nprobe,
    rerank: numbers('rerank', options.rerank) ?? standard.rerank,
  };
  const own = (flag: 'flat' | 'hnsw' | 'ivf', structure: Structure): SystemSpec[] | undefined =>
    options[flag]?.map((text) => ours(structure, json(flag, text), grid));
  const [flats, graphs, lists] = [own('flat', 'flat'), own('hnsw', 'graph'), own('ivf', 'list')];
  const factories = options.faiss?.map((factory) => faiss(factory, grid));
  return (data) => {
    const nlist = options.nlist ?? listsFor(data.rows);
    const quick = options.quick ?? false;
    const specs: SystemSpec[] = flats ?? (preset === 'all' ? [ours('flat', {}, grid)] : []);
    if (preset === 'wasm-peers') return pick([...specs, ...ourWasm(grid), ...(options.alone ? [] : wasmPeers(grid))]);
    if (preset !== 'lists') specs.push(...(graphs ?? ourGraphs(grid)));
    if (preset !== 'graphs') specs.push(...(lists ?? ourLists(data.dim, nlist, grid, quick)));
    if (!options.alone) {
      if (preset !== 'lists') specs.push(...graphPeers(grid, quick));
      specs.push(...(factories ?? (preset === 'graphs' ? [] : listPeers(data.dim, nlist, grid, quick))));
    }
    return pick(specs);
  };
}

/** What --only leaves. */
function pick(specs: SystemSpec[]): SystemSpec[] {
  const words = options.only?.split(',');
  const chosen = words === undefined ? specs : specs.filter(({ label }) => words.some((word) => label.includes(word)));
  if (chosen.length > 0) return chosen;
  throw new Error(`--only ${options.only} leaves nothing of:\n${specs.map(({ label }) => `  ${label}`).join('\n')}`);
}

const repetitions = (): number => options.repetitions ?? (options.quick ? 3 : 5);

await orExitAsync(async () => {
  const say = (text: string): void => void process.stderr.write(`${process.stderr.isTTY ? '\r\x1b[K' : ''}${text}\n`);
  const preset = options.preset ?? 'all';
  if (!presets.some((name) => name === preset))
    throw new Error(`--preset must be one of ${presets.join(', ')}, got ${preset}`);
  const modes = modesOf(options.modes ?? (preset === 'wasm-peers' ? 'single' : undefined));
  const k = options.k ?? 10;
  const ms = options.ms ?? (options.quick ? 40 : 300);
  const specsFor = specsOf(preset);
  const wasm = preset === 'wasm-peers';
  const data = await prepare(wasm ? { ...options, rows: options.rows ?? WASM_ROWS } : options, k, say);
  const specs = specsFor(data);
  const file = `${preset === 'all' ? 'sweep' : preset}-${data.name.replace(/\W+/g, '-').replace(/-$/, '')}-${data.rows}`;
  const path = options.out ?? join(RESULTS, `${file}.json`);
  const threads = options.threads ?? availableParallelism();
  const asked = { preset, k, repetitions: repetitions(), threads };
  const fresh = newState(keyOf({ asked, modes, ms, data: data.key, specs }), data, specs, asked);
  const kept = options.fresh ? undefined : unfinished(readState(path), fresh);
  if (kept !== undefined) say(`going on from ${path}`);
  const state = kept ?? fresh;
  const save = (now: SweepState): void => writeState(path, now);
  await runSweep(data, specs, state, {
    k,
    repetitions: state.repetitions,
    seconds: ms / 1000,
    threads: state.threads,
    modes,
    fresh: options.fresh ?? false,
    save,
    say,
  });
  state.finished = true;
  save(state);
  const clock = options.cpu ? 'cpu' : 'wall';
  if (options.points) process.stdout.write(`${printPoints(state, clock)}\n\n`);
  const page = path.replace(/(\.json)?$/, '.html');
  writeFileSync(page, sweepPage(state));
  process.stdout.write(`${printSweep(state, clock)}\n\nwritten to ${path} and ${page}\n`);
});
