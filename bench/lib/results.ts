import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';

export const RESULTS = fileURLToPath(new URL('../results/', import.meta.url));
export const REFERENCE = fileURLToPath(new URL('../reference/', import.meta.url));

/** Where numbers come from, without a date, so that the same machine writes the same description. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly platform: string;
  readonly node: string;
}

export function machine(): Machine {
  const all = cpus();
  return {
    cpu: all[0]?.model.trim() ?? 'unknown',
    cores: all.length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    platform: `${process.platform}-${process.arch}`,
    node: process.version,
  };
}

/** The parts that `npm run bench` joins and `bench:claims` judges; each bench writes its own. */
export const PARTS = ['flat', 'calls', 'kernels', 'wasm', 'train', 'growth', 'matryoshka'] as const;
export type Part = (typeof PARTS)[number];

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

/** Sweeps write a file for each dataset; a run that is not finished does not count. */
export const SWEEP_FILE = /^(sweep|graphs|lists|wasm-peers)-.*\.json$/;

export function readSweeps<T extends { readonly finished: boolean }>(folder = RESULTS): T[] {
  if (!existsSync(folder)) return [];
  const names = readdirSync(folder).filter((name) => SWEEP_FILE.test(name));
  return names
    .sort()
    .map((name) => JSON.parse(readFileSync(`${folder}${name}`, 'utf8')) as T)
    .filter(({ finished }) => finished);
}

/** Six digits are more than any of it is worth, and keep the files readable. */
function rounded(_key: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(6)) : value;
}
