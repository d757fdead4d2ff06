import type { Core } from './wasm_core.js';

/** Runs what frees memory: where the core has stopped, its memory is gone, and there is nothing to complain about. */
export function quietly(release: () => void): void {
  try {
    release();
  } catch {}
}

export interface Held {
  readonly core: Core;
  readonly pointer: number;
}

/** Frees what a caller dropped without close() or abort(). */
export function finalizer(release: (held: Held) => void): FinalizationRegistry<Held> | undefined {
  if (typeof FinalizationRegistry === 'undefined') return undefined;
  return new FinalizationRegistry((held) => quietly(() => release(held)));
}
