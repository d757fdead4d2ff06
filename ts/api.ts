import type { EngineInfo, Rows } from './backend.js';
import { bindFlatIndex, type FlatIndex, type FlatIndexClass } from './flat.js';
import { type BackendLoader, Engine } from './loader.js';
import type { ShareToken } from './share.js';

/** What every entry point exports over its own backend. Results, Bitset and AnnexError are common to all of them. */
export interface Api {
  readonly FlatIndex: FlatIndexClass;
  /**
   * Attaches to an index that another worker thread of this process shared with `index.share()`. No vector is
   * copied; the core's index lives until the last handle is closed.
   *
   * @throws AnnexError INVALID_TYPE or INVALID_ARGUMENT for what is no token, or whose index is gone; UNSUPPORTED on
   * WASM.
   */
  attach(token: ShareToken): FlatIndex<Rows>;
  /** The core in use: backend, instruction set, threads and version. */
  engineInfo(): EngineInfo;
  /** Resolves once the core is loaded, so that synchronous methods work everywhere. Needed in browsers only. */
  ready(): Promise<void>;
}

/**
 * Binds the API to one backend. An entry point is
 *
 *     export const { FlatIndex, attach, engineInfo, ready } = bindApi({ loadSync, load });
 *     export type FlatIndex<Row extends Rows = Float32Array> = import('./flat.js').FlatIndex<Row>;
 *     export * from './exports.js';
 */
export function bindApi(loader: BackendLoader): Api {
  const engine = new Engine(loader);
  const flat = bindFlatIndex(engine);
  return {
    FlatIndex: flat.FlatIndex,
    attach: flat.attach,
    engineInfo: () => engine.now().engineInfo(),
    ready: async () => {
      await engine.load();
    },
  };
}
