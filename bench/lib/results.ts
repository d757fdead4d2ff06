import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { SweepState } from '../../ts/bench_state.js';
import type { Parts } from './claims.js';

export const RESULTS = fileURLToPath(new URL('../results/', import.meta.url));
export const REFERENCE = fileURLToPath(new URL('../reference/', import.meta.url));
/** By which command each part of the reference was measured. */
export const COMMANDS = `${REFERENCE}commands.json`;

export { type Machine, machine } from '../../ts/bench_machine.js';

/** The parts beside sweeps that `npm run bench` joins and `bench:claims` judges; each bench writes its own. */
const PARTS = ['flat', 'calls', 'kernels', 'wasm', 'train', 'growth', 'matryoshka', 'file'] as const;

export function writeResult(name: string, value: unknown): string {
  mkdirSync(RESULTS, { recursive: true });
  const path = `${RESULTS}${name}.json`;
  writeFileSync(path, `${JSON.stringify(value, rounded, 2)}\n`);
  return path;
}

export function readResult<T>(name: string, folder = RESULTS): T | undefined {
  const path = `${folder}${name}.json`;
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as T) : undefined;
}

/** Sweeps write a file for each dataset. */
const SWEEP_FILE = /^(sweep|graphs|lists|wasm-peers)-.*\.json$/;

/** Names of what benches wrote since a time (in milliseconds). */
export function resultFiles(folder = RESULTS, since = 0): string[] {
  if (!existsSync(folder)) return [];
  const parts = PARTS.map((part) => `${part}.json`);
  return readdirSync(folder)
    .filter((name) => parts.includes(name) || SWEEP_FILE.test(name))
    .filter((name) => statSync(`${folder}${name}`).mtimeMs >= since)
    .sort();
}

/** What benches wrote since a time; a sweep that is not finished does not count. */
export function readParts(folder = RESULTS, since = 0): Parts {
  const names = resultFiles(folder, since);
  const read = <T>(name: string): T => JSON.parse(readFileSync(`${folder}${name}`, 'utf8')) as T;
  const sweeps = names.filter((name) => SWEEP_FILE.test(name)).map((name) => read<SweepState>(name));
  const others = names.filter((name) => !SWEEP_FILE.test(name)).map((name) => [name.replace('.json', ''), read(name)]);
  return { ...(Object.fromEntries(others) as Parts), sweeps: sweeps.filter(({ finished }) => finished) };
}

/** Six digits are more than any of it is worth, and keep the files readable. */
function rounded(_key: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(6)) : value;
}
