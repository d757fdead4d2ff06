import type { WasmBackend } from './backend_wasm.js';
import { loadBackend } from './wasm_load.js';

/** Fetches the annex.wasm next to this file. Vite and webpack know this form and emit the file as an asset. */
export function fetchBackend(): Promise<WasmBackend> {
  return loadBackend(new URL('./annex.wasm', import.meta.url));
}
