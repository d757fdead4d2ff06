import { bars, escapeHtml, scatter } from '../../ts/bench_chart.js';
import { document, figure, htmlTable } from '../../ts/bench_html.js';
import { sweepSections } from '../../ts/bench_page.js';
import { short } from '../../ts/bench_table.js';
import { claims, claimTables, type Parts } from './claims.js';
import type { FlatReport, Run } from './flat_report.js';
import { growthSection } from './growth_report.js';
import { KERNEL_HEAD, kernelRow } from './kernels_report.js';
import { matryoshkaSection } from './matryoshka_report.js';
import { TRAIN_HEAD, trainRow } from './train_report.js';

/** One page with everything in it, no script and nothing to load. */
export function page(parts: Parts): string {
  const { flat } = parts;
  const body = [
    '<h1>annex: benchmarks</h1>',
    flat && about(flat),
    ...claimTables(claims(parts)).map(({ head, rows }, i) =>
      htmlTable(i ? 'Targets by dataset' : 'Targets', head, rows),
    ),
    ...(parts.sweeps ?? []).flatMap(sweepSections),
    parts.growth && growthSection(parts.growth),
    parts.matryoshka && matryoshkaSection(parts.matryoshka),
    parts.train && htmlTable('Training', TRAIN_HEAD, parts.train.lines.map(trainRow)),
    ...(flat ? flatSections(flat) : []),
    parts.calls &&
      htmlTable(
        'Calls',
        ['backend', 'what', 'measured', ''],
        parts.calls.lines.map(({ backend, what, measured, unit, detail }) => [
          backend,
          what,
          `${short(measured)} ${unit}`,
          detail ?? '',
        ]),
      ),
    parts.kernels && htmlTable('Kernels', KERNEL_HEAD, parts.kernels.lines.map(kernelRow)),
  ];
  return document('annex: benchmarks', body);
}

function about({ machine, engine, dataset, k, repetitions }: FlatReport): string {
  const { name, rows, dim, metric, queries } = dataset;
  return `<p>${escapeHtml(
    `${machine.cpu}, ${machine.cores} cores, Node ${machine.node}, ${engine.backend} ${engine.isa}. ` +
      `${name}: ${rows} × ${dim}, ${metric}, ${queries} queries, k = ${k}; medians of ${repetitions} repetitions, ` +
      'each of which asks every system in turn.',
  )}</p>`;
}

function flatSections(report: FlatReport): (string | undefined)[] {
  const isOurs = ({ system }: Run): boolean => system.startsWith('annex');
  const chart = (title: string, runs: readonly Run[]): string | undefined => {
    const sorted = runs.toSorted((a, b) => b.spread.median - a.spread.median);
    return figure(
      title,
      bars(
        title,
        sorted.map((run) => {
          const value = run.spread.median;
          return { label: run.label, value, shown: short(value) ?? '', ours: isOurs(run) };
        }),
      ),
    );
  };
  const of = (mode: string, threads: number): Run[] =>
    report.runs.filter((run) => run.mode === mode && run.threads === threads);
  // Of the exact peers the fastest stands for all: they would cover each other.
  const peer = of('batch', 1)
    .filter((run) => !isOurs(run))
    .toSorted((a, b) => b.spread.median - a.spread.median)
    .slice(0, 1);
  const dots = [...of('batch', 1).filter(isOurs), ...peer].map((run) => {
    const x = report.recall[run.system] ?? 1;
    return { label: run.label, x, y: run.spread.median, ours: isOurs(run) };
  });
  const title = `Recall@${report.k} and queries a second, batch, one thread`;
  return [
    chart('Queries a second: batch, one thread', of('batch', 1)),
    chart('Queries a second: one query at a time', of('single', 1)),
    chart('Queries a second: batch, two threads', of('batch', 2)),
    figure(title, scatter(title, `recall@${report.k}`, 'queries/s', dots)),
    htmlTable(
      'All of it',
      ['system', 'version', 'threads', 'mode', 'queries/s', 'least', 'most', 'recall'],
      report.runs.map(({ system, label, version, threads, mode, spread }) => {
        const { median, min, max } = spread;
        const share = report.recall[system]?.toFixed(4);
        return [label, version, threads, mode, short(median), short(min), short(max), share];
      }),
    ),
  ];
}
