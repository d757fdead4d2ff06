import type { EngineInfo, Rows } from './backend.js';
import { bindAttach, bindClass, bindOpen, type Constructor } from './bind.js';
import { parseFactory } from './factory.js';
import { FlatIndex, type FlatIndexClass } from './flat.js';
import { HnswIndex, type HnswIndexClass } from './hnsw.js';
import { type ImportClasses, importFaiss, importHnswlib } from './import.js';
import type { HnswlibOptions } from './import_hnswlib.js';
import type { IvfIndex, IvfIndexClass } from './ivf.js';
import { bindIvfIndex } from './ivf_build.js';
import { FLAT, HNSW, type KindName } from './kind.js';
import { type BackendLoader, Engine } from './loader.js';
import { checkOptions } from './names.js';
import type { OpenOptions, OpenSyncOptions } from './open.js';
import type { Json } from './options.js';
import type { ShareToken } from './share.js';
import type { FileSource, FileSyncSource } from './source.js';
import type { Metric } from './spec.js';
import type { VectorIndex } from './vector_index.js';

/** The class of each kind of index. */
export interface IndexOf {
  flat: FlatIndex<Rows>;
  hnsw: HnswIndex<Rows>;
  ivf: IvfIndex<Rows>;
}

/** An index of any kind. */
export type AnyIndex = IndexOf[KindName];

/** Options of `createIndex`. */
export interface FactoryOptions {
  /** Length of every vector, 1 … 32768. */
  dim: number;
  /** Default `l2`. */
  metric?: Metric | undefined;
  /** As for the `create` of each class. */
  metadata?: Json | undefined;
}

/** What every entry point exports over its own backend. Results, Bitset and AnnexError are common to all of them. */
export interface Api {
  readonly FlatIndex: FlatIndexClass;
  readonly HnswIndex: HnswIndexClass;
  readonly IvfIndex: IvfIndexClass;
  /**
   * Creates an empty index from a factory string in FAISS's notation: pieces between commas, in the order rotation,
   * structure, codec, rerank.
   *
   * | piece | meaning |
   * |---|---|
   * | `OPQ32`, `OPQ32_128` | before a `PQ32`: rotation `opq`, keeping 128 dimensions |
   * | `IVF1024`, `IVF1024_HNSW32` | {@link IvfIndex} of 1024 lists; its centroids in a graph, whose M is chosen by itself |
   * | `HNSW32` | {@link HnswIndex} with M 32 |
   * | `Flat` (or nothing after a structure) | storage `f32` |
   * | `SQ8`, `SQfp16`, `SQbf16` | storage `sq8`, `f16`, `bf16` |
   * | `PQ32`, `PQ32x8`, `PQ32x4`, `PQ32x4fs` | storage `pq` of 32 parts, 8 or 4 bits each |
   * | `RaBitQ`, `RaBitQ4` | storage `rabitq` of 1 or more bits |
   * | `RFlat`, `Refine(SQ8)` | rerank `f32`, `sq8`, … |
   *
   * @throws AnnexError INVALID_ARGUMENT, pointing at the piece that it cannot read; what the class's `create` throws
   */
  createIndex(factory: string, options: FactoryOptions): Promise<AnyIndex>;
  /** As `createIndex`, at once. In a browser `await ready()` must have come before. */
  createIndexSync(factory: string, options: FactoryOptions): AnyIndex;
  /**
   * Attaches to an index that another worker thread of this process shared with `index.share()`. No vector is
   * copied; the core's index lives until the last handle is closed.
   *
   * @throws AnnexError INVALID_TYPE or INVALID_ARGUMENT for what is no token, or whose index is gone; UNSUPPORTED on
   * WASM.
   */
  attach<Kind extends KindName>(token: ShareToken<Kind>): IndexOf[Kind];
  /**
   * Opens a file with an index of any kind, written on any platform: a path where there is a file system, its bytes, a
   * Blob, or a stream of bytes such as the body of a Response. Nothing in a file is believed: what is damaged is CORRUPT,
   * with where.
   *
   * @throws AnnexError CORRUPT, UNSUPPORTED (written by a newer annex; a path where there is no file system; mmap on
   * WASM), IO, OUT_OF_MEMORY, ABORTED, INVALID_TYPE, INVALID_ARGUMENT
   */
  open(source: FileSource, options?: OpenOptions): Promise<AnyIndex>;
  /** As `open`, at once, of a path or bytes. In a browser `await ready()` must have come before. */
  openSync(source: FileSyncSource, options?: OpenSyncOptions): AnyIndex;
  /**
   * Reads an index that FAISS's `write_index` has written: Flat, ScalarQuantizer, PQ, HNSW (Flat, SQ, PQ), IVF (Flat, SQ,
   * PQ) and their fast scans, under IDMap, PreTransform (OPQ, rotations, PCA, L2norm) and Refine. Searches find what FAISS
   * finds; distances are annex's (`ip`: minus the inner product). The file is read as a whole, on this thread.
   *
   * @throws AnnexError UNSUPPORTED naming a kind of FAISS's that has no import, CORRUPT, IO, INVALID_TYPE, OUT_OF_MEMORY
   */
  importFaiss(source: FileSource): Promise<AnyIndex>;
  /** Reads an index that hnswlib has saved; its files hold neither dim nor metric. @throws AnnexError as `importFaiss` */
  importHnswlib(source: FileSource, options: HnswlibOptions): Promise<HnswIndex<Rows>>;
  /** The core in use: backend, instruction set, threads and version. */
  engineInfo(): EngineInfo;
  /** Resolves once the core is loaded, so that synchronous methods work everywhere. Needed in browsers only. */
  ready(): Promise<void>;
}

/**
 * Binds the API to one backend. An entry point is
 *
 *     export const { FlatIndex, HnswIndex, … } = bindApi({ loadSync, load });
 *     export type FlatIndex<Row extends Rows = Float32Array> = import('./flat.js').FlatIndex<Row>; …
 *     export * from './exports.js';
 */
export function bindApi(loader: BackendLoader): Api {
  const engine = new Engine(loader);
  const flat = bindClass(engine, FLAT, FlatIndex as Constructor<VectorIndex<Rows>>);
  const hnsw = bindClass(engine, HNSW, HnswIndex as Constructor<VectorIndex<Rows>>);
  const ivf = bindIvfIndex(engine);
  const classes = { flat, hnsw, ivf };
  const recipe = (factory: unknown, given: unknown) => {
    const { kind, options } = parseFactory(factory);
    const common = checkOptions<FactoryOptions>('createIndex', given, ['dim', 'metric', 'metadata']);
    return { Class: classes[kind] as typeof flat, options: { ...options, ...common } };
  };
  return {
    FlatIndex: flat as unknown as FlatIndexClass,
    HnswIndex: hnsw as unknown as HnswIndexClass,
    IvfIndex: ivf,
    createIndex: async (factory, given) => {
      const { Class, options } = recipe(factory, given);
      return (await Class.create(options)) as AnyIndex;
    },
    createIndexSync: (factory, given) => {
      const { Class, options } = recipe(factory, given);
      return Class.createSync(options) as AnyIndex;
    },
    ...(bindOpen(engine, Object.values(classes) as Constructor<VectorIndex<Rows>>[]) as Pick<Api, 'open' | 'openSync'>),
    importFaiss: (source) => importFaiss(classes as unknown as ImportClasses, source),
    importHnswlib: (source, options) =>
      importHnswlib(classes as unknown as ImportClasses, source, options) as Promise<HnswIndex<Rows>>,
    attach: bindAttach(engine, Object.values(classes) as Constructor<VectorIndex<Rows>>[]) as Api['attach'],
    engineInfo: () => engine.now().engineInfo(),
    ready: async () => {
      await engine.load();
    },
  };
}
