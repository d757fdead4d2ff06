// What runs on the built package: vitest on both backends, Chromium, the snippets of README, examples, benches.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bin, CommandError, node, root, TestsFailed, which } from '../lib/shell.mjs';

/** @param {'native' | 'wasm'} backend */
async function vitest(backend) {
  const report = join(root, `build/vitest-${backend}.json`);
  rmSync(report, { force: true });
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  const counts = () => {
    if (!existsSync(report)) return { passed: 0, failed: 1, note: '' };
    const { numPassedTests, numFailedTests, numPendingTests } = JSON.parse(readFileSync(report, 'utf8'));
    const note = numPendingTests > 0 ? `${numPendingTests} for the other backend` : '';
    return { passed: Number(numPassedTests), failed: Number(numFailedTests), note };
  };
  try {
    await node([bin('vitest/vitest.mjs'), 'run', ...reporters], { env: { ANNEX_BACKEND: backend, NO_COLOR: '1' } });
  } catch (error) {
    if (error instanceof CommandError) throw new TestsFailed(error.message, error.output, counts());
    throw error;
  }
  const { passed, note } = counts();
  if (passed === 0) throw new Error(`vitest ran no test on ${backend}`);
  return { passed, note };
}

/** Compiles the TypeScript snippets of README.md as a user would (strict, against dist) and runs each. */
async function snippets() {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  const found = [...readme.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map((match) => match[1] ?? '');
  if (found.length === 0) throw new Error('README.md has no ```ts snippet');
  const folder = join(root, 'build/readme');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  found.forEach((text, i) => {
    writeFileSync(join(folder, `snippet${i + 1}.ts`), text);
  });
  const compilerOptions = {
    target: 'es2022',
    module: 'nodenext',
    lib: ['es2022', 'dom'],
    types: ['node'],
    strict: true,
    skipLibCheck: false,
    outDir: 'out',
    rootDir: '.',
  };
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }\n');
  mkdirSync(join(folder, 'node_modules'));
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }));
  await linkPackage(join(folder, 'node_modules'));
  await node([bin('typescript/bin/tsc'), '-p', folder]);
  for (let i = 1; i <= found.length; i++) await node([join(folder, `out/snippet${i}.js`)], { timeout: 60 });
  return { passed: found.length };
}

/** @param {string} modules a folder node_modules in which `annex` shall be this package */
async function linkPackage(modules) {
  const { symlinkSync } = await import('node:fs');
  symlinkSync(root, join(modules, 'annex'), 'junction');
}

const chromium = () =>
  process.env.CHROMIUM ??
  ['chromium', 'chromium-browser', 'google-chrome'].map(which).find((path) => path !== undefined);

async function examples() {
  const programs = readdirSync(join(root, 'examples')).filter((name) => name.endsWith('.mjs'));
  for (const name of programs) await node([join('examples', name)], { timeout: 120 });
  await node(['examples/browser/serve.mjs', '--check'], { env: { CHROMIUM: chromium() }, timeout: 120 });
  const demo = await node(['examples/demo/main.mjs'], { timeout: 300 });
  if (!/f32, int8 sidecar +1\.000 /.test(demo)) throw new CommandError('the demo found no exact answers', demo);
  return { passed: programs.length + 2 };
}

const BENCHES = ['flat', 'calls', 'kernels', 'wasm'];
async function benches() {
  const have = BENCHES.filter((name) => existsSync(join(root, `bench/${name}.ts`)));
  for (const name of have) {
    const alone = name === 'flat' ? ['--alone'] : []; // peers are no business of a test
    await node(['--expose-gc', '--import', 'tsx', `bench/${name}.ts`, '--quick', ...alone], { timeout: 300 });
  }
  return { passed: have.length };
}

/** @type {import('../test.mjs').Step[]} */
export const javascriptSteps = [
  { name: 'vitest: native', run: () => vitest('native') },
  { name: 'vitest: wasm', run: () => vitest('wasm') },
  {
    name: 'browser: Chromium',
    run: async () => {
      const output = await node(['test/browser/run.mjs'], { env: { CHROMIUM: chromium() } });
      const cases = Number(/(\d+) cases/.exec(output)?.[1] ?? 0);
      if (cases === 0) throw new CommandError('Chromium ran no case', output);
      return { passed: cases };
    },
  },
  { name: 'readme: snippets', run: snippets },
  { name: 'examples', run: examples },
  { name: 'bench: --quick', run: benches },
];
