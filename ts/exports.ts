// What every entry point exports, whichever its backend.
export type { Api } from './api.js';
export type { EngineInfo, Rows, Stats } from './backend.js';
export { Bitset } from './bitset.js';
export { AnnexError, type AnnexErrorCode } from './errors.js';
export type { Filter } from './filter.js';
export type { FlatIndexClass } from './flat.js';
export type { Ids } from './ids.js';
export type {
  BitsOptions,
  CreatedWith,
  FlatIndexOptions,
  FloatOptions,
  Int8Options,
  Json,
  Uint8Options,
} from './options.js';
export { BatchResult, type Neighbor, SearchResult } from './results.js';
export type { SearchOptions, SearchSyncOptions } from './search.js';
export type { ShareToken } from './share.js';
export type { Metric, Sidecar, Storage } from './spec.js';
export type { AddOptions, AddSyncOptions, WriteOptions } from './vector_index.js';
export type { Float16ArrayLike, Numbers, Vector, Vectors } from './vectors.js';
export type { OnProgress, Progress } from './write.js';
