import { INPUT, type Rows } from './backend.js';
import { convertNumbers, countOf, isConvertible, nativeTag, type Place, wrongType } from './convert.js';
import { AnnexError } from './errors.js';
import { allocateRows, type Shape } from './spec.js';
import { isDetached, isShared, lengthOf, tagOf, viewOf } from './typed_arrays.js';

/** Numbers of one or more vectors, one behind another. */
export type Numbers = Float32Array | Float64Array | readonly number[] | Float16ArrayLike;

/** A `Float16Array`, where the JavaScript engine has it. */
export interface Float16ArrayLike extends ArrayLike<number> {
  readonly [Symbol.toStringTag]: 'Float16Array';
  readonly BYTES_PER_ELEMENT: number;
}

/** One vector (or several in one flat array) for an index whose rows are of type Row. */
export type Vector<Row extends Rows = Float32Array> = [Row] extends [Float32Array]
  ? Numbers
  : [Row] extends [Int8Array]
    ? Int8Array | Numbers
    : [Row] extends [Uint8Array]
      ? Uint8Array | Uint8ClampedArray | Numbers
      : Rows | Uint8ClampedArray | Numbers;

/** Vectors: one flat row-major array of n × dim numbers, or an array of n rows. */
export type Vectors<Row extends Rows = Float32Array> = Vector<Row> | readonly Vector<Row>[];

/** The query of a single search, in the type that the core takes. Converted only where that is needed. */
export function queryOf(value: unknown, shape: Shape): Rows {
  const tag = tagOf(value);
  if (tag === nativeTag(shape)) {
    if (lengthOf(value) !== shape.width) throw wrongQueryLength(value, lengthOf(value), shape);
    if (isShared(value)) throw sharedMemory('the query');
    return value as Rows;
  }
  if (!(Array.isArray(value) && shape.type !== INPUT.bits) && !isConvertible(tag, shape)) {
    throw wrongType('the query', value, shape);
  }
  const numbers = value as ArrayLike<number>;
  const length = countOf(numbers);
  if (length !== shape.width) throw wrongQueryLength(value, length, shape);
  if (tag !== undefined && isShared(value)) throw sharedMemory('the query');
  const query = allocateRows(shape, 1);
  convertNumbers(query, 0, numbers, 0, length, { shape, what: 'query', firstRow: 0 });
  return query;
}

/**
 * Rows of an `add` or `searchBatch`, read in slices. The caller keeps the array and may transfer, resize or overwrite
 * it between slices: every slice checks that it is still as long as it was.
 */
export abstract class RowSource {
  /** Rows. */
  readonly n: number;

  constructor(n: number) {
    this.n = n;
  }

  /** Rows [start, start + count) in the type of the core; the array is good until the next call. */
  abstract take(start: number, count: number): Rows;
}

/**
 * Checks the shape of `value` (types and lengths; values are checked as they are read). `noun` is what messages call
 * one of the rows. A source that was made before passes.
 */
export function rowsOf(value: unknown, shape: Shape, noun: 'row' | 'query'): RowSource {
  if (value instanceof RowSource) return value;
  const what = noun === 'row' ? 'the vectors' : 'the queries';
  const tag = tagOf(value);
  if (Array.isArray(value)) {
    const first: unknown = value[0];
    if (typeof first === 'object' && first !== null) return new RowList(value, shape, what, noun);
    if (shape.type === INPUT.bits && value.length > 0) throw wrongType(what, value, shape);
  } else if (!isConvertible(tag, shape)) {
    throw wrongType(what, value, shape);
  } else if (isShared(value)) {
    throw sharedMemory(what);
  }
  const length = countOf(value as object);
  if (length === 0 && tag !== undefined && isDetached(value)) throw detached(what);
  if (length % shape.width !== 0) {
    const rows = Math.floor(length / shape.width);
    throw new AnnexError(
      'DIMENSION_MISMATCH',
      `expected ${what} as rows of ${rowLength(shape)}, got ${length} in all: ${rows} rows and ${length % shape.width} over`,
    );
  }
  return tag === nativeTag(shape)
    ? new DirectRows(value as Rows, length / shape.width, shape, what)
    : new ConvertedRows(value as ArrayLike<number>, length / shape.width, shape, what, noun);
}

/** A flat array of the core's own type: slices are views. */
class DirectRows extends RowSource {
  readonly #array: Rows;
  readonly #shape: Shape;
  readonly #what: string;

  constructor(array: Rows, n: number, shape: Shape, what: string) {
    super(n);
    this.#array = array;
    this.#shape = shape;
    this.#what = what;
  }

  take(start: number, count: number): Rows {
    const width = this.#shape.width;
    checkUnchanged(this.#array, this.n * width, this.#what);
    const type = this.#shape.type;
    const view = type === INPUT.f32 ? Float32Array : type === INPUT.i8 ? Int8Array : Uint8Array;
    return viewOf<Rows>(this.#array, view, start * width, count * width);
  }
}

/** A flat array of another type: slices are converted into one scratch array. */
class ConvertedRows extends RowSource {
  readonly #array: ArrayLike<number>;
  readonly #what: string;
  readonly #place: Place;
  #scratch: Rows | undefined;

  constructor(array: ArrayLike<number>, n: number, shape: Shape, what: string, noun: string) {
    super(n);
    this.#array = array;
    this.#what = what;
    this.#place = { shape, what: noun, firstRow: 0 };
  }

  take(start: number, count: number): Rows {
    const { shape } = this.#place;
    const { width } = shape;
    checkUnchanged(this.#array, this.n * width, this.#what);
    this.#scratch = scratchOf(this.#scratch, shape, count);
    convertNumbers(this.#scratch, 0, this.#array, start * width, count * width, this.#place);
    return trimmed(this.#scratch, count * width);
  }
}

/** An array of rows: each is checked as its slice is gathered. */
class RowList extends RowSource {
  readonly #rows: readonly unknown[];
  readonly #shape: Shape;
  readonly #what: string;
  readonly #noun: string;
  #scratch: Rows | undefined;

  constructor(rows: readonly unknown[], shape: Shape, what: string, noun: string) {
    super(rows.length);
    this.#noun = noun;
    this.#rows = rows;
    this.#shape = shape;
    this.#what = what;
  }

  take(start: number, count: number): Rows {
    const shape = this.#shape;
    checkUnchanged(this.#rows, this.n, this.#what);
    this.#scratch = scratchOf(this.#scratch, shape, count);
    for (let i = 0; i < count; i++) this.#gather(this.#scratch, i, start + i);
    return trimmed(this.#scratch, count * shape.width);
  }

  #gather(dst: Rows, slot: number, r: number): void {
    const shape = this.#shape;
    const row = this.#rows[r];
    const name = `${this.#noun} ${r}`;
    const tag = tagOf(row);
    if (!(Array.isArray(row) && shape.type !== INPUT.bits) && !isConvertible(tag, shape)) {
      throw wrongType(name, row, shape);
    }
    const numbers = row as ArrayLike<number>;
    const length = countOf(numbers);
    if (length !== shape.width) {
      if (length === 0 && tag !== undefined && isDetached(row)) throw detached(name);
      throw new AnnexError('DIMENSION_MISMATCH', `expected ${name} to be ${rowLength(shape)}, got ${length}`);
    }
    if (tag !== undefined && isShared(row)) throw sharedMemory(name);
    convertNumbers(dst, slot * shape.width, numbers, 0, length, { shape, what: this.#noun, firstRow: r });
  }
}

function scratchOf(scratch: Rows | undefined, shape: Shape, rows: number): Rows {
  return scratch !== undefined && scratch.length >= rows * shape.width ? scratch : allocateRows(shape, rows);
}

function trimmed(scratch: Rows, length: number): Rows {
  return scratch.length === length ? scratch : scratch.subarray(0, length);
}

/** `256 numbers (dim)`, or `32 bytes (dim / 8 = 256 / 8)` for packed bits. */
function rowLength(shape: Shape): string {
  return shape.type === INPUT.bits ? `${shape.width} bytes (dim / 8 = ${shape.dim} / 8)` : `${shape.dim} numbers (dim)`;
}

function wrongQueryLength(value: unknown, length: number, shape: Shape): AnnexError {
  if (length === 0 && tagOf(value) !== undefined && isDetached(value)) return detached('the query');
  const batch = length > 0 && length % shape.width === 0 ? ': for several queries use searchBatch' : '';
  return new AnnexError('DIMENSION_MISMATCH', `expected a query of ${rowLength(shape)}, got ${length}${batch}`);
}

export function checkUnchanged(array: object, length: number, what: string): void {
  const now = countOf(array);
  if (now === length) return;
  throw new AnnexError(
    'INVALID_ARGUMENT',
    `expected ${what} to keep its ${length} elements until the call settles, but now it has ${now}: ` +
      'it was transferred, detached or resized meanwhile; hand over a copy or wait for the promise',
  );
}

export function detached(what: string): AnnexError {
  return new AnnexError(
    'INVALID_ARGUMENT',
    `expected ${what} to hold data, got an array whose buffer was transferred or detached: hand over a copy instead`,
  );
}

export function sharedMemory(what: string): AnnexError {
  return new AnnexError(
    'INVALID_TYPE',
    `expected ${what} in memory of its own, got an array over a SharedArrayBuffer, which another thread may write ` +
      'meanwhile: hand over a copy (`array.slice()`)',
  );
}
