import { short, table } from '../../ts/bench_table.js';
import type { Machine } from './results.js';

/** One kernel of one instruction set, as bench/native/kernels_bench measures it. */
export interface KernelLine {
  readonly table: string;
  readonly kernel: string;
  readonly unit: string;
  /** What the machine gives at best: multiply-adds from registers, or bytes read from where the rows lie. */
  readonly floor: number;
  readonly measured: number;
  readonly ratio: number;
}

export interface KernelsReport {
  readonly machine: Machine;
  readonly lines: readonly KernelLine[];
  readonly tileOverPeak: number | undefined;
  readonly scanOverBandwidth: number | undefined;
}

/** Reads the program's JSON. The instruction set that the engine would choose comes first. */
export function readKernels(text: string): Omit<KernelsReport, 'machine'> {
  const lines = JSON.parse(text) as KernelLine[];
  const best = lines[0]?.table;
  const ratios = (pattern: RegExp): number[] =>
    lines.filter((line) => line.table === best && pattern.test(line.kernel)).map((line) => line.ratio);
  const least = (values: readonly number[]): number | undefined =>
    values.length > 0 ? Math.min(...values) : undefined;
  return {
    lines,
    tileOverPeak: least(ratios(/^hits_f32 96 queries, dim 256$/)),
    scanOverBandwidth: least(ratios(/^scan f32 (dot|l2), memory$/)),
  };
}

export const KERNEL_HEAD = ['table', 'kernel', 'floor', 'measured', 'unit', 'ratio'] as const;
export function kernelRow({ table, kernel, unit, floor, measured, ratio }: KernelLine): (string | undefined)[] {
  return [table, kernel, short(floor), short(measured), unit, ratio.toFixed(2)];
}

export function printKernels(lines: readonly KernelLine[]): string {
  return table(KERNEL_HEAD, lines.map(kernelRow));
}
