// JSON lines: an array of numbers a line, or an object with one.
import { InputFile } from './data_fixed.js';
import { idOf } from './data_ids.js';
import { bad, checkShape, type RowSource, type Slice, unfit } from './data_source.js';
import { describe } from './describe.js';

export interface JsonlOptions {
  /** The property with the vector; the only one that holds a list of numbers where there is no name. */
  readonly column?: string | undefined;
  /** The property with the id; `id` where the first row has one, and there is no name. */
  readonly idColumn?: string | undefined;
}

export const JSONL = ['jsonl', 'ndjson'];

/** Bytes of the longest line: enough for 32768 numbers with all their digits, and some text beside them. */
const LONGEST = 1 << 24;
const CHUNK = 1 << 22;
/** How many rows lie between two whose places are kept. */
const EVERY = 256;
const LF = 10;
const CR = 13;

interface Place {
  readonly row: number;
  /** Counted from 1, empty ones too. */
  readonly line: number;
  readonly offset: number;
}

/** Lines of a file from a place on, empty ones left out; holds a chunk, or a line where that is longer. */
class Lines {
  readonly #file: InputFile;
  #buffer = new Uint8Array(0);
  /** Of the buffer's first byte. */
  #offset: number;
  #at = 0;
  #line: number;
  #row: number;

  constructor(file: InputFile, { row, line, offset }: Place) {
    this.#file = file;
    this.#offset = offset;
    this.#line = line;
    this.#row = row;
  }

  /** Where the next line begins. */
  get place(): Place {
    return { row: this.#row, line: this.#line, offset: this.#offset + this.#at };
  }

  /** The bytes of the next row's line; undefined at the end. They are overwritten by the next call. */
  next(): Uint8Array | undefined {
    for (;;) {
      const end = this.#end();
      if (end === undefined) return undefined;
      let line = this.#buffer.subarray(this.#at, end);
      if (line.at(-1) === CR) line = line.subarray(0, -1);
      this.#at = Math.min(end + 1, this.#buffer.length);
      this.#line++;
      if (line.length === 0) continue;
      this.#row++;
      return line;
    }
  }

  /** Where the line that begins at #at ends, all of it in the buffer; undefined where no byte is left. */
  #end(): number | undefined {
    for (let from = this.#at; ; ) {
      const found = this.#buffer.indexOf(LF, from);
      if (found >= 0) return found;
      const rest = this.#buffer.length - this.#at;
      if (rest > LONGEST) {
        throw bad(this.#file.path, `line ${this.#line} has more than ${LONGEST} bytes, which is no row of vectors`);
      }
      from = rest;
      if (!this.#more(rest)) return rest === 0 ? undefined : this.#buffer.length;
    }
  }

  /** Moves the `rest` of the buffer to its start and adds a chunk; false where there is none. */
  #more(rest: number): boolean {
    const next = new Uint8Array(rest + CHUNK);
    next.set(this.#buffer.subarray(this.#at));
    this.#offset += this.#at;
    this.#at = 0;
    const got = this.#file.readSome(next.subarray(rest), this.#offset + rest);
    this.#buffer = next.subarray(0, rest + got);
    return got > 0;
  }
}

class JsonlRows implements RowSource {
  readonly type = 'f32';
  readonly seekable = false;
  readonly path: string;
  readonly dim: number;
  readonly rows: number;
  readonly hasIds: boolean;
  readonly #file: InputFile;
  readonly #column: string | undefined;
  readonly #idColumn: string | undefined;
  readonly #places: readonly Place[];
  #lines: Lines;

  /** Goes through the file once, for what has no count at its head. */
  constructor(file: InputFile, { column, idColumn }: JsonlOptions) {
    this.path = file.path;
    this.#file = file;
    const places: Place[] = [];
    const lines = new Lines(file, { row: 0, line: 1, offset: bomOf(file) });
    let rows = 0;
    let first: unknown;
    for (let place = lines.place, line = lines.next(); line !== undefined; place = lines.place, line = lines.next()) {
      if (rows === 0) first = this.#parse(line, lines.place.line - 1);
      if (rows % EVERY === 0) places.push(place);
      rows++;
    }
    if (rows === 0) throw bad(file.path, 'expected at least one row, got none');
    this.rows = rows;
    this.#places = places;
    this.#column = isObject(first) ? columnOf(file.path, first, column) : undefined;
    if (this.#column === undefined && column !== undefined) {
      throw unfit(file.path, `its rows are no objects, so they have no property "${column}"`);
    }
    this.#idColumn = isObject(first) ? idColumnOf(file.path, first, idColumn) : undefined;
    this.hasIds = this.#idColumn !== undefined;
    const vector = isObject(first) ? first[this.#column as string] : first;
    this.dim = Array.isArray(vector) ? vector.length : 0;
    if (this.dim === 0) throw bad(file.path, `row 0 is ${describe(vector)}, expected an array of numbers`);
    checkShape(file.path, rows, this.dim);
    this.#lines = new Lines(file, places[0] as Place);
  }

  async read(start: number, n: number): Promise<Slice> {
    const { path, dim } = this;
    this.#seek(start);
    const values = new Float32Array(n * dim);
    const ids = this.hasIds ? new Float64Array(n) : undefined;
    for (let i = 0; i < n; i++) {
      const line = this.#lines.next();
      if (line === undefined) throw bad(path, `it ends before row ${start + i}, which it had when it was opened`);
      const number = this.#lines.place.line - 1;
      const row = this.#parse(line, number);
      this.#put(this.#vectorOf(row, number), number, values, i * dim);
      if (ids !== undefined)
        ids[i] = idOf(path, `line ${number}`, (row as Record<string, unknown>)[this.#idColumn as string]);
    }
    return { values, ids };
  }

  close(): void {
    this.#file.close();
  }

  /** Sequential slices go on where the last one ended. */
  #seek(row: number): void {
    if (this.#lines.place.row > row || this.#lines.place.row + EVERY < row) {
      this.#lines = new Lines(this.#file, this.#places[Math.floor(row / EVERY)] as Place);
    }
    while (this.#lines.place.row < row) this.#lines.next();
  }

  #parse(line: Uint8Array, number: number): unknown {
    try {
      return JSON.parse(Buffer.from(line.buffer, line.byteOffset, line.length).toString());
    } catch (cause) {
      throw bad(this.path, `line ${number} is no JSON: ${(cause as Error).message}`);
    }
  }

  #vectorOf(row: unknown, number: number): readonly unknown[] {
    if (this.#column === undefined && Array.isArray(row)) return row;
    if (this.#column === undefined) {
      throw bad(this.path, `line ${number} is ${describe(row)}, expected an array of ${this.dim} numbers`);
    }
    const vector = isObject(row) ? row[this.#column] : undefined;
    if (Array.isArray(vector)) return vector;
    throw bad(this.path, `line ${number} has no array of ${this.dim} numbers as "${this.#column}"`);
  }

  #put(vector: readonly unknown[], line: number, out: Float32Array, at: number): void {
    if (vector.length !== this.dim) {
      throw bad(this.path, `line ${line} has ${vector.length} numbers, expected ${this.dim} as in the first`);
    }
    for (let d = 0; d < vector.length; d++) {
      const value = vector[d];
      if (typeof value !== 'number') {
        throw bad(this.path, `line ${line}, column ${d} is ${describe(value)}, expected a number`);
      }
      out[at + d] = value;
    }
  }
}

export function openJsonl(path: string, options: JsonlOptions): RowSource {
  const file = new InputFile(path);
  try {
    return new JsonlRows(file, options);
  } catch (error) {
    file.close();
    throw error;
  }
}

/** Bytes of the mark that some editors put before UTF-8. */
function bomOf(file: InputFile): number {
  const head = new Uint8Array(3);
  return file.readSome(head, 0) === 3 && head[0] === 0xef && head[1] === 0xbb && head[2] === 0xbf ? 3 : 0;
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function columnOf(path: string, row: Readonly<Record<string, unknown>>, wanted: string | undefined): string {
  const isVector = (value: unknown): boolean =>
    Array.isArray(value) && value.length > 0 && value.every((x) => typeof x === 'number');
  const lists = Object.keys(row).filter((name) => isVector(row[name]));
  if (wanted !== undefined) {
    if (Object.hasOwn(row, wanted)) return wanted;
    throw unfit(path, `its first row has no "${wanted}"; with lists of numbers it has: ${lists.join(', ') || 'none'}`);
  }
  const [first, ...more] = lists;
  if (first === undefined) throw unfit(path, 'its first row has no list of numbers');
  if (more.length > 0) throw unfit(path, `its rows have several lists, ${lists.join(', ')}: name one with --column`);
  return first;
}

function idColumnOf(
  path: string,
  row: Readonly<Record<string, unknown>>,
  wanted: string | undefined,
): string | undefined {
  if (wanted === undefined) return Object.hasOwn(row, 'id') ? 'id' : undefined;
  if (Object.hasOwn(row, wanted)) return wanted;
  throw unfit(path, `its first row has no "${wanted}" for ids`);
}
