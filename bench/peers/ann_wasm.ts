// Approximate indexes from npm that are WebAssembly. All three are made for pages; what they lack in Node.js is given to them.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { AnnIndex, AnnSystem, Params } from '../../ts/bench_system.js';
import { folderOf, versionOf } from './npm.js';

/** An index that cannot be kept, and answers one query a call. */
abstract class PageIndex implements AnnIndex {
  protected readonly dim: number;
  protected readonly params: Readonly<Record<string, number>>;
  /** What the package calls the metric. For rows of unit length, which is what these get, ip ranks as l2 does. */
  protected readonly metric: 'l2' | 'ip';

  constructor(dim: number, metric: string, params: Params) {
    this.dim = dim;
    this.metric = metric === 'l2' ? 'l2' : 'ip';
    this.params = params as Record<string, number>;
  }

  abstract build(base: Float32Array): Promise<void>;
  abstract single(query: Float32Array, k: number): unknown;
  protected abstract ids(found: unknown): number[];

  batch(queries: Float32Array, k: number): Float64Array {
    const out = new Float64Array((queries.length / this.dim) * k).fill(-1);
    for (let q = 0; q * this.dim < queries.length; q++) {
      out.set(this.ids(this.single(queries.slice(q * this.dim, (q + 1) * this.dim), k)), q * k);
    }
    return out;
  }

  set(_params: Params, _threads: number): void {}
  async save(): Promise<boolean> {
    return false;
  }
  async load(): Promise<void> {
    throw new Error('cannot be loaded');
  }
}

const rowsOf = (base: Float32Array, dim: number): Float32Array[] =>
  Array.from({ length: base.length / dim }, (_, row) => base.slice(row * dim, (row + 1) * dim));

interface HnswlibGraph {
  initIndex(rows: number, m: number, efConstruction: number, seed: number): void;
  addPoint(row: Float32Array, id: number, replaceDeleted: boolean): void;
  setEfSearch(ef: number): void;
  searchKnn(query: Float32Array, k: number, filter: undefined): { neighbors: number[] };
}

/** hnswlib-wasm: looks for a window, and for its database, of which a search has no need. */
class HnswlibWasm extends PageIndex {
  #index: HnswlibGraph | undefined;

  async build(base: Float32Array): Promise<void> {
    Object.assign(globalThis, { window: globalThis });
    const { log, warn, error } = console;
    // It tells standard output, where answers go, that the database is missing.
    console.log = console.warn = console.error = () => undefined;
    try {
      const { loadHnswlib } = (await import(pathToFileURL(join(folderOf('hnswlib-wasm'), 'dist/hnswlib.js')).href)) as {
        loadHnswlib(): Promise<{ HierarchicalNSW: new (space: string, dim: number, file: string) => HnswlibGraph }>;
      };
      const library = await loadHnswlib();
      this.#index = new library.HierarchicalNSW(this.metric, this.dim, '');
    } finally {
      Object.assign(console, { log, warn, error });
    }
    const { M = 16, efConstruction = 200 } = this.params;
    this.#index.initIndex(base.length / this.dim, M, efConstruction, 100);
    for (const [id, row] of rowsOf(base, this.dim).entries()) this.#index.addPoint(row, id, false);
  }

  override set({ ef }: Params): void {
    this.#index!.setEfSearch(ef as number);
  }
  single(query: Float32Array, k: number): unknown {
    return this.#index!.searchKnn(query, k, undefined);
  }
  protected ids(found: unknown): number[] {
    return (found as { neighbors: number[] }).neighbors;
  }
}

interface VoyTree {
  search(query: Float32Array, k: number): { neighbors: { id: string }[] };
}

/** voy: a k-d tree, exact by the distance of l2. Its entry wants a bundler, so its two parts are joined here. */
class Voy extends PageIndex {
  #index: VoyTree | undefined;

  async build(base: Float32Array): Promise<void> {
    const folder = folderOf('voy-search');
    // Its package.json does not say that the file is a module.
    const source = readFileSync(join(folder, 'voy_search_bg.js')).toString('base64');
    const glue = (await import(`data:text/javascript;base64,${source}`)) as {
      __wbg_set_wasm(exports: object): void;
      Voy: new (resource: object) => VoyTree;
    };
    const module = new WebAssembly.Module(readFileSync(join(folder, 'voy_search_bg.wasm')));
    const imports = { './voy_search_bg.js': glue as unknown as WebAssembly.ModuleImports };
    glue.__wbg_set_wasm(new WebAssembly.Instance(module, imports).exports);
    this.#index = new glue.Voy({
      embeddings: rowsOf(base, this.dim).map((row, id) => ({
        id: String(id),
        title: '',
        url: '',
        embeddings: Array.from(row),
      })),
    });
  }

  single(query: Float32Array, k: number): unknown {
    return this.#index!.search(query, k);
  }
  protected ids(found: unknown): number[] {
    return (found as { neighbors: { id: string }[] }).neighbors.map(({ id }) => Number(id));
  }
}

interface EdgeVecGraph {
  insert(row: Float32Array): number;
  search(query: Float32Array, k: number): { id: number }[];
  memoryUsage(): number;
}

/** edgevec: its ef is fixed when an index is made, and belongs to the build therefore. */
class EdgeVec extends PageIndex {
  #index: EdgeVecGraph | undefined;
  /** Its ids are its own. */
  readonly #rowOf = new Map<number, number>();

  async build(base: Float32Array): Promise<void> {
    const main = createRequire(import.meta.url).resolve('edgevec');
    const library = (await import(pathToFileURL(main).href)) as {
      initSync(source: { module: Uint8Array }): void;
      EdgeVecConfig: new (dim: number) => Record<string, number>;
      EdgeVec: new (config: object) => EdgeVecGraph;
    };
    library.initSync({ module: readFileSync(join(dirname(main), 'edgevec_bg.wasm')) });
    const { M = 16, efConstruction = 200, ef = 64 } = this.params;
    const config = Object.assign(new library.EdgeVecConfig(this.dim), { m: M, m0: 2 * M });
    Object.assign(config, { ef_construction: efConstruction, ef_search: ef });
    this.#index = new library.EdgeVec(config);
    for (const [row, values] of rowsOf(base, this.dim).entries()) this.#rowOf.set(this.#index.insert(values), row);
  }

  single(query: Float32Array, k: number): unknown {
    return this.#index!.search(query, k);
  }
  protected ids(found: unknown): number[] {
    return (found as { id: number }[]).map(({ id }) => this.#rowOf.get(id) ?? -1);
  }
}

const system = (
  name: string,
  Index: new (dim: number, metric: string, params: Params) => AnnIndex,
): readonly [string, AnnSystem] => [
  name,
  { version: () => versionOf(name), make: (dim, metric, params) => new Index(dim, metric, params) },
];

export const WASM_SYSTEMS: Readonly<Record<string, AnnSystem>> = Object.fromEntries([
  system('hnswlib-wasm', HnswlibWasm),
  system('voy-search', Voy),
  system('edgevec', EdgeVec),
]);
