import { allocate } from './allocate.js';

/** Writes the little-endian bytes of somebody else's format in order. */
export class ByteWriter {
  readonly #parts: Uint8Array[] = [];
  #length = 0;

  tag(text: string): void {
    this.bytes(Uint8Array.from(text, (char) => char.charCodeAt(0)));
  }

  u8(value: number): void {
    this.bytes(Uint8Array.of(value));
  }

  i32(...values: number[]): void {
    this.bytes(Int32Array.from(values));
  }

  f32(value: number): void {
    this.bytes(Float32Array.of(value));
  }

  /** 64-bit integers. */
  i64(...values: number[]): void {
    this.bytes(BigInt64Array.from(values, BigInt));
  }

  f64(value: number): void {
    this.bytes(Float64Array.of(value));
  }

  /** The array's own bytes: it must stay what it is until all is written. */
  bytes(values: ArrayBufferView): void {
    this.#parts.push(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    this.#length += values.byteLength;
  }

  /** A count of items, then the items. */
  vector(values: ArrayBufferView & { readonly length: number }): void {
    this.i64(values.length);
    this.bytes(values);
  }

  finish(): Uint8Array<ArrayBuffer> {
    const out = allocate(() => new Uint8Array(this.#length), this.#length);
    let at = 0;
    for (const part of this.#parts) {
      out.set(part, at);
      at += part.length;
    }
    return out;
  }
}
