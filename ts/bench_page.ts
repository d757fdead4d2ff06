// A sweep as sections of a page: curves whose points tell what they are, builds, and rates at given recalls.
import { bars, type Curve, curves, escapeHtml } from './bench_chart.js';
import { type CurvePoint, families, pareto, pointsOf } from './bench_curve.js';
import { document, figure, htmlTable } from './bench_html.js';
import { spread } from './bench_measure.js';
import { describeSweep, hasPeers, MODE_NAMES, rateRows } from './bench_print.js';
import type { LatencyPoint } from './bench_process.js';
import { MODES, type SweepMode, type SweepState, type SystemState, skips } from './bench_state.js';
import { short } from './bench_table.js';

export function sweepPage(state: SweepState): string {
  return document('annex: recall and speed', ['<h1>annex: recall and speed</h1>', ...sweepSections(state)]);
}

export function sweepSections(state: SweepState): (string | undefined)[] {
  const { k } = state;
  const skipped = skips(state);
  return [
    ...describeSweep(state).map((line) => `<p>${escapeHtml(line)}</p>`),
    ...MODES.flatMap((mode) => {
      const title = `Recall and queries a second: ${MODE_NAMES[mode]}`;
      const list = curveList(state, mode, ({ rate }) => rate, rateTitle, pareto);
      const rows = rateRows(state, mode, 'wall');
      if (list.length === 0 || rows === undefined) return [];
      return [
        figure(title, curves(title, { name: `recall@${k}`, type: 'recall' }, 'queries/s', list)),
        htmlTable(
          `At equal recall: ${MODE_NAMES[mode]}${hasPeers(state) ? ' (in brackets: our best ÷ this)' : ''}`,
          rows.head,
          rows.rows,
        ),
      ];
    }),
    ...(['p50', 'p99'] as const).map((p) => {
      const title = `Recall and latency of single queries, ${p === 'p50' ? 'median' : '99th percentile'}`;
      const micros = (point: CurvePoint): number => latency(point, p) * 1000;
      const list = curveList(state, 'single', micros, latencyTitle, lowest(micros));
      return list.length === 0
        ? undefined
        : figure(title, curves(title, { name: `recall@${k}`, type: 'recall' }, 'µs', list));
    }),
    ...buildCharts(state),
    skipped.length === 0
      ? undefined
      : htmlTable(
          'Not measured',
          ['system', 'why'],
          skipped.map(({ label, reason }) => [label, reason]),
        ),
  ];
}

function curveList(
  state: SweepState,
  mode: SweepMode,
  y: (point: CurvePoint) => number,
  title: (point: CurvePoint) => string,
  front: (points: readonly CurvePoint[]) => CurvePoint[],
): Curve[] {
  return [...families(state)].flatMap(([label, systems]): Curve[] => {
    const points = pointsOf(systems, mode);
    if (points.length === 0) return [];
    const best = new Set(front(points));
    const sorted = points.toSorted((a, b) => a.recall - b.recall);
    const ours = systems.some((system) => system.ours);
    return [
      {
        label,
        ours,
        dots: sorted.map((point) => ({ x: point.recall, y: y(point), front: best.has(point), title: title(point) })),
      },
    ];
  });
}

/** The front of what is better when it is lower. */
const lowest =
  (cost: (point: CurvePoint) => number) =>
  (points: readonly CurvePoint[]): CurvePoint[] =>
    pareto(points.map((from) => ({ recall: from.recall, rate: -cost(from), from }))).map(({ from }) => from);

const what = ({ system, point }: CurvePoint): string =>
  [system.label, ...Object.entries(point.search).map(([key, value]) => `${key} ${String(value)}`)].join(', ');

const rateTitle = (point: CurvePoint): string =>
  `${what(point)}: recall ${point.recall.toFixed(4)}, ${short(point.rate)} queries/s`;

const latency = ({ point }: CurvePoint, p: keyof LatencyPoint): number =>
  spread(point.samples.single.map((sample) => sample.latency?.[p] ?? Number.NaN)).median;

const latencyTitle = (point: CurvePoint): string => {
  const parts = (['p50', 'p95', 'p99', 'p999'] as const).map((p) => `${p} ${short(latency(point, p) * 1000)} µs`);
  return `${what(point)}: recall ${point.recall.toFixed(4)}, ${parts.join(', ')}`;
};

function buildCharts({ systems, dataset, threads }: SweepState): (string | undefined)[] {
  const chart = (title: string, value: (system: SystemState) => number | null | undefined): string | undefined => {
    const list = systems.flatMap((system) => {
      const x = value(system);
      if (x === null || x === undefined || system.skipped !== undefined) return [];
      return [{ label: system.label, value: x, shown: short(x) ?? '', ours: system.ours }];
    });
    return list.length === 0 ? undefined : figure(title, bars(title, list));
  };
  const perRow = (bytes: number | null | undefined): number | undefined =>
    bytes === null || bytes === undefined ? undefined : bytes / dataset.rows;
  return [
    chart(`Seconds to build, ${threads} threads`, ({ build }) => build?.seconds),
    chart('Bytes of memory a vector', ({ build }) => perRow(build?.held ?? build?.bytes)),
    chart('Bytes of file a vector', ({ build }) => perRow(build?.fileBytes)),
  ];
}
