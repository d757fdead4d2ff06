// Approximate indexes for a Node.js process of a sweep: this package's own, and the peers from npm.
import { createRequire } from 'node:module';
import { ANNEX, type AnnIndex, type AnnSystem, type Params } from '../../ts/bench_system.js';
import { WASM_SYSTEMS } from './ann_wasm.js';
import { versionOf } from './npm.js';

export type { AnnIndex, AnnSystem, Params } from '../../ts/bench_system.js';

const require = createRequire(import.meta.url);

interface HnswlibGraph {
  initIndex(rows: number, m: number, efConstruction: number, seed: number): void;
  addPoint(row: number[], id: number): void;
  writeIndexSync(path: string): void;
  readIndexSync(path: string): void;
  setEf(ef: number): void;
  searchKnn(query: number[], k: number): { neighbors: number[] };
}

/** hnswlib-node: one query a call, on the calling thread, as number[] that its users have to make of their arrays. */
class HnswlibNode implements AnnIndex {
  readonly #index: HnswlibGraph;
  readonly #dim: number;
  readonly #params: Params;

  constructor(dim: number, metric: string, params: Params) {
    const { HierarchicalNSW } = require('hnswlib-node') as {
      HierarchicalNSW: new (space: string, dim: number) => HnswlibGraph;
    };
    this.#index = new HierarchicalNSW(metric, dim);
    this.#dim = dim;
    this.#params = params;
  }

  async build(base: Float32Array): Promise<void> {
    const { M = 16, efConstruction = 200, seed = 100 } = this.#params as Record<string, number>;
    const rows = base.length / this.#dim;
    this.#index.initIndex(rows, M, efConstruction, seed);
    for (let row = 0; row < rows; row++) {
      this.#index.addPoint(Array.from(base.subarray(row * this.#dim, (row + 1) * this.#dim)), row);
    }
  }

  async save(path: string): Promise<boolean> {
    this.#index.writeIndexSync(path);
    return true;
  }

  async load(path: string): Promise<void> {
    this.#index.readIndexSync(path);
  }

  set(params: Params): void {
    this.#index.setEf(params.ef as number);
  }

  batch(queries: Float32Array, k: number): Float64Array {
    const ids = new Float64Array((queries.length / this.#dim) * k).fill(-1);
    for (let q = 0; q * this.#dim < queries.length; q++) {
      const query = Array.from(queries.subarray(q * this.#dim, (q + 1) * this.#dim));
      ids.set(this.#index.searchKnn(query, k).neighbors, q * k);
    }
    return ids;
  }

  single(query: Float32Array, k: number): unknown {
    return this.#index.searchKnn(query as unknown as number[], k);
  }

  prepare(query: Float32Array): number[] {
    return Array.from(query);
  }
}

interface UsearchGraph {
  add(keys: BigUint64Array, rows: Float32Array, threads: number): void;
  search(queries: Float32Array, k: number, threads: number): { keys: BigUint64Array };
  save(path: string): void;
  load(path: string): void;
}

/** usearch from npm: its ef is fixed when an index is made, so every other ef wants the index loaded once more. */
class UsearchNode implements AnnIndex {
  readonly #make: (ef: number) => UsearchGraph;
  readonly #dim: number;
  #index: UsearchGraph;
  #path: string | undefined;
  #ef = 64;
  #threads = 1;

  constructor(dim: number, metric: string, params: Params) {
    const { Index, MetricKind, ScalarKind } = require('usearch') as {
      Index: new (options: object) => UsearchGraph;
      MetricKind: { IP: string; L2sq: string };
      ScalarKind: Record<string, string>;
    };
    const {
      M = 16,
      efConstruction = 200,
      dtype = 'f32',
    } = params as { M?: number; efConstruction?: number; dtype?: string };
    this.#make = (ef) =>
      new Index({
        dimensions: dim,
        metric: metric === 'l2' ? MetricKind.L2sq : MetricKind.IP,
        quantization: ScalarKind[dtype.toUpperCase()],
        connectivity: M,
        expansion_add: efConstruction,
        expansion_search: ef,
        multi: false,
      });
    this.#dim = dim;
    this.#index = this.#make(this.#ef);
  }

  async build(base: Float32Array, threads: number): Promise<void> {
    const rows = base.length / this.#dim;
    this.#index.add(
      BigUint64Array.from({ length: rows }, (_, id) => BigInt(id)),
      base,
      threads,
    );
  }

  async save(path: string): Promise<boolean> {
    this.#index.save(path);
    return true;
  }

  moved(path: string): void {
    this.#path = path;
  }

  async load(path: string): Promise<void> {
    this.#index.load(path);
    this.#path = path;
  }

  set(params: Params, threads: number): void {
    this.#threads = threads;
    const ef = params.ef as number;
    if (ef === this.#ef) return;
    if (this.#path === undefined) throw new Error('another ef wants the index saved');
    this.#index = this.#make(ef);
    this.#index.load(this.#path);
    this.#ef = ef;
  }

  batch(queries: Float32Array, k: number): BigUint64Array {
    return this.#index.search(queries, k, this.#threads).keys;
  }

  single(query: Float32Array, k: number): unknown {
    return this.#index.search(query, k, 1);
  }
}

export const SYSTEMS: Readonly<Record<string, AnnSystem>> = {
  annex: ANNEX,
  'hnswlib-node': {
    version: () => versionOf('hnswlib-node'),
    make: (dim, metric, params) => new HnswlibNode(dim, metric, params),
  },
  'usearch-npm': {
    version: () => versionOf('usearch'),
    make: (dim, metric, params) => new UsearchNode(dim, metric, params),
  },
  ...WASM_SYSTEMS,
};
