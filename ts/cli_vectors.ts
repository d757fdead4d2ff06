// Files of vectors, read and written row by row: what does not fit into memory passes through it in slices.
import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import { AnnexError } from './errors.js';

export type Values = Float32Array | Uint8Array | Int8Array;
const BYTES = { f32: 4, f16: 2, u8: 1, i8: 1, i32: 4 } as const;
/** Types of values: f16 is widened to f32 when read, which loses nothing. */
export type ValueType = keyof typeof BYTES;

/** Where rows lie in a file. */
interface Layout {
  readonly rows: number;
  readonly dim: number;
  readonly type: ValueType;
  /** Of row 0. */
  readonly offset: number;
  /** Bytes from row to row; `skip` of them stand before its values. */
  readonly stride: number;
  readonly skip: number;
}

/** Rows of .ivecs are read as f32: ids beyond 2^24 are not for vectors. */
const VECS: Readonly<Record<string, ValueType>> = { fvecs: 'f32', bvecs: 'u8', ivecs: 'i32' };
const BINS: Readonly<Record<string, ValueType>> = { fbin: 'f32', u8bin: 'u8', i8bin: 'i8' };
const NPY: Readonly<Record<string, ValueType>> = { '<f4': 'f32', '<f2': 'f16', '|u1': 'u8', '|i1': 'i8' };

export const EXTENSIONS = ['npy', ...Object.keys(VECS), ...Object.keys(BINS)];

function bad(path: string, what: string): AnnexError {
  return new AnnexError('CORRUPT', `${path}: ${what}`);
}

function io(path: string, cause: unknown): AnnexError {
  return new AnnexError('IO', `${path}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
}

function extensionOf(path: string): string {
  const extension = /\.([a-z0-9]+)$/i.exec(path)?.[1]?.toLowerCase() ?? '';
  if (EXTENSIONS.includes(extension)) return extension;
  throw new AnnexError(
    'UNSUPPORTED',
    `${path}: expected a file of vectors that ends in .${EXTENSIONS.join(', .')}, got ".${extension}"`,
  );
}

/** A file of rows × dim values, any stretch of which can be read. */
export class VectorFile {
  readonly path: string;
  readonly #fd: number;
  readonly #layout: Layout;

  private constructor(path: string, fd: number, layout: Layout) {
    this.path = path;
    this.#fd = fd;
    this.#layout = layout;
  }

  static open(path: string): VectorFile {
    const extension = extensionOf(path);
    let fd: number;
    try {
      fd = openSync(path, 'r');
    } catch (cause) {
      throw io(path, cause);
    }
    try {
      const facts = fstatSync(fd);
      if (!facts.isFile()) throw new AnnexError('IO', `${path}: expected a regular file`);
      const { size } = facts;
      const layout =
        extension === 'npy'
          ? npyLayout(path, fd, size)
          : extension in VECS
            ? vecsLayout(path, fd, size, VECS[extension] as ValueType)
            : binLayout(path, fd, size, BINS[extension] as ValueType);
      return new VectorFile(path, fd, layout);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  get rows(): number {
    return this.#layout.rows;
  }

  get dim(): number {
    return this.#layout.dim;
  }

  get type(): ValueType {
    return this.#layout.type;
  }

  /** Rows `start` … `start + n`, row-major: i8 and u8 as they are, everything else as f32. */
  read(start: number, n: number): Values {
    const { dim, type, offset, stride, skip } = this.#layout;
    const raw = readAt(this.path, this.#fd, offset + start * stride, n * stride);
    const width = dim * BYTES[type];
    let packed = raw;
    if (skip !== 0) {
      const view = new DataView(raw.buffer);
      packed = new Uint8Array(n * width);
      for (let i = 0; i < n; i++) {
        const says = view.getInt32(i * stride, true);
        if (says !== dim) throw bad(this.path, `row ${start + i} says ${says} values, expected ${dim} as in row 0`);
        packed.set(raw.subarray(i * stride + skip, (i + 1) * stride), i * width);
      }
    }
    if (type === 'u8') return packed;
    if (type === 'i8') return new Int8Array(packed.buffer);
    if (type === 'f32') return new Float32Array(packed.buffer);
    if (type === 'i32') return Float32Array.from(new Int32Array(packed.buffer));
    return widen(new Uint16Array(packed.buffer));
  }

  /** All rows in slices of about `bytes`. */
  *slices(bytes = 8 << 20): Generator<{ start: number; n: number; values: Values }> {
    const step = Math.max(1, Math.floor(bytes / this.#layout.stride));
    for (let start = 0; start < this.rows; start += step) {
      const n = Math.min(step, this.rows - start);
      yield { start, n, values: this.read(start, n) };
    }
  }

  /** Up to `most` rows spread evenly over the file, as f32 or bytes. */
  sample(most: number): Values {
    if (most >= this.rows) return this.read(0, this.rows);
    const first = this.read(0, 1);
    const out = new (first.constructor as new (length: number) => Values)(most * this.dim);
    for (let i = 0; i < most; i++) out.set(this.read(Math.floor((i * this.rows) / most), 1), i * this.dim);
    return out;
  }

  close(): void {
    closeSync(this.#fd);
  }
}

function readAt(path: string, fd: number, at: number, n: number): Uint8Array {
  const out = new Uint8Array(n);
  for (let done = 0; done < n; ) {
    let got: number;
    try {
      got = readSync(fd, out, done, Math.min(n - done, 1 << 30), at + done);
    } catch (cause) {
      throw io(path, cause);
    }
    if (got === 0) throw bad(path, `it ends at byte ${at + done}, expected ${n - done} more`);
    done += got;
  }
  return out;
}

function checkShape(path: string, rows: number, dim: number): void {
  if (
    !(Number.isSafeInteger(rows) && rows >= 0 && rows < 2 ** 32 && Number.isInteger(dim) && dim >= 1 && dim <= 1 << 20)
  ) {
    throw bad(path, `it says ${rows} rows of ${dim} values, which cannot be`);
  }
}

function vecsLayout(path: string, fd: number, size: number, type: ValueType): Layout {
  if (size < 4) throw bad(path, `expected at least one row, got ${size} bytes`);
  const dim = new DataView(readAt(path, fd, 0, 4).buffer).getInt32(0, true);
  const stride = 4 + dim * BYTES[type];
  if (dim < 1 || size % stride !== 0) {
    throw bad(path, `its first row says ${dim} values, and ${size} bytes are no whole number of such rows`);
  }
  checkShape(path, size / stride, dim);
  return { rows: size / stride, dim, type, offset: 0, stride, skip: 4 };
}

function binLayout(path: string, fd: number, size: number, type: ValueType): Layout {
  if (size < 8) throw bad(path, `expected a header of 8 bytes, got ${size}`);
  const view = new DataView(readAt(path, fd, 0, 8).buffer);
  const [rows, dim] = [view.getUint32(0, true), view.getUint32(4, true)];
  checkShape(path, rows, dim);
  const stride = dim * BYTES[type];
  if (size !== 8 + rows * stride)
    throw bad(path, `expected ${8 + rows * stride} bytes for ${rows} × ${dim}, got ${size}`);
  return { rows, dim, type, offset: 8, stride, skip: 0 };
}

function npyLayout(path: string, fd: number, size: number): Layout {
  if (size < 12) throw bad(path, `expected the header of a .npy file, got ${size} bytes`);
  const head = readAt(path, fd, 0, 12);
  if (String.fromCharCode(...head.subarray(0, 6)) !== '\x93NUMPY') throw bad(path, 'expected the magic of a .npy file');
  const view = new DataView(head.buffer);
  const wide = (head[6] as number) > 1;
  const length = wide ? view.getUint32(8, true) : view.getUint16(8, true);
  const start = wide ? 12 : 10;
  if (start + length > size) throw bad(path, 'its header runs beyond its end');
  const text = String.fromCharCode(...readAt(path, fd, start, Math.min(length, 4096)));
  const descr = /'descr':\s*'([^']*)'/.exec(text)?.[1] ?? '';
  const shape = /'shape':\s*\(\s*(\d+)\s*,\s*(\d+)\s*,?\s*\)/.exec(text);
  const type = NPY[descr];
  if (type === undefined) throw bad(path, `expected values of ${Object.keys(NPY).join(', ')}, got "${descr}"`);
  if (/'fortran_order':\s*True/.test(text)) throw bad(path, 'it is in Fortran order: save numpy.ascontiguousarray(…)');
  if (shape === null) throw bad(path, 'expected an array of two dimensions (rows, dim)');
  const [rows, dim] = [Number(shape[1]), Number(shape[2])];
  checkShape(path, rows, dim);
  const stride = dim * BYTES[type];
  const offset = start + length;
  if (size !== offset + rows * stride) {
    throw bad(path, `expected ${offset + rows * stride} bytes for ${rows} × ${dim} of ${descr}, got ${size}`);
  }
  return { rows, dim, type, offset, stride, skip: 0 };
}

/** IEEE binary16 to f32, exactly. */
function widen(halves: Uint16Array): Float32Array {
  const out = new Float32Array(halves.length);
  const bits = new Uint32Array(out.buffer);
  for (let i = 0; i < halves.length; i++) {
    const half = halves[i] as number;
    const sign = (half & 0x8000) << 16;
    const exponent = (half >> 10) & 31;
    const fraction = half & 0x3ff;
    if (exponent === 0) out[i] = (sign === 0 ? 1 : -1) * fraction * 2 ** -24;
    else if (exponent === 31) bits[i] = sign | 0x7f800000 | (fraction << 13);
    else bits[i] = sign | ((exponent + 112) << 23) | (fraction << 13);
  }
  return out;
}

/** Writes rows to a file whose name says how. */
export class VectorWriter {
  readonly path: string;
  readonly #fd: number;
  readonly #dim: number;
  readonly #vecs: boolean;

  constructor(path: string, rows: number, dim: number, type: ValueType) {
    const extension = extensionOf(path);
    const wanted = extension === 'npy' ? type : ((VECS[extension] ?? BINS[extension]) as ValueType);
    if (wanted !== type) {
      throw new AnnexError('UNSUPPORTED', `${path}: .${extension} holds ${wanted}, and the values are ${type}`);
    }
    this.path = path;
    this.#dim = dim;
    this.#vecs = extension in VECS;
    try {
      this.#fd = openSync(path, 'w');
      if (extension === 'npy') this.#put(npyHeader(rows, dim, type));
      else if (!this.#vecs) this.#put(new Uint8Array(Uint32Array.of(rows, dim).buffer));
    } catch (cause) {
      throw io(path, cause);
    }
  }

  write(values: Values | Int32Array): void {
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    if (!this.#vecs) {
      this.#put(bytes);
      return;
    }
    const width = this.#dim * values.BYTES_PER_ELEMENT;
    const n = bytes.length / width;
    const out = new Uint8Array(n * (4 + width));
    const view = new DataView(out.buffer);
    for (let i = 0; i < n; i++) {
      view.setInt32(i * (4 + width), this.#dim, true);
      out.set(bytes.subarray(i * width, (i + 1) * width), i * (4 + width) + 4);
    }
    this.#put(out);
  }

  close(): void {
    closeSync(this.#fd);
  }

  #put(bytes: Uint8Array): void {
    try {
      for (let done = 0; done < bytes.length; ) done += writeSync(this.#fd, bytes, done, bytes.length - done);
    } catch (cause) {
      throw io(this.path, cause);
    }
  }
}

function npyHeader(rows: number, dim: number, type: ValueType): Uint8Array {
  const descr = Object.entries(NPY).find(([, value]) => value === type)?.[0];
  if (descr === undefined) throw new AnnexError('UNSUPPORTED', `.npy is written of f32, u8 and i8, not ${type}`);
  const text = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${rows}, ${dim}), }`;
  const length = Math.ceil((10 + text.length + 1) / 64) * 64 - 10;
  const out = new Uint8Array(10 + length).fill(32);
  out.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, length & 255, length >> 8]);
  for (let i = 0; i < text.length; i++) out[10 + i] = text.charCodeAt(i);
  out[9 + length] = 10;
  return out;
}
