import type { WasmBackend } from './backend_wasm.js';
import { AnnexError } from './errors.js';
import { backendOfBytes } from './wasm_load.js';

/**
 * The backend on the annex.wasm of this package, read from disk; undefined where there is no file system (browsers,
 * edge workers). The file system is asked for at run time, so that bundlers for browsers need not know of it.
 */
export function backendFromDisk(): WasmBackend | undefined {
  const fs = globalThis.process?.getBuiltinModule?.('node:fs');
  if (fs === undefined) return undefined;
  // From dist/ as well as from ts/; composed, so that bundlers do not take it for an asset.
  const file = new URL(['..', 'dist', 'annex.wasm'].join('/'), import.meta.url);
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    bytes = fs.readFileSync(file);
  } catch (cause) {
    throw new AnnexError(
      'IO',
      `expected the WebAssembly core at ${file}, and it could not be read: in a checkout run \`npm run build\`; in a ` +
        'bundle keep annex external, or pass the bytes of annex.wasm to `await init(…)` of annex/wasm',
      { cause },
    );
  }
  return backendOfBytes(bytes);
}
