// Runs a bench: node bench/run.mjs <bench> [options], default all: BENCHES below
// Builds what is out of date and installs the peers, into bench/node_modules and bench/.venv, where they are missing.
// A peer that cannot be had is skipped by name.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from '../scripts/build.mjs';
import { fail } from '../scripts/lib/shell.mjs';
import { setup } from '../scripts/setup.mjs';

const here = fileURLToPath(new URL('.', import.meta.url));
const root = fileURLToPath(new URL('..', import.meta.url));
const windows = process.platform === 'win32';
/** Sweeps with a preset of their own. */
const PRESETS = ['graphs', 'lists', 'wasm-peers'];
const BENCHES = [
  'all',
  'sweep',
  ...PRESETS,
  'flat',
  'calls',
  'filters',
  'wasm',
  'kernels',
  'growth',
  'train',
  'matryoshka',
  'tune',
  'plan',
  'claims',
];

/** @param {string} command @param {string[]} args @param {import('node:child_process').SpawnSyncOptions} [options] */
function succeeds(command, args, options) {
  const { status } = spawnSync(command, args, { stdio: ['ignore', 2, 2], ...options });
  return status === 0;
}

/**
 * Does `install` unless what it left last time still fits `wanted`.
 * @param {string} folder @param {string} wanted a file whose text decides
 * @param {() => boolean} install @param {string} name
 */
function ensure(folder, wanted, install, name) {
  const stamp = `${folder}/.installed`;
  const text = readFileSync(wanted, 'utf8');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === text) return;
  console.error(`bench: installing ${name}`);
  if (install() && existsSync(folder)) writeFileSync(stamp, text);
  else console.error(`bench: ${name} could not be installed; the bench goes on without them`);
}

function npmPeers() {
  const npm = windows ? 'npm.cmd' : 'npm';
  return succeeds(npm, ['ci', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: here, shell: windows });
}

function pythonPeers() {
  const venv = `${here}.venv`;
  rmSync(venv, { recursive: true, force: true });
  const python = `${venv}/${windows ? 'Scripts/python.exe' : 'bin/python'}`;
  if (!['python3', 'python'].some((command) => succeeds(command, ['-m', 'venv', venv]))) return false;
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check'];
  // One by one: some have no wheel and need a compiler, and one that fails must not take the others along.
  const wanted = readFileSync(`${here}requirements.txt`, 'utf8').split('\n').filter(Boolean);
  for (const peer of wanted) {
    if (!succeeds(python, [...pip, peer])) console.error(`bench: ${peer} could not be installed`);
  }
  return true;
}

const given = process.argv.slice(2);
const name = given[0] === undefined || given[0].startsWith('-') ? 'all' : given[0];
const args = given[0] === name ? given.slice(1) : given;
if (!BENCHES.includes(name)) {
  console.error(`bench: expected one of ${BENCHES.join(', ')}, got ${name}`);
  process.exit(2);
}
const asksHelp = args.includes('--help') || args.includes('-h');
if (!asksHelp && name !== 'claims') {
  const targets = process.env.ANNEX_ADDON ? ['wasm'] : ['native', 'wasm'];
  await setup('demo', console.error)
    .then(() => build(name === 'kernels' ? [] : targets, console.error))
    .catch(fail);
}
if (!asksHelp && !args.includes('--alone') && ['all', 'sweep', ...PRESETS, 'flat', 'growth', 'train'].includes(name)) {
  ensure(`${here}node_modules`, `${here}package-lock.json`, npmPeers, 'the peers from npm');
  ensure(`${here}.venv`, `${here}requirements.txt`, pythonPeers, 'the peers from PyPI');
}
const script = PRESETS.includes(name) ? ['sweep.ts', '--preset', name] : [`${name}.ts`];
const flags = ['--expose-gc', '--import', 'tsx', `${here}${script[0]}`, ...script.slice(1), ...args];
const { status } = spawnSync(process.execPath, flags, { cwd: root, stdio: 'inherit' });
process.exit(status ?? 1);
