// The entry point annex on Node.js: the native core, or WebAssembly where that cannot be loaded.
import { bindApi } from './api.js';
import type { Backend, Rows } from './backend.js';
import { AnnexError } from './errors.js';
import { loadNative } from './load_native.js';
import { backendFromDisk } from './wasm_node.js';

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
  loadSync: choose,
  load: async () => choose(),
});

function choose(): Backend {
  const forced = process.env.ANNEX_BACKEND;
  switch (forced) {
    case 'native':
      return loadNative();
    case 'wasm':
      return wasm();
    case undefined:
    case '':
      return nativeElseWasm();
    default:
      throw new AnnexError(
        'INVALID_ARGUMENT',
        `expected the environment variable ANNEX_BACKEND to be "native" or "wasm", or unset, got "${forced}"`,
      );
  }
}

function nativeElseWasm(): Backend {
  try {
    return loadNative();
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const backend = wasm();
    process.emitWarning(
      `${why}\nUntil then annex runs on WebAssembly: the same results, but slower and on one thread. ` +
        'To have that without this warning, set ANNEX_BACKEND=wasm or import annex/wasm.',
      { type: 'AnnexWarning', code: 'ANNEX_WASM_FALLBACK' },
    );
    return backend;
  }
}

function wasm(): Backend {
  const backend = backendFromDisk();
  if (backend !== undefined) return backend;
  throw new AnnexError('UNSUPPORTED', 'this platform has no file system to load the WebAssembly core from');
}
