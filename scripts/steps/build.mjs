// Builds everything that the later steps run: by cmake-js, by emscripten, by tsc, and the addon once more by node-gyp.
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { buildNative, buildTs, buildWasm } from '../build.mjs';
import { bin, node, root } from '../lib/shell.mjs';

const WASM_LIMIT = 190 * 1024; // bytes of every .wasm, gzipped

/** The folder that holds include/node of this Node: node-gyp would download one otherwise. */
function nodeHeaders() {
  const folders = [dirname(dirname(process.execPath)), '/usr', '/usr/local'];
  return folders.find((folder) => {
    const header = join(folder, 'include/node/node_version.h');
    if (!existsSync(header) || !existsSync(join(folder, 'include/node/common.gypi'))) return false;
    return new RegExp(`NODE_MAJOR_VERSION ${process.versions.node.split('.')[0]}\\b`).test(
      readFileSync(header, 'utf8'),
    );
  });
}

/** Builds in a copy of what the package publishes, so that nothing that it lacks is found. */
async function buildByNodeGyp() {
  const headers = nodeHeaders();
  if (headers === undefined) return { skipped: `no headers of Node.js beside ${process.execPath} (include/node)` };
  const copy = join(root, 'build/gyp');
  mkdirSync(copy, { recursive: true });
  for (const part of ['native', 'binding.gyp', 'package.json']) {
    rmSync(join(copy, part), { recursive: true, force: true });
    cpSync(join(root, part), join(copy, part), { recursive: true, preserveTimestamps: true });
  }
  await node([bin('node-gyp/bin/node-gyp.js'), 'configure', 'build', '--nodedir', headers, '-j', '2'], { cwd: copy });
  await node(['scripts/steps/smoke.mjs', 'native'], {
    env: { ANNEX_ADDON: join(copy, 'build/Release/annex.node'), ANNEX_BACKEND: 'native' },
  });
  return undefined;
}

/** @type {import('../test.mjs').Step[]} */
export const buildSteps = [
  { name: 'build: addon by cmake-js', run: async () => ({ note: (await buildNative()) ? '' : 'up to date' }) },
  {
    name: 'build: WebAssembly by emscripten',
    run: async () => {
      const built = await buildWasm();
      const sizes = readdirSync(join(root, 'dist'))
        .filter((name) => name.endsWith('.wasm'))
        .map((name) => ({ name, size: gzipSync(readFileSync(join(root, 'dist', name)), { level: 9 }).length }));
      const large = sizes.find(({ size }) => size > WASM_LIMIT);
      if (large) throw new Error(`dist/${large.name} has ${large.size} bytes gzipped, more than ${WASM_LIMIT}`);
      const report = sizes.map(({ name, size }) => `${name} ${(size / 1024).toFixed(1)} KiB gzipped`);
      return { note: [...report, ...(built ? [] : ['up to date'])].join(', ') };
    },
  },
  { name: 'build: TypeScript by tsc', run: async () => ({ note: (await buildTs()) ? '' : 'up to date' }) },
  { name: 'build: addon by node-gyp', run: buildByNodeGyp },
];
