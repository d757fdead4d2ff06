import { INPUT, type Rows } from './backend.js';
import { describe } from './describe.js';
import { AnnexError } from './errors.js';
import { allFinite, notFinite } from './finite.js';
import type { Shape } from './spec.js';
import { lengthOf, type TypedArrayTag, tagOf, viewOf } from './typed_arrays.js';

/** The typed array that an index takes unchanged. */
export function nativeTag(shape: Shape): TypedArrayTag {
  if (shape.type === INPUT.f32) return 'Float32Array';
  return shape.type === INPUT.i8 ? 'Int8Array' : 'Uint8Array';
}

/** Types that are converted number by number, besides arrays of numbers. Packed bits are never converted. */
export function isConvertible(tag: TypedArrayTag | undefined, shape: Shape): boolean {
  if (tag === nativeTag(shape)) return true;
  if (shape.type === INPUT.bits) return false;
  if (tag === 'Float32Array' || tag === 'Float64Array' || tag === 'Float16Array') return true;
  return tag === 'Uint8ClampedArray' && shape.type === INPUT.u8;
}

/** The error for vectors of a type that the index does not take. */
export function wrongType(what: string, value: unknown, shape: Shape): AnnexError {
  const tag = tagOf(value);
  const takes = {
    [INPUT.f32]: 'a Float32Array, Float64Array or number[]',
    [INPUT.i8]: 'an Int8Array, or integers from -128 to 127 in a Float32Array or number[]',
    [INPUT.u8]: 'a Uint8Array, or integers from 0 to 255 in a Float32Array or number[]',
    [INPUT.bits]: 'a Uint8Array of packed bits, dim / 8 bytes a row',
  }[shape.type];
  let advice = '';
  if (tag === 'Uint8Array' && shape.type === INPUT.f32) {
    advice = '. For byte embeddings create the index with storage "u8"; the bytes of floats want a Float32Array view';
  } else if (tag === 'Int8Array' && shape.type === INPUT.f32) {
    advice = '. For byte embeddings create the index with storage "i8"';
  } else if (tag === 'BigInt64Array' || tag === 'BigUint64Array') {
    advice = '. BigInts are for ids only';
  }
  return new AnnexError('INVALID_TYPE', `expected ${what} to be ${takes}, got ${describe(value)}${advice}`);
}

/** Where numbers are of the whole input, so that a bad one is named by its row and column. */
export interface Place {
  readonly shape: Shape;
  /** `row` or `query`. */
  readonly what: string;
  /** Row of element 0 of the source. */
  readonly firstRow: number;
}

/** Converts numbers [start, start + count) of `source` to dst[at …). */
export function convertNumbers(
  dst: Rows,
  at: number,
  source: ArrayLike<number>,
  start: number,
  count: number,
  place: Place,
): void {
  const { type } = place.shape;
  if (type === INPUT.f32) convertFloats(dst as Float32Array, at, source, start, count, place);
  else if (tagOf(source) === nativeTag(place.shape)) copyBytes(dst, at, source, start, count);
  else convertIntegers(dst, at, source, start, count, place);
}

function copyBytes(dst: Rows, at: number, source: ArrayLike<number>, start: number, count: number): void {
  const type = tagOf(source) === 'Int8Array' ? Int8Array : Uint8Array;
  dst.set(viewOf<Int8Array | Uint8Array>(source, type, start, count), at);
}

function convertFloats(
  dst: Float32Array,
  at: number,
  source: ArrayLike<number>,
  start: number,
  count: number,
  place: Place,
): void {
  const tag = tagOf(source);
  if (tag === 'Float32Array') dst.set(viewOf<Float32Array>(source, Float32Array, start, count), at);
  else if (tag === 'Float64Array') dst.set(viewOf<Float64Array>(source, Float64Array, start, count), at);
  else {
    const trusted = tag !== undefined;
    for (let i = 0; i < count; i++) {
      const x = source[start + i] as number;
      if (!trusted && typeof x !== 'number') throw notANumber(x, start + i, place);
      dst[at + i] = x;
    }
  }
  const written = dst.subarray(at, at + count);
  if (allFinite(written, count)) return;
  const bad = written.findIndex((x) => !Number.isFinite(x));
  const { row, column } = locate(start + bad, place);
  throw notFinite(Number(source[start + bad]), place.what, row, column);
}

function convertIntegers(
  dst: Rows,
  at: number,
  source: ArrayLike<number>,
  start: number,
  count: number,
  place: Place,
): void {
  const low = place.shape.type === INPUT.i8 ? -128 : 0;
  const high = low + 255;
  for (let i = 0; i < count; i++) {
    const x = source[start + i] as number;
    if (!(Number.isInteger(x) && x >= low && x <= high)) throw notAByte(x, start + i, place, low, high);
    dst[at + i] = x;
  }
}

function locate(position: number, { shape, firstRow }: Place): { row: number; column: number } {
  return { row: firstRow + Math.floor(position / shape.width), column: position % shape.width };
}

function notANumber(value: unknown, position: number, place: Place): AnnexError {
  const { row, column } = locate(position, place);
  return new AnnexError(
    'INVALID_TYPE',
    `${place.what} ${row} holds ${describe(value)} at column ${column}: expected a number`,
  );
}

function notAByte(value: unknown, position: number, place: Place, low: number, high: number): AnnexError {
  if (typeof value !== 'number') return notANumber(value, position, place);
  const { row, column } = locate(position, place);
  if (!Number.isFinite(value)) return notFinite(value, place.what, row, column);
  return new AnnexError(
    'INVALID_ARGUMENT',
    `${place.what} ${row} holds ${value} at column ${column}: storage "${place.shape.storage}" takes integers from ` +
      `${low} to ${high}; quantize the vectors first, or create the index with storage "sq8" to have it done`,
  );
}

/** Numbers in an array or typed array, by its true length. */
export function countOf(source: object): number {
  return Array.isArray(source) ? source.length : lengthOf(source);
}
