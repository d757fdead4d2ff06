// What a process of a sweep measures: this package's own indexes, and whatever else offers the same.
import { type AnyIndex, createIndexSync, engineInfo, FlatIndex, HnswIndex, IvfIndex, open } from './index.js';

/** Build or search parameters, by the system's own names. */
export type Params = Readonly<Record<string, unknown>>;

export interface AnnIndex {
  build(base: Float32Array, threads: number): Promise<void>;
  /** Writes the index to a file; false where this build of it cannot. */
  save(path: string): Promise<boolean>;
  load(path: string): Promise<void>;
  /** Where the file that was saved is now. */
  moved?(path: string): void;
  set(params: Params, threads: number): Promise<void> | void;
  /** Ids of n queries, n × k; -1 where there are too few. */
  batch(queries: Float32Array, k: number): ArrayLike<number> | BigUint64Array;
  /** One query, as a user of the system has it; what it returns is not looked at. */
  single(query: Float32Array, k: number): unknown;
  /** The same query as `single` gets it, made before anything is timed. */
  prepare?(query: Float32Array): unknown;
  /** Bytes by the index's own account. */
  held?(): number;
}

export interface AnnSystem {
  version(): string;
  make(dim: number, metric: 'l2' | 'ip' | 'cosine', params: Params): AnnIndex;
}

type AnyClass = { createSync(options: object): AnyIndex };
const CLASSES: Readonly<Record<string, unknown>> = { FlatIndex, HnswIndex, IvfIndex };

/** An index by its factory string, or by its class as `structure` and the options of that; `compact`: when it is built. */
class Annex implements AnnIndex {
  #index: AnyIndex;
  readonly #compact: boolean;
  #search: object = {};

  constructor(dim: number, metric: 'l2' | 'ip' | 'cosine', { factory, structure, compact, ...options }: Params) {
    this.#compact = compact === true;
    this.#index =
      factory === undefined
        ? (CLASSES[String(structure)] as AnyClass).createSync({ dim, metric, ...options })
        : createIndexSync(String(factory), { dim, metric, ...options });
  }

  async build(base: Float32Array): Promise<void> {
    if (!this.#index.trained) this.#index.trainSync(base);
    this.#index.addSync(base);
    if (this.#compact) this.#index.compactSync();
  }

  async save(path: string): Promise<boolean> {
    try {
      this.#index.saveSync(path);
      return true;
    } catch (error) {
      if ((error as { code?: string }).code === 'UNSUPPORTED') return false;
      throw error;
    }
  }

  async load(path: string): Promise<void> {
    this.#index.close();
    this.#index = await open(path);
  }

  set(params: Params, threads: number): void {
    this.#search = { ...params, threads };
  }

  batch(queries: Float32Array, k: number): Float64Array {
    return this.#index.searchBatchSync(queries, k, this.#search).ids;
  }

  single(query: Float32Array, k: number): unknown {
    return this.#index.searchSync(query, k, this.#search);
  }

  held(): number {
    return this.#index.stats().bytesTotal;
  }
}

export const ANNEX: AnnSystem = {
  version: () => {
    const { version, isa, backend } = engineInfo();
    return `${version} (${backend} ${isa})`;
  },
  make: (dim, metric, params) => new Annex(dim, metric, params),
};
