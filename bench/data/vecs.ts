import { checkFinite, checkShape, DataError, type Matrix, SLICE_BYTES, withFile } from './rows.js';

/** Bytes of a value, by the extension's first letter. */
const VALUE_BYTES = { f: 4, i: 4, b: 1 } as const;
type Kind = keyof typeof VALUE_BYTES;

/**
 * Reads .fvecs (f32), .bvecs (u8) or .ivecs (i32): every row is an int32 count, the same in all of them, followed by
 * that many values, little-endian. `limit` reads only the first rows.
 */
export function readVecs(path: string, limit?: number): Matrix<Float32Array | Uint8Array | Int32Array> {
  const kind = /\.([fib])vecs$/.exec(path)?.[1] as Kind | undefined;
  if (kind === undefined) throw new DataError(path, 'expected a name that ends in .fvecs, .ivecs or .bvecs');
  return withFile(path, (file) => {
    if (file.size < 4) throw new DataError(path, `has ${file.size} bytes, too few for one row`);
    const head = new Uint8Array(4);
    file.read(head, 0);
    const dim = new DataView(head.buffer).getInt32(0, true);
    const width = VALUE_BYTES[kind];
    const stride = 4 + dim * width;
    if (dim < 1 || file.size % stride !== 0) {
      throw new DataError(path, `first row says ${dim} values; ${file.size} bytes are no whole number of such rows`);
    }
    const rows = Math.min(file.size / stride, limit ?? Number.POSITIVE_INFINITY);
    checkShape(path, rows, dim);

    const bytes = new Uint8Array(rows * dim * width);
    const perSlice = Math.max(1, Math.floor(SLICE_BYTES / stride));
    const slice = new Uint8Array(Math.min(perSlice, rows) * stride);
    const view = new DataView(slice.buffer);
    for (let row = 0; row < rows; row += perSlice) {
      const count = Math.min(perSlice, rows - row);
      file.read(slice.subarray(0, count * stride), row * stride);
      for (let i = 0; i < count; i++) {
        const says = view.getInt32(i * stride, true);
        if (says !== dim) throw new DataError(path, `row ${row + i} says ${says} values, expected ${dim} as in row 0`);
        bytes.set(slice.subarray(i * stride + 4, (i + 1) * stride), (row + i) * dim * width);
      }
    }
    if (kind === 'i') return { data: new Int32Array(bytes.buffer), rows, dim };
    const matrix = { data: kind === 'f' ? new Float32Array(bytes.buffer) : bytes, rows, dim };
    checkFinite(path, matrix);
    return matrix;
  });
}
