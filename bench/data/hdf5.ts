import type { Metric } from './dataset.js';
import { checkFinite, checkShape, DataError, type Matrix, withFile } from './rows.js';

/** What is used of h5wasm. */
interface Hdf5 {
  readonly ready: Promise<{ activate_throwing_error_handler(): number }>;
  readonly File: new (path: string, mode: 'r') => Group & { close(): void };
}
interface Group {
  keys(): string[];
  get(name: string): Dataset | null;
  readonly attrs: Record<string, { readonly value: unknown } | undefined>;
}
interface Dataset {
  readonly shape: number[] | null;
  readonly dtype: unknown;
  slice(ranges: [number, number][]): ArrayLike<number> | null;
}

/** A dataset as ann-benchmarks keeps it in one file. */
export interface AnnBenchmark {
  readonly base: Matrix<Float32Array>;
  readonly query: Matrix<Float32Array>;
  /** Absent where the file has none, or only those of more rows than were read. */
  readonly truth: Matrix<Int32Array> | undefined;
  readonly metric: Metric | undefined;
}

const METRICS: Readonly<Record<string, Metric>> = { euclidean: 'l2', angular: 'cosine', dot: 'ip', ip: 'ip' };
const SIGNATURE = '\x89HDF\r\n\x1a\n';
const NUMBERS = new Set(['<f', '<d', '<b', '<B', '<h', '<H', '<i', '<I', '<e']);

/** Rows read at a time: the reader's WebAssembly memory holds them once more. */
const SLICE_VALUES = 1 << 22;

/**
 * Reads `train`, `test` and, where all rows are wanted, `neighbors` of an HDF5 file of ann-benchmarks; the attribute
 * `distance` tells the metric.
 */
export async function readHdf5(path: string, rows = Infinity, queries = Infinity): Promise<AnnBenchmark> {
  checkSignature(path);
  const hdf5 = await load(path);
  (await hdf5.ready).activate_throwing_error_handler();
  const file = new hdf5.File(path, 'r');
  try {
    const shapes = { train: shapeOf(path, file, 'train'), test: shapeOf(path, file, 'test') };
    if (shapes.train.dim !== shapes.test.dim) {
      throw new DataError(path, `test has ${shapes.test.dim} columns, expected ${shapes.train.dim} as in train`);
    }
    const told = file.attrs.distance?.value;
    const whole = rows >= shapes.train.rows;
    let truth: Matrix<Int32Array> | undefined;
    if (whole && file.keys().includes('neighbors')) {
      const { rows: lines } = shapeOf(path, file, 'neighbors');
      if (lines !== shapes.test.rows) {
        throw new DataError(path, `has neighbors of ${lines} queries, expected ${shapes.test.rows} as in test`);
      }
      truth = read(path, file, 'neighbors', queries, Int32Array);
    }
    const query = read(path, file, 'test', queries, Float32Array);
    checkFinite(path, query);
    const base = read(path, file, 'train', rows, Float32Array);
    checkFinite(path, base);
    return { base, query, truth, metric: typeof told === 'string' ? METRICS[told] : undefined };
  } finally {
    file.close();
  }
}

function checkSignature(path: string): void {
  const found = withFile(path, (file) => {
    // The format allows a block of the user's own before the file proper.
    for (const at of [0, 512, 1024, 2048]) {
      if (file.size < at + 8) return false;
      const bytes = new Uint8Array(8);
      file.read(bytes, at);
      if (Buffer.from(bytes).toString('latin1') === SIGNATURE) return true;
    }
    return false;
  });
  if (!found) throw new DataError(path, 'expected the signature of an HDF5 file');
}

/** Named at run time only, so that the other formats need no package. */
async function load(path: string): Promise<Hdf5> {
  const name = 'h5wasm/node';
  try {
    const module = (await import(name)) as { default: Hdf5 };
    return module.default;
  } catch (cause) {
    throw new DataError(
      path,
      `HDF5 wants the package h5wasm, which is not installed (npm ci): ${(cause as Error).message}`,
    );
  }
}

function shapeOf(path: string, file: Group, name: string): { rows: number; dim: number; dataset: Dataset } {
  const dataset = file.keys().includes(name) ? file.get(name) : null;
  if (dataset === null) {
    throw new DataError(
      path,
      `expected datasets train and test as of ann-benchmarks, found ${file.keys().join(', ') || 'none'}`,
    );
  }
  const [rows = 0, dim = 0, ...more] = dataset.shape ?? [];
  if (more.length > 0)
    throw new DataError(path, `expected ${name} with two dimensions, got ${dataset.shape?.join(' × ')}`);
  checkShape(path, rows, dim);
  if (typeof dataset.dtype !== 'string' || !NUMBERS.has(dataset.dtype)) {
    throw new DataError(path, `expected ${name} of numbers, got ${JSON.stringify(dataset.dtype)}`);
  }
  return { rows, dim, dataset };
}

function read<T extends Float32Array | Int32Array>(
  path: string,
  file: Group,
  name: string,
  limit: number,
  Type: new (length: number) => T,
): Matrix<T> {
  const { rows: all, dim, dataset } = shapeOf(path, file, name);
  const rows = Math.min(all, limit);
  const data = new Type(rows * dim);
  const step = Math.max(1, Math.floor(SLICE_VALUES / dim));
  for (let row = 0; row < rows; row += step) {
    const end = Math.min(rows, row + step);
    const slice = dataset.slice([
      [row, end],
      [0, dim],
    ]);
    if (slice === null || slice.length !== (end - row) * dim) {
      throw new DataError(path, `${name} ends before row ${end}: the file is damaged`);
    }
    data.set(slice, row * dim);
  }
  return { data, rows, dim };
}
