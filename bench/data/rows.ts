import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

/** Rows as an index takes them: f16 files come widened to f32, which loses nothing. */
export type RowArray = Float32Array | Uint8Array | Int8Array;

/** `rows` × `dim` values, row-major. */
export interface Matrix<T = RowArray> {
  readonly data: T;
  readonly rows: number;
  readonly dim: number;
}

/** Rows read at a time: bounds what a reader holds beside its result. */
export const SLICE_BYTES = 16 << 20;

/** Values in one array; a typed array of V8 holds no more on any supported version. */
const MAX_VALUES = 2 ** 32 - 1;

export class DataError extends Error {
  constructor(path: string, expected: string) {
    super(`${path}: ${expected}`);
    this.name = 'DataError';
  }
}

export interface OpenFile {
  readonly path: string;
  readonly size: number;
  /** Fills `into` from byte `position`; a file that ends before is an error. */
  read(into: Uint8Array, position: number): void;
}

/** Opens `path` for the time of `use`. */
export function withFile<T>(path: string, use: (file: OpenFile) => T): T {
  const fd = openSync(path, 'r');
  try {
    const size = fstatSync(fd).size;
    const read = (into: Uint8Array, position: number): void => {
      let done = 0;
      while (done < into.length) {
        const got = readSync(fd, into, done, Math.min(into.length - done, SLICE_BYTES), position + done);
        if (got === 0)
          throw new DataError(path, `ends at byte ${position + done}, expected ${into.length - done} more`);
        done += got;
      }
    };
    return use({ path, size, read });
  } finally {
    closeSync(fd);
  }
}

export function checkShape(path: string, rows: number, dim: number): void {
  if (!Number.isSafeInteger(rows) || !Number.isSafeInteger(dim) || rows < 1 || dim < 1 || rows * dim > MAX_VALUES) {
    throw new DataError(path, `expected at least one row and at most ${MAX_VALUES} values, got ${rows} × ${dim}`);
  }
}

export function checkFinite(path: string, matrix: Matrix): void {
  if (!(matrix.data instanceof Float32Array)) return;
  const { data, dim } = matrix;
  for (let i = 0; i < data.length; i++) {
    if (!Number.isFinite(data[i])) {
      throw new DataError(path, `row ${Math.floor(i / dim)}, column ${i % dim} is ${data[i]}, expected a finite value`);
    }
  }
}

/** Bit patterns of all 65,536 half floats as f32. */
const HALF = ((): Uint32Array => {
  const bits = new Uint32Array(1 << 16);
  const value = new Float32Array(bits.buffer);
  for (let h = 0; h < 1 << 16; h++) {
    const sign = h >> 15 ? -1 : 1;
    const exponent = (h >> 10) & 31;
    const fraction = h & 1023;
    if (exponent === 0) value[h] = sign * fraction * 2 ** -24;
    else if (exponent === 31) value[h] = fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
    else value[h] = sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  }
  return bits;
})();

/** Widens half floats into `out` from value `at`. */
export function widenHalf(half: Uint16Array, out: Float32Array, at: number): void {
  const bits = new Uint32Array(out.buffer, out.byteOffset + at * 4, half.length);
  for (let i = 0; i < half.length; i++) bits[i] = HALF[half[i]!]!;
}
