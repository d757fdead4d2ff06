// Builds the parity test of the kernels for WebAssembly and runs it: node test/wasm/kernels.mjs [--quick]
import { readFileSync } from 'node:fs';
import { WASI } from 'node:wasi';
import { buildWasm } from '../../scripts/build-wasm.mjs';

const folder = buildWasm('annex_wasm_kernels_test');
const bytes = readFileSync(new URL(`../../${folder}/kernels_test.wasm`, import.meta.url));
const wasi = new WASI({ version: 'preview1', args: ['kernels_test', ...process.argv.slice(2)], returnOnExit: true });
const { instance } = await WebAssembly.instantiate(bytes, {
  wasi_snapshot_preview1: wasi.wasiImport,
  env: { emscripten_notify_memory_growth: () => {} },
});
process.exitCode = wasi.start(instance);
