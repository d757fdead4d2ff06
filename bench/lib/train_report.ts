import { short, table } from '../../ts/bench_table.js';
import type { Claim } from './claims.js';
import { spread } from './measure.js';
import type { Machine } from './results.js';

/** One kind of training by both, by turns. */
export interface TrainLine {
  readonly what: 'kmeans' | 'pq' | 'opq';
  readonly label: string;
  /** Seconds of processor time, round by round. */
  readonly ours: readonly number[];
  readonly faiss: readonly number[];
  /** Mean squared error of what was trained: ours over FAISS's. */
  readonly error: number;
  readonly isa: string;
}

export interface TrainReport {
  readonly machine: Machine;
  readonly dataset: string;
  readonly rows: number;
  readonly dim: number;
  readonly threads: number;
  readonly lines: readonly TrainLine[];
}

const times = ({ ours, faiss }: TrainLine): number => spread(faiss).median / spread(ours).median;

export function trainClaims(report: TrainReport | undefined): Claim[] {
  const of = (what: TrainLine['what'], value: (line: TrainLine) => number, worst: (...values: number[]) => number) => {
    const lines = report?.lines.filter((line) => line.what === what) ?? [];
    return lines.length === 0 ? undefined : worst(...lines.map(value));
  };
  const error = ({ error }: TrainLine): number => error;
  const kinds = ['pq', 'opq'] as const;
  const name = (what: 'pq' | 'opq'): string => `training of ${what.toUpperCase()}`;
  const faster = "FAISS's processor time ÷ ours:";
  const worse = "error ÷ FAISS's after";
  return [
    {
      what: `${faster} k-means, 1,024 centroids`,
      target: 2,
      better: 'higher',
      unit: '×',
      measured: of('kmeans', times, Math.min),
    },
    ...kinds.map(
      (what): Claim => ({
        what: faster,
        at: name(what),
        target: 5,
        better: 'higher',
        unit: '×',
        measured: of(what, times, Math.min),
      }),
    ),
    {
      what: `${worse} k-means, 1,024 centroids`,
      target: 1.01,
      better: 'lower',
      unit: '×',
      measured: of('kmeans', error, Math.max),
    },
    ...kinds.map(
      (what): Claim => ({
        what: worse,
        at: name(what),
        target: 1,
        better: 'lower',
        unit: '×',
        measured: of(what, error, Math.max),
      }),
    ),
  ];
}

export const TRAIN_HEAD = ['training', 'ours s', 'FAISS s', 'times as fast', 'error ÷ FAISS’s'] as const;
export const trainRow = (line: TrainLine): (string | undefined)[] => [
  line.label,
  short(spread(line.ours).median),
  short(spread(line.faiss).median),
  times(line).toFixed(2),
  line.error.toFixed(4),
];

export function printTrain({ dataset, rows, dim, threads, lines }: TrainReport): string {
  const what = `${dataset}: ${rows} × ${dim}, ${threads} threads, processor time`;
  return `${what}\n${table(TRAIN_HEAD, lines.map(trainRow))}`;
}
