/**
 * Typed arrays as they are: the getters of %TypedArray%.prototype read internal slots, so a subclass, a proxy, an
 * object of another realm or a patched prototype cannot lie about type, length or buffer.
 */
const prototype = Object.getPrototypeOf(Uint8Array.prototype) as object;

function getter<T>(key: PropertyKey): (this: unknown) => T {
  const found = Object.getOwnPropertyDescriptor(prototype, key)?.get;
  if (found === undefined) throw new Error(`this JavaScript engine lacks %TypedArray%.prototype.${String(key)}`);
  return found as (this: unknown) => T;
}

const readTag = getter<TypedArrayTag | undefined>(Symbol.toStringTag);
const readLength = getter<number>('length');
const readBuffer = getter<ArrayBufferLike>('buffer');
const readByteOffset = getter<number>('byteOffset');

export type TypedArrayTag =
  | 'Float16Array'
  | 'Float32Array'
  | 'Float64Array'
  | 'Int8Array'
  | 'Uint8Array'
  | 'Uint8ClampedArray'
  | 'Int16Array'
  | 'Uint16Array'
  | 'Int32Array'
  | 'Uint32Array'
  | 'BigInt64Array'
  | 'BigUint64Array';

/** The true type of a typed array; undefined for everything else, DataView included. */
export function tagOf(value: unknown): TypedArrayTag | undefined {
  return readTag.call(value);
}

/** Elements of a typed array: 0 when its buffer is detached or has shrunk below it. */
export function lengthOf(array: unknown): number {
  return readLength.call(array);
}

const Shared: typeof SharedArrayBuffer | undefined =
  typeof SharedArrayBuffer === 'undefined' ? undefined : SharedArrayBuffer;

/** Whether a typed array lies in memory that another thread may write at any time. */
export function isShared(array: unknown): boolean {
  if (Shared === undefined) return false;
  const buffer = readBuffer.call(array);
  return buffer instanceof Shared || Object.prototype.toString.call(buffer) === '[object SharedArrayBuffer]';
}

/** Whether the buffer of a typed array was transferred or otherwise detached. */
export function isDetached(array: unknown): boolean {
  const buffer = readBuffer.call(array);
  if (buffer.byteLength !== 0) return false;
  try {
    new Uint8Array(buffer);
    return false;
  } catch {
    return true;
  }
}

interface ViewConstructor<T> {
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): T;
  readonly BYTES_PER_ELEMENT: number;
}

/** A plain view of elements [start, start + count) of a typed array, whatever class it is of. */
export function viewOf<T>(array: unknown, type: ViewConstructor<T>, start: number, count: number): T {
  return new type(readBuffer.call(array), readByteOffset.call(array) + start * type.BYTES_PER_ELEMENT, count);
}
