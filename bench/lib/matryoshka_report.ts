import { type Curve, curves } from '../../ts/bench_chart.js';
import { pareto } from '../../ts/bench_curve.js';
import { figure } from '../../ts/bench_html.js';
import { short, table } from '../../ts/bench_table.js';
import type { Machine } from './results.js';

export interface MatryoshkaLine {
  /** Numbers of each vector that the first stage looks at. */
  readonly prefix: number;
  readonly candidates: number;
  readonly recall: number;
  readonly queriesPerSecond: number;
}

export interface MatryoshkaReport {
  readonly machine: Machine;
  readonly dataset: { name: string; metric: string; rows: number; dim: number; queries: number };
  readonly k: number;
  /** Queries a second of exact search over the full vectors. */
  readonly exact: number;
  readonly lines: readonly MatryoshkaLine[];
}

const HEAD = ['prefix', 'candidates', 'recall', 'queries/s', '÷ exact'] as const;

export function printMatryoshka({ dataset, k, exact, lines }: MatryoshkaReport): string {
  const rows = lines.map(({ prefix, candidates, recall, queriesPerSecond }) => [
    prefix,
    candidates,
    recall.toFixed(4),
    short(queriesPerSecond),
    (queriesPerSecond / exact).toFixed(2),
  ]);
  const { name, rows: n, dim } = dataset;
  return `Two stages, one awaited query at a time, recall@${k}; ${name}: ${n} × ${dim}; exact ${short(exact)} queries/s\n${table(HEAD, rows)}`;
}

export function matryoshkaSection({ k, exact, lines }: MatryoshkaReport): string | undefined {
  const title = 'Two-stage search: short vectors find candidates, full ones decide';
  const prefixes = [...new Set(lines.map(({ prefix }) => prefix))];
  const list = prefixes.map((prefix): Curve => {
    const of = lines
      .filter((line) => line.prefix === prefix)
      .map((line) => ({ ...line, rate: line.queriesPerSecond }))
      .toSorted((a, b) => a.recall - b.recall);
    const front = new Set(pareto(of));
    return {
      label: `prefix of ${prefix}`,
      ours: true,
      dots: of.map((line) => ({
        x: line.recall,
        y: line.rate,
        front: front.has(line),
        title: `prefix of ${prefix}, ${line.candidates} candidates: recall ${line.recall.toFixed(4)}, ${short(line.rate)} queries/s`,
      })),
    };
  });
  const all: Curve = {
    label: 'exact, all of each vector',
    ours: false,
    dots: [{ x: 1, y: exact, front: true, title: `exact: ${short(exact)} queries/s` }],
  };
  return figure(title, curves(title, { name: `recall@${k}`, type: 'recall' }, 'queries/s', [...list, all]));
}
