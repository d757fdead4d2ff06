// A sweep as tables for a terminal.

import { type Clock, families, pareto, pointsOf, rateAt } from './bench_curve.js';
import { spread } from './bench_measure.js';
import { MODES, type SweepMode, type SweepState, type SystemState, skips } from './bench_state.js';
import { type Cell, short, table } from './bench_table.js';

export const RECALLS = [0.9, 0.95, 0.99] as const;

export const MODE_NAMES: Readonly<Record<SweepMode, string>> = {
  single: 'one query a call, one thread',
  batch: 'batch, one thread',
  all: 'batch, all threads',
};

/** Where the numbers come from. */
export function describeSweep({ machine, dataset, k, repetitions }: SweepState): [string, string] {
  const { name, rows, dim, metric, queries } = dataset;
  return [
    `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.platform}, Node ${machine.node}`,
    `${name}: ${rows} × ${dim}, ${metric}, ${queries} queries, k = ${k}; medians of ${repetitions} repetitions, systems by turns`,
  ];
}

export function printSweep(state: SweepState, clock: Clock = 'wall'): string {
  const [machine, dataset] = describeSweep(state);
  return [
    machine,
    dataset + (clock === 'cpu' ? '; rates by processor time' : ''),
    '',
    builds(state),
    ...MODES.flatMap((mode) => {
      const rates = rateRows(state, mode, clock);
      if (rates === undefined) return [];
      const title = mode === 'all' ? `${MODE_NAMES[mode]} (${state.threads})` : MODE_NAMES[mode];
      return [
        `\nqueries/s at recall@${state.k}, ${title}${hasPeers(state) ? '; in brackets: our best ÷ this' : ''}`,
        table(rates.head, rates.rows),
      ];
    }),
    ...skips(state).map(({ label, reason }) => `skipped: ${label}: ${reason}`),
  ].join('\n');
}

export const hasPeers = ({ systems }: SweepState): boolean => systems.some(({ ours }) => !ours);

/** All points on Pareto fronts, one line each. */
export function printPoints(state: SweepState, clock: Clock = 'wall'): string {
  const rows: Cell[][] = [];
  for (const mode of MODES) {
    for (const system of state.systems) {
      for (const { recall, rate, point } of pareto(pointsOf([system], mode, clock))) {
        const params = Object.entries(point.search).map(([key, value]) => `${key} ${String(value)}`);
        const latencies = point.samples[mode].flatMap(({ latency }) => latency ?? []);
        const at = (p: 'p50' | 'p95' | 'p99' | 'p999'): Cell =>
          latencies.length === 0 ? undefined : short(spread(latencies.map((latency) => latency[p])).median * 1000);
        const latency = [at('p50'), at('p95'), at('p99'), at('p999')];
        rows.push([mode, system.label, params.join(', '), recall.toFixed(4), short(rate), ...latency]);
      }
    }
  }
  return table(['mode', 'system', 'search', 'recall', 'queries/s', 'p50 µs', 'p95 µs', 'p99 µs', 'p99.9 µs'], rows);
}

const perRow = (bytes: number | null | undefined, rows: number): Cell =>
  bytes === null || bytes === undefined ? undefined : short(bytes / rows);

function builds({ systems, dataset }: SweepState): string {
  return table(
    ['system', 'version', 'build s', 'cpu s', 'RAM B/row', 'own account', 'file B/row'],
    systems.flatMap(({ label, version, build }) =>
      build === undefined
        ? []
        : [
            [
              label,
              version?.replace(/ .*/, ''),
              short(build.seconds),
              short(build.cpu),
              perRow(build.bytes, dataset.rows),
              perRow(build.held, dataset.rows),
              perRow(build.fileBytes, dataset.rows),
            ],
          ],
    ),
  );
}

/** Each family's rate at the recalls, and how many times as fast our best is there; undefined where nothing was measured. */
export function rateRows(
  state: SweepState,
  mode: SweepMode,
  clock: Clock,
): { head: string[]; rows: Cell[][] } | undefined {
  const rows: Cell[][] = [];
  const best = RECALLS.map((recall) => bestOurs(state, mode, clock, recall));
  for (const [family, systems] of families(state)) {
    const points = pointsOf(systems, mode, clock);
    if (points.length === 0) continue;
    const cells = RECALLS.map((recall, i): Cell => {
      const at = rateAt(points, recall);
      if (at === undefined) return undefined;
      const our = best[i];
      const ratio = our === undefined || isOurs(systems) ? '' : ` (${(our / at.rate).toFixed(2)})`;
      return `${at.atLeast ? '≥ ' : ''}${short(at.rate)}${ratio}`;
    });
    rows.push([family, ...cells, Math.max(...points.map(({ recall }) => recall)).toFixed(4)]);
  }
  return rows.length === 0 ? undefined : { head: ['system', ...RECALLS.map(String), 'most'], rows };
}

const isOurs = (systems: readonly SystemState[]): boolean => systems.some(({ ours }) => ours);

function bestOurs(state: SweepState, mode: SweepMode, clock: Clock, recall: number): number | undefined {
  const rates = [...families(state).values()]
    .filter(isOurs)
    .flatMap((systems) => rateAt(pointsOf(systems, mode, clock), recall)?.rate ?? []);
  return rates.length === 0 ? undefined : Math.max(...rates);
}
