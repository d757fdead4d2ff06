import type { Backend } from './backend.js';
import { AnnexError } from './errors.js';

/** How one entry point (index.ts, native.ts, wasm.ts) comes by its backend. Called at first use, not at import. */
export interface BackendLoader {
  /**
   * Loads at once, or returns undefined where only {@link BackendLoader.load} can (a browser fetching its module).
   * Throws an AnnexError with the remedy when the backend cannot be loaded at all.
   */
  loadSync(): Backend | undefined;
  /** Loads, waiting where it must; rejects with an AnnexError with the remedy. */
  load(): Promise<Backend>;
}

/** The backend of one entry point, loaded once. A failure is not remembered: the next call tries again. */
export class Engine {
  readonly #loader: BackendLoader;
  #backend: Backend | undefined;
  #loading: Promise<Backend> | undefined;

  constructor(loader: BackendLoader) {
    this.#loader = loader;
  }

  /** The backend, now; throws UNSUPPORTED while it can only be loaded asynchronously. */
  now(): Backend {
    this.#backend ??= this.#loader.loadSync();
    if (this.#backend === undefined) {
      throw new AnnexError(
        'UNSUPPORTED',
        'the WebAssembly core is not loaded yet, and here it cannot be loaded synchronously: ' +
          'call `await ready()` once before synchronous methods, or use `await FlatIndex.create(…)`',
      );
    }
    return this.#backend;
  }

  /** The backend, loaded if need be. */
  async load(): Promise<Backend> {
    if (this.#backend !== undefined) return this.#backend;
    this.#loading ??= this.#loader.load();
    try {
      this.#backend ??= await this.#loading;
      return this.#backend;
    } finally {
      this.#loading = undefined;
    }
  }
}
