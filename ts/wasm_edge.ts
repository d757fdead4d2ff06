// The entry point annex and annex/wasm on workerd (Cloudflare Workers), which takes WebAssembly as an imported module
// only: it compiles no bytes at run time.
import module from './annex.wasm';
import { bindApi } from './api.js';
import { backendOfModule, loadBackend, type WasmSource } from './wasm_load.js';

export * from './exports.js';
export type FlatIndex<Row extends import('./backend.js').Rows = Float32Array> = import('./flat.js').FlatIndex<Row>;
export type HnswIndex<Row extends import('./backend.js').Rows = Float32Array> = import('./hnsw.js').HnswIndex<Row>;
export type IvfIndex<Row extends import('./backend.js').Rows = Float32Array> = import('./ivf.js').IvfIndex<Row>;
export type { WasmSource };

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
  loadSync: () => backendOfModule(module),
  load: () => loadBackend(module),
});

/** As everywhere in annex/wasm, but here the core comes with the import and needs no source. */
export async function init(_source?: WasmSource): Promise<void> {
  await ready();
}
