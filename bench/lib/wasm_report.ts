import { table } from '../../ts/bench_table.js';
import type { Spread } from './measure.js';
import type { Machine } from './results.js';

/** One query at a time, or a batch, on both backends. */
export interface WasmLine {
  readonly what: string;
  readonly metric: string;
  /** Milliseconds a query. */
  readonly native: Spread;
  readonly wasm: Spread;
  /** Speed of WebAssembly over that of the native backend. */
  readonly ratio: Spread;
}

export interface WasmReport {
  readonly machine: Machine;
  readonly dataset: string;
  readonly rows: number;
  readonly dim: number;
  readonly nativeIsa: string;
  readonly wasmIsa: string;
  readonly lines: readonly WasmLine[];
  /** The least ratio among the plain f32 scans; undefined where the native backend did not run on AVX2. */
  readonly scanOverAvx2: number | undefined;
  /** Of the graph, and of the scan of 4-bit codes; undefined likewise. */
  readonly graphOverAvx2: number | undefined;
  readonly fastScanOverAvx2: number | undefined;
}

const BATCHED = 'the graph and 4-bit codes';

export function printWasm(report: WasmReport): string {
  const { dataset, rows, dim, nativeIsa, wasmIsa } = report;
  const head = ['storage', 'metric', `${nativeIsa} ms`, `${wasmIsa} ms`, 'ratio', 'from', 'to'];
  const cells = report.lines.map(({ what, metric, native, wasm, ratio }) => [
    what,
    metric,
    native.median.toFixed(3),
    wasm.median.toFixed(3),
    ratio.median.toFixed(2),
    ratio.min.toFixed(2),
    ratio.max.toFixed(2),
  ]);
  return `One thread; scans one query at a time, ${BATCHED} in batches; ${rows} × ${dim} rows of ${dataset}\n${table(head, cells)}`;
}
