import type { Machine } from './results.js';

export interface KernelsReport {
  readonly machine: Machine;
  /** What bench/native/kernels_bench printed. */
  readonly text: string;
  readonly tileOverPeak: number | undefined;
  readonly scanOverBandwidth: number | undefined;
}
