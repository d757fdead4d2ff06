import { setImmediate as turn } from 'node:timers/promises';
import type { Addon, IndexHandle, SearchArguments } from '../ts/addon.js';
import { errorOfStatus } from '../ts/errors.js';
import { loadAddon } from '../ts/load_native.js';

export const DIM = 16;

export function openAddon(): Addon {
  const { addon } = loadAddon();
  addon.init(errorOfStatus);
  return addon;
}

export function flatOptions(dim: number, { storage = 0, metric = 0 } = {}): Float64Array {
  return Float64Array.of(0, 0, 1, dim, 2, metric, 3, storage);
}

/** An index of n rows: row i is i in every dimension. */
export function filledIndex(addon: Addon, n: number, dim = DIM, options = flatOptions(dim)): IndexHandle {
  const index = addon.create(options);
  const writer = addon.openWriter(index, 0);
  addon.append(writer, 0, rampRows(n, dim), n, null);
  addon.commit(writer);
  return index;
}

export function rampRows(n: number, dim: number): Float32Array {
  const rows = new Float32Array(n * dim);
  for (let i = 0; i < n; i += 1) rows.fill(i, i * dim, (i + 1) * dim);
  return rows;
}

/** A search for rows 0 … nq - 1. */
export function searchArguments(index: IndexHandle, nq: number, k: number, dim = DIM): SearchArguments {
  const results = Math.floor(nq * k);
  return [
    index,
    rampRows(nq, dim),
    0,
    nq,
    k,
    new Float64Array(0),
    0,
    null,
    0,
    new Float64Array(results),
    new Float32Array(results),
    new Uint32Array(nq),
  ];
}

/** Full collections, with turns of the event loop in which finalizers run. */
export async function collectGarbage(): Promise<void> {
  for (let i = 0; i < 3; i += 1) {
    (globalThis as { gc?: () => void }).gc?.();
    await turn();
  }
}
