// Runs every bench, joins what they wrote and draws the page.
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { claims, type Parts, printClaims } from './lib/claims.js';
import { DATASET_FLAGS, parse, QUICK } from './lib/cli.js';
import { page } from './lib/page.js';
import { PARTS, REFERENCE, RESULTS, readResult, readSweeps, SWEEP_FILE, writeResult } from './lib/results.js';
import type { SweepState } from './sweep/state.js';

const options = parse('bench', 'Runs all benches, judges them and draws bench/results/bench.html.', {
  ...DATASET_FLAGS,
  ...QUICK,
  alone: { type: 'boolean', help: 'without peers' },
  reference: { type: 'boolean', help: 'keep this run as the committed reference' },
});

const BENCHES = ['flat', 'sweep', 'calls', 'wasm', 'kernels'] as const;
const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

function argumentsOf(bench: string): string[] {
  const args: string[] = options.quick ? ['--quick'] : [];
  if (bench === 'kernels') return args;
  for (const flag of Object.keys(DATASET_FLAGS) as (keyof typeof DATASET_FLAGS)[]) {
    if (options[flag] !== undefined) args.push(`--${flag}`, String(options[flag]));
  }
  if ((bench === 'flat' || bench === 'sweep') && options.alone) args.push('--alone');
  return args;
}

for (const part of PARTS) rmSync(`${RESULTS}${part}.json`, { force: true });
const earlier = new Set(readSweeps<SweepState>().map(({ key }) => key));
const failed: string[] = [];
for (const bench of BENCHES) {
  process.stdout.write(`\n── ${bench}\n`);
  const flags = ['--expose-gc', '--import', 'tsx', here(`${bench}.ts`), ...argumentsOf(bench)];
  if (spawnSync(process.execPath, flags, { stdio: 'inherit' }).status !== 0) failed.push(bench);
}

const sweeps = readSweeps<SweepState>().filter(({ key }) => !earlier.has(key));
const parts: Parts = { ...Object.fromEntries(PARTS.map((part) => [part, readResult(part)])), sweeps };
const list = claims(parts);
writeResult('bench', { ...parts, claims: list });
writeFileSync(`${RESULTS}bench.html`, page(parts));
process.stdout.write(`\n── targets\n${printClaims(list)}\n\nwritten to ${RESULTS}bench.json and bench.html\n`);
if (options.reference) {
  mkdirSync(REFERENCE, { recursive: true });
  for (const part of PARTS) {
    if (existsSync(`${RESULTS}${part}.json`)) copyFileSync(`${RESULTS}${part}.json`, `${REFERENCE}${part}.json`);
  }
  for (const name of readdirSync(RESULTS).filter((name) => SWEEP_FILE.test(name))) {
    copyFileSync(`${RESULTS}${name}`, `${REFERENCE}${name}`);
  }
}
if (failed.length > 0) {
  process.stderr.write(`failed: ${failed.join(', ')}\n`);
  process.exitCode = 1;
}
