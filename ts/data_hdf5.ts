// Datasets of HDF5 files, such as those of ann-benchmarks, by the package h5wasm where that is installed.
import type * as H5wasm from 'h5wasm/node';
import { InputFile, narrow } from './data_fixed.js';
import { needed } from './data_optional.js';
import {
  bad,
  checkShape,
  ioError,
  type RowSource,
  type Slice,
  unfit,
  type Values,
  type ValueType,
} from './data_source.js';
import { AnnexError } from './errors.js';

type Dataset = H5wasm.Dataset;

export const HDF5 = ['hdf5', 'h5'];
const SIGNATURE = '\x89HDF\r\n\x1a\n';

/** How many values h5wasm, whose memory is apart, holds at a time. */
const MOST_VALUES = 1 << 20;

/** The types of values that can be read, by the letter of h5py's dtype. */
const TYPES: Readonly<Record<string, ValueType>> = {
  f: 'f32',
  d: 'f32',
  b: 'i8',
  B: 'u8',
  h: 'i32',
  H: 'i32',
  i: 'i32',
  I: 'i32',
  q: 'i32',
  Q: 'i32',
};

/** An HDF5 file; what it reads comes from the disk as it is asked for. */
export class Hdf5File {
  readonly path: string;
  readonly #file: H5wasm.File;

  private constructor(path: string, file: H5wasm.File) {
    this.path = path;
    this.#file = file;
  }

  static async open(path: string): Promise<Hdf5File> {
    checkSignature(path);
    const h5wasm = await needed(path, 'h5wasm', () => import('h5wasm/node'));
    try {
      const module = await h5wasm.ready;
      module.activate_throwing_error_handler();
      return new Hdf5File(path, new h5wasm.File(path, 'r'));
    } catch (cause) {
      throw bad(path, `it cannot be read as HDF5: ${messageOf(cause)}`);
    }
  }

  /** Names of the datasets that are tables of numbers. */
  tables(): string[] {
    return this.#guarded(() =>
      this.#file.paths().filter((name) => {
        const found = this.#dataset(name);
        return found !== undefined && found.shape?.length === 2 && typeOf(found) !== undefined;
      }),
    );
  }

  /** The metric of which ann-benchmarks tells in an attribute; undefined where it does not. */
  distance(): string | undefined {
    return this.#guarded(() => {
      const told = this.#file.attrs.distance?.value;
      return typeof told === 'string' ? told : undefined;
    });
  }

  /** The table `name`; it lives as long as the file is open. */
  table(name: string): RowSource {
    const path = `${this.path}:${name}`;
    const found = this.#guarded(() => this.#dataset(name));
    if (found === undefined) {
      const tables = this.tables().join(', ') || 'none';
      throw unfit(this.path, `it has no dataset "${name}"; those with rows of numbers: ${tables}`);
    }
    const { shape, type } = this.#guarded(() => ({ shape: found.shape, type: typeOf(found) }));
    const [rows, dim] = shape ?? [];
    if (type === undefined)
      throw unfit(path, `expected numbers, got ${this.#guarded(() => JSON.stringify(found.dtype))}`);
    if (shape?.length !== 2 || rows === undefined || dim === undefined) {
      throw unfit(path, `expected two dimensions (rows, dim), got ${shape?.join(' × ') || 'one value'}`);
    }
    checkShape(path, rows, dim);
    const read = (start: number, n: number): Promise<Slice> => this.#read(path, found, type, dim, start, n);
    return { path, rows, dim, type, hasIds: false, seekable: false, read, close: () => this.close() };
  }

  close(): void {
    this.#guarded(() => this.#file.close());
  }

  async #read(path: string, from: Dataset, type: ValueType, dim: number, start: number, n: number): Promise<Slice> {
    const out = type === 'f32' ? new Float32Array(n * dim) : type === 'i32' ? new Int32Array(n * dim) : undefined;
    const values: Values = out ?? (type === 'u8' ? new Uint8Array(n * dim) : new Int8Array(n * dim));
    const step = Math.max(1, Math.floor(MOST_VALUES / dim));
    for (let row = 0; row < n; row += step) {
      const some = Math.min(step, n - row);
      const [first, last] = [start + row, start + row + some];
      const got = this.#guarded(() =>
        from.slice([
          [first, last],
          [0, dim],
        ]),
      );
      const wide = got instanceof BigInt64Array || got instanceof BigUint64Array;
      const part = wide ? narrow(path, got) : (got as ArrayLike<number> | null);
      if (part === null || part.length !== some * dim) throw bad(path, `it ends before row ${last}`);
      values.set(part, row * dim);
    }
    return { values };
  }

  #dataset(name: string): Dataset | undefined {
    const found = this.#file.paths().some((path) => path.replace(/^\//, '') === name.replace(/^\//, ''))
      ? this.#file.get(name)
      : null;
    return found !== null && 'type' in found && found.type === 'Dataset' ? (found as Dataset) : undefined;
  }

  #guarded<T>(work: () => T): T {
    try {
      return work();
    } catch (cause) {
      if (cause instanceof AnnexError) throw cause;
      throw bad(this.path, `it cannot be read as HDF5: ${messageOf(cause)}`);
    }
  }
}

/** The first line of what the library tells, which goes on with a trace of its own functions. */
const messageOf = (cause: unknown): string =>
  (cause instanceof Error ? cause.message : String(cause)).split('\n', 1)[0] as string;

function typeOf({ dtype }: Dataset): ValueType | undefined {
  const letter = typeof dtype === 'string' ? /^[<|>]?([a-zA-Z])$/.exec(dtype)?.[1] : undefined;
  return letter === undefined ? undefined : TYPES[letter];
}

function checkSignature(path: string): void {
  let file: InputFile | undefined;
  try {
    file = new InputFile(path);
    const bytes = new Uint8Array(8);
    // The format allows a block of the user's own before the file proper.
    for (const at of [0, 512, 1024, 2048]) {
      if (file.readSome(bytes, at) === 8 && String.fromCharCode(...bytes) === SIGNATURE) return;
    }
  } catch (cause) {
    throw ioError(path, cause);
  } finally {
    file?.close();
  }
  throw bad(path, 'expected the signature of an HDF5 file');
}
