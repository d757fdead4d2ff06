// The entry point annex/wasm, and of annex itself wherever there is no native backend: browsers, Deno, workers.
import { bindApi } from './api.js';
import { fetchBackend } from './wasm_browser.js';
import { backendOfModule, loadBackend, type WasmSource } from './wasm_load.js';
import { backendFromDisk } from './wasm_node.js';

export * from './exports.js';
export type FlatIndex<Row extends import('./backend.js').Rows = Float32Array> = import('./flat.js').FlatIndex<Row>;
export type HnswIndex<Row extends import('./backend.js').Rows = Float32Array> = import('./hnsw.js').HnswIndex<Row>;
export type IvfIndex<Row extends import('./backend.js').Rows = Float32Array> = import('./ivf.js').IvfIndex<Row>;
export type { WasmSource };

let given: WasmSource | undefined;

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
  loadSync() {
    if (given === undefined) return backendFromDisk();
    return given instanceof WebAssembly.Module ? backendOfModule(given) : undefined;
  },
  async load() {
    if (given !== undefined) return loadBackend(given);
    return backendFromDisk() ?? fetchBackend();
  },
});

/**
 * Loads the core from `source`, for bundlers and platforms where it is not found by itself: the imported module
 * (`import wasm from 'annex/annex.wasm'`), its bytes, a Response, or a URL. Without effect once the core is loaded.
 *
 * @throws AnnexError IO when it cannot be fetched, UNSUPPORTED when the engine has no WebAssembly SIMD.
 */
export async function init(source: WasmSource): Promise<void> {
  given = source;
  await ready();
}
