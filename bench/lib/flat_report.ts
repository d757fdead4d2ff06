import type { EngineInfo } from 'annex';
import { type Cell, short, table } from '../../ts/bench_table.js';
import type { Mode, Skip } from '../peers/peer.js';
import type { Agreement } from './exactness.js';
import { ratio, type Spread, spread } from './measure.js';
import type { Machine } from './results.js';

/** One system in one mode: queries a second, by repetition. */
export interface Run {
  readonly system: string;
  readonly label: string;
  readonly version: string;
  readonly threads: number;
  readonly mode: Mode;
  readonly queries: number;
  readonly perSecond: readonly number[];
  readonly spread: Spread;
  /** Of the wall clock of each repetition, what its threads were on a processor; well below 1, the machine was busy. */
  readonly shares: readonly number[];
}

export interface FlatReport {
  readonly machine: Machine;
  readonly engine: EngineInfo;
  readonly dataset: { name: string; rows: number; dim: number; queries: number; metric: string };
  readonly k: number;
  readonly repetitions: number;
  readonly runs: readonly Run[];
  /** Seconds to add all rows; bytes by which the process grew; bytes that the index itself accounts for. */
  readonly builds: { system: string; label: string; seconds: number; bytes: number; held: number | undefined }[];
  readonly skipped: readonly Skip[];
  /** Of each of our storages. */
  readonly recall: Readonly<Record<string, number>>;
  readonly checks: {
    /** What must equal our plain f32 batch to the bit. */
    readonly bits: { what: string; same: boolean }[];
    readonly faiss: Agreement | undefined;
  };
}

export function findRun(report: FlatReport, system: string, mode: Mode, threads = 1): Run | undefined {
  return report.runs.find((run) => run.system === system && run.mode === mode && run.threads === threads);
}

/** Ours over a peer's, repetition by repetition. */
export function ratioOf(report: FlatReport, ours: string, peer: string, mode: Mode, threads = 1): Spread | undefined {
  const a = findRun(report, ours, mode, threads);
  const b = findRun(report, peer, mode, threads);
  return a && b && ratio(a.perSecond, b.perSecond);
}

const range = (of: Spread | undefined): Cell => of && `${short(of.median)} (${short(of.min)} … ${short(of.max)})`;

/** Below this share of a processor, times say more about the neighbours than about the system. */
export const QUIET = 0.9;
const share = ({ shares }: Run): number => spread(shares).median;

export function printFlat(report: FlatReport): string {
  const { dataset, engine, machine } = report;
  const ours = ['annex-f32', 'annex-f32-plain'];
  const systems = report.builds.map(({ system, label, bytes, held }): readonly Cell[] => {
    const run = (mode: Mode, threads = 1): Cell => range(findRun(report, system, mode, threads)?.spread);
    const megabytes = (value: number | undefined): Cell => short((value ?? Number.NaN) / 1e6);
    const share = report.recall[system];
    return [label, run('batch'), run('single'), run('batch', 2), share?.toFixed(4), megabytes(bytes), megabytes(held)];
  });
  const peers = report.builds.filter(({ system }) => !system.startsWith('annex'));
  const ratios = ours.flatMap((our) =>
    peers.map(({ system, label }): readonly Cell[] => {
      const of = (mode: Mode, threads = 1): Cell => range(ratioOf(report, our, system, mode, threads));
      const name = report.builds.find((build) => build.system === our)?.label;
      return [`${name} ÷ ${label}`, of('batch'), of('single'), of('batch', 2)];
    }),
  );
  const busy = report.runs.filter((run) => share(run) < QUIET);
  const versions = [...new Map(report.runs.map((run) => [run.label, `${run.label} ${run.version}`])).values()];
  const { faiss, bits } = report.checks;
  return [
    `${dataset.name}: ${dataset.rows} × ${dataset.dim}, ${dataset.metric}, ${dataset.queries} queries, k = ${report.k}; ` +
      `median (min … max) of ${report.repetitions} interleaved repetitions`,
    `${machine.cpu}, ${machine.cores} cores, ${machine.platform}, Node ${machine.node}, ${engine.backend} ${engine.isa}`,
    '',
    'Queries a second',
    table(
      ['system', 'batch', 'one at a time', 'batch, 2 threads', `recall@${report.k}`, 'MB grown', 'MB held'],
      systems,
    ),
    '',
    ...(ratios.length > 0 ? ['Ratios', table(['', 'batch', 'one at a time', 'batch, 2 threads'], ratios), ''] : []),
    ...bits.map(({ what, same }) => `${same ? 'equal to the bit' : 'DIFFERS'}: ${what}`),
    faiss
      ? `against FAISS: ${faiss.same} of ${faiss.slots} ids equal, ${faiss.ties} ties by rounding, ${faiss.wrong} wrong` +
        (faiss.example ? ` (${faiss.example})` : '')
      : 'not compared with FAISS',
    ...report.skipped.map(({ label, reason }) => `skipped: ${label}: ${reason}`),
    ...busy.map(
      (run) =>
        `busy machine: ${run.label}, ${run.mode}, ${run.threads} thread(s): ${share(run).toFixed(2)} processors each`,
    ),
    `versions: ${versions.join(', ')}`,
  ].join('\n');
}
