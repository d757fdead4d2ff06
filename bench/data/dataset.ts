import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BIN_NAME, readBin } from './bin.js';
import { GENERATORS, type Generator, generate } from './generate.js';
import { readNpy } from './npy.js';
import { DataError, type Matrix } from './rows.js';
import { readVecs } from './vecs.js';

export const METRICS = ['l2', 'ip', 'cosine'] as const;
export type Metric = (typeof METRICS)[number];

export interface Dataset {
  /** What reports call it: a file's name or the generator with its seed. */
  readonly name: string;
  readonly metric: Metric;
  readonly rows: number;
  readonly queries: number;
  /** How many of the queries differ: the rest repeat them in order. */
  readonly distinct: number;
  readonly dim: number;
  readonly base: Float32Array;
  readonly query: Float32Array;
}

export interface DatasetOptions {
  readonly base?: string | undefined;
  readonly query?: string | undefined;
  readonly generate?: string | undefined;
  readonly metric?: string | undefined;
  /** At most this many rows and queries; how many to generate. */
  readonly rows?: number | undefined;
  readonly queries?: number | undefined;
  readonly dim?: number | undefined;
  readonly seed?: number | undefined;
  /** Repeats the queries until there are so many. */
  readonly batch?: number | undefined;
}

export const sample = (name: string): string =>
  fileURLToPath(new URL(`../../test/data/wordnet/${name}`, import.meta.url));

/** The rows and queries that the options name; the sample of the repository when they name none. */
export function openDataset(options: DatasetOptions): Dataset {
  const metric = oneOf('--metric', METRICS, options.metric ?? (options.generate ? 'l2' : 'ip'));
  if (options.generate !== undefined) {
    if (options.base ?? options.query) throw new Error('--generate and --base exclude each other; give one of them');
    const kind = oneOf<Generator>('--generate', GENERATORS, options.generate);
    const { rows = 50_000, queries = 1000, dim = 128, seed = 1 } = options;
    const made = generate(kind, rows, queries, dim, seed);
    const name = `${kind} (seed ${seed})`;
    return { name, metric, rows, dim, base: made.base.data, ...filled(made.queries.data, dim, options.batch) };
  }
  const paths =
    options.base === undefined
      ? { base: sample('base.f16.npy'), query: sample('query.f16.npy') }
      : { base: options.base, query: options.query };
  if (paths.query === undefined) throw new Error('--base needs --query: the file with the queries');
  const base = readRows(paths.base, options.rows);
  const query = readRows(paths.query, options.queries);
  if (base.dim !== query.dim) {
    throw new DataError(paths.query, `has ${query.dim} columns, expected ${base.dim} as in ${paths.base}`);
  }
  return {
    name: options.base === undefined ? 'the WordNet sample' : basename(paths.base).replace(/\..*$/, ''),
    metric,
    rows: base.rows,
    dim: base.dim,
    base: Float32Array.from(base.data),
    ...filled(Float32Array.from(query.data), base.dim, options.batch),
  };
}

function filled(query: Float32Array, dim: number, batch = 0): Pick<Dataset, 'query' | 'queries' | 'distinct'> {
  const distinct = query.length / dim;
  const queries = Math.max(distinct, batch);
  return { query: repeated(query, queries * dim), queries, distinct };
}

/** The values over and over until there are so many. */
export function repeated(values: Float32Array, length: number): Float32Array {
  if (values.length === length) return values;
  const out = new Float32Array(length);
  for (let at = 0; at < length; at += values.length) {
    out.set(values.subarray(0, Math.min(values.length, length - at)), at);
  }
  return out;
}

/** Reads .npy, .fvecs, .bvecs, .fbin, .u8bin or .i8bin. */
export function readRows(path: string, limit?: number): Matrix {
  if (path.endsWith('.npy')) return readNpy(path, limit);
  if (/\.[fb]vecs$/.test(path)) return readVecs(path, limit) as Matrix;
  if (BIN_NAME.test(path)) return readBin(path, limit);
  throw new DataError(path, 'expected a name that ends in .npy, .fvecs, .bvecs, .fbin, .u8bin or .i8bin');
}

function oneOf<T extends string>(option: string, allowed: readonly T[], value: string): T {
  const found = allowed.find((candidate) => candidate === value);
  if (found === undefined) throw new Error(`${option} must be one of ${allowed.join(', ')}, got ${value}`);
  return found;
}

/** Rows of unit length, rounded to f32: how peers without a cosine metric are given cosine. */
export function unitRows(data: Float32Array, dim: number): Float32Array {
  const out = new Float32Array(data.length);
  for (let at = 0; at < data.length; at += dim) {
    let square = 0;
    for (let d = at; d < at + dim; d++) square += data[d]! * data[d]!;
    const scale = square === 0 ? 0 : 1 / Math.sqrt(square);
    for (let d = at; d < at + dim; d++) out[d] = data[d]! * scale;
  }
  return out;
}
