import type { Spread } from './measure.js';
import type { Machine } from './results.js';
import { table } from './table.js';

/** One query at a time through all rows, on both backends. */
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
}

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
  return `One query at a time, one thread, ${rows} × ${dim} rows of ${dataset}\n${table(head, cells)}`;
}
