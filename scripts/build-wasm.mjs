// Builds dist/annex.wasm with emscripten: node scripts/build-wasm.mjs [--debug]
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const root = fileURLToPath(new URL('..', import.meta.url));
const LIMIT = 60 * 1024; // bytes, gzipped

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

const build = process.argv.includes('--debug') ? 'build/wasm-debug' : 'build/wasm';
const type = process.argv.includes('--debug') ? 'Debug' : 'Release';
run('emcmake', ['cmake', '-S', '.', '-B', build, `-DCMAKE_BUILD_TYPE=${type}`]);
run('cmake', ['--build', build, '--target', 'annex_wasm', '-j', '2']);

const made = `${root}${build}/annex.wasm`;
const bytes = readFileSync(made);
check(bytes);
mkdirSync(`${root}dist`, { recursive: true });
copyFileSync(made, `${root}dist/annex.wasm`);
const zipped = gzipSync(bytes, { level: 9 }).length;
console.log(`dist/annex.wasm: ${statSync(made).size} bytes, ${zipped} gzipped`);
if (type === 'Release' && zipped > LIMIT) {
  console.error(`build-wasm: ${zipped} bytes gzipped are over the limit of ${LIMIT}`);
  process.exit(1);
}
