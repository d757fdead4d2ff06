// Builds dist/annex.wasm with emscripten: node scripts/build-wasm.mjs
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

// Debian keeps the JavaScript parts that emscripten needs where only Debian's own Node looks.
const debianModules = '/usr/share/nodejs';
const env = { ...process.env };
if (!env.NODE_PATH && existsSync(`${debianModules}/acorn`)) env.NODE_PATH = debianModules;

/** @param {string} command @param {string[]} args */
function run(command, args) {
  const { status, error } = spawnSync(command, args, { cwd: root, env, stdio: ['ignore', 'inherit', 'inherit'] });
  if (error && 'code' in error && error.code === 'ENOENT') {
    console.error(
      `build-wasm: ${command} was not found; install emscripten (Debian: apt-get install emscripten cmake)`,
    );
    process.exit(1);
  }
  if (error || status !== 0) {
    console.error(`build-wasm: ${command} ${args.join(' ')} failed${error ? `: ${error.message}` : ''}`);
    process.exit(1);
  }
}

/** Checks what a loader without emscripten's JavaScript relies on. @param {Uint8Array<ArrayBuffer>} bytes */
function check(bytes) {
  const module = new WebAssembly.Module(bytes);
  const allowed = ['env.emscripten_notify_memory_growth', 'wasi_snapshot_preview1.proc_exit'];
  const imports = WebAssembly.Module.imports(module).map(({ module, name }) => `${module}.${name}`);
  const extra = imports.filter((name) => !allowed.includes(name));
  if (extra.length > 0) {
    console.error(
      `build-wasm: the module may import only ${allowed.join(' and ')}, but it also wants ${extra.join(', ')}`,
    );
    process.exit(1);
  }
}

/** Builds one target of wasm/wasm.cmake; returns the folder, relative to the repository. @param {string} target */
export function buildWasm(target) {
  const folder = 'build/wasm';
  run('emcmake', ['cmake', '-S', '.', '-B', folder, '-DCMAKE_BUILD_TYPE=Release']);
  run('cmake', ['--build', folder, '--target', target, '-j', '2']);
  return folder;
}

function main() {
  const bytes = readFileSync(`${root}${buildWasm('annex_wasm')}/annex.wasm`);
  check(bytes);
  mkdirSync(`${root}dist`, { recursive: true });
  // Renamed into place: whoever reads meanwhile gets the old file or the new one.
  const made = `${root}dist/annex.wasm`;
  writeFileSync(`${made}.new`, bytes);
  renameSync(`${made}.new`, made);
  console.log(`dist/annex.wasm: ${bytes.length} bytes`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
