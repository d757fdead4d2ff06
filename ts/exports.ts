// What every entry point exports, whichever its backend.
export type { AnyIndex, Api, FactoryOptions } from './api.js';
export type { EngineInfo, Phase, Rows, Stats } from './backend.js';
export { Bitset } from './bitset.js';
export { AnnexError, type AnnexErrorCode } from './errors.js';
export { exportFaiss } from './export_faiss.js';
export type { Filter } from './filter.js';
export type {
  BitsOptions,
  FlatCreatedWith,
  FlatIndexClass,
  FlatIndexOptions,
  FlatSearchOptions,
  FlatSearchSyncOptions,
  FloatOptions,
  Int8Options,
  Uint8Options,
} from './flat.js';
export type {
  HnswBitsOptions,
  HnswCreatedWith,
  HnswFloatOptions,
  HnswIndexClass,
  HnswIndexOptions,
  HnswInt8Options,
  HnswSearchOptions,
  HnswSearchSyncOptions,
  HnswUint8Options,
} from './hnsw.js';
export type { Ids } from './ids.js';
export type { HnswlibOptions } from './import_hnswlib.js';
export { type FileInfo, inspect, type SectionInfo } from './inspect.js';
export type {
  BuildOptions,
  BuildSyncOptions,
  IvfCreatedWith,
  IvfFloatOptions,
  IvfIndexClass,
  IvfIndexOptions,
  IvfInt8Options,
  IvfSearchOptions,
  IvfSearchSyncOptions,
  IvfUint8Options,
} from './ivf.js';
export type { KindName } from './kind.js';
export { type TwoStageOptions, truncate, twoStageSearch } from './matryoshka.js';
export type { OpenOptions, OpenSyncOptions } from './open.js';
export type { CreatedWith, Json } from './options.js';
export { BatchResult, type Neighbor, SearchResult } from './results.js';
export type { SaveOptions } from './save.js';
export type { SearchOptions, SearchSyncOptions } from './search.js';
export type { ShareToken } from './share.js';
export type { FileSource, FileSyncSource } from './source.js';
export type { Coarse, Layout, Metric, Rerank, Rotation, Sidecar, Storage } from './spec.js';
export type { PqStorage, RabitqStorage, StoredAs } from './storage.js';
export type { VectorIndex } from './vector_index.js';
export type { Float16ArrayLike, Numbers, Vector, Vectors } from './vectors.js';
export type { OnProgress, Progress } from './write.js';
export type { AddOptions, AddSyncOptions, WriteOptions } from './writers.js';
