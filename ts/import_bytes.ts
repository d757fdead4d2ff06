import { AnnexError } from './errors.js';

/** Reads the little-endian bytes of somebody else's format in order; never beyond their end, and no count is believed. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  fail(what: string): AnnexError {
    return new AnnexError('CORRUPT', `byte ${this.#at}: ${what}; the file is damaged, or not what it is said to be`);
  }

  u8(): number {
    return this.#view.getUint8(this.#skip(1));
  }

  i32(): number {
    return this.#view.getInt32(this.#skip(4), true);
  }

  u32(): number {
    return this.#view.getUint32(this.#skip(4), true);
  }

  f32(): number {
    return this.#view.getFloat32(this.#skip(4), true);
  }

  f64(): number {
    return this.#view.getFloat64(this.#skip(8), true);
  }

  /** A 64-bit count, at most `most`. */
  count(what: string, most: number): number {
    const value = this.#view.getBigUint64(this.#skip(8), true);
    if (value > BigInt(most)) throw this.fail(`expected ${what} of at most ${most}, got ${value}`);
    return Number(value);
  }

  /** A 64-bit integer from `least` to `most`. */
  whole(what: string, least: number, most: number): number {
    const value = this.count(what, most);
    if (value < least) throw this.fail(`expected ${what} of at least ${least}, got ${value}`);
    return value;
  }

  /** A vector of floats, as a count and its items. */
  floats(what: string): Float32Array<ArrayBuffer> {
    return this.f32s(this.count(what, Math.floor(this.left / 4)));
  }

  tag(): string {
    const at = this.#skip(4);
    return String.fromCharCode(...this.#bytes.subarray(at, at + 4));
  }

  /** A copy of the next n bytes. */
  bytes(n: number): Uint8Array<ArrayBuffer> {
    if (!(n >= 0 && n <= this.left)) throw this.fail(`expected ${n} more bytes, got ${this.left}`);
    const at = this.#skip(n);
    return this.#bytes.slice(at, at + n) as Uint8Array<ArrayBuffer>;
  }

  f32s(n: number): Float32Array<ArrayBuffer> {
    return new Float32Array(this.bytes(4 * n).buffer);
  }

  i32s(n: number): Int32Array {
    return new Int32Array(this.bytes(4 * n).buffer);
  }

  /** 64-bit integers as numbers; those that are none become NaN. */
  i64s(n: number): Float64Array {
    const values = new BigInt64Array(this.bytes(8 * n).buffer);
    return Float64Array.from(values, (value) => {
      const number = Number(value);
      return Number.isSafeInteger(number) ? number : Number.NaN;
    });
  }

  #skip(n: number): number {
    if (n > this.left) throw this.fail(`expected ${n} more bytes, got ${this.left}`);
    const at = this.#at;
    this.#at += n;
    return at;
  }
}
