// Makes a fresh clone ready, then builds what is out of date: node scripts/build.mjs [native] [wasm] [ts], default all.
//   native  prebuilds/<platform>-<arch>[-musl]/annex.node, by cmake-js and CMakeLists.txt
//   wasm    dist/annex.wasm, by emscripten and wasm/wasm.cmake
//   ts      dist/*.js and *.d.ts, by tsc
import { copyFileSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { files, once } from './lib/fresh.mjs';
import { bin, fail, node, root, seconds } from './lib/shell.mjs';
import { setup } from './setup.mjs';

const core = ['CMakeLists.txt', 'native'];

const musl = () => {
  if (process.platform !== 'linux') return false;
  const report = /** @type {{ header: { glibcVersionRuntime?: string } }} */ (process.report.getReport());
  return report.header.glibcVersionRuntime === undefined;
};
/** Where the addon for this machine belongs, relative to the repository. */
export const prebuild = `prebuilds/${process.platform}-${process.arch}${musl() ? '-musl' : ''}/annex.node`;

/** The addon, by cmake-js; its headers come from node-api-headers, so that nothing is downloaded. */
export const buildNative = () =>
  once(
    { name: 'native', inputs: core, facts: [process.env.CXX ?? '', process.arch], outputs: [prebuild] },
    async () => {
      const out = 'build/addon';
      await node([
        bin('cmake-js/bin/cmake-js'),
        'build',
        '--out',
        join(root, out),
        '--config',
        'Release',
        '--target', // alone: the native tests are built in the same folder, so that the core is compiled once
        'annex',
        '--parallel',
        '2',
      ]);
      const made = files(out).find((path) => /(^|\/)annex\.node$/.test(path));
      if (made === undefined) throw new Error(`cmake-js made no annex.node in ${out}`);
      mkdirSync(dirname(join(root, prebuild)), { recursive: true });
      // Beside it, then in its place: writing into a library that a process has loaded would kill that process.
      copyFileSync(join(root, made), join(root, `${prebuild}.new`));
      renameSync(join(root, `${prebuild}.new`), join(root, prebuild));
    },
  );

export const buildWasm = () =>
  once({ name: 'wasm', inputs: [...core, 'wasm', 'scripts/build-wasm.mjs'], outputs: ['dist/annex.wasm'] }, () =>
    node(['scripts/build-wasm.mjs']),
  );

export const buildTs = () =>
  once(
    {
      name: 'ts',
      inputs: ['ts', 'tsconfig.json', 'tsconfig.build.json', 'package-lock.json'],
      outputs: ['dist/index.js'],
    },
    async () => {
      // A source that is gone must not live on in the package.
      for (const path of files('dist')) if (!path.endsWith('.wasm')) rmSync(join(root, path));
      await node([bin('typescript/bin/tsc'), '-p', 'tsconfig.build.json']);
    },
  );

/** @type {Record<string, { make: () => Promise<boolean>, what: string }>} */
const targets = {
  native: { make: buildNative, what: 'native addon' },
  wasm: { make: buildWasm, what: 'WebAssembly core' },
  ts: { make: buildTs, what: 'TypeScript' },
};

/** @param {string[]} names @param {(line: string) => void} [say] */
export async function build(names, say = console.log) {
  for (const name of names) {
    const target = targets[name];
    if (target === undefined) throw new Error(`no such target: ${name}; there are ${Object.keys(targets).join(', ')}`);
    const start = performance.now();
    if (await target.make()) say(`built the ${target.what} in ${seconds(start)}`);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const names = process.argv.slice(2);
  await setup('demo')
    .then(() => build(names.length > 0 ? names : Object.keys(targets)))
    .catch(fail);
}
