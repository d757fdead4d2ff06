import type { Rows } from './backend.js';
import type { OpenOptions, OpenSyncOptions } from './open.js';
import type { AnyRows, BitsRows, CreatedWith, FloatRows, Int8Rows, Uint8Rows } from './options.js';
import type { SearchOptions, SearchSyncOptions } from './search.js';
import type { ShareToken } from './share.js';
import type { FileSource, FileSyncSource } from './source.js';
import type { Rerank, Sidecar } from './spec.js';
import { VectorIndex } from './vector_index.js';

interface SidecarOption {
  /**
   * An int8 copy of the rows (dim bytes a row) that rules rows out before they are read in full, for the metrics l2, ip
   * and cosine. Results stay exactly the same. `auto` (default) keeps it where it pays, `i8` always, `none` never.
   */
  sidecar?: Sidecar | undefined;
}

interface CodeOptions {
  /**
   * With storage pq or rabitq: a wider copy of the rows that decides among the best candidates, a storage of one number a
   * dimension, or `none` (default).
   */
  rerank?: Rerank | undefined;
  /** With storage pq or rabitq: seed of everything random, a whole number below 2^53; default 0. */
  seed?: number | undefined;
}

/** Options of a {@link FlatIndex} of floats. */
export interface FloatOptions extends FloatRows, SidecarOption, CodeOptions {}
/** Options of a {@link FlatIndex} of signed byte embeddings. */
export interface Int8Options extends Int8Rows {}
/** Options of a {@link FlatIndex} of unsigned byte embeddings. */
export interface Uint8Options extends Uint8Rows {}
/** Options of a {@link FlatIndex} of packed bits. */
export type BitsOptions = BitsRows;
/** Options of a {@link FlatIndex} of any kind of rows, where the kind is not known until run time. */
export interface FlatIndexOptions extends AnyRows, SidecarOption, CodeOptions {}

/** What a {@link FlatIndex} was created with, defaults filled in. */
export interface FlatCreatedWith extends CreatedWith {
  /** Whether there is a sidecar: what `auto` came to. */
  readonly sidecar: 'none' | 'i8';
  /** With storage pq or rabitq. */
  readonly rerank?: Rerank;
  /** With storage pq or rabitq. */
  readonly seed?: number;
}

interface CodeSearch {
  /**
   * With a copy for reranking: the best rerankFactor · k candidates get their distance from it, from 1 on. Default 10; a
   * codec with an error bound (rabitq) reranks by that instead all that could be among the best.
   */
  rerankFactor?: number | undefined;
}

/** Options of a synchronous search of every row. */
export interface FlatSearchSyncOptions extends SearchSyncOptions, CodeSearch {}
/** Options of a search of every row. */
export interface FlatSearchOptions extends SearchOptions, CodeSearch {}

/**
 * Exact nearest neighbours by looking at every row: the answer that other structures approximate, and the fastest one
 * up to some hundred thousand rows.
 *
 * With storage `pq` or `rabitq` every row's code is looked at instead: distances are estimates from the codes (relative
 * to the mean of the rows), or those of the copy that `rerank` keeps. `pq` is trained first; `rabitq` takes its centre
 * from the first rows added.
 *
 * ```ts
 * const index = await FlatIndex.create({ dim: 384, metric: 'cosine' });
 * await index.add(vectors);
 * for (const { id, distance } of await index.search(query, 10)) console.log(id, distance);
 * ```
 */
export class FlatIndex<Row extends Rows = Float32Array> extends VectorIndex<
  Row,
  FlatSearchSyncOptions,
  FlatCreatedWith
> {
  override share(): ShareToken<'flat'> {
    return super.share() as ShareToken<'flat'>;
  }
}

/** The class `FlatIndex` of an entry point: {@link FlatIndex} over its backend. */
// biome-ignore lint/complexity/noBannedTypes: it is a class without a public constructor, and `instanceof` wants a Function
export interface FlatIndexClass extends Function {
  readonly prototype: FlatIndex<Rows>;
  /** As `open`, of a file with this kind of index; another kind is refused by name with INVALID_ARGUMENT. */
  open(source: FileSource, options?: OpenOptions): Promise<FlatIndex<Rows>>;
  /** As `open`, at once, of a path or bytes. */
  openSync(source: FileSyncSource, options?: OpenSyncOptions): FlatIndex<Rows>;
  /**
   * Creates an empty index, loading the core first where that is still to be done.
   *
   * @throws AnnexError INVALID_ARGUMENT, INVALID_TYPE, UNSUPPORTED (what does not go together, or no backend),
   * OUT_OF_MEMORY; IO when the WebAssembly core cannot be fetched
   */
  create(options: FloatOptions): Promise<FlatIndex<Float32Array>>;
  create(options: Int8Options): Promise<FlatIndex<Int8Array>>;
  create(options: Uint8Options | BitsOptions): Promise<FlatIndex<Uint8Array>>;
  create(options: FlatIndexOptions): Promise<FlatIndex<Rows>>;
  /** As `create`, at once. In a browser `await ready()` must have come before. */
  createSync(options: FloatOptions): FlatIndex<Float32Array>;
  createSync(options: Int8Options): FlatIndex<Int8Array>;
  createSync(options: Uint8Options | BitsOptions): FlatIndex<Uint8Array>;
  createSync(options: FlatIndexOptions): FlatIndex<Rows>;
}
