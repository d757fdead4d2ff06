/**
 * The addon (native/node) as it presents itself: functions over positional arguments, checked again natively for
 * memory safety. Codes are those of native/api/annex.h.
 */
import type { InputCode, Rows, WriteMode } from './backend.js';

declare const index: unique symbol;
declare const writer: unique symbol;
declare const saver: unique symbol;
declare const opener: unique symbol;

/** The object behind which the addon keeps an index. */
export interface IndexHandle {
  readonly [index]: never;
}

/** The object behind which the addon keeps an index on its way into a file. */
export interface SaverHandle {
  readonly [saver]: never;
}

/** The object behind which the addon keeps a file on its way in. */
export interface OpenerHandle {
  readonly [opener]: never;
}

/** The object behind which the addon keeps a staged write. */
export interface WriterHandle {
  readonly [writer]: never;
}

export type SearchArguments = [
  index: IndexHandle,
  queries: Rows,
  type: InputCode,
  nq: number,
  k: number,
  options: Float64Array,
  filterKind: number,
  filter: Float64Array | Uint32Array | null,
  filterCount: number,
  ids: Float64Array,
  distances: Float32Array,
  counts: Uint32Array,
];

/** The query has the type that the index takes; what else a search has and finds is in the block. */
export type SearchOne = (query: Rows, block: Float64Array, filter: Float64Array | Uint32Array | null) => void;

/**
 * Where numbers of a {@link SearchOne} are in its block, in doubles. Distances are floats, two to a double. The same as in
 * native/node/search_one.cpp.
 */
export const ONE = {
  k: 0,
  filterKind: 1,
  filterCount: 2,
  pairs: 3,
  found: 4,
  options: 5,
  ids: 37,
  distances: 293,
  length: 421,
} as const;

type AppendArguments = [writer: WriterHandle, type: InputCode, rows: Rows, n: number, ids: Float64Array | null];

/** The fields of AnnexProgress. */
export type StepFields = [done: number, total: number, phase: number, finished: number];

/** A number that is not 0 names the call for {@link Addon.cancel}; 0 means that it is never cancelled. */
type CancelKey = number;

export interface Addon {
  /** Tells the addon how errors are made; call it once, first. */
  init(errorOfStatus: (status: number, message: string) => unknown): void;
  engine(): [version: string, isa: string, note: string, threads: number];
  cancel(key: CancelKey): void;
  /** Settles what is done; while it returns true, it is to be called again in the next turn of the event loop. */
  poll(): boolean;

  create(options: Float64Array): IndexHandle;
  attach(token: number): IndexHandle;
  close(index: IndexHandle): void;
  size(index: IndexHandle): number;
  nextId(index: IndexHandle): number;
  /** Fills the fields of AnnexStats, in their order. */
  stats(index: IndexHandle, out: Float64Array): void;
  /** Fills (key, value) pairs; returns how many there are. */
  options(index: IndexHandle, out: Float64Array): number;
  share(index: IndexHandle): number;
  remove(index: IndexHandle, ids: Float64Array): number;
  removeAsync(index: IndexHandle, ids: Float64Array): Promise<number>;
  has(index: IndexHandle, ids: Float64Array, found: Uint8Array): void;
  get(index: IndexHandle, ids: Float64Array, rows: Rows, found: Uint8Array): void;
  ids(index: IndexHandle, start: number, out: Float64Array): number;

  search(...args: SearchArguments): void;
  searchAsync(...args: [...SearchArguments, cancelKey: CancelKey]): Promise<void>;

  /** Searches of one index for one query at a time; see {@link OneBlock}. */
  bindSearch(index: IndexHandle): SearchOne;

  openWriter(index: IndexHandle, mode: WriteMode): WriterHandle;
  append(...args: AppendArguments): void;
  appendAsync(...args: [...AppendArguments, cancelKey: CancelKey]): Promise<void>;
  step(writer: WriterHandle): StepFields;
  stepAsync(writer: WriterHandle, cancelKey: CancelKey): Promise<StepFields>;
  commit(writer: WriterHandle): void;
  commitAsync(writer: WriterHandle): Promise<void>;
  abort(writer: WriterHandle): void;

  /** A path is created, and opened, in the first step. */
  openSaver(index: IndexHandle, metadata: Uint8Array | null, path: string | null): SaverHandle;
  saverSize(saver: SaverHandle): number;
  saverRead(saver: SaverHandle, out: Uint8Array): number;
  saverStep(saver: SaverHandle): StepFields;
  saverStepAsync(saver: SaverHandle, cancelKey: CancelKey): Promise<StepFields>;
  closeSaver(saver: SaverHandle): void;

  openOpener(flags: number, path: string | null, bytes: number): OpenerHandle;
  openerAppend(opener: OpenerHandle, bytes: Uint8Array): void;
  openerStep(opener: OpenerHandle): StepFields;
  openerStepAsync(opener: OpenerHandle, cancelKey: CancelKey): Promise<StepFields>;
  openerMetadata(opener: OpenerHandle): Uint8Array;
  openerFinish(opener: OpenerHandle): IndexHandle;
  closeOpener(opener: OpenerHandle): void;
}
