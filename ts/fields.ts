import { PHASES, type Stats, type StepProgress } from './backend.js';

/** The fields of AnnexStats, all doubles, in their order; wasm/layout.cpp pins them. */
const STATS = [
  'size',
  'bytesVectors',
  'bytesSidecar',
  'bytesIds',
  'bytesNorms',
  'bytesTotal',
  'scanned',
  'rescored',
  'bytesLinks',
  'bytesCodes',
  'bytesRerank',
  'bytesCodebooks',
  'removed',
  'trained',
  'codeSearches',
  'hops',
  'exactSearches',
] as const satisfies readonly (keyof Stats)[];

export const STATS_FIELDS = STATS.length;

export function statsOf(fields: ArrayLike<number>): Stats {
  const entries = STATS.map((name, i) => [name, name === 'trained' ? fields[i] === 1 : fields[i]]);
  return Object.fromEntries(entries) as Stats;
}

/** AnnexProgress as names. */
export function progressOf(done: number, total: number, phase: number, finished: number): StepProgress {
  return { done, total, phase: PHASES[phase] ?? 'add', finished: finished !== 0 };
}
