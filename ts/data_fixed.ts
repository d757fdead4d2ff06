// Files in which every row has its place: .npy, .fvecs and its like, .fbin and its like.
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import {
  bad,
  checkFinite,
  checkShape,
  ioError,
  type RowSource,
  type Slice,
  unfit,
  type Values,
  type ValueType,
} from './data_source.js';
import { AnnexError } from './errors.js';

/** Types of values as they lie in files, little-endian. */
const BYTES = { f16: 2, f32: 4, f64: 8, u8: 1, i8: 1, i32: 4, i64: 8 } as const;
type Stored = keyof typeof BYTES;

const READ_AS: Readonly<Record<Stored, ValueType>> = {
  f16: 'f32',
  f32: 'f32',
  f64: 'f32',
  u8: 'u8',
  i8: 'i8',
  i32: 'i32',
  i64: 'i32',
};

/** Where rows lie in a file. */
interface Layout {
  readonly rows: number;
  readonly dim: number;
  readonly stored: Stored;
  /** Of row 0. */
  readonly offset: number;
  /** Bytes from row to row; `skip` of them stand before its values. */
  readonly stride: number;
  readonly skip: number;
}

export const VECS = { fvecs: 'f32', bvecs: 'u8', ivecs: 'i32' } as const;
export const BINS = { fbin: 'f32', u8bin: 'u8', i8bin: 'i8', ibin: 'i32' } as const;
export const NPY = {
  '<f4': 'f32',
  '<f2': 'f16',
  '<f8': 'f64',
  '|u1': 'u8',
  '|i1': 'i8',
  '<i4': 'i32',
  '<i8': 'i64',
} as const;
export const FIXED = ['npy', ...Object.keys(VECS), ...Object.keys(BINS)];

/** A regular file, read at any place. */
export class InputFile {
  readonly path: string;
  readonly size: number;
  readonly #fd: number;

  constructor(path: string) {
    this.path = path;
    try {
      this.#fd = openSync(path, 'r');
    } catch (cause) {
      throw ioError(path, cause);
    }
    const facts = fstatSync(this.#fd);
    this.size = facts.size;
    if (facts.isFile()) return;
    this.close();
    throw new AnnexError('IO', `${path}: expected a regular file`);
  }

  /** Up to `into.length` bytes from `at` on; how many there were. */
  readSome(into: Uint8Array, at: number): number {
    let done = 0;
    while (done < into.length) {
      let got: number;
      try {
        got = readSync(this.#fd, into, done, Math.min(into.length - done, 1 << 30), at + done);
      } catch (cause) {
        throw ioError(this.path, cause);
      }
      if (got === 0) break;
      done += got;
    }
    return done;
  }

  read(at: number, n: number): Uint8Array<ArrayBuffer> {
    const out = new Uint8Array(n);
    const got = this.readSome(out, at);
    if (got < n) throw bad(this.path, `it ends at byte ${at + got}, expected ${n - got} more`);
    return out;
  }

  close(): void {
    closeSync(this.#fd);
  }
}

class FixedRows implements RowSource {
  readonly hasIds = false;
  readonly seekable = true;
  readonly #file: InputFile;
  readonly #layout: Layout;

  constructor(file: InputFile, layout: Layout) {
    this.#file = file;
    this.#layout = layout;
  }

  get path(): string {
    return this.#file.path;
  }

  get rows(): number {
    return this.#layout.rows;
  }

  get dim(): number {
    return this.#layout.dim;
  }

  get type(): ValueType {
    return READ_AS[this.#layout.stored];
  }

  async read(start: number, n: number): Promise<Slice> {
    return { values: this.readSync(start, n) };
  }

  readSync(start: number, n: number): Values {
    const { dim, stored, offset, stride, skip } = this.#layout;
    const raw = this.#file.read(offset + start * stride, n * stride);
    if (skip === 0) return decode(this.path, raw, stored);
    const width = dim * BYTES[stored];
    const view = new DataView(raw.buffer);
    const packed = new Uint8Array(n * width);
    for (let i = 0; i < n; i++) {
      const says = view.getInt32(i * stride, true);
      if (says !== dim) throw bad(this.path, `row ${start + i} says ${says} values, expected ${dim} as in row 0`);
      packed.set(raw.subarray(i * stride + skip, (i + 1) * stride), i * width);
    }
    return decode(this.path, packed, stored);
  }

  close(): void {
    this.#file.close();
  }
}

function decode(path: string, bytes: Uint8Array<ArrayBuffer>, stored: Stored): Values {
  switch (stored) {
    case 'u8':
      return bytes;
    case 'i8':
      return new Int8Array(bytes.buffer);
    case 'f32':
      return new Float32Array(bytes.buffer);
    case 'f64':
      return Float32Array.from(new Float64Array(bytes.buffer));
    case 'f16':
      return widen(new Uint16Array(bytes.buffer));
    case 'i32':
      return new Int32Array(bytes.buffer);
    case 'i64':
      return narrow(path, new BigInt64Array(bytes.buffer));
  }
}

/** The first rows at once, and synchronously. */
export function readFixed(path: string, limit = Number.POSITIVE_INFINITY): { data: Values; rows: number; dim: number } {
  const source = openFixed(path, path.slice(path.lastIndexOf('.') + 1));
  try {
    const rows = Math.min(limit, source.rows);
    const data = source.readSync(0, rows);
    checkFinite(source, data, 0);
    return { data, rows, dim: source.dim };
  } finally {
    source.close();
  }
}

/** Opens a file whose extension is one of {@link FIXED}. */
export function openFixed(path: string, extension: string): FixedRows {
  const file = new InputFile(path);
  try {
    return new FixedRows(file, layoutOf(file, extension));
  } catch (error) {
    file.close();
    throw error;
  }
}

function layoutOf(file: InputFile, extension: string): Layout {
  if (extension === 'npy') return npyLayout(file);
  const vecs = VECS[extension as keyof typeof VECS];
  return vecs === undefined ? binLayout(file, BINS[extension as keyof typeof BINS]) : vecsLayout(file, vecs);
}

function vecsLayout(file: InputFile, stored: Stored): Layout {
  const { path, size } = file;
  if (size < 4) throw bad(path, `expected at least one row, got ${size} bytes`);
  const dim = new DataView(file.read(0, 4).buffer).getInt32(0, true);
  const stride = 4 + dim * BYTES[stored];
  if (dim < 1 || size % stride !== 0) {
    throw bad(path, `its first row says ${dim} values, and ${size} bytes are no whole number of such rows`);
  }
  checkShape(path, size / stride, dim);
  return { rows: size / stride, dim, stored, offset: 0, stride, skip: 4 };
}

function binLayout(file: InputFile, stored: Stored): Layout {
  const { path, size } = file;
  if (size < 8) throw bad(path, `expected a header of 8 bytes, got ${size}`);
  const view = new DataView(file.read(0, 8).buffer);
  const [rows, dim] = [view.getUint32(0, true), view.getUint32(4, true)];
  checkShape(path, rows, dim);
  const stride = dim * BYTES[stored];
  const expected = 8 + rows * stride;
  // True neighbours may be followed by their distances.
  if (size !== expected && !(stored === 'i32' && size === expected + rows * stride)) {
    throw bad(path, `expected ${expected} bytes for ${rows} × ${dim} of ${stored}, got ${size}`);
  }
  return { rows, dim, stored, offset: 8, stride, skip: 0 };
}

/** NumPy's format 1 to 3. */
function npyLayout(file: InputFile): Layout {
  const { path, size } = file;
  if (size < 12) throw bad(path, `expected the header of a .npy file, got ${size} bytes`);
  const head = file.read(0, 12);
  if (String.fromCharCode(...head.subarray(0, 6)) !== '\x93NUMPY') throw bad(path, 'expected the magic of a .npy file');
  const version = head[6] as number;
  if (version < 1 || version > 3) throw unfit(path, `expected .npy format 1, 2 or 3, got ${version}`);
  const view = new DataView(head.buffer);
  const length = version > 1 ? view.getUint32(8, true) : view.getUint16(8, true);
  const start = version > 1 ? 12 : 10;
  if (start + length > size) throw bad(path, `its header of ${length} bytes runs beyond its end`);
  const { descr, fortran, shape } = parseHeader(path, file.read(start, Math.min(length, 4096)));
  if (!(descr in NPY)) throw unfit(path, `expected values of ${Object.keys(NPY).join(', ')}, got ${descr}`);
  if (fortran) throw unfit(path, 'it is in Fortran order: save numpy.ascontiguousarray(…)');
  const [rows, dim] = shape;
  if (shape.length !== 2 || rows === undefined || dim === undefined) {
    throw unfit(path, `expected two dimensions (rows, dim), got shape (${shape.join(', ')})`);
  }
  checkShape(path, rows, dim);
  const stored = NPY[descr as keyof typeof NPY];
  const stride = dim * BYTES[stored];
  const offset = start + length;
  const expected = offset + rows * stride;
  if (size !== expected) throw bad(path, `expected ${expected} bytes for ${rows} × ${dim} of ${descr}, got ${size}`);
  return { rows, dim, stored, offset, stride, skip: 0 };
}

const ENTRY = String.raw`'descr':\s*'([^']*)'|'fortran_order':\s*(True|False)|'shape':\s*\(([\d,\s]*)\)`;
const HEADER = new RegExp(String.raw`^\{\s*(?:${ENTRY})\s*,\s*(?:${ENTRY})\s*,\s*(?:${ENTRY})\s*,?\s*\}\s*$`);

function parseHeader(path: string, bytes: Uint8Array): { descr: string; fortran: boolean; shape: number[] } {
  const text = String.fromCharCode(...bytes);
  const found = HEADER.exec(text);
  const pick = (group: number): string | undefined => found?.[group] ?? found?.[group + 3] ?? found?.[group + 6];
  const [descr, fortran, shape] = [pick(1), pick(2), pick(3)];
  if (descr === undefined || fortran === undefined || shape === undefined) {
    const got = JSON.stringify(text.trim().slice(0, 200));
    throw bad(path, `expected a header with descr, fortran_order and shape, got ${got}`);
  }
  const sizes = shape.split(',').map((size) => size.trim());
  return { descr, fortran: fortran === 'True', shape: sizes.filter((size) => size !== '').map(Number) };
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

/** Whole numbers of 64 bits, such as ids, that fit into 32. */
export function narrow(path: string, wide: BigInt64Array | BigUint64Array): Int32Array {
  return Int32Array.from(wide, (value) => {
    if (BigInt.asIntN(32, value) === value) return Number(value);
    throw unfit(path, `expected whole numbers of 32 bits, got ${value}`);
  });
}
