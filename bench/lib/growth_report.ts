import { type Curve, curves } from '../../ts/bench_chart.js';
import { families, pointsOf, rateAt } from '../../ts/bench_curve.js';
import { figure } from '../../ts/bench_html.js';
import type { SweepState } from '../../ts/bench_state.js';
import { short, table } from '../../ts/bench_table.js';
import type { Claim } from './claims.js';
import type { Machine } from './results.js';

export const SIZES = [10_000, 30_000, 100_000, 300_000, 1_000_000] as const;

export interface GrowthReport {
  readonly machine: Machine;
  readonly recall: number;
  /** One for each size. */
  readonly sweeps: SweepState[];
}

export interface Growth {
  readonly family: string;
  readonly ours: boolean;
  /** Microseconds of processor time a query takes, by rows; sizes at which the recall is out of reach are absent. */
  readonly points: readonly { readonly rows: number; readonly micros: number }[];
  /** Of the logarithms, by least squares; undefined with fewer than two points. */
  readonly slope: number | undefined;
}

export function growthOf({ sweeps, recall }: GrowthReport): Growth[] {
  const names = new Set(sweeps.flatMap((state) => [...families(state).keys()]));
  return [...names].map((family) => {
    const points = sweeps.flatMap((state) => {
      const systems = families(state).get(family) ?? [];
      const at = rateAt(pointsOf(systems, 'batch', 'cpu'), recall);
      return at === undefined ? [] : [{ rows: state.dataset.rows, micros: 1e6 / at.rate }];
    });
    const ours = sweeps.some(({ systems }) => systems.some((one) => one.family === family && one.ours));
    return { family, ours, points, slope: slope(points.map(({ rows, micros }) => [Math.log(rows), Math.log(micros)])) };
  });
}

export function slope(points: readonly (readonly [x: number, y: number])[]): number | undefined {
  const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
  const [x, y] = [mean(points.map((p) => p[0])), mean(points.map((p) => p[1]))];
  const squares = points.reduce((sum, p) => sum + (p[0] - x) ** 2, 0);
  return squares > 0 ? points.reduce((sum, p) => sum + (p[0] - x) * (p[1] - y), 0) / squares : undefined;
}

export function growthClaims(report: GrowthReport | undefined): Claim[] {
  const all = report === undefined ? [] : growthOf(report);
  // A slope over other sizes than those of the target says nothing about it.
  const whole = report?.sweeps.length === SIZES.length ? all : [];
  const ours = whole.find((one) => one.ours)?.slope;
  const theirs = whole.find((one) => !one.ours)?.slope;
  const what = 'HNSW, time of a query from 10k to 1M rows, log-log slope';
  return [
    { what, target: 0.35, better: 'lower', unit: '', measured: ours },
    {
      what: `${what} ÷ hnswlib's`,
      target: 1,
      better: 'lower',
      unit: '×',
      measured: ours === undefined || theirs === undefined ? undefined : ours / theirs,
    },
  ];
}

export function growthSection(report: GrowthReport): string | undefined {
  const title = `Time of a query at recall ${report.recall} over the number of rows`;
  const list = growthOf(report).map(
    ({ family, ours, points, slope }): Curve => ({
      label: slope === undefined ? family : `${family}: slope ${slope.toFixed(2)}`,
      ours,
      dots: points.map(({ rows, micros }) => ({
        x: rows,
        y: micros,
        front: true,
        title: `${family}, ${rows.toLocaleString('en-US')} rows: ${short(micros)} µs`,
      })),
    }),
  );
  return figure(title, curves(title, { name: 'rows', type: 'log' }, 'µs', list));
}

export function printGrowth(report: GrowthReport): string {
  const all = growthOf(report);
  const rows = report.sweeps.map(({ dataset }) => [
    dataset.rows.toLocaleString('en-US'),
    ...all.map(({ points }) => short(points.find((point) => point.rows === dataset.rows)?.micros)),
  ]);
  const slopes = ['slope', ...all.map(({ slope }) => slope?.toFixed(3))];
  const head = ['rows', ...all.map(({ family }) => family)];
  return `µs of processor time a query at recall ${report.recall}, batch, one thread\n${table(head, [...rows, slopes])}`;
}
