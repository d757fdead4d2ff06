import { short } from '../../ts/bench_table.js';
import type { Claim } from './claims.js';
import type { Machine } from './results.js';

/** Medians in milliseconds. */
export interface FileReport {
  readonly machine: Machine;
  readonly rows: number;
  readonly dim: number;
  readonly bytes: number;
  /** Bytes of all sections, without what stands between them. */
  readonly parts: number;
  /** Of the bytes alone, from the cache of the disk. */
  readonly readMs: number;
  readonly loadMs: number;
  readonly saveMs: number;
  readonly mapMs: number;
  /** The first query of a mapped index. */
  readonly firstMs: number;
}

/** Rows that the targets speak of. */
const ROWS = 1_000_000;

export function fileClaims(report: FileReport | undefined): Claim[] {
  const file = report?.rows === ROWS ? report : undefined;
  const what = 'file of a graph, 1,000,000 × 128';
  const most = (name: string, target: number, unit: string, measured: number | undefined): Claim => {
    return { what: `${what}: ${name}`, target, better: 'lower', unit, measured };
  };
  const rate = (name: string, target: number, ms: number | undefined): Claim => {
    const measured = file === undefined || ms === undefined ? undefined : file.readMs / ms;
    return {
      what: `${what}: ${name} ÷ read bandwidth of the cached file`,
      target,
      better: 'higher',
      unit: '×',
      measured,
    };
  };
  return [
    most('opened by mmap', 10, 'ms', file?.mapMs),
    most('first query after that', 50, 'ms', file?.firstMs),
    rate('load', 0.7, file?.loadMs),
    rate('save', 0.5, file?.saveMs),
    most('size ÷ its parts', 1.02, '×', file && file.bytes / file.parts),
  ];
}

export function printFile({ rows, dim, bytes, parts, readMs, loadMs, saveMs, mapMs, firstMs }: FileReport): string {
  const rate = (ms: number): string => `${short(ms)} ms, ${short(bytes / ms / 1e6)} GB/s`;
  return [
    `graph of ${rows.toLocaleString('en-US')} × ${dim}, ${short(bytes / 1e6)} MB, ${(bytes / parts).toFixed(4)} × its parts`,
    `read ${rate(readMs)}`,
    `load ${rate(loadMs)}`,
    `save ${rate(saveMs)}`,
    `mmap ${short(mapMs)} ms, then the first query ${short(firstMs)} ms`,
  ].join('\n');
}
