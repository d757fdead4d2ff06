// The package as it would be published: linted, weighed, installed and used without a compiler.
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bin, CommandError, node, root, run, which } from '../lib/shell.mjs';

const PACKED_LIMIT = 3 * 1024 * 1024; // bytes of the tarball with one prebuilt addon

/** @type {string} */
let tarball = '';

async function pack() {
  const folder = join(root, 'build/pack');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const report = await run('npm', ['pack', '--json', '--pack-destination', folder, '--loglevel=error']);
  const parsed = JSON.parse(report.slice(report.search(/^[[{]/m)));
  const [packed] = Object.values(parsed);
  /** @type {string[]} */
  const paths = packed.files.map((/** @type {{ path: string }} */ file) => file.path);
  for (const needed of [
    'dist/index.js',
    'dist/index.d.ts',
    'dist/annex.wasm',
    'binding.gyp',
    'native/sources.json',
    'LICENSE',
  ]) {
    if (!paths.includes(needed)) throw new Error(`the package lacks ${needed}`);
  }
  const stray = paths.find((path) => /^(test|bench|build|scripts|node_modules)\//.test(path) || path.endsWith('.map'));
  if (stray !== undefined) throw new Error(`the package must not hold ${stray}`);
  tarball = join(folder, packed.filename);
  const size = statSync(tarball).size;
  if (size > PACKED_LIMIT) throw new Error(`the package has ${size} bytes, more than ${PACKED_LIMIT}`);
  /** @param {number} bytes */
  const kib = (bytes) => `${Math.round(bytes / 1024)} KiB`;
  return { note: `${kib(size)} packed, ${kib(packed.unpackedSize)} unpacked, ${paths.length} files` };
}

/** Installs the tarball where there is no compiler, and uses it with and without its native addon. */
async function install() {
  const project = mkdtempSync(join(tmpdir(), 'annex-install-'));
  try {
    const path = join(project, 'bin');
    mkdirSync(path);
    for (const name of ['node', 'sh', 'env']) symlinkSync(which(name) ?? process.execPath, join(path, name));
    const npm = join(process.execPath, '../../lib/node_modules/npm/bin/npm-cli.js');
    const cli = process.env.npm_execpath?.endsWith('.js') ? process.env.npm_execpath : npm;
    /** @type {Record<string, string | undefined>} */
    const env = { PATH: path, CXX: undefined, CC: undefined, NODE_PATH: undefined };
    for (const name of Object.keys(process.env)) if (/^npm_/i.test(name)) env[name] = undefined;
    writeFileSync(join(project, 'package.json'), '{ "name": "user", "version": "1.0.0", "type": "module" }\n');
    const flags = ['--offline', '--no-audit', '--no-fund', '--ignore-scripts=false', '--dangerously-allow-all-scripts'];
    const output = await node([cli, 'install', ...flags, tarball], { cwd: project, env });
    if (/gyp|install-scripts/.test(output)) throw new CommandError('installing runs a script', output);
    copyFileSync(join(root, 'scripts/steps/smoke.mjs'), join(project, 'smoke.mjs'));
    const quiet = await node(['smoke.mjs', 'native'], { cwd: project, env });
    if (/warning/i.test(quiet)) throw new CommandError('the native backend loads with a warning', quiet);
    rmSync(join(project, 'node_modules/annex/prebuilds'), { recursive: true });
    const warned = await node(['smoke.mjs', 'wasm'], { cwd: project, env });
    if ((warned.match(/AnnexWarning/g) ?? []).length !== 1 || !/To fix it/.test(warned)) {
      throw new CommandError('without the addon one warning with a remedy was expected', warned);
    }
    return { passed: 3 };
  } finally {
    rmSync(project, { recursive: true, force: true });
  }
}

/** Bundles for a browser must carry WebAssembly and nothing of Node.js. */
async function bundle() {
  const folder = join(root, 'build/bundle');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(join(folder, 'node_modules'), { recursive: true });
  symlinkSync(root, join(folder, 'node_modules/annex'), 'junction');
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }\n');
  writeFileSync(join(folder, 'index.html'), '<script type="module" src="./main.js"></script>\n');
  writeFileSync(
    join(folder, 'main.js'),
    `import { FlatIndex } from 'annex';\nglobalThis.index = await FlatIndex.create({ dim: 2 });\n`,
  );
  const output = await node([bin('vite/bin/vite.js'), 'build', folder, '--outDir', 'out', '--target', 'es2022'], {
    env: { NO_COLOR: '1' },
  });
  if (!/annex[^\s]*\.wasm/.test(output)) throw new CommandError('the bundle holds no annex.wasm', output);
  if (/externalized for browser compatibility/.test(output)) {
    throw new CommandError('the bundle for browsers imports modules of Node.js', output);
  }
}

/** @type {import('../test.mjs').Step[]} */
export const packageSteps = [
  { name: 'package: pack', run: pack },
  {
    name: 'package: publint',
    run: async () => {
      if (tarball === '') await pack();
      const output = await node([bin('publint/src/cli.js'), 'run', tarball, '--strict']);
      return { note: /All good/.test(output) ? '' : 'with suggestions' };
    },
  },
  {
    name: 'package: types for every resolution',
    run: async () => {
      if (tarball === '') await pack();
      const attw = bin('@arethetypeswrong/cli/dist/index.js');
      await node([
        attw,
        tarball,
        '--profile',
        'esm-only',
        '--exclude-entrypoints',
        'annex.wasm',
        '--no-color',
        '--no-emoji',
      ]);
    },
  },
  {
    name: 'package: install without compiler',
    run: async () => {
      if (tarball === '') await pack();
      return install();
    },
  },
  { name: 'package: bundle by vite', run: bundle },
];
