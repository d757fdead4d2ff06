/**
 * The addon (native/node) as it presents itself: functions over positional arguments, checked again natively for
 * memory safety. Codes are those of native/api/annex.h.
 */
import type { InputCode, Rows } from './backend.js';

declare const index: unique symbol;
declare const writer: unique symbol;

/** The object behind which the addon keeps an index. */
export interface IndexHandle {
  readonly [index]: never;
}

/** The object behind which the addon keeps a staged write. */
export interface WriterHandle {
  readonly [writer]: never;
}

type SearchArguments = [
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

type AppendArguments = [writer: WriterHandle, type: InputCode, rows: Rows, n: number, ids: Float64Array | null];

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
  /** Fills the eight fields of AnnexStats. */
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

  openWriter(index: IndexHandle, mode: 0 | 1): WriterHandle;
  append(...args: AppendArguments): void;
  appendAsync(...args: [...AppendArguments, cancelKey: CancelKey]): Promise<void>;
  commit(writer: WriterHandle): void;
  commitAsync(writer: WriterHandle): Promise<void>;
  abort(writer: WriterHandle): void;
}
