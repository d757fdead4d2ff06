// The entry point annex/native: the native core, or an error that says how to get it.
import { bindApi } from './api.js';
import type { Rows } from './backend.js';
import { loadNative } from './load_native.js';

export * from './exports.js';
export type FlatIndex<Row extends Rows = Float32Array> = import('./flat.js').FlatIndex<Row>;
export type HnswIndex<Row extends Rows = Float32Array> = import('./hnsw.js').HnswIndex<Row>;
export type IvfIndex<Row extends Rows = Float32Array> = import('./ivf.js').IvfIndex<Row>;

export const {
  FlatIndex,
  HnswIndex,
  IvfIndex,
  createIndex,
  createIndexSync,
  open,
  openSync,
  importFaiss,
  importHnswlib,
  attach,
  engineInfo,
  ready,
} = bindApi({
  loadSync: loadNative,
  load: async () => loadNative(),
});
