import { describe } from './describe.js';
import { AnnexError } from './errors.js';
import { isDetached, isShared, lengthOf, type TypedArrayTag, tagOf, viewOf } from './typed_arrays.js';
import { checkUnchanged, detached, sharedMemory } from './vectors.js';

/** Ids: safe integers, 0 … 2^53 − 1. */
export type Ids =
  | readonly (number | bigint)[]
  | Float64Array
  | Uint32Array
  | Int32Array
  | Uint16Array
  | Uint8Array
  | BigInt64Array
  | BigUint64Array;

const TAGS: readonly (TypedArrayTag | undefined)[] = [
  'Float64Array',
  'Uint32Array',
  'Int32Array',
  'Uint16Array',
  'Uint8Array',
  'BigInt64Array',
  'BigUint64Array',
];

/** The ids of a call, read in slices as doubles. */
export class IdSource {
  readonly n: number;
  readonly #array: ArrayLike<unknown>;
  readonly #tag: TypedArrayTag | undefined;

  /** Takes what `idsOf` has checked. */
  constructor(array: ArrayLike<unknown>, n: number) {
    this.#array = array;
    this.#tag = tagOf(array);
    this.n = n;
  }

  /** Ids [start, start + count): a view of the caller's Float64Array or a fresh array. Ranges are the core's to check. */
  take(start: number, count: number): Float64Array {
    checkUnchanged(this.#array, this.n, 'ids');
    if (this.#tag === 'Float64Array') return viewOf<Float64Array>(this.#array, Float64Array, start, count);
    const out = new Float64Array(count);
    for (let i = 0; i < count; i++) out[i] = idNumber(this.#array[start + i], start + i);
    return out;
  }
}

/** Checks that `value` is a list of ids, or one id. */
export function idsOf(value: unknown): IdSource {
  if (typeof value === 'number' || typeof value === 'bigint') return new IdSource([value], 1);
  if (Array.isArray(value)) return new IdSource(value, value.length);
  const tag = tagOf(value);
  if (tag === undefined || !TAGS.includes(tag)) {
    throw new AnnexError(
      'INVALID_TYPE',
      `expected ids as number[], Float64Array, Uint32Array, Int32Array or BigInt64Array, got ${describe(value)}`,
    );
  }
  if (isShared(value)) throw sharedMemory('ids');
  const n = lengthOf(value);
  if (n === 0 && isDetached(value)) throw detached('ids');
  return new IdSource(value as ArrayLike<unknown>, n);
}

/** One id as a double; `position` is its place in a list, or undefined for a single id. */
export function idNumber(value: unknown, position?: number): number {
  if (typeof value === 'number') return value;
  if (typeof value === 'bigint') {
    const number = Number(value);
    if (number >= 0 && number <= Number.MAX_SAFE_INTEGER) return number;
    throw invalidId(value, position);
  }
  throw new AnnexError('INVALID_TYPE', `expected an id as a number${placeOf(position)}, got ${describe(value)}`);
}

/** As {@link idNumber}, and checks the range. */
export function checkedId(value: unknown, position?: number): number {
  const number = idNumber(value, position);
  if (Number.isSafeInteger(number) && number >= 0) return number;
  throw invalidId(value, position);
}

function invalidId(value: unknown, position: number | undefined): AnnexError {
  return new AnnexError(
    'INVALID_ID',
    `expected an id from 0 to 2^53 - 1${placeOf(position)}, got ${describe(value)}: ids are safe integers`,
  );
}

function placeOf(position: number | undefined): string {
  return position === undefined ? '' : ` at position ${position}`;
}
