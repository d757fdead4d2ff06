import { sweepClaims } from '../sweep/claims.js';
import type { SweepState } from '../sweep/state.js';
import { type CallsReport, verdict } from './calls_report.js';
import { type FlatReport, findRun, ratioOf } from './flat_report.js';
import type { KernelsReport } from './kernels_report.js';
import { ratio } from './measure.js';
import { short, table } from './table.js';
import type { WasmReport } from './wasm_report.js';

/** What one run wrote; a part that was not run is absent. */
export interface Parts {
  readonly flat?: FlatReport | undefined;
  readonly calls?: CallsReport | undefined;
  readonly kernels?: KernelsReport | undefined;
  readonly wasm?: WasmReport | undefined;
  /** One for each dataset and preset. */
  readonly sweeps?: readonly SweepState[] | undefined;
}

export interface Claim {
  readonly what: string;
  readonly target: number;
  readonly better: 'lower' | 'higher';
  readonly unit: string;
  /** Undefined when the run did not measure it. */
  readonly measured: number | undefined;
}

/** Every performance target of the project, measured by one run. */
export function claims({ flat, calls, kernels, wasm, sweeps = [] }: Parts): Claim[] {
  const times = (what: string, target: number, measured: number | undefined): Claim => {
    return { what, target, better: 'higher', unit: '×', measured };
  };
  const call = (id: string): number | undefined =>
    calls?.lines.find((line) => line.id === id && line.backend === 'native')?.measured;
  const most = (what: string, target: number, unit: string, id: string): Claim => {
    return { what, target, better: 'lower', unit, measured: call(id) };
  };
  const over = (peer: string, mode: 'batch' | 'single'): number | undefined =>
    flat && ratioOf(flat, 'annex-f32', peer, mode)?.median;
  return [
    times('f32 batch ÷ FAISS IndexFlat, one thread', 1.8, over('faiss', 'batch')),
    times('f32 one query at a time ÷ FAISS IndexFlat', 2.5, over('faiss', 'single')),
    times('f32 one query at a time ÷ the fastest usearch exact', 2.5, overUsearch(flat)),
    times('f32 batch, two threads ÷ one', 1.8, twoThreads(flat, 'annex-f32')),
    times('f32 batch without sidecar, two threads ÷ one', 1.8, twoThreads(flat, 'annex-f32-plain')),
    times('f32 tile kernel ÷ measured FMA peak', 0.75, kernels?.tileOverPeak),
    times('f32 scan kernel ÷ measured read bandwidth', 0.85, kernels?.scanOverBandwidth),
    most('searchSync on a 1-row index', 3, 'µs', 'sync'),
    most('awaited search on a 1-row index, median', 25, 'µs', 'await'),
    times('10,000 concurrent search ÷ searchBatch', 0.8, call('coalesce')),
    most('event loop, longest delay during add', 5, 'ms', 'loop-add'),
    most('event loop, longest delay during searchBatch', 5, 'ms', 'loop-batch'),
    most('event loop, longest delay during concurrent search', 5, 'ms', 'loop-search'),
    times('WASM f32 scan, one query ÷ native AVX2', 0.7, wasm?.scanOverAvx2),
    ...sweeps.flatMap(sweepClaims),
  ];
}

/** usearch searches exactly in several ways; only the fastest of them is worth beating. */
function overUsearch(flat: FlatReport | undefined): number | undefined {
  const ways = ['usearch-index', 'usearch-function', 'usearch-npm'];
  const ratios = ways.flatMap((way) => (flat && ratioOf(flat, 'annex-f32', way, 'single')?.median) ?? []);
  return ratios.length > 0 ? Math.min(...ratios) : undefined;
}

function twoThreads(flat: FlatReport | undefined, system: string): number | undefined {
  const two = flat && findRun(flat, system, 'batch', 2);
  const one = flat && findRun(flat, system, 'batch', 1);
  return two && one && ratio(two.perSecond, one.perSecond).median;
}

export function judge({ measured, target, better }: Claim): 'pass' | 'short' | 'not measured' {
  return measured === undefined ? 'not measured' : verdict(measured, target, better);
}

/** The columns of a table of claims, for a terminal, a page or a README. */
export const CLAIM_HEAD = ['what', 'target', 'measured', ''] as const;
export function claimRow(claim: Claim): [string, string, string, string] {
  const { what, target, better, unit, measured } = claim;
  const value = measured === undefined ? '–' : `${short(measured)} ${unit}`;
  return [what, `${better === 'lower' ? '≤' : '≥'} ${target} ${unit}`, value, judge(claim)];
}

export function printClaims(list: readonly Claim[]): string {
  return table(CLAIM_HEAD, list.map(claimRow));
}
