// What a sweep has measured so far: a plain JSON file, written after every measurement, from which a killed sweep goes on.
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { type Machine, machine } from './bench_machine.js';
import type { BuildAnswer, LatencyPoint } from './bench_process.js';
import type { Params } from './bench_system.js';
import type { Structure, SystemSpec } from './bench_systems.js';
import type { Prepared } from './data_prepare.js';

/** One repetition of one point. */
export interface Sample {
  readonly queriesPerSecond: number;
  /** Queries a second of processor time of all threads: what other work on the machine disturbs less. */
  readonly queriesPerCpuSecond: number;
  readonly latency?: LatencyPoint | undefined;
}

/** single: one query a call; batch: all in one call, on one thread; all: the same on all threads. */
export const MODES = ['single', 'batch', 'all'] as const;
export type SweepMode = (typeof MODES)[number];

export interface Point {
  readonly search: Params;
  recall: number | undefined;
  readonly samples: { [M in SweepMode]: Sample[] };
}

export interface SystemState {
  readonly label: string;
  readonly family: string;
  readonly structure: Structure;
  readonly ours: boolean;
  readonly params: Params;
  version: string | undefined;
  /** Of the build that was timed, perhaps by an earlier sweep that kept the index. */
  build: (BuildAnswer & { readonly threads: number }) | undefined;
  /** Why the system takes no part. */
  skipped: string | undefined;
  readonly points: Point[];
}

export interface SweepState {
  /** Depends on everything that was asked for: another sweep does not go on from this one. */
  readonly key: string;
  /** What the sweep is over: graphs, lists, … */
  readonly preset: string;
  readonly machine: Machine;
  readonly dataset: {
    readonly name: string;
    readonly metric: string;
    readonly rows: number;
    readonly dim: number;
    readonly queries: number;
  };
  readonly k: number;
  readonly repetitions: number;
  readonly threads: number;
  /** Nothing is left to measure. */
  finished: boolean;
  readonly systems: SystemState[];
}

export interface Asked {
  readonly preset: string;
  readonly k: number;
  readonly repetitions: number;
  readonly threads: number;
}

/** Nothing is measured yet. */
export function newState(key: string, data: Prepared, specs: readonly SystemSpec[], asked: Asked): SweepState {
  const { name, metric, rows, dim, queries } = data;
  return {
    key,
    ...asked,
    machine: machine(),
    dataset: { name, metric, rows, dim, queries },
    finished: false,
    systems: specs.map(({ label, family, structure, ours, build, search }) => ({
      label,
      family,
      structure,
      ours,
      params: build,
      version: undefined,
      build: undefined,
      skipped: undefined,
      points: search.map((params) => ({
        search: params,
        recall: undefined,
        samples: { single: [], batch: [], all: [] },
      })),
    })),
  };
}

/** What was kept of the same sweep, if that was interrupted. */
export const unfinished = (kept: SweepState | undefined, fresh: SweepState): SweepState | undefined =>
  kept?.key === fresh.key && !kept.finished ? kept : undefined;

export function readState(path: string): SweepState | undefined {
  if (!existsSync(path)) return undefined;
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as SweepState;
  } catch (cause) {
    throw new Error(`${path} is no JSON: remove it, or give another --out`, { cause });
  }
}

/** Replaces the file as a whole: who reads it, or goes on from it, never sees half of one. */
export function writeState(path: string, state: SweepState): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.new`, `${JSON.stringify(state, rounded, 1)}\n`);
  renameSync(`${path}.new`, path);
}

function rounded(_key: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(7)) : value;
}

/** What was not measured, and why. */
export const skips = (state: SweepState): { label: string; reason: string }[] =>
  state.systems.flatMap(({ label, skipped: reason }) => (reason === undefined ? [] : [{ label, reason }]));
