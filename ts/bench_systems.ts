// Which systems a sweep measures, with which build and search parameters.
import type { Params } from './bench_system.js';
import { parseFactory } from './factory.js';

export type Structure = 'flat' | 'graph' | 'list';

/** One index: a system, what it is built with, and the search parameters to go through. */
export interface SystemSpec {
  /** Unique in a sweep; what tables and legends show. */
  readonly label: string;
  /** What is compared with what: several builds of a family share a Pareto curve. */
  readonly family: string;
  readonly structure: Structure;
  readonly runner: 'node' | 'python';
  /** What its runner calls it. */
  readonly system: string;
  readonly build: Params;
  readonly search: readonly Params[];
  /** Whether a batch is more than its queries one by one. */
  readonly batch: boolean;
  readonly ours: boolean;
  /** Variables of its process. */
  readonly env?: Readonly<Record<string, string>> | undefined;
}

export interface Grid {
  readonly ef: readonly number[];
  readonly nprobe: readonly number[];
  readonly rerank: readonly number[];
}

export const GRID: Grid = {
  ef: [10, 14, 20, 28, 40, 56, 80, 112, 160, 224, 320, 448, 640],
  nprobe: [1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128],
  rerank: [4, 10, 20],
};

export const QUICK_GRID: Grid = { ef: [10, 20, 40, 80, 160, 320], nprobe: [2, 4, 8, 16, 32, 64], rerank: [4, 16] };

/** Lists for so many rows, as FAISS's guidelines have it: some 4 · √n, as a power of two. */
export function listsFor(rows: number): number {
  return Math.max(16, Math.min(4096, 2 ** Math.round(Math.log2(4 * Math.sqrt(rows)) - 0.5)));
}

/** The largest number of sub-quantizers up to `most` that divides dim. */
export function subQuantizers(dim: number, most: number): number {
  for (let m = Math.min(dim, most); m > 1; m--) if (dim % m === 0) return m;
  return 1;
}

/** An index of this package by its factory string, over the search parameters that it has. */
export function byFactory(factory: string, grid: Grid): SystemSpec {
  const { kind, options } = parseFactory(factory);
  const reranks = kind === 'ivf' && options.rerank !== undefined && options.rerank !== 'none';
  const lists = grid.nprobe.flatMap((nprobe): Params[] =>
    reranks ? grid.rerank.map((rerankFactor) => ({ nprobe, rerankFactor })) : [{ nprobe }],
  );
  return {
    label: factory,
    family: factory,
    structure: kind === 'flat' ? 'flat' : kind === 'hnsw' ? 'graph' : 'list',
    runner: 'node',
    system: 'annex',
    build: { factory },
    search: kind === 'flat' ? [{}] : kind === 'hnsw' ? grid.ef.map((efSearch) => ({ efSearch })) : lists,
    batch: true,
    ours: true,
  };
}

/** What is measured where nothing is asked for: exact search, a graph, and lists of codes in little memory. */
export function standardFactories(rows: number, dim: number): string[] {
  const nlist = Math.min(listsFor(rows), Math.max(1, Math.floor(rows / 40)));
  const m = subQuantizers(dim, Math.max(1, Math.min(64, dim >> 1)));
  return ['Flat', 'HNSW16', `IVF${nlist},SQ8`, `IVF${nlist},PQ${m}x4fs,RFlat`];
}
