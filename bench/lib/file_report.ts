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
  /** Of writing the bytes alone until the disk has them: what a save that survives a crash takes at least. */
  readonly writeMs: number;
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
  const rate = (name: string, target: number, over: 'readMs' | 'writeMs', ms: number | undefined): Claim => {
    const floor = over === 'readMs' ? 'read bandwidth of the cached file' : 'plain write that the disk has';
    const measured = file?.[over] === undefined || ms === undefined ? undefined : file[over] / ms;
    return { what: `${what}: ${name} ÷ ${floor}`, target, better: 'higher', unit: '×', measured };
  };
  return [
    most('opened by mmap', 10, 'ms', file?.mapMs),
    most('first query after that', 50, 'ms', file?.firstMs),
    rate('load', 0.7, 'readMs', file?.loadMs),
    rate('save', 0.5, 'readMs', file?.saveMs),
    rate('save', 0.9, 'writeMs', file?.saveMs),
    most('size ÷ its parts', 1.02, '×', file && file.bytes / file.parts),
  ];
}

export function printFile(report: FileReport): string {
  const { rows, dim, bytes, parts, readMs, loadMs, saveMs, writeMs, mapMs, firstMs } = report;
  const rate = (ms: number): string => `${short(ms)} ms, ${short(bytes / ms / 1e6)} GB/s`;
  return [
    `graph of ${rows.toLocaleString('en-US')} × ${dim}, ${short(bytes / 1e6)} MB, ${(bytes / parts).toFixed(4)} × its parts`,
    `read ${rate(readMs)}`,
    `load ${rate(loadMs)}`,
    `save ${rate(saveMs)}`,
    `the same bytes alone, until the disk has them: ${rate(writeMs)}`,
    `mmap ${short(mapMs)} ms, then the first query ${short(firstMs)} ms`,
  ].join('\n');
}
