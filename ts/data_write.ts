// Writes rows to a file whose name says how. The file comes into being when it is whole.
import { closeSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { BINS, NPY, VECS } from './data_fixed.js';
import { JSONL } from './data_jsonl.js';
import { nameOf } from './data_open.js';
import { bytesOf, ioError, unfit, type Values, type ValueType } from './data_source.js';

export const WRITABLE = ['npy', ...Object.keys(VECS), ...Object.keys(BINS), ...JSONL];

export class VectorWriter {
  readonly path: string;
  /** Of the values that it takes. */
  readonly type: ValueType;
  readonly keepsIds: boolean;
  readonly #partial: string;
  readonly #fd: number;
  readonly #dim: number;
  readonly #format: 'plain' | 'vecs' | 'jsonl';
  readonly #column: string;
  #left: number;
  #closed = false;

  /** `type` is what the values are; where the format holds another type, that is what it takes. `column`: of objects in .jsonl. */
  constructor(path: string, rows: number, dim: number, type: ValueType, column = 'embedding') {
    const { extension } = nameOf(path);
    if (!WRITABLE.includes(extension)) {
      throw unfit(path, `.${extension} is read alone; what is written ends in .${WRITABLE.join(', .')}`);
    }
    this.path = path;
    this.keepsIds = JSONL.includes(extension);
    this.#format = extension in VECS ? 'vecs' : this.keepsIds ? 'jsonl' : 'plain';
    const fixed: Readonly<Record<string, ValueType>> = { ...VECS, ...BINS };
    this.type = fixed[extension] ?? type;
    this.#dim = dim;
    this.#column = column;
    this.#left = rows;
    this.#partial = `${path}.${process.pid}.new`;
    try {
      this.#fd = openSync(this.#partial, 'w');
    } catch (cause) {
      throw ioError(path, cause);
    }
    if (extension === 'npy') this.#put(npyHeader(rows, dim, this.type));
    else if (extension in BINS) this.#put(new Uint8Array(Uint32Array.of(rows, dim).buffer));
  }

  /** The next rows. Values of another type are converted where that loses nothing but a float's last digits. */
  write(values: Values, ids?: Float64Array | undefined): void {
    const cast = castTo(this.path, values, this.type, this.#dim);
    this.#left -= cast.length / this.#dim;
    if (this.#format === 'jsonl') this.#lines(cast, ids);
    else if (this.#format === 'vecs') this.#counted(cast);
    else this.#put(new Uint8Array(cast.buffer, cast.byteOffset, cast.byteLength));
  }

  /** Puts the file in its place. */
  close(): void {
    if (this.#left !== 0) throw new Error(`${this.path}: closed ${this.#left} rows before its end`);
    closeSync(this.#fd);
    this.#closed = true;
    try {
      renameSync(this.#partial, this.path);
    } catch (cause) {
      rmSync(this.#partial, { force: true });
      throw ioError(this.path, cause);
    }
  }

  /** Leaves nothing behind, unless the file is already whole. */
  discard(): void {
    if (this.#closed) return;
    this.#closed = true;
    closeSync(this.#fd);
    rmSync(this.#partial, { force: true });
  }

  #counted(values: Values): void {
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    const width = this.#dim * bytesOf(this.type);
    const n = bytes.length / width;
    const out = new Uint8Array(n * (4 + width));
    const view = new DataView(out.buffer);
    for (let i = 0; i < n; i++) {
      view.setInt32(i * (4 + width), this.#dim, true);
      out.set(bytes.subarray(i * width, (i + 1) * width), i * (4 + width) + 4);
    }
    this.#put(out);
  }

  #lines(values: Values, ids: Float64Array | undefined): void {
    const digits = values instanceof Float32Array ? shortest : String;
    const name = JSON.stringify(this.#column);
    const lines: string[] = [];
    for (let i = 0; i * this.#dim < values.length; i++) {
      const vector = `[${Array.from(values.subarray(i * this.#dim, (i + 1) * this.#dim), digits).join(',')}]`;
      lines.push(ids === undefined ? `${vector}\n` : `{"id":${ids[i]},${name}:${vector}}\n`);
    }
    this.#put(Buffer.from(lines.join('')));
  }

  #put(bytes: Uint8Array): void {
    try {
      for (let done = 0; done < bytes.length; ) {
        done += writeSync(this.#fd, bytes, done, Math.min(bytes.length - done, 1 << 30));
      }
    } catch (cause) {
      throw ioError(this.path, cause);
    }
  }
}

/** Few digits that give the same f32 again. */
function shortest(x: number): string {
  if (Object.is(x, -0)) return '-0';
  if (Number.isSafeInteger(x)) return String(x);
  const text = String(Number(x.toPrecision(7)));
  if (Math.fround(Number(text)) === x) return text;
  return x.toPrecision(Math.fround(Number(x.toPrecision(8))) === x ? 8 : 9);
}

const RANGES = { u8: [0, 255], i8: [-128, 127], i32: [-(2 ** 31), 2 ** 31 - 1] } as const;

/** The values as another type; whole numbers stay what they are, and an error names the first that would not. */
export function castTo(path: string, values: Values | Float64Array, type: ValueType, dim: number): Values {
  if (type === 'f32') return values instanceof Float32Array ? values : Float32Array.from(values);
  const Type = { u8: Uint8Array, i8: Int8Array, i32: Int32Array }[type];
  if (values instanceof Type) return values;
  const [least, most] = RANGES[type];
  const at = (values as Float32Array).findIndex((x) => !(Number.isInteger(x) && x >= least && x <= most));
  if (at < 0) return Type.from(values);
  throw unfit(
    path,
    `it holds ${type}, whole numbers from ${least} to ${most}, and column ${at % dim} of a row is ${values[at]}`,
  );
}

function npyHeader(rows: number, dim: number, type: ValueType): Uint8Array {
  const descr = Object.entries(NPY).find(([, stored]) => stored === type)?.[0];
  const dict = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${rows}, ${dim}), }`;
  // The values start at a multiple of 64 bytes, so that they can be mapped aligned.
  const length = Math.ceil((10 + dict.length + 1) / 64) * 64 - 10;
  const out = new Uint8Array(10 + length).fill(32);
  out.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, length & 255, length >> 8]);
  for (let i = 0; i < dict.length; i++) out[10 + i] = dict.charCodeAt(i);
  out[9 + length] = 10;
  return out;
}
