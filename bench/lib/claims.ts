import type { SweepState } from '../../ts/bench_state.js';
import { short, table } from '../../ts/bench_table.js';
import { sweepClaims } from '../sweep/claims.js';
import { type CallsReport, verdict } from './calls_report.js';
import { type FileReport, fileClaims } from './file_report.js';
import { type FlatReport, findRun, QUIET, ratioOf } from './flat_report.js';
import { type GrowthReport, growthClaims } from './growth_report.js';
import type { KernelsReport } from './kernels_report.js';
import type { MatryoshkaReport } from './matryoshka_report.js';
import { spread } from './measure.js';
import { type TrainReport, trainClaims } from './train_report.js';
import type { WasmReport } from './wasm_report.js';

/** What one run wrote; a part that was not run is absent. */
export interface Parts {
  readonly flat?: FlatReport | undefined;
  readonly calls?: CallsReport | undefined;
  readonly kernels?: KernelsReport | undefined;
  readonly wasm?: WasmReport | undefined;
  readonly train?: TrainReport | undefined;
  readonly growth?: GrowthReport | undefined;
  readonly file?: FileReport | undefined;
  readonly matryoshka?: MatryoshkaReport | undefined;
  /** One for each dataset and preset. */
  readonly sweeps?: readonly SweepState[] | undefined;
}

export interface Claim {
  readonly what: string;
  /** Which of several values of `what` this is, such as a recall: together they are a line of a table. */
  readonly at?: string | undefined;
  /** Where it was measured, of what is measured on several: a column of a table. */
  readonly dataset?: string | undefined;
  readonly target: number;
  readonly better: 'lower' | 'higher';
  readonly unit: string;
  /** Undefined when the run did not measure it. */
  readonly measured: number | undefined;
}

/** Every performance target of the project, measured by one run. */
export function claims(parts: Parts): Claim[] {
  const { flat, calls, kernels, wasm, sweeps = [] } = parts;
  const times = (what: string, target: number, measured: number | undefined, at?: string): Claim => {
    return { what, at, target, better: 'higher', unit: '×', measured };
  };
  const call = (id: string): number | undefined =>
    calls?.lines.find((line) => line.id === id && line.backend === 'native')?.measured;
  const most = (what: string, target: number, unit: string, id: string, at?: string): Claim => {
    return { what, at, target, better: 'lower', unit, measured: call(id) };
  };
  const over = (peer: string, mode: 'batch' | 'single'): number | undefined =>
    flat && ratioOf(flat, 'annex-f32', peer, mode)?.median;
  const threads = 'exact f32 batch, two threads ÷ one';
  const delay = 'event loop, longest delay (median) during';
  return [
    times('exact f32 batch ÷ FAISS IndexFlat, one thread', 1.8, over('faiss', 'batch')),
    times('exact f32, one query at a time ÷', 2.5, over('faiss', 'single'), 'FAISS IndexFlat'),
    times('exact f32, one query at a time ÷', 2.5, overUsearch(flat), 'the fastest usearch exact'),
    times(threads, 1.8, twoThreads(flat, 'annex-f32'), ': with sidecar'),
    times(threads, 1.8, twoThreads(flat, 'annex-f32-plain'), 'without'),
    times('f32 tile kernel ÷ measured FMA peak', 0.75, kernels?.tileOverPeak),
    times('f32 scan kernel ÷ measured read bandwidth', 0.85, kernels?.scanOverBandwidth),
    most('searchSync on a 1-row index', 3, 'µs', 'sync'),
    most('awaited search on a 1-row index, median', 25, 'µs', 'await'),
    times('10,000 concurrent search ÷ searchBatch', 0.8, call('coalesce')),
    most(delay, 5, 'ms', 'loop-add', 'add'),
    most(delay, 5, 'ms', 'loop-batch', 'searchBatch'),
    most(delay, 5, 'ms', 'loop-search', 'concurrent search'),
    times('WASM f32 scan, one query ÷ native AVX2', 0.7, wasm?.scanOverAvx2),
    times('WASM graph search ÷ native AVX2', 0.5, wasm?.graphOverAvx2),
    times('WASM 4-bit PQ scan ÷ native AVX2', 0.4, wasm?.fastScanOverAvx2),
    ...sweeps.filter(({ preset }) => preset === 'wasm-peers').flatMap(sweepClaims),
    ...trainClaims(parts.train),
    ...growthClaims(parts.growth),
    ...fileClaims(parts.file),
    ...sweeps.filter(({ preset }) => preset !== 'wasm-peers').flatMap(sweepClaims),
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
  if (two === undefined || one === undefined) return undefined;
  // Where the machine takes one of two processors away, the repetition tells nothing of two threads.
  const kept = two.perSecond.flatMap((perSecond, i) =>
    (two.shares[i] as number) >= QUIET ? [perSecond / (one.perSecond[i] as number)] : [],
  );
  return kept.length < 3 ? undefined : spread(kept).median;
}

export function judge({ measured, target, better }: Claim): 'pass' | 'short' | 'not measured' {
  return measured === undefined ? 'not measured' : verdict(measured, target, better);
}

/** Claims for a terminal, a page or a README. */
export interface ClaimTable {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** What was measured once; and what was measured on several datasets, a column for each. */
export function claimTables(list: readonly Claim[]): ClaimTable[] {
  const one = list.filter(({ dataset }) => dataset === undefined);
  const several = list.filter(({ dataset }) => dataset !== undefined);
  return [one, several].filter((part) => part.length > 0).map(claimTable);
}

function claimTable(list: readonly Claim[]): ClaimTable {
  const datasets = [...new Set(list.map(({ dataset }) => dataset))];
  const rows = [...groups(list, ({ what }) => what)].map(([what, of]) => {
    const { better, target, unit } = of[0]!;
    const ats = [...new Set(of.flatMap(({ at }) => at ?? []))];
    const cells = datasets.map((dataset) => {
      const values = of.filter((claim) => claim.dataset === dataset).map(({ measured }) => short(measured) ?? '–');
      return values.every((value) => value === '–') ? '–' : `${values.join(' / ')} ${unit}`.trim();
    });
    const sign = better === 'lower' ? '≤' : '≥';
    return [
      `${what} ${ats.join(' / ')}`.replace(' :', ':').trim(),
      `${sign} ${target} ${unit}`.trim(),
      ...cells,
      verdictOf(of),
    ];
  });
  return { head: ['what', 'target', ...datasets.map((dataset) => dataset ?? 'measured'), ''], rows };
}

function verdictOf(of: readonly Claim[]): string {
  const measured = of.map(judge).filter((word) => word !== 'not measured');
  if (measured.length === 0) return 'not measured';
  const falls = measured.filter((word) => word === 'short').length;
  if (falls === 0) return 'pass';
  return measured.length === 1 ? 'short' : `short: ${falls} of ${measured.length}`;
}

function groups<T>(list: readonly T[], key: (item: T) => string): Map<string, T[]> {
  const all = new Map<string, T[]>();
  for (const item of list) all.set(key(item), [...(all.get(key(item)) ?? []), item]);
  return all;
}

export const printClaims = (list: readonly Claim[]): string =>
  claimTables(list)
    .map(({ head, rows }) => table(head, rows))
    .join('\n\n');
