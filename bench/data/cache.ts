import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

/**
 * Where rows, true neighbours and peers' indexes are kept between runs: ANNEX_BENCH_CACHE, or the user's folder of caches.
 * Everything in it can be made again.
 */
export const CACHE =
  process.env.ANNEX_BENCH_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'annex-bench');

/** Sixteen hex digits that depend on the value alone. */
export function keyOf(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 16);
}

/** What tells a file from another version of it without reading it. */
export function fingerprint(path: string): readonly [path: string, size: number, modified: number] {
  const { size, mtimeMs } = statSync(path);
  return [resolve(path), size, mtimeMs];
}

/** The file's path, after `make` has written it where it was missing. An interrupted `make` leaves nothing behind. */
export async function cachedFile(path: string, make: (path: string) => Promise<void> | void): Promise<string> {
  if (existsSync(path)) return path;
  mkdirSync(join(path, '..'), { recursive: true });
  const partial = `${path}.${process.pid}.new`;
  try {
    await make(partial);
    renameSync(partial, path);
  } finally {
    rmSync(partial, { force: true });
  }
  return path;
}

/** Writes a two-dimensional array of NumPy's format 1.0, rows given in slices. */
export class NpyWriter {
  readonly #fd: number;
  #left: number;

  constructor(path: string, rows: number, dim: number) {
    const dict = `{'descr': '<f4', 'fortran_order': False, 'shape': (${rows}, ${dim}), }`;
    const padded = `${dict.padEnd(117)}\n`; // the values start at byte 128, so that they can be mapped aligned
    const start = Buffer.from('\x93NUMPY\x01\0\0\0', 'latin1');
    start.writeUInt16LE(padded.length, 8);
    this.#fd = openSync(path, 'w');
    this.#left = rows * dim;
    writeSync(this.#fd, Buffer.concat([start, Buffer.from(padded, 'latin1')]));
  }

  write(values: Float32Array): void {
    this.#left -= values.length;
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    for (let at = 0; at < bytes.length; ) at += writeSync(this.#fd, bytes, at, Math.min(bytes.length - at, 1 << 26));
  }

  close(): void {
    closeSync(this.#fd);
    if (this.#left !== 0) throw new Error(`an array was closed ${this.#left} values before its end`);
  }
}

export function writeNpy(path: string, values: Float32Array, dim: number): void {
  const writer = new NpyWriter(path, values.length / dim, dim);
  writer.write(values);
  writer.close();
}

/** Writes int32 rows as .ivecs. */
export function writeIvecs(path: string, values: Int32Array, dim: number): void {
  const rows = values.length / dim;
  const out = new Int32Array(rows * (dim + 1));
  for (let row = 0; row < rows; row++) {
    out[row * (dim + 1)] = dim;
    out.set(values.subarray(row * dim, (row + 1) * dim), row * (dim + 1) + 1);
  }
  writeFileSync(path, new Uint8Array(out.buffer));
}
