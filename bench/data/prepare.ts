// A dataset as every system of a sweep reads it: f32 rows in .npy files and the true neighbours, made once and kept.
import { existsSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { FlatIndex } from 'annex';
import { readTruthBin } from './bin.js';
import { CACHE, cachedFile, fingerprint, keyOf, NpyWriter, writeIvecs, writeNpy } from './cache.js';
import { type DatasetOptions, METRICS, type Metric, readRows, sample, unitRows } from './dataset.js';
import { GENERATORS, rowStream } from './generate.js';
import { readHdf5 } from './hdf5.js';
import { readNpy } from './npy.js';
import { readParquet } from './parquet.js';
import { DataError, type Matrix } from './rows.js';
import { readVecs } from './vecs.js';

export interface Prepared {
  readonly name: string;
  readonly metric: Metric;
  readonly rows: number;
  readonly dim: number;
  readonly queries: number;
  /** .npy of f32. */
  readonly base: string;
  readonly query: string;
  /** The same rows at unit length, for systems without a cosine of their own; as `base` for other metrics. */
  readonly unitBase: string;
  readonly unitQuery: string;
  /** queries × width ids, best first. */
  readonly truth: Int32Array;
  readonly width: number;
  /** Depends on the rows alone: what else is kept about them is filed under it. */
  readonly key: string;
  readonly folder: string;
}

/** Changes when the same options would make other rows. */
const VERSION = 1;

/** Rows of a generated set that are made at a time. */
const SLICE = 1 << 15;

export interface PrepareOptions extends DatasetOptions {
  /** True neighbours: .ivecs with as many rows as there are queries. */
  readonly gt?: string | undefined;
  /** Of a Parquet file: the column with the vectors. */
  readonly column?: string | undefined;
}

/** Opens or makes the dataset; `say` hears of what takes long. */
export async function prepare(options: PrepareOptions, k: number, say: (text: string) => void): Promise<Prepared> {
  const opened = options.generate === undefined ? await fromFiles(options) : await generated(options, say);
  const { metric, dim, queries, folder } = opened;
  if (k > opened.rows) throw new Error(`--k ${k} asks for more neighbours than the ${opened.rows} rows`);
  const found = options.gt === undefined ? opened.own : readTruth(options.gt);
  const given = found && checkTruth(options.gt ?? options.base ?? '', found, opened, k);
  const [unitBase, unitQuery] =
    metric === 'cosine'
      ? await Promise.all([
          unit(opened.base, join(folder, 'base.unit.npy')),
          unit(opened.query, join(folder, 'query.unit.npy')),
        ])
      : [opened.base, opened.query];
  const width = Math.min(opened.rows, Math.max(k, 100));
  const truth = given ?? {
    ids: readVecs(
      await cachedFile(join(folder, `truth.${metric}.${queries}x${width}.ivecs`), (path) => {
        say(`finding the ${width} true neighbours of ${queries} queries`);
        writeIvecs(path, exact(opened.base, opened.query, dim, metric, width), width);
      }),
    ).data as Int32Array,
    width,
  };
  return { ...opened, unitBase, unitQuery, truth: truth.ids, width: truth.width };
}

interface Opened extends Omit<Prepared, 'truth' | 'width' | 'unitBase' | 'unitQuery'> {
  /** Neighbours that the dataset brings along. */
  readonly own?: Matrix<Int32Array> | undefined;
}

async function generated(options: PrepareOptions, say: (text: string) => void): Promise<Opened> {
  const { rows = 50_000, queries = 1000, dim = 128, seed = 1 } = options;
  const kind = GENERATORS.find((name) => name === options.generate);
  if (kind === undefined)
    throw new Error(`--generate must be one of ${GENERATORS.join(', ')}, got ${options.generate}`);
  if (options.base ?? options.query) throw new Error('--generate and --base exclude each other; give one of them');
  const metric = metricOf(options.metric) ?? 'l2';
  const key = keyOf({ VERSION, kind, rows, queries, dim, seed });
  const folder = join(CACHE, `${kind}-${rows}x${dim}-${key}`);
  const base = join(folder, 'base.npy');
  const query = join(folder, 'query.npy');
  if (!(existsSync(base) && existsSync(query))) {
    rmSync(base, { force: true });
    rmSync(query, { force: true });
    say(`generating ${rows} × ${dim} rows`);
    const stream = rowStream(kind, dim, seed);
    const write = (path: string, count: number): void => {
      const writer = new NpyWriter(path, count, dim);
      for (let row = 0; row < count; row += SLICE) {
        const slice = new Float32Array(Math.min(SLICE, count - row) * dim);
        stream.next(slice);
        writer.write(slice);
      }
      writer.close();
    };
    // Both or none: the queries go on where the base ends.
    await cachedFile(base, async (path) => {
      write(path, rows);
      await cachedFile(query, (queryPath) => write(queryPath, queries));
    });
  }
  return { name: `${kind} (seed ${seed})`, metric, rows, dim, queries, base, query, key, folder };
}

interface Files {
  readonly name: string;
  readonly base: Matrix;
  readonly query: Matrix;
  readonly truth: Matrix<Int32Array> | undefined;
  readonly metric: Metric | undefined;
}

/** Reads what the paths name: the small files first, so that what is wrong shows early. */
async function readFiles(options: PrepareOptions): Promise<Files> {
  const { rows, queries } = options;
  const base = options.base ?? sample('base.f16.npy');
  const name = options.base === undefined ? 'the WordNet sample' : basename(base).replace(/\..*$/, '');
  if (/\.(hdf5|h5)$/.test(base)) {
    if (options.query !== undefined) throw new Error('--query goes with a file of rows; an HDF5 file has its own');
    return { name, ...(await readHdf5(base, rows, queries)) };
  }
  const path = options.query ?? (options.base === undefined ? sample('query.f16.npy') : undefined);
  if (path === undefined) throw new Error('--base needs --query: the file with the queries');
  const read = async (file: string, limit: number | undefined): Promise<Matrix> =>
    file.endsWith('.parquet') ? readParquet(file, options.column, limit) : readRows(file, limit);
  const query = await read(path, queries);
  const matrix = await read(base, rows);
  if (matrix.dim !== query.dim) {
    throw new DataError(path, `has ${query.dim} columns, expected ${matrix.dim} as in ${base}`);
  }
  return { name, base: matrix, query, truth: undefined, metric: undefined };
}

async function fromFiles(options: PrepareOptions): Promise<Opened> {
  const given = metricOf(options.metric);
  const files = await readFiles(options);
  const { name, base, query } = files;
  const { rows, dim } = base;
  const paths = [options.base, options.query].map((path) => (path === undefined ? 'none' : fingerprint(path)));
  const key = keyOf({ VERSION, paths, rows, queries: query.rows, column: options.column });
  const folder = join(CACHE, `${name.replace(/[^\w.-]+/g, '-')}-${rows}x${dim}-${key}`);
  const keep = (file: string, { data }: Matrix): Promise<string> =>
    cachedFile(join(folder, file), (path) =>
      writeNpy(path, data instanceof Float32Array ? data : Float32Array.from(data), dim),
    );
  const metric = given ?? files.metric ?? 'ip';
  // The file's own neighbours are those of its own metric.
  const truth = files.metric === metric ? files.truth : undefined;
  const shared = { base: await keep('base.npy', base), query: await keep('query.npy', query) };
  return { name, metric, rows, dim, queries: query.rows, ...shared, key, folder, own: truth };
}

function metricOf(value: string | undefined): Metric | undefined {
  if (value === undefined) return undefined;
  const metric = METRICS.find((name) => name === value);
  if (metric === undefined) throw new Error(`--metric must be one of ${METRICS.join(', ')}, got ${value}`);
  return metric;
}

const unit = (from: string, to: string): Promise<string> =>
  cachedFile(to, (path) => {
    const { data, dim } = readNpy(from);
    writeNpy(path, unitRows(data as Float32Array, dim), dim);
  });

function readTruth(path: string): Matrix<Int32Array> {
  if (path.endsWith('.ibin')) return readTruthBin(path);
  const { data, rows, dim } = readVecs(path);
  if (!(data instanceof Int32Array)) throw new DataError(path, 'expected true neighbours as .ivecs or .ibin');
  return { data, rows, dim };
}

function checkTruth(
  path: string,
  truth: Matrix<Int32Array>,
  of: Opened,
  k: number,
): { ids: Int32Array; width: number } {
  const { data, rows: lines, dim: width } = truth;
  if (lines !== of.queries) throw new DataError(path, `has neighbours of ${lines} queries, expected ${of.queries}`);
  if (width < k) throw new DataError(path, `has ${width} neighbours a query, expected at least ${k}`);
  const bad = data.findIndex((id) => id < 0 || id >= of.rows);
  if (bad >= 0) {
    throw new DataError(
      path,
      `query ${Math.floor(bad / width)} has neighbour ${data[bad]}, expected 0 … ${of.rows - 1}`,
    );
  }
  return { ids: data, width };
}

function exact(base: string, query: string, dim: number, metric: Metric, width: number): Int32Array {
  const index = FlatIndex.createSync({ dim, metric });
  try {
    index.addSync(readNpy(base).data as Float32Array);
    return Int32Array.from(index.searchBatchSync(readNpy(query).data as Float32Array, width).ids);
  } finally {
    index.close();
  }
}
