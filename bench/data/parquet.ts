import { existsSync } from 'node:fs';
import { checkFinite, checkShape, DataError, type Matrix } from './rows.js';

/** What is used of hyparquet. */
interface Hyparquet {
  asyncBufferFromFile(path: string): Promise<object>;
  parquetMetadataAsync(file: object): Promise<{ num_rows: bigint }>;
  parquetReadObjects(options: {
    file: object;
    columns?: string[];
    rowStart: number;
    rowEnd: number;
    compressors: object;
  }): Promise<Record<string, unknown>[]>;
}

/** Rows decoded at a time. */
const STEP = 8192;

/**
 * Reads a column of a Parquet file whose values are lists of numbers, all of one length: `column`, or the only such column.
 * `limit` reads only the first rows.
 */
export async function readParquet(path: string, column?: string, limit = Infinity): Promise<Matrix<Float32Array>> {
  if (!existsSync(path)) throw new DataError(path, 'no such file');
  const { hyparquet, compressors } = await load(path);
  try {
    const file = await hyparquet.asyncBufferFromFile(path);
    const metadata = await hyparquet.parquetMetadataAsync(file);
    const rows = Math.min(Number(metadata.num_rows), limit);
    const read = (rowStart: number, rowEnd: number, columns?: string[]): Promise<Record<string, unknown>[]> =>
      hyparquet.parquetReadObjects({ file, rowStart, rowEnd, compressors, ...(columns && { columns }) });
    const [first = {}] = await read(0, 1);
    const name = chosen(path, first, column);
    const dim = (first[name] as ArrayLike<number>).length;
    checkShape(path, rows, dim);
    const data = new Float32Array(rows * dim);
    for (let row = 0; row < rows; row += STEP) {
      const end = Math.min(rows, row + STEP);
      const slice = await read(row, end, [name]);
      for (let i = 0; i < end - row; i++) {
        const list = slice[i]?.[name];
        if (!isVector(list) || list.length !== dim) {
          throw new DataError(path, `row ${row + i} of column ${name} is no list of ${dim} numbers, as row 0 is`);
        }
        data.set(list as ArrayLike<number>, (row + i) * dim);
      }
    }
    const matrix = { data, rows, dim };
    checkFinite(path, matrix);
    return matrix;
  } catch (cause) {
    if (cause instanceof DataError) throw cause;
    throw new DataError(path, `cannot be read as Parquet: ${(cause as Error).message}`);
  }
}

const isVector = (value: unknown): value is ArrayLike<unknown> =>
  (Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView))) &&
  Array.prototype.every.call(value, (x) => typeof x === 'number');

function chosen(path: string, first: Record<string, unknown>, column: string | undefined): string {
  const lists = Object.keys(first).filter((name) => isVector(first[name]) && (first[name] as unknown[]).length > 0);
  if (column !== undefined) {
    if (lists.includes(column)) return column;
    throw new DataError(
      path,
      `column ${column} holds no lists of numbers; those that do: ${lists.join(', ') || 'none'}`,
    );
  }
  if (lists.length === 1) return lists[0]!;
  throw new DataError(
    path,
    lists.length === 0
      ? `expected a column of lists of numbers, found ${Object.keys(first).join(', ') || 'no row'}`
      : `has several columns of lists (${lists.join(', ')}): name one with --column`,
  );
}

/** Named at run time only, so that the other formats need no package. */
async function load(path: string): Promise<{ hyparquet: Hyparquet; compressors: object }> {
  const [reader, codecs] = ['hyparquet', 'hyparquet-compressors'];
  try {
    const hyparquet = (await import(reader!)) as Hyparquet;
    const { compressors } = (await import(codecs!)) as { compressors: object };
    return { hyparquet, compressors };
  } catch (cause) {
    throw new DataError(
      path,
      `Parquet wants the package hyparquet, which is not installed (npm ci): ${(cause as Error).message}`,
    );
  }
}
