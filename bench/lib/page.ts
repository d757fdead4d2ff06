import { bars, CHART_CSS, escapeHtml, scatter } from './chart.js';
import { CLAIM_HEAD, claimRow, claims, type Parts } from './claims.js';
import type { FlatReport, Run } from './flat_report.js';
import { KERNEL_HEAD, kernelRow } from './kernels_report.js';
import { type Cell, short } from './table.js';

const CSS = `:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222426; background: #fff; }
svg { max-width: 100%; height: auto; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: 0.2rem 0.8rem 0.2rem 0; text-align: left; border-bottom: 1px solid #d9dce0; }
.short { font-weight: bold; color: #a8321e; }
@media print { body { margin: 0; max-width: none; } figure, table { break-inside: avoid; } }
@media screen and (prefers-color-scheme: dark) {
  body { color: #e4e6e8; background: #16181a; }
  th, td { border-color: #3d4247; }
  .short { color: #ff9b85; }
}
${CHART_CSS}`;

/** One page with everything in it, no script and nothing to load. */
export function page(parts: Parts): string {
  const { flat } = parts;
  const body = [
    '<h1>annex: benchmarks</h1>',
    flat && about(flat),
    htmlTable('Targets', CLAIM_HEAD, claims(parts).map(claimRow)),
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
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>annex: benchmarks</title>
<style>${CSS}</style>
${body.filter(Boolean).join('\n')}
</html>
`;
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

function figure(title: string, svg: string | undefined): string | undefined {
  return svg && `<h2>${escapeHtml(title)}</h2>\n<figure>${svg}</figure>`;
}

function htmlTable(title: string, head: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const cell = (tag: string, value: Cell): string => {
    const mark = value === 'short' ? ' class="short"' : '';
    return `<${tag}${mark}>${escapeHtml(String(value ?? '–'))}</${tag}>`;
  };
  const line = (tag: string, cells: readonly Cell[]): string =>
    `<tr>${cells.map((value) => cell(tag, value)).join('')}</tr>`;
  const body = rows.map((row) => line('td', row)).join('\n');
  return `<h2>${escapeHtml(title)}</h2>\n<table>\n<thead>${line('th', head)}</thead>\n<tbody>${body}</tbody>\n</table>`;
}
