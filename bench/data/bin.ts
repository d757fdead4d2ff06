import { checkFinite, checkShape, DataError, type Matrix, type OpenFile, type RowArray, withFile } from './rows.js';

const TYPES = {
  fbin: Float32Array,
  u8bin: Uint8Array,
  i8bin: Int8Array,
} as const;
type Kind = keyof typeof TYPES;

export const BIN_NAME = /\.(fbin|u8bin|i8bin)$/;

/**
 * Reads .fbin (f32), .u8bin or .i8bin of the big-ann-benchmarks: two uint32, how many rows and how long they are, then the
 * rows, little-endian. `limit` reads only the first rows.
 */
export function readBin(path: string, limit = Number.POSITIVE_INFINITY): Matrix {
  const kind = BIN_NAME.exec(path)?.[1] as Kind | undefined;
  if (kind === undefined) throw new DataError(path, 'expected a name that ends in .fbin, .u8bin or .i8bin');
  return withFile(path, (file) => {
    const { rows: all, dim } = shapeOf(file);
    const width = TYPES[kind].BYTES_PER_ELEMENT;
    const expected = 8 + all * dim * width;
    if (file.size !== expected) {
      throw new DataError(path, `expected ${expected} bytes for ${all} × ${dim} of ${kind}, got ${file.size}`);
    }
    const rows = Math.min(all, limit);
    const bytes = new Uint8Array(rows * dim * width);
    file.read(bytes, 8);
    const matrix = { data: new TYPES[kind](bytes.buffer) as RowArray, rows, dim };
    checkFinite(path, matrix);
    return matrix;
  });
}

/** Reads true neighbours (.ibin): two uint32, then queries × k uint32 ids, then as many f32 distances or nothing. */
export function readTruthBin(path: string): Matrix<Int32Array> {
  return withFile(path, (file) => {
    const { rows, dim } = shapeOf(file);
    const ids = rows * dim * 4;
    if (file.size !== 8 + ids && file.size !== 8 + 2 * ids) {
      throw new DataError(path, `expected ${8 + ids} or, with distances, ${8 + 2 * ids} bytes, got ${file.size}`);
    }
    const data = new Int32Array(rows * dim);
    file.read(new Uint8Array(data.buffer), 8);
    return { data, rows, dim };
  });
}

function shapeOf(file: OpenFile): { rows: number; dim: number } {
  if (file.size < 8) throw new DataError(file.path, `has ${file.size} bytes, too few for a shape`);
  const shape = new Uint32Array(2);
  file.read(new Uint8Array(shape.buffer), 0);
  const [rows, dim] = shape as unknown as [number, number];
  checkShape(file.path, rows, dim);
  return { rows, dim };
}
