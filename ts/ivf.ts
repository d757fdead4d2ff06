import type { Rows } from './backend.js';
import type { OpenOptions, OpenSyncOptions } from './open.js';
import type { AnyRows, CreatedWith, FloatRows, Int8Rows, Uint8Rows } from './options.js';
import type { SearchOptions, SearchSyncOptions } from './search.js';
import type { ShareToken } from './share.js';
import type { FileSource, FileSyncSource } from './source.js';
import type { Coarse, Rerank } from './spec.js';
import { VectorIndex } from './vector_index.js';
import type { Vectors } from './vectors.js';
import type { AddOptions, AddSyncOptions } from './writers.js';

/** How rows are cut into lists. */
export interface ListOptions {
  /** Lists, from 1 on. About 4 · √n serves well for n rows. */
  nlist: number;
  /** A wider copy of the rows that decides among the best candidates: a storage of one number a dimension, or `none` (default). */
  rerank?: Rerank | undefined;
  /** How the lists next to a query are found: `flat` looks at every centroid (default), `hnsw` walks a graph of them. */
  coarse?: Coarse | undefined;
  /**
   * Further lists that each row is put into, 0 (default) or 1. Of the lists next to a row that one is taken whose centroid
   * misses it in another direction than the first one does (SOAR: Sun, Guo and Kumar 2023), so that a query that ranks the
   * first low ranks the second high: fewer lists find as many, for twice the entries and codes. Rows kept apart are kept once,
   * and an answer has no row twice.
   */
  spill?: number | undefined;
  /** Evens out the lengths of the lists in training. Default false. */
  balanced?: boolean | undefined;
  /**
   * With storage `pq`: codes say what a row differs from its list's centroid by (true, the default, and the finer), or
   * false: the row itself, as FAISS's fast scan and IndexPQ have it.
   */
  residual?: boolean | undefined;
  /**
   * With storage `pq` under ip: 4 bytes a row more give decoded rows the length of the rows, which finds far more of the
   * nearest. Default true; anisotropic codes do without.
   */
  lengths?: boolean | undefined;
  /** Iterations of k-means in training, 1 … 1000. Default 10. */
  iterations?: number | undefined;
  /** Rows a centroid that training looks at: of a larger sample a part is drawn. Default 256. */
  maxPointsPerCentroid?: number | undefined;
  /** Seed of everything random, a whole number below 2^53; default 0. The same seed, rows and options make the same index. */
  seed?: number | undefined;
}

/** Options of an {@link IvfIndex} of floats. */
export interface IvfFloatOptions extends FloatRows, ListOptions {}
/** Options of an {@link IvfIndex} of signed byte embeddings. */
export interface IvfInt8Options extends Int8Rows, ListOptions {}
/** Options of an {@link IvfIndex} of unsigned byte embeddings. */
export interface IvfUint8Options extends Uint8Rows, ListOptions {}
/** Options of an {@link IvfIndex} of any kind of rows, where the kind is not known until run time. */
export interface IvfIndexOptions extends AnyRows, ListOptions {}

/** Options of `IvfIndex.build`: `nlist` may be left out, and rows may have ids. */
export type BuildOptions<Options> = Omit<Options, 'nlist'> & { nlist?: number | undefined } & AddOptions;
/** Options of `IvfIndex.buildSync`. */
export type BuildSyncOptions<Options> = Omit<Options, 'nlist'> & { nlist?: number | undefined } & AddSyncOptions;

/** What an {@link IvfIndex} was created with, defaults filled in. */
export interface IvfCreatedWith extends CreatedWith {
  readonly nlist: number;
  readonly rerank: Rerank;
  readonly coarse: Coarse;
  readonly spill: number;
  readonly balanced: boolean;
  /** Only where it is false. */
  readonly residual?: boolean;
  /** Only where lengths are kept. */
  readonly lengths?: boolean;
  readonly iterations: number;
  readonly maxPointsPerCentroid: number;
  readonly seed: number;
}

interface ListSearch {
  /**
   * Lists to look into: more find better and take longer. More than nlist is nlist; default √nlist, rounded up, and with a
   * filter as many more as it takes to look at as many rows that it allows. Where they hold fewer than k such rows, further
   * lists are looked into; where it is cheaper, and the index keeps its rows apart, all allowed rows instead
   * (`stats().exactSearches` counts those searches).
   */
  nprobe?: number | undefined;
  /**
   * With a copy for reranking: the best rerankFactor · k candidates get their distance from it, from 1 on. Default 10; a
   * codec with an error bound (rabitq) reranks by that instead all that could be among the best.
   */
  rerankFactor?: number | undefined;
  /** Skips lists whose centroid is more than this many times as far as the nearest one, from 1 on. Default: none. */
  earlyStop?: number | undefined;
}

/** Options of a synchronous search in lists. */
export interface IvfSearchSyncOptions extends SearchSyncOptions, ListSearch {}
/** Options of a search in lists. */
export interface IvfSearchOptions extends SearchOptions, ListSearch {}

/**
 * Approximate nearest neighbours in lists around centroids (inverted file: Sivic and Zisserman 2003; with product
 * quantization of residuals: Jégou, Douze and Schmid 2011): the smallest structure, and quick to build. It is trained
 * first, on a sample of the rows; only then can rows be added, and more of them at any time.
 *
 * ```ts
 * const storage = { codec: 'pq', m: 96, bits: 4, rotation: 'opq' } as const;
 * const index = await IvfIndex.create({ dim: 768, metric: 'ip', nlist: 4096, storage, rerank: 'f16' });
 * await index.train(sample);
 * await index.add(vectors);
 * const hits = await index.search(query, 10, { nprobe: 32 });
 * ```
 */
export class IvfIndex<Row extends Rows = Float32Array> extends VectorIndex<Row, IvfSearchSyncOptions, IvfCreatedWith> {
  override share(): ShareToken<'ivf'> {
    return super.share() as ShareToken<'ivf'>;
  }
}

/** The class `IvfIndex` of an entry point: {@link IvfIndex} over its backend. */
// biome-ignore lint/complexity/noBannedTypes: it is a class without a public constructor, and `instanceof` wants a Function
export interface IvfIndexClass extends Function {
  readonly prototype: IvfIndex<Rows>;
  /** As `open`, of a file with this kind of index; another kind is refused by name with INVALID_ARGUMENT. */
  open(source: FileSource, options?: OpenOptions): Promise<IvfIndex<Rows>>;
  /** As `open`, at once, of a path or bytes. */
  openSync(source: FileSyncSource, options?: OpenSyncOptions): IvfIndex<Rows>;
  /**
   * Creates an untrained, empty index, loading the core first where that is still to be done.
   *
   * @throws AnnexError INVALID_ARGUMENT, INVALID_TYPE, UNSUPPORTED (what does not go together, or no backend),
   * OUT_OF_MEMORY; IO when the WebAssembly core cannot be fetched
   */
  create(options: IvfFloatOptions): Promise<IvfIndex<Float32Array>>;
  create(options: IvfInt8Options): Promise<IvfIndex<Int8Array>>;
  create(options: IvfUint8Options): Promise<IvfIndex<Uint8Array>>;
  create(options: IvfIndexOptions): Promise<IvfIndex<Rows>>;
  /** As `create`, at once. In a browser `await ready()` must have come before. */
  createSync(options: IvfFloatOptions): IvfIndex<Float32Array>;
  createSync(options: IvfInt8Options): IvfIndex<Int8Array>;
  createSync(options: IvfUint8Options): IvfIndex<Uint8Array>;
  createSync(options: IvfIndexOptions): IvfIndex<Rows>;
  /**
   * Creates an index, trains it on a sample of the vectors and adds all of them: what suits most data that is at hand as
   * a whole. Leave the array alone until the promise resolves.
   *
   * Without `nlist`, n vectors get about 4 · √n lists, and no more than leaves 39 vectors to each. The sample has up to
   * `maxPointsPerCentroid` vectors for every list, and at least 65,536 where there are as many.
   *
   * @param vectors n × dim numbers, row-major, or an array of n rows; at least one.
   * @param options as for `create`, and those of `add`: ids, signal, onProgress (phases of training, then `add`).
   * @throws AnnexError as `create`, `train` and `add`; nothing is left of the index then.
   */
  build(vectors: Vectors, options: BuildOptions<IvfFloatOptions>): Promise<IvfIndex<Float32Array>>;
  build(vectors: Vectors<Int8Array>, options: BuildOptions<IvfInt8Options>): Promise<IvfIndex<Int8Array>>;
  build(vectors: Vectors<Uint8Array>, options: BuildOptions<IvfUint8Options>): Promise<IvfIndex<Uint8Array>>;
  build(vectors: Vectors<Rows>, options: BuildOptions<IvfIndexOptions>): Promise<IvfIndex<Rows>>;
  /** As `build`, on the calling thread. */
  buildSync(vectors: Vectors, options: BuildSyncOptions<IvfFloatOptions>): IvfIndex<Float32Array>;
  buildSync(vectors: Vectors<Int8Array>, options: BuildSyncOptions<IvfInt8Options>): IvfIndex<Int8Array>;
  buildSync(vectors: Vectors<Uint8Array>, options: BuildSyncOptions<IvfUint8Options>): IvfIndex<Uint8Array>;
  buildSync(vectors: Vectors<Rows>, options: BuildSyncOptions<IvfIndexOptions>): IvfIndex<Rows>;
}
