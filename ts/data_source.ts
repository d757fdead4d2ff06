// Rows of vectors that lie somewhere, read in slices: what every reader of a format offers.
import { AnnexError } from './errors.js';
import { allFinite } from './finite.js';

export type Values = Float32Array | Uint8Array | Int8Array | Int32Array;
/** Types of values as they are read: f16 is widened to f32, which loses nothing, f64 is rounded to f32. */
export type ValueType = 'f32' | 'u8' | 'i8' | 'i32';

/** Some rows of a source, row-major, and their ids where the source has any. */
export interface Slice {
  readonly values: Values;
  readonly ids?: Float64Array | undefined;
}

export interface RowSource {
  /** As errors name it. */
  readonly path: string;
  /** At least one. */
  readonly rows: number;
  /** At least 1. */
  readonly dim: number;
  readonly type: ValueType;
  /** Whether rows carry ids of their own. */
  readonly hasIds: boolean;
  /** Whether a row here and there costs little more than the same rows in sequence. */
  readonly seekable: boolean;
  /** Rows `start` … `start + n`, all of which there are. What it returns is the caller's. */
  read(start: number, n: number): Promise<Slice>;
  close(): void;
}

const ARRAYS = { f32: Float32Array, u8: Uint8Array, i8: Int8Array, i32: Int32Array } as const;

export const bytesOf = (type: ValueType): number => ARRAYS[type].BYTES_PER_ELEMENT;

export function makeValues(type: ValueType, length: number): Values {
  try {
    return new ARRAYS[type](length);
  } catch (cause) {
    throw new AnnexError('OUT_OF_MEMORY', `no memory for an array of ${length} values`, { cause });
  }
}

export function floatsOf(values: Values): Float32Array {
  return values instanceof Float32Array ? values : Float32Array.from(values);
}

/** The file holds something else than it should. */
export function bad(path: string, what: string): AnnexError {
  return new AnnexError('CORRUPT', `${path}: ${what}`);
}

/** The file is as it should be, and cannot be used like this. */
export function unfit(path: string, what: string): AnnexError {
  return new AnnexError('UNSUPPORTED', `${path}: ${what}`);
}

export function ioError(path: string, cause: unknown): AnnexError {
  if (cause instanceof AnnexError) return cause;
  return new AnnexError('IO', `${path}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
}

/** Longer rows belong to no index: a count beyond this is damage. */
const MOST_DIM = 1 << 20;

export function checkShape(path: string, rows: number, dim: number): void {
  if (rows === 0) throw bad(path, 'expected at least one row, got none');
  const possible = Number.isSafeInteger(rows) && rows > 0 && Number.isSafeInteger(8 * rows * dim);
  if (!(possible && Number.isInteger(dim) && dim >= 1 && dim <= MOST_DIM)) {
    throw bad(path, `it says ${rows} rows of ${dim} values, which cannot be`);
  }
}

/** Refuses NaN and infinities; `start` is the row of the first value. */
export function checkFinite({ path, dim }: { path: string; dim: number }, values: Values, start: number): void {
  if (!(values instanceof Float32Array) || allFinite(values, values.length)) return;
  const at = values.findIndex((x) => !Number.isFinite(x));
  const [row, column] = [start + Math.floor(at / dim), at % dim];
  throw new AnnexError(
    'NOT_FINITE',
    `${path}: row ${row}, column ${column} is ${values[at]}, expected a finite 32-bit float`,
  );
}

/** Rows of a source, all of them numbers that are finite. */
export async function rowsOf(source: RowSource, start: number, n: number): Promise<Slice> {
  const slice = await source.read(start, n);
  checkFinite(source, slice.values, start);
  return slice;
}

/** The first `limit` rows in slices of about `bytes`. */
export async function* slices(
  source: RowSource,
  { limit = source.rows, bytes = 8 << 20 }: { limit?: number | undefined; bytes?: number } = {},
): AsyncGenerator<Slice & { readonly start: number; readonly n: number }> {
  const rows = Math.min(limit, source.rows);
  const step = Math.max(1, Math.floor(bytes / (source.dim * bytesOf(source.type))));
  for (let start = 0; start < rows; start += step) {
    const n = Math.min(step, rows - start);
    yield { start, n, ...(await rowsOf(source, start, n)) };
  }
}

/** The first rows at once. */
export async function readAll(source: RowSource, limit = source.rows): Promise<Values> {
  const out = makeValues(source.type, Math.min(limit, source.rows) * source.dim);
  for await (const { start, values } of slices(source, { limit })) out.set(values, start * source.dim);
  return out;
}

/** Up to `most` of the first `limit` rows, spread evenly over them. */
export async function sample(source: RowSource, most: number, limit = source.rows): Promise<Values> {
  const { dim, type, seekable } = source;
  const rows = Math.min(limit, source.rows);
  if (most >= rows) return readAll(source, rows);
  const out = makeValues(type, most * dim);
  const rowAt = (i: number): number => Math.floor((i * rows) / most);
  if (seekable) {
    for (let i = 0; i < most; i++) out.set((await rowsOf(source, rowAt(i), 1)).values, i * dim);
    return out;
  }
  let i = 0;
  for await (const { start, n, values } of slices(source, { limit: rows })) {
    for (; i < most && rowAt(i) < start + n; i++) {
      const at = (rowAt(i) - start) * dim;
      out.set(values.subarray(at, at + dim), i * dim);
    }
  }
  return out;
}
