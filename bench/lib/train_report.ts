import type { Claim } from './claims.js';
import { spread } from './measure.js';
import type { Machine } from './results.js';
import { short, table } from './table.js';

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
  const of = (what: TrainLine['what']): readonly TrainLine[] =>
    report?.lines.filter((line) => line.what === what) ?? [];
  const kinds = [
    ['kmeans', 'k-means, 1,024 centroids', 2, 1.01],
    ['pq', 'PQ training', 5, 1],
    ['opq', 'OPQ training', 5, 1],
  ] as const;
  return kinds.flatMap(([what, name, target, error]): Claim[] => {
    const lines = of(what);
    const ratios = lines.map(times);
    const errors = lines.map((line) => line.error);
    return [
      {
        what: `FAISS's processor time ÷ ours, ${name}`,
        target,
        better: 'higher',
        unit: '×',
        measured: ratios.length === 0 ? undefined : Math.min(...ratios),
      },
      {
        what: `error of ${name} ÷ FAISS's`,
        target: error,
        better: 'lower',
        unit: '×',
        measured: errors.length === 0 ? undefined : Math.max(...errors),
      },
    ];
  });
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
