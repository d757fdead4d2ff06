// Makes a fresh clone ready: checks the tools, installs the missing ones on Debian and Ubuntu (as root), runs `npm ci`.
// Elsewhere it lists what to install. Usage: node scripts/setup.mjs [demo|test]
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bold, fail, root, run, which } from './lib/shell.mjs';

/** @typedef {'demo' | 'test'} Purpose */
/**
 * @typedef {object} Tool
 * @property {string} name
 * @property {string} why
 * @property {() => boolean} present
 * @property {string[]} apt packages of Debian and Ubuntu
 * @property {boolean} [optional] the demo does without it where it cannot be installed
 */

const NODE = { major: 20, minor: 19 };

class SetupError extends Error {
  /** @param {string} message */
  constructor(message) {
    super(message);
    this.name = 'SetupError';
  }
}

/** @param {...string} names */
const command =
  (...names) =>
  () =>
    names.some((name) => which(name) !== undefined);

const compiler = () => (process.env.CXX ? which(process.env.CXX) !== undefined : command('c++', 'g++', 'clang++')());

/** libFuzzer comes with the compiler's runtime, in a folder named after its version. */
function fuzzerRuntime() {
  const llvm = '/usr/lib';
  if (!existsSync(llvm)) return false;
  for (const version of readdirSync(llvm).filter((name) => name.startsWith('llvm-'))) {
    const clang = join(llvm, version, 'lib/clang');
    if (!existsSync(clang)) continue;
    for (const release of readdirSync(clang)) {
      const runtimes = join(clang, release, 'lib/linux');
      if (existsSync(runtimes) && readdirSync(runtimes).some((name) => name.startsWith('libclang_rt.fuzzer')))
        return true;
    }
  }
  return false;
}

/** @type {Tool[]} */
const common = [
  { name: 'C++20 compiler', why: 'builds the native core', present: compiler, apt: ['g++'] },
  { name: 'make', why: 'builds the native core', present: command('make', 'gmake'), apt: ['make'] },
  { name: 'cmake 3.20 or newer', why: 'builds the native core', present: command('cmake'), apt: ['cmake'] },
];
/** @type {Tool} */
const emscripten = {
  name: 'emscripten',
  why: 'builds the WebAssembly core',
  present: command('emcmake'),
  apt: ['emscripten'],
};
/** @type {Record<Purpose, Tool[]>} */
const tools = {
  demo: [...common, { ...emscripten, optional: true }],
  test: [
    ...common,
    emscripten,
    { name: 'python3', why: 'runs node-gyp', present: command('python3'), apt: ['python3'] },
    { name: 'clang-format', why: 'checks the format of C++', present: command('clang-format'), apt: ['clang-format'] },
    {
      name: 'clang with its runtime',
      why: 'fuzzes the native core',
      present: () => command('clang++')() && fuzzerRuntime(),
      apt: ['clang', 'libclang-rt-dev'],
    },
    {
      name: 'aarch64-linux-gnu-g++',
      why: 'compiles the NEON kernels',
      present: command('aarch64-linux-gnu-g++'),
      apt: ['g++-aarch64-linux-gnu'],
    },
    { name: 'qemu-aarch64', why: 'runs the NEON kernels', present: command('qemu-aarch64'), apt: ['qemu-user'] },
    {
      name: 'Chromium',
      why: 'runs the WebAssembly core in a page',
      present: command('chromium', 'chromium-browser', 'google-chrome'),
      apt: ['chromium'],
    },
  ],
};

function checkNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major > NODE.major || (major === NODE.major && minor >= NODE.minor)) return;
  throw new SetupError(
    `annex needs Node.js ${NODE.major}.${NODE.minor} or newer; this is ${process.versions.node}. See https://nodejs.org/`,
  );
}

function debian() {
  if (process.platform !== 'linux' || which('apt-get') === undefined) return false;
  return (
    existsSync('/etc/os-release') && /^ID(_LIKE)?=.*(debian|ubuntu)/m.test(readFileSync('/etc/os-release', 'utf8'))
  );
}

/** @param {Tool[]} missing */
async function aptInstall(missing) {
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  const packages = missing.flatMap((tool) => tool.apt).filter((name) => name !== 'libclang-rt-dev');
  await run('apt-get', ['update', '-q'], { env });
  /** @param {string[]} names */
  const install = (names) => run('apt-get', ['install', '-y', '-q', '--no-install-recommends', ...names], { env });
  if (packages.length > 0) await install(packages);
  if (missing.some((tool) => tool.apt.includes('libclang-rt-dev')) && !fuzzerRuntime()) {
    const version = /version (\d+)/.exec(await run('clang', ['--version']))?.[1];
    await install([`libclang-rt-${version}-dev`]);
  }
}

/** @param {Tool[]} missing @param {Purpose} purpose */
function instructions(missing, purpose) {
  const width = Math.max(...missing.map((tool) => tool.name.length));
  const lines = missing.map((tool) => `  ${tool.name.padEnd(width)}  ${tool.why}`);
  const apt = missing.flatMap((tool) => tool.apt).join(' ');
  const hint = debian() ? `\nOn this system, as root:\n  apt-get install ${apt}` : '';
  return `${bold(`npm run ${purpose} needs, and did not find:`)}\n${lines.join('\n')}${hint}\nInstall them, put them on PATH and run the command again.`;
}

/** Packages of the lock file that are needed here and not installed in the version it names. */
function packagesMissing() {
  const installed = join(root, 'node_modules/.package-lock.json');
  if (!existsSync(installed)) return true;
  /** @param {string} path @returns {Record<string, { version?: string, optional?: boolean }>} */
  const read = (path) => JSON.parse(readFileSync(path, 'utf8')).packages;
  const have = read(installed);
  const want = Object.entries(read(join(root, 'package-lock.json')));
  return want.some(([path, { version, optional }]) => path !== '' && !optional && have[path]?.version !== version);
}

/**
 * Throws a SetupError that says what to install where it cannot be done here.
 * @param {Purpose} purpose @param {(line: string) => void} [say]
 */
export async function setup(purpose, say = console.log) {
  checkNode();
  let missing = tools[purpose].filter((tool) => !tool.present());
  if (missing.length > 0 && debian() && process.getuid?.() === 0) {
    say(`installing ${missing.flatMap((tool) => tool.apt).join(', ')} with apt-get`);
    await aptInstall(missing);
    missing = missing.filter((tool) => !tool.present());
  }
  if (missing.some((tool) => !tool.optional)) throw new SetupError(instructions(missing, purpose));
  for (const tool of missing) say(`without ${tool.name}, which ${tool.why}`);
  if (packagesMissing()) {
    say('installing npm packages');
    await run('npm', ['ci', '--no-audit', '--no-fund'], { env: { npm_config_progress: 'false' } });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const purpose = process.argv[2] ?? 'test';
  if (purpose !== 'demo' && purpose !== 'test') fail(new SetupError(`expected demo or test, got ${purpose}`));
  await setup(purpose).catch(fail);
}
