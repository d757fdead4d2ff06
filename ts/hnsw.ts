import type { Rows } from './backend.js';
import type { OpenOptions, OpenSyncOptions } from './open.js';
import type { AnyRows, BitsRows, CreatedWith, FloatRows, Int8Rows, Uint8Rows } from './options.js';
import type { SearchOptions, SearchSyncOptions } from './search.js';
import type { ShareToken } from './share.js';
import type { FileSource, FileSyncSource } from './source.js';
import type { Layout, Rerank } from './spec.js';
import { VectorIndex } from './vector_index.js';

/** How a graph is built. */
export interface GraphOptions {
  /** Links of a node, twice as many on the bottom layer: 2 … 512. More find better and take more room. Default 16. */
  M?: number | undefined;
  /** Candidates looked at for the links of a new node, from 1 on. More build slower and a better graph. Default 200. */
  efConstruction?: number | undefined;
  /**
   * A wider copy of the rows that decides among the best candidates, where `storage` is narrow: a storage of one number a
   * dimension, or `none` (default).
   */
  rerank?: Rerank | undefined;
  /**
   * `plain` keeps links and rows; `codes` keeps codes of some four bits a dimension besides (64 bytes a row for each 128
   * dimensions), by which the graph is walked: faster, for float storages under l2, ip and cosine. Where rows spread far
   * more along some directions than along others, the codes are finer along those. `auto` (default) keeps codes where
   * they pay.
   */
  layout?: Layout | undefined;
  /** Seed of everything random, a whole number below 2^53; default 0. The same seed, rows and options build the same graph. */
  seed?: number | undefined;
}

/** Options of an {@link HnswIndex} of floats. */
export interface HnswFloatOptions extends FloatRows, GraphOptions {}
/** Options of an {@link HnswIndex} of signed byte embeddings. */
export interface HnswInt8Options extends Int8Rows, GraphOptions {}
/** Options of an {@link HnswIndex} of unsigned byte embeddings. */
export interface HnswUint8Options extends Uint8Rows, GraphOptions {}
/** Options of an {@link HnswIndex} of packed bits. */
export type HnswBitsOptions = BitsRows & GraphOptions;
/** Options of an {@link HnswIndex} of any kind of rows, where the kind is not known until run time. */
export interface HnswIndexOptions extends AnyRows, GraphOptions {}

/** What an {@link HnswIndex} was created with, defaults filled in. */
export interface HnswCreatedWith extends CreatedWith {
  readonly M: number;
  readonly efConstruction: number;
  readonly rerank: Rerank;
  /** What `auto` came to. */
  readonly layout: Layout;
  readonly seed: number;
}

interface GraphSearch {
  /**
   * Candidates of a query: more find better and take longer. Raised to k where it is less. Default: what finds 97 % of the
   * ten nearest of some of the rows themselves, 32 … 256, learnt as the index grows; 96 below 512 rows, and no less than
   * 96 with a filter or for more than ten. Queries unlike the rows may need more: see `tune` of annex/eval. From 512 rows
   * on this is an average over queries like the rows: one whose neighbours stand out has as few as a quarter, one that has
   * many at much the same distance up to four times as many.
   */
  efSearch?: number | undefined;
}

/** Options of a synchronous search in a graph. */
export interface HnswSearchSyncOptions extends SearchSyncOptions, GraphSearch {}
/** Options of a search in a graph. */
export interface HnswSearchOptions extends SearchOptions, GraphSearch {}

/**
 * Approximate nearest neighbours by walking a graph of near rows (hierarchical navigable small worlds: Malkov and
 * Yashunin 2018): the fastest structure where memory is plenty. Rows can be added at any time, without a capacity.
 *
 * A filter always gives k results where it allows k rows: depending on how many it allows, and whether they lie near the
 * query, the graph is walked, or the codes or rows of what is allowed are scanned (`stats().codeSearches` and
 * `stats().exactSearches` count those; in a batch a scan pays sooner). Removed rows are never returned, and go on to take
 * room until {@link VectorIndex.compact}.
 *
 * `compact()` also lays a graph of 131,072 rows or more out such that a search finds near together what it reads: worth a
 * call once most rows are there. With 1,000,000 rows of 128 dimensions searches are some 10 % faster, for a few seconds of
 * work, twice the memory meanwhile, and 16 bytes a row for ids, which then no longer follow from where rows lie; so a filter
 * by a dense {@link Bitset} takes some 2 ms a call longer.
 *
 * ```ts
 * const index = await HnswIndex.create({ dim: 384, metric: 'cosine' });
 * await index.add(vectors);
 * const hits = await index.search(query, 10, { efSearch: 100 });
 * ```
 */
export class HnswIndex<Row extends Rows = Float32Array> extends VectorIndex<
  Row,
  HnswSearchSyncOptions,
  HnswCreatedWith
> {
  override share(): ShareToken<'hnsw'> {
    return super.share() as ShareToken<'hnsw'>;
  }
}

/** The class `HnswIndex` of an entry point: {@link HnswIndex} over its backend. */
// biome-ignore lint/complexity/noBannedTypes: it is a class without a public constructor, and `instanceof` wants a Function
export interface HnswIndexClass extends Function {
  readonly prototype: HnswIndex<Rows>;
  /** As `open`, of a file with this kind of index; another kind is refused by name with INVALID_ARGUMENT. */
  open(source: FileSource, options?: OpenOptions): Promise<HnswIndex<Rows>>;
  /** As `open`, at once, of a path or bytes. */
  openSync(source: FileSyncSource, options?: OpenSyncOptions): HnswIndex<Rows>;
  /**
   * Creates an empty index, loading the core first where that is still to be done.
   *
   * @throws AnnexError INVALID_ARGUMENT, INVALID_TYPE, UNSUPPORTED (what does not go together, or no backend),
   * OUT_OF_MEMORY; IO when the WebAssembly core cannot be fetched
   */
  create(options: HnswFloatOptions): Promise<HnswIndex<Float32Array>>;
  create(options: HnswInt8Options): Promise<HnswIndex<Int8Array>>;
  create(options: HnswUint8Options | HnswBitsOptions): Promise<HnswIndex<Uint8Array>>;
  create(options: HnswIndexOptions): Promise<HnswIndex<Rows>>;
  /** As `create`, at once. In a browser `await ready()` must have come before. */
  createSync(options: HnswFloatOptions): HnswIndex<Float32Array>;
  createSync(options: HnswInt8Options): HnswIndex<Int8Array>;
  createSync(options: HnswUint8Options | HnswBitsOptions): HnswIndex<Uint8Array>;
  createSync(options: HnswIndexOptions): HnswIndex<Rows>;
}
