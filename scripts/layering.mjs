// Fails where a room includes or imports what it must not know. To the left only:
//   base ← kernels ← quant ← index ← file ← api ← {node, wasm} ← ts
// Usage: node scripts/layering.mjs
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { files } from './lib/fresh.mjs';
import { fail, root } from './lib/shell.mjs';

const ROOMS = ['base', 'kernels', 'quant', 'index', 'file', 'api'];
/** A kernel knows no std container, so that no wide instruction leaks into the templates of baseline code. */
const KERNEL_HEADERS = /^(std(def|int)\.h|string\.h|.*intrin\.h|arm_(acle|neon)\.h|wasm_simd128\.h)$/;
/** What only these TypeScript files may touch: Node.js itself. */
const PLATFORM = /^ts\/(index|load_native|backend_node|wasm_node|addon|disk|(cli|data|bench)(_[a-z0-9_]+)?)\.ts$/;

/** Packages that a user may have installed; those files load them when they are wanted. */
const OPTIONAL = new Map([
  ['ts/data_hdf5.ts', /^h5wasm\/node$/],
  ['ts/data_parquet.ts', /^hyparquet(-compressors)?$/],
]);

/** The room of a C++ file, and what it may include. @param {string} path @param {string} include @returns {string | undefined} */
function breachOf(path, include) {
  const room = path.startsWith('wasm/') ? 'wasm' : (path.split('/')[1] ?? '');
  const target = include.split('/')[0] ?? '';
  if (!include.includes('/')) return `"${include}" names no room: include it as "${room}/${include}"`;
  if (target === room) return undefined;
  if (room === 'node' || room === 'wasm') {
    return target === 'api' ? undefined : `a binding knows the C ABI alone (api/annex.h), not "${include}"`;
  }
  if (!ROOMS.includes(target)) return `"${include}" is in no room of the core`;
  return ROOMS.indexOf(target) < ROOMS.indexOf(room) ? undefined : `${room} may not know ${target} ("${include}")`;
}

/** @param {string} path @param {string} text @returns {string[]} */
export function breachesOfCpp(path, text) {
  const found = [];
  for (const match of text.matchAll(/^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]/gm)) {
    const [, bracket, include = ''] = match;
    if (bracket === '"') found.push(breachOf(path, include));
    else if (path === 'native/kernels/isa_scalar.cpp' && include === 'math.h')
      continue; // its code is baseline code
    else if (/^native\/kernels\/(isa|kernels\.h|.*\.inl)/.test(path) && !KERNEL_HEADERS.test(include)) {
      found.push(`a kernel includes intrinsics, stddef.h and stdint.h alone, not <${include}>`);
    }
  }
  return found.filter((breach) => breach !== undefined).map((breach) => `${path}: ${breach}`);
}

/** @param {string} path @param {string} text @returns {string[]} */
export function breachesOfTs(path, text) {
  const found = [];
  for (const match of text.matchAll(
    /^(?:import |(?:import|export|\})[^\n]*? from )'([^'\n]+)';$|\bimport\('([^']+)'\)/gm,
  )) {
    const target = match[1] ?? match[2] ?? '';
    const builtin = target.startsWith('node:');
    if (builtin && !PLATFORM.test(path)) found.push(`only the files of a platform import "${target}"`);
    if (OPTIONAL.get(path)?.test(target)) continue;
    if (!builtin && !/^\.\/[a-z0-9_]+\.(js|wasm)$/.test(target)) found.push(`"${target}" is not a file of ts/`);
  }
  return found.map((breach) => `${path}: ${breach}`);
}

/** @returns {number} how many files were read; throws when there is a breach */
export function checkLayering() {
  const native = [...files('native'), ...files('wasm')].filter((path) => /\.(cpp|h|inl)$/.test(path));
  const typescript = files('ts').filter((path) => path.endsWith('.ts'));
  const breaches = [
    ...native.flatMap((path) => breachesOfCpp(path, readFileSync(join(root, path), 'utf8'))),
    ...typescript.flatMap((path) => breachesOfTs(path, readFileSync(join(root, path), 'utf8'))),
  ];
  if (breaches.length > 0) throw new Error(`layering:\n${breaches.map((breach) => `  ${breach}`).join('\n')}`);
  return native.length + typescript.length;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    console.log(`layering: ${checkLayering()} files`);
  } catch (error) {
    fail(error);
  }
}
