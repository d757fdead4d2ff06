import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readFixed } from '../../ts/data_fixed.js';
import { GENERATORS, rowStream } from '../../ts/data_generate.js';
import { METRICS, type Metric, type PrepareOptions } from '../../ts/data_prepare.js';
import { floatsOf } from '../../ts/data_source.js';

export { type Metric, unitRows } from '../../ts/data_prepare.js';

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

export interface DatasetOptions extends PrepareOptions {
  /** Repeats the queries until there are so many. */
  readonly batch?: number | undefined;
}

const sample = (name: string): string => fileURLToPath(new URL(`../../test/data/wordnet/${name}`, import.meta.url));

/** The options, which name the sample of the repository where they named nothing. */
export function orSample<T extends PrepareOptions>(options: T): T {
  if (options.base !== undefined || options.generate !== undefined) return options;
  return {
    ...options,
    base: sample('base.f16.npy'),
    query: options.query ?? sample('query.f16.npy'),
    name: 'the WordNet sample',
  };
}

/** The rows and queries that the options name, in memory; the sample of the repository when they name none. */
export function openDataset(asked: DatasetOptions): Dataset {
  const options = orSample(asked);
  const metric = oneOf('--metric', METRICS, options.metric ?? (options.generate ? 'l2' : 'ip'));
  if (options.generate !== undefined) {
    if (options.base ?? options.query) throw new Error('--generate and --base exclude each other; give one of them');
    const { rows = 50_000, queries = 1000, dim = 128, seed = 1 } = options;
    const stream = rowStream(oneOf('--generate', GENERATORS, options.generate), dim, seed);
    const [base, query] = [new Float32Array(rows * dim), new Float32Array(queries * dim)];
    stream.next(base);
    stream.next(query);
    const name = `${options.generate} (seed ${seed})`;
    return { name, metric, rows, dim, base, ...filled(query, dim, options.batch) };
  }
  const { base: path, query: queryPath } = options;
  if (path === undefined || queryPath === undefined) throw new Error('--base needs --query: the file with the queries');
  const base = readFloats(path, options.rows);
  const query = readFloats(queryPath, options.queries);
  if (base.dim !== query.dim)
    throw new Error(`${queryPath}: has ${query.dim} columns, expected ${base.dim} as in ${path}`);
  const { rows, dim } = base;
  const name = options.name ?? basename(path).replace(/\..*$/, '');
  return { name, metric, rows, dim, base: base.data, ...filled(query.data, dim, options.batch) };
}

function readFloats(path: string, limit?: number): { data: Float32Array; rows: number; dim: number } {
  const { data, rows, dim } = readFixed(path, limit);
  return { data: floatsOf(data), rows, dim };
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

function oneOf<T extends string>(option: string, allowed: readonly T[], value: string): T {
  const found = allowed.find((candidate) => candidate === value);
  if (found === undefined) throw new Error(`${option} must be one of ${allowed.join(', ')}, got ${value}`);
  return found;
}
