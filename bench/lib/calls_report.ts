import type { EngineInfo } from 'annex';
import { short, table } from '../../ts/bench_table.js';
import type { Skip } from '../peers/peer.js';
import type { Machine } from './results.js';

export interface CallLine {
  readonly id: string;
  readonly backend: string;
  readonly what: string;
  readonly unit: string;
  readonly measured: number;
  /** What the project asks of the native backend; on WASM a figure without a verdict. */
  readonly target?: number;
  readonly better: 'lower' | 'higher';
  readonly detail?: string;
}

export interface CallsReport {
  readonly machine: Machine;
  readonly engines: EngineInfo[];
  readonly dataset: { name: string; rows: number; dim: number; queries: number; metric: string };
  readonly lines: readonly CallLine[];
  readonly skipped: Skip[];
}

export function verdict(measured: number, target: number, better: 'lower' | 'higher'): 'pass' | 'short' {
  return (better === 'lower' ? measured <= target : measured >= target) ? 'pass' : 'short';
}

export function printCalls(report: CallsReport): string {
  const rows = report.lines.map(({ backend, what, target, measured, unit, better, detail }) => {
    const judged = target !== undefined && backend === 'native';
    const asked = judged ? `${better === 'lower' ? '≤' : '≥'} ${target} ${unit}` : undefined;
    return [
      backend,
      what,
      asked,
      `${short(measured)} ${unit}`,
      judged ? verdict(measured, target, better) : undefined,
      detail,
    ];
  });
  const { cpu, cores, node } = report.machine;
  return [
    `${cpu}, ${cores} cores, Node ${node}, ${report.engines.map(({ backend, isa }) => `${backend} ${isa}`).join(', ')}`,
    table(['backend', 'what', 'target', 'measured', '', ''], rows),
    ...report.skipped.map(({ label, reason }) => `skipped: ${label}: ${reason}`),
  ].join('\n');
}
