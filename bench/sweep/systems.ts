// Which systems a sweep measures, with which build and search parameters.
import type { Params } from '../../ts/bench_system.js';
import { type Grid, type Structure, type SystemSpec, subQuantizers } from '../../ts/bench_systems.js';

export { GRID, type Grid, listsFor, QUICK_GRID, type Structure, type SystemSpec } from '../../ts/bench_systems.js';

const names = (params: Params): string =>
  Object.entries(params)
    .map(([key, value]) => `${key} ${typeof value === 'object' ? JSON.stringify(value) : String(value)}`)
    .join(', ');

/** An index of this package. `options` are those of its create; `structure` picks the class. */
export function ours(structure: Structure, options: Params, grid: Grid): SystemSpec {
  const name = { flat: 'FlatIndex', graph: 'HnswIndex', list: 'IvfIndex' }[structure];
  const { rerank } = options;
  const narrow = structure === 'list' && rerank !== undefined && rerank !== 'none';
  const lists = grid.nprobe.flatMap((nprobe) =>
    narrow ? grid.rerank.map((rerankFactor): Params => ({ nprobe, rerankFactor })) : [{ nprobe }],
  );
  return {
    label: `annex ${name} ${names(options)}`.trim(),
    family: `annex-${structure}`,
    structure,
    runner: 'node',
    system: 'annex',
    build: { structure: name, ...options },
    search: structure === 'flat' ? [{}] : structure === 'graph' ? grid.ef.map((efSearch) => ({ efSearch })) : lists,
    batch: true,
    ours: true,
  };
}

function graph(family: string, runner: 'node' | 'python', system: string, build: Params, grid: Grid): SystemSpec {
  return {
    label: `${family} ${names(build)}`,
    family,
    structure: 'graph',
    runner,
    system,
    build,
    search: grid.ef.map((ef) => ({ ef })),
    batch: system !== 'hnswlib-node',
    ours: false,
  };
}

const BUILD: Params = { M: 16, efConstruction: 200 };

/** Lists of the same length as those of the bottom layer of {@link BUILD}. */
const SYMPHONY: Params = { degree: 32, efConstruction: 200 };

/** hnswlib and usearch, from PyPI and npm, with equal M and efConstruction, and SymphonyQG by its authors. */
export function graphPeers(grid: Grid, quick = false, build: Params = BUILD): SystemSpec[] {
  const types = quick ? ['f32', 'f16'] : ['f32', 'f16', 'i8'];
  return [
    graph('hnswlib', 'python', 'hnswlib', build, grid),
    ...types.map((dtype) => graph(`usearch ${dtype}`, 'python', 'usearch', { ...build, dtype }, grid)),
    graph('SymphonyQG', 'python', 'symphonyqg', SYMPHONY, grid),
    graph('hnswlib-node', 'node', 'hnswlib-node', build, grid),
    ...types.map((dtype) => graph(`usearch npm ${dtype}`, 'node', 'usearch-npm', { ...build, dtype }, grid)),
  ];
}

/** One index of FAISS, by its factory string; with a seed, one of codes alone in lists. */
export function faiss(factory: string, grid: Grid, seed?: number): SystemSpec {
  const refined = /(^|,)(RFlat|Refine)/.test(factory);
  const list = /(^|,)IVF\d/.test(factory);
  const isGraph = /(^|,)HNSW\d/.test(factory) && !list;
  const steps: Params[] = list
    ? grid.nprobe.map((nprobe) => ({ nprobe }))
    : isGraph
      ? grid.ef.map((efSearch) => ({ efSearch }))
      : [{}];
  const search = refined
    ? steps.flatMap((step) => grid.rerank.map((k_factor_rf): Params => ({ ...step, k_factor_rf })))
    : steps;
  return {
    label: `FAISS ${factory}${seed === undefined ? '' : ` seed ${seed}`}`,
    family: `FAISS ${factory.replace(/IVF\d+(_HNSW\d+)?/, 'IVF')}`,
    structure: list ? 'list' : isGraph ? 'graph' : 'flat',
    runner: 'python',
    system: 'faiss',
    build: seed === undefined ? { factory } : { factory, seed },
    search,
    batch: true,
    ours: false,
  };
}

/** Codes alone are compared at equal nprobe to a few thousandths of recall: lists of one seed differ by more than that. */
const MORE_SEEDS = [1, 2, 3];

/** `quick` leaves out what trains for long. */
export function listPeers(dim: number, nlist: number, grid: Grid, quick = false): SystemSpec[] {
  const [m8, m4] = [subQuantizers(dim, 32), subQuantizers(dim, 64)];
  const codes = quick ? [] : [`IVF${nlist},PQ${m8}`, `IVF${nlist},PQ${m4}x4fs`];
  const standard = [
    `IVF${nlist},Flat`,
    `IVF${nlist},SQ8`,
    `IVF${nlist},PQ${m8}`,
    `IVF${nlist},PQ${m4}x4fs`,
    `IVF${nlist},PQ${m4}x4fs,RFlat`,
    `OPQ${m4},IVF${nlist},PQ${m4}x4fs,RFlat`,
    `IVF${nlist},RaBitQ,RFlat`,
  ]
    .filter((factory) => !quick || !/OPQ|PQ\d+(x4fs)?$/.test(factory))
    .map((factory) => faiss(factory, grid));
  return [...standard, ...codes.flatMap((factory) => MORE_SEEDS.map((seed) => faiss(factory, grid, seed)))];
}

/**
 * The counterparts of {@link graphPeers}: with default options, first of all those of a search, and compacted, as is advised
 * where all rows of a large graph were added; and in the plain layout, wide and narrow, with rerank and without.
 */
export function ourGraphs(grid: Grid, build: Params = BUILD): SystemSpec[] {
  const standard = ours('graph', { compact: true }, grid);
  return [
    { ...standard, search: [{}, ...standard.search] },
    ours('graph', { ...build, layout: 'plain' }, grid),
    ours('graph', { ...build, storage: 'sq8', rerank: 'f32' }, grid),
    ours('graph', { ...build, storage: 'sq8' }, grid),
  ];
}

export function ourLists(dim: number, nlist: number, grid: Grid, quick = false): SystemSpec[] {
  const [m8, m4] = [subQuantizers(dim, 32), subQuantizers(dim, 64)];
  const pq = (m: number, bits: number, rotation = 'none'): Params => ({ codec: 'pq', m, bits, rotation });
  const all: (Params & { storage?: unknown })[] = [
    { nlist },
    { nlist, storage: 'sq8' },
    { nlist, storage: pq(m8, 8) },
    { nlist, storage: pq(m4, 4) },
    { nlist, storage: pq(m4, 4), rerank: 'f32' },
    { nlist, storage: pq(m4, 4, 'opq'), rerank: 'f32' },
    { nlist, storage: { codec: 'rabitq', bits: 1 }, rerank: 'f32' },
  ];
  const codes = quick ? [] : all.slice(2, 4);
  const more = codes.flatMap((options) => MORE_SEEDS.map((seed) => ({ ...options, seed })));
  return [...all, ...more]
    .filter(({ storage }) => !quick || !/opq|"bits":8/.test(JSON.stringify(storage ?? '')))
    .map((options) => ours('list', options, grid));
}

const WASM_BUILD: Params = { M: 16, efConstruction: 100 };

/**
 * Graphs (and voy's tree, which is exact) on WebAssembly, from npm. edgevec fixes its ef when it is built, which takes
 * long: one ef has to stand for it.
 */
export function wasmPeers(grid: Grid): SystemSpec[] {
  const one = (system: string, build: Params, ef: readonly number[]): SystemSpec => {
    const spec = graph(system, 'node', system, build, { ...grid, ef });
    return { ...spec, label: `${system} ${names(build)}`.trim(), batch: false };
  };
  return [
    one('hnswlib-wasm', WASM_BUILD, grid.ef),
    { ...one('edgevec', { ...WASM_BUILD, ef: 64 }, []), search: [{}] },
    { ...one('voy-search', {}, []), search: [{}] },
  ];
}

/** The counterpart of {@link wasmPeers}. */
export const ourWasm = (grid: Grid): SystemSpec[] =>
  [ours('graph', {}, grid), ours('graph', { ...WASM_BUILD, layout: 'plain' }, grid)].map((spec) => ({
    ...spec,
    label: spec.label.replace('annex', 'annex on WebAssembly'),
    family: 'annex-graph on WebAssembly',
    env: { ANNEX_BACKEND: 'wasm' },
  }));
