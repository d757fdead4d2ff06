// Builds the parity tests of the kernels for WebAssembly and runs them: node test/wasm/kernels.mjs [--quick]
import { readFileSync } from 'node:fs';
import { WASI } from 'node:wasi';
import { buildWasm } from '../../scripts/build-wasm.mjs';

for (const name of ['kernels_test', 'codes_test']) {
  const folder = buildWasm(`annex_wasm_${name}`);
  const bytes = readFileSync(new URL(`../../${folder}/${name}.wasm`, import.meta.url));
  const wasi = new WASI({ version: 'preview1', args: [name, ...process.argv.slice(2)], returnOnExit: true });
  const { instance } = await WebAssembly.instantiate(bytes, {
    wasi_snapshot_preview1: wasi.wasiImport,
    env: { emscripten_notify_memory_growth: () => {} },
  });
  process.exitCode ||= wasi.start(instance);
}
