import {
  checkFinite,
  checkShape,
  DataError,
  type Matrix,
  type OpenFile,
  SLICE_BYTES,
  widenHalf,
  withFile,
} from './rows.js';

const MAGIC = '\x93NUMPY';
const TYPES = { '<f2': 2, '<f4': 4, '|u1': 1, '|i1': 1 } as const;
type Type = keyof typeof TYPES;

interface Header {
  readonly type: Type;
  readonly rows: number;
  readonly dim: number;
  /** First byte of the values. */
  readonly offset: number;
}

/**
 * Reads a two-dimensional array of NumPy's format 1.0 to 3.0: little-endian f2 (widened to f32), f4, u1 or i1, in C
 * order. The file must be exactly as long as its header says. `limit` reads only the first rows.
 */
export function readNpy(path: string, limit = Number.POSITIVE_INFINITY): Matrix {
  return withFile(path, (file) => {
    const header = readHeader(file);
    const rows = Math.min(header.rows, limit);
    const values = rows * header.dim;
    const matrix: Matrix = { data: readValues(file, header, values), rows, dim: header.dim };
    checkFinite(path, matrix);
    return matrix;
  });
}

function readHeader(file: OpenFile): Header {
  const { path } = file;
  if (file.size < 12) throw new DataError(path, `has ${file.size} bytes, too few for the header of a .npy file`);
  const start = new Uint8Array(12);
  file.read(start, 0);
  if (latin1(start.subarray(0, 6)) !== MAGIC) throw new DataError(path, 'expected the magic string of a .npy file');
  const major = start[6]!;
  if (major < 1 || major > 3) throw new DataError(path, `expected .npy format 1, 2 or 3, got ${major}`);
  const view = new DataView(start.buffer);
  const textStart = major === 1 ? 10 : 12;
  const textLength = major === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  if (textStart + textLength > file.size) {
    throw new DataError(path, `header of ${textLength} bytes runs beyond the file's ${file.size}`);
  }
  const text = new Uint8Array(textLength);
  file.read(text, textStart);
  const { descr, fortran, shape } = parseHeader(path, latin1(text));
  if (!(descr in TYPES)) throw new DataError(path, `expected values of ${Object.keys(TYPES).join(', ')}, got ${descr}`);
  if (fortran) throw new DataError(path, 'is in Fortran order, expected C order (numpy.ascontiguousarray)');
  if (shape.length !== 2)
    throw new DataError(path, `expected two dimensions (rows, dim), got shape (${shape.join(', ')})`);
  const [rows, dim] = shape as [number, number];
  checkShape(path, rows, dim);
  const type = descr as Type;
  const offset = textStart + textLength;
  const expected = offset + rows * dim * TYPES[type];
  if (file.size !== expected) {
    throw new DataError(path, `expected ${expected} bytes for ${rows} × ${dim} of ${type}, got ${file.size}`);
  }
  return { type, rows, dim, offset };
}

function parseHeader(path: string, text: string): { descr: string; fortran: boolean; shape: number[] } {
  const entry = String.raw`'descr':\s*'([^']*)'|'fortran_order':\s*(True|False)|'shape':\s*\(([\d,\s]*)\)`;
  const form = new RegExp(String.raw`^\{\s*(?:${entry})\s*,\s*(?:${entry})\s*,\s*(?:${entry})\s*,?\s*\}\s*$`);
  const found = form.exec(text);
  const pick = (group: number): string | undefined => found?.[group] ?? found?.[group + 3] ?? found?.[group + 6];
  const [descr, fortran, shape] = [pick(1), pick(2), pick(3)];
  if (descr === undefined || fortran === undefined || shape === undefined) {
    throw new DataError(
      path,
      `expected a header with descr, fortran_order and shape, got ${JSON.stringify(text.trim())}`,
    );
  }
  const sizes = shape.split(',').map((size) => size.trim());
  return { descr, fortran: fortran === 'True', shape: sizes.filter((size) => size !== '').map(Number) };
}

function readValues(file: OpenFile, header: Header, values: number): Float32Array | Uint8Array | Int8Array {
  const { type, offset } = header;
  if (type === '|u1' || type === '|i1') {
    const bytes = new Uint8Array(values);
    file.read(bytes, offset);
    return type === '|u1' ? bytes : new Int8Array(bytes.buffer);
  }
  const out = new Float32Array(values);
  if (type === '<f4') {
    file.read(new Uint8Array(out.buffer), offset);
    return out;
  }
  const slice = new Uint16Array(Math.min(values, SLICE_BYTES / 2));
  for (let at = 0; at < values; at += slice.length) {
    const part = slice.subarray(0, Math.min(slice.length, values - at));
    file.read(new Uint8Array(part.buffer, 0, part.byteLength), offset + at * 2);
    widenHalf(part, out, at);
  }
  return out;
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
}
