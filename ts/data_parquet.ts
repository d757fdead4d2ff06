// A column of lists of a Parquet file, by the packages hyparquet and hyparquet-compressors where those are installed.
import { getHeapStatistics } from 'node:v8';
import type { AsyncBuffer, FileMetaData, SchemaTree } from 'hyparquet';
import { InputFile } from './data_fixed.js';
import { idOf } from './data_ids.js';
import { needed } from './data_optional.js';
import { bad, checkShape, type RowSource, type Slice, unfit } from './data_source.js';
import { AnnexError } from './errors.js';

export interface ParquetOptions {
  /** The column with the vectors; the only one of lists where there is no name. */
  readonly column?: string | undefined;
  /** A column with ids. */
  readonly idColumn?: string | undefined;
}

/** Values by the names of their columns. */
type Row = Readonly<Record<string, unknown>>;
type Read = (start: number, end: number) => Promise<readonly Row[]>;

/** Rows that are decoded at once: a row group or, where the file tells where its pages begin, some of it. */
interface Run {
  readonly start: number;
  readonly end: number;
}
const STEP = 4096;

/** The part of the heap that one run may take. Decoded lists are arrays of JavaScript's: 8 bytes a number, and their own. */
const SHARE = 0.6;
const decodedBytes = (rows: number, dim: number): number => rows * (8 * dim + 64);

class ParquetRows implements RowSource {
  readonly type = 'f32';
  readonly seekable = false;
  readonly path: string;
  readonly rows: number;
  readonly dim: number;
  readonly hasIds: boolean;
  readonly #file: InputFile;
  readonly #read: Read;
  readonly #runs: readonly Run[];
  readonly #column: string;
  readonly #idColumn: string | undefined;
  /** The run that was decoded last: slices come in sequence. */
  #kept: Run & Slice;

  private constructor(
    file: InputFile,
    read: Read,
    runs: readonly Run[],
    { column, idColumn }: { column: string; idColumn?: string | undefined },
    first: readonly Row[],
  ) {
    this.path = file.path;
    this.rows = (runs.at(-1) as Run).end;
    this.hasIds = idColumn !== undefined;
    this.#file = file;
    this.#read = read;
    this.#runs = runs;
    this.#column = column;
    this.#idColumn = idColumn;
    const vector = first[0]?.[column];
    if (!isVector(vector) || vector.length === 0)
      throw unfit(this.path, `column ${column} holds no list of numbers in row 0`);
    this.dim = vector.length;
    checkShape(this.path, this.rows, this.dim);
    this.#kept = this.#packed(runs[0] as Run, first);
  }

  static async open(
    file: InputFile,
    read: Read,
    runs: readonly Run[],
    columns: { column: string; idColumn?: string | undefined },
  ): Promise<ParquetRows> {
    return new ParquetRows(file, read, runs, columns, await read(0, (runs[0] as Run).end));
  }

  async read(start: number, n: number): Promise<Slice> {
    const { dim } = this;
    const values = new Float32Array(n * dim);
    const ids = this.hasIds ? new Float64Array(n) : undefined;
    for (let row = start; row < start + n; ) {
      const run = await this.#runAt(row);
      const [from, to] = [row - run.start, Math.min(run.end, start + n) - run.start];
      values.set(run.values.subarray(from * dim, to * dim), (row - start) * dim);
      if (run.ids !== undefined) ids?.set(run.ids.subarray(from, to), row - start);
      row += to - from;
    }
    return { values, ids };
  }

  close(): void {
    this.#file.close();
  }

  async #runAt(row: number): Promise<Run & Slice> {
    if (row < this.#kept.start || row >= this.#kept.end) {
      const run = this.#runs.find(({ end }) => row < end) as Run;
      this.#kept = this.#packed(run, await this.#read(run.start, run.end));
    }
    return this.#kept;
  }

  #packed(run: Run, rows: readonly Row[]): Run & Slice {
    const { path, dim } = this;
    if (rows.length !== run.end - run.start) throw bad(path, `it ends before row ${run.end}`);
    const values = new Float32Array(rows.length * dim);
    const ids = this.hasIds ? new Float64Array(rows.length) : undefined;
    for (const [i, row] of rows.entries()) {
      const list = row[this.#column];
      if (!isVector(list) || list.length !== dim) {
        const got = isVector(list) ? `${list.length} numbers` : 'something else';
        const where = `row ${run.start + i} of column ${this.#column}`;
        throw bad(path, `${where} holds ${got}, expected a list of ${dim} numbers as in row 0`);
      }
      values.set(list, i * dim);
      if (ids !== undefined) ids[i] = idOf(path, `row ${run.start + i}`, row[this.#idColumn as string]);
    }
    return { ...run, values, ids };
  }
}

export async function openParquet(path: string, { column, idColumn }: ParquetOptions): Promise<RowSource> {
  const file = new InputFile(path);
  const guarded = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (cause) {
      if (cause instanceof AnnexError) throw cause;
      throw bad(path, `it cannot be read as Parquet: ${(cause as Error).message}`);
    }
  };
  try {
    const hyparquet = await needed(path, 'hyparquet', () => import('hyparquet'));
    const { compressors } = await needed(path, 'hyparquet-compressors', () => import('hyparquet-compressors'));
    const buffer: AsyncBuffer = {
      byteLength: file.size,
      slice: (start, end = file.size) => file.read(start, Math.max(0, Math.min(end, file.size) - start)).buffer,
    };
    const metadata = await guarded(() => hyparquet.parquetMetadataAsync(buffer));
    checkShape(path, Number(metadata.num_rows), 1);
    const chosen = choose(path, hyparquet.parquetSchema(metadata), column);
    if (
      idColumn !== undefined &&
      !hyparquet.parquetSchema(metadata).children.some((one) => one.element.name === idColumn)
    ) {
      throw unfit(path, `it has no column "${idColumn}" for ids`);
    }
    const columns = idColumn === undefined ? [chosen] : [chosen, idColumn];
    const { runs, paged } = runsOf(path, metadata, columns);
    const read: Read = (rowStart, rowEnd) =>
      guarded(() =>
        hyparquet.parquetReadObjects({
          file: buffer,
          metadata,
          columns,
          rowStart,
          rowEnd,
          compressors,
          useOffsetIndex: paged,
        }),
      );
    return await ParquetRows.open(file, read, runs, { column: chosen, idColumn });
  } catch (error) {
    file.close();
    throw error;
  }
}

function isVector(value: unknown): value is ArrayLike<number> {
  if (!Array.isArray(value) && !(ArrayBuffer.isView(value) && !(value instanceof DataView))) return false;
  return Array.prototype.every.call(value, (x) => typeof x === 'number');
}

/** How a column's values look as the schema tells: lists of numbers, text that may be JSON, or something else. */
function looks(node: SchemaTree): 'list' | 'json' | undefined {
  let [leaf, repeated] = [node, false];
  for (;;) {
    repeated ||= leaf.element.repetition_type === 'REPEATED';
    const [child, more] = leaf.children;
    if (child === undefined) break;
    if (more !== undefined) return undefined;
    leaf = child;
  }
  const { type, converted_type, logical_type } = leaf.element;
  if (converted_type === 'JSON' || logical_type?.type === 'JSON') return 'json';
  const numbers = /^(INT32|FLOAT|DOUBLE)$/.test(type ?? '') || logical_type?.type === 'FLOAT16';
  return repeated && numbers ? 'list' : undefined;
}

function choose(path: string, schema: SchemaTree, column: string | undefined): string {
  const names = schema.children.map(({ element }) => element.name);
  const like = (look: string): string[] => names.filter((_, i) => looks(schema.children[i] as SchemaTree) === look);
  const lists = like('list').length > 0 ? like('list') : like('json');
  if (column !== undefined) {
    if (names.includes(column)) return column;
    throw unfit(path, `it has no column "${column}"; those with lists of numbers: ${lists.join(', ') || 'none'}`);
  }
  const [first, ...more] = lists;
  if (first === undefined)
    throw unfit(path, `expected a column of lists of numbers, found ${names.join(', ') || 'none'}`);
  if (more.length > 0)
    throw unfit(path, `it has several columns of lists, ${lists.join(', ')}: name one with --column`);
  return first;
}

function runsOf(
  path: string,
  { row_groups }: FileMetaData,
  columns: readonly string[],
): { runs: Run[]; paged: boolean } {
  const chunks = row_groups.flatMap((group) =>
    group.columns.filter(({ meta_data }) => columns.includes(meta_data?.path_in_schema[0] ?? '')),
  );
  const paged = chunks.every(({ offset_index_offset }) => offset_index_offset !== undefined);
  const runs: Run[] = [];
  let at = 0;
  for (const group of row_groups) {
    const rows = Number(group.num_rows);
    const step = paged ? STEP : rows;
    for (let row = 0; row < rows; row += step) runs.push({ start: at + row, end: at + Math.min(rows, row + step) });
    const values = Math.max(
      0,
      ...group.columns.map(({ meta_data }) =>
        meta_data?.path_in_schema[0] === columns[0] ? Number(meta_data?.num_values) : 0,
      ),
    );
    if (!paged && decodedBytes(rows, values / rows) > SHARE * getHeapStatistics().heap_size_limit) {
      throw unfit(
        path,
        `a row group of ${rows} rows is too large to be decoded in memory: write smaller ones (row_group_size=65536) ` +
          'or an index of pages (write_page_index=True), or allow more memory (NODE_OPTIONS=--max-old-space-size=…)',
      );
    }
    at += rows;
  }
  if (runs.length === 0) throw bad(path, 'expected at least one row, got none');
  return { runs, paged };
}
