// A dataset as every system of a sweep reads it: f32 rows in .npy files and the true neighbours, made once and kept.
import { existsSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { CACHE, cachedFile, fingerprint, keyOf } from './data_cache.js';
import { GENERATORS, type Generator, rowStream } from './data_generate.js';
import { Hdf5File } from './data_hdf5.js';
import { isHdf5, nameOf, type OpenOptions, openRows } from './data_open.js';
import { floatsOf, type RowSource, readAll, slices, type Values } from './data_source.js';
import { castTo, VectorWriter } from './data_write.js';
import { AnnexError } from './errors.js';
import { FlatIndex } from './index.js';

export const METRICS = ['l2', 'ip', 'cosine'] as const;
export type Metric = (typeof METRICS)[number];

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

export interface PrepareOptions {
  readonly base?: string | undefined;
  readonly query?: string | undefined;
  /** True neighbours: a file of whole numbers with as many rows as there are queries. */
  readonly gt?: string | undefined;
  /** Of a Parquet file, or of JSON lines: the column with the vectors. */
  readonly column?: string | undefined;
  readonly generate?: string | undefined;
  readonly metric?: string | undefined;
  /** At most this many rows and queries; how many to generate. */
  readonly rows?: number | undefined;
  readonly queries?: number | undefined;
  readonly dim?: number | undefined;
  readonly seed?: number | undefined;
  /** What reports call it. */
  readonly name?: string | undefined;
}

const wrong = (message: string): AnnexError => new AnnexError('INVALID_ARGUMENT', message);

/** Opens or makes the dataset; `say` hears of what takes long. What does not fit together is told before any of that. */
export async function prepare(options: PrepareOptions, k: number, say: (text: string) => void): Promise<Prepared> {
  const opened = options.generate === undefined ? await fromFiles(options, k, say) : await generated(options, k, say);
  const { metric, dim, queries, rows, folder, base, query } = opened;
  const unit = (from: string, name: string): Promise<string> =>
    metric !== 'cosine' ? Promise.resolve(from) : cachedFile(join(folder, name), (path) => writeUnit(from, path));
  const [unitBase, unitQuery] = [await unit(base, 'base.unit.npy'), await unit(query, 'query.unit.npy')];
  const width = Math.min(rows, Math.max(k, 100));
  const truth = opened.given ?? {
    ids: await readTruth(
      await cachedFile(join(folder, `truth.${metric}.${queries}x${width}.ivecs`), async (path) => {
        say(`finding the ${width} true neighbours of ${queries} queries`);
        const ids = await exact(base, query, dim, metric, width);
        const out = new VectorWriter(path, queries, width, 'i32');
        out.write(ids);
        out.close();
      }),
    ).then(({ ids }) => ids),
    width,
  };
  return { ...opened, unitBase, unitQuery, truth: truth.ids, width: truth.width };
}

interface Truth {
  readonly ids: Int32Array;
  readonly width: number;
}

interface Opened extends Omit<Prepared, 'truth' | 'width' | 'unitBase' | 'unitQuery'> {
  /** Neighbours that are given, not found. */
  readonly given: Truth | undefined;
}

interface Shape {
  readonly rows: number;
  readonly queries: number;
}

function checkCount(k: number, { rows }: Shape): void {
  if (k > rows) throw wrong(`--k ${k} asks for more neighbours than the ${rows} rows`);
}

async function generated(options: PrepareOptions, k: number, say: (text: string) => void): Promise<Opened> {
  const { rows = 50_000, queries = 1000, dim = 128, seed = 1 } = options;
  const kind = GENERATORS.find((name) => name === options.generate);
  if (kind === undefined) throw wrong(`--generate must be one of ${GENERATORS.join(', ')}, got ${options.generate}`);
  if (options.base ?? options.query) throw wrong('--generate and --base exclude each other; give one of them');
  const metric = metricOf(options.metric) ?? 'l2';
  checkCount(k, { rows, queries });
  const given = options.gt === undefined ? undefined : await givenTruth(options.gt, { rows, queries }, k);
  const key = keyOf({ VERSION, kind, rows, queries, dim, seed });
  const folder = join(CACHE, `${kind}-${rows}x${dim}-${key}`);
  const [base, query] = [join(folder, 'base.npy'), join(folder, 'query.npy')];
  if (!(existsSync(base) && existsSync(query))) {
    rmSync(base, { force: true });
    rmSync(query, { force: true });
    say(`generating ${rows} × ${dim} rows`);
    await generateFiles(kind, { rows, queries }, dim, seed, base, query);
  }
  return { name: `${kind} (seed ${seed})`, metric, rows, dim, queries, base, query, key, folder, given };
}

/** Both files or none: the queries go on where the base ends. */
async function generateFiles(
  kind: Generator,
  { rows, queries }: Shape,
  dim: number,
  seed: number,
  base: string,
  query: string,
): Promise<void> {
  const stream = rowStream(kind, dim, seed);
  const write = (path: string, count: number): void => {
    const writer = new VectorWriter(path, count, dim, 'f32');
    for (let row = 0; row < count; row += SLICE) {
      const slice = new Float32Array(Math.min(SLICE, count - row) * dim);
      stream.next(slice);
      writer.write(slice);
    }
    writer.close();
  };
  await cachedFile(base, async (path) => {
    write(path, rows);
    await cachedFile(query, (queryPath) => write(queryPath, queries));
  });
}

const DISTANCES: Readonly<Record<string, Metric>> = { euclidean: 'l2', angular: 'cosine', dot: 'ip', ip: 'ip' };

/** Opens everything first, so that what is wrong shows before anything is copied. */
async function fromFiles(options: PrepareOptions, k: number, say: (text: string) => void): Promise<Opened> {
  const { base: path, column } = options;
  const asked = metricOf(options.metric);
  if (path === undefined) throw wrong('expected --base, a file of rows, or --generate');
  const hdf5 = isHdf5(path);
  const { file } = nameOf(path);
  const own = hdf5 ? await ofHdf5(file) : undefined;
  const queryPath = options.query ?? (own?.tables.includes('test') ? `${file}:test` : undefined);
  if (queryPath === undefined) throw wrong('--base needs --query: the file with the queries');
  const sources: RowSource[] = [];
  const openNext = async (name: string, more: OpenOptions = {}): Promise<RowSource> => {
    const source = await openRows(name, { column, ...more });
    sources.push(source);
    return source;
  };
  try {
    const from = await openNext(path);
    const queriesFrom = await openNext(queryPath, { datasets: ['test'] });
    const [rows, queries] = [
      Math.min(from.rows, options.rows ?? from.rows),
      Math.min(queriesFrom.rows, options.queries ?? queriesFrom.rows),
    ];
    if (queriesFrom.dim !== from.dim) {
      throw new AnnexError(
        'DIMENSION_MISMATCH',
        `${queryPath}: has ${queriesFrom.dim} columns, expected ${from.dim} as in ${path}`,
      );
    }
    checkCount(k, { rows, queries });
    const metric = asked ?? own?.metric ?? 'ip';
    // A file's own neighbours are those of its own metric, and of all its rows.
    const fits = own?.tables.includes('neighbors') && own.metric === metric && rows === from.rows && !options.query;
    const truthPath = options.gt ?? (fits ? `${file}:neighbors` : undefined);
    const given =
      truthPath === undefined ? undefined : await givenTruth(truthPath, { rows, queries }, k, queriesFrom.rows);
    const name = options.name ?? basename(file).replace(/\..*$/, '');
    const paths = [path, queryPath].map((one) => {
      const { file, dataset } = nameOf(one);
      return [...fingerprint(file), ...(dataset === undefined ? [] : [dataset])];
    });
    const key = keyOf({ VERSION, paths, rows, queries, column });
    const folder = join(CACHE, `${name.replace(/[^\w.-]+/g, '-')}-${rows}x${from.dim}-${key}`);
    const keep = (kept: string, source: RowSource, limit: number): Promise<string> =>
      cachedFile(join(folder, kept), async (to) => {
        if (limit * source.dim > 1 << 26) say(`reading ${source.path}`);
        await copy(source, limit, to, (values) => values);
      });
    const shared = { base: await keep('base.npy', from, rows), query: await keep('query.npy', queriesFrom, queries) };
    return { name, metric, rows, dim: from.dim, queries, ...shared, key, folder, given };
  } finally {
    for (const source of sources) source.close();
  }
}

async function ofHdf5(path: string): Promise<{ tables: string[]; metric: Metric | undefined }> {
  const file = await Hdf5File.open(path);
  try {
    return { tables: file.tables(), metric: DISTANCES[file.distance() ?? ''] };
  } finally {
    file.close();
  }
}

function metricOf(value: string | undefined): Metric | undefined {
  if (value === undefined) return undefined;
  const metric = METRICS.find((name) => name === value);
  if (metric === undefined) throw wrong(`--metric must be one of ${METRICS.join(', ')}, got ${value}`);
  return metric;
}

/** Writes the first rows as f32 to a .npy file. */
async function copy(
  source: RowSource,
  limit: number,
  to: string,
  change: (values: Float32Array) => Values,
): Promise<void> {
  const out = new VectorWriter(to, limit, source.dim, 'f32');
  try {
    for await (const { values } of slices(source, { limit })) out.write(change(floatsOf(values)));
    out.close();
  } finally {
    out.discard();
  }
}

async function writeUnit(from: string, to: string): Promise<void> {
  const source = await openRows(from);
  try {
    await copy(source, source.rows, to, (values) => unitRows(values, source.dim));
  } finally {
    source.close();
  }
}

/** Rows of unit length, rounded to f32: how systems without a cosine metric are given cosine. */
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

/** True neighbours as they stand in a file. */
export async function readTruth(path: string, limit?: number): Promise<Truth & { readonly lines: number }> {
  const source = await openRows(path, { datasets: ['neighbors'] });
  try {
    const ids = castTo(path, await readAll(source, limit), 'i32', source.dim) as Int32Array;
    return { ids, width: source.dim, lines: source.rows };
  } finally {
    source.close();
  }
}

/** `lines`: how many queries the file of queries has, of which fewer may be taken. */
async function givenTruth(path: string, { rows, queries }: Shape, k: number, lines = queries): Promise<Truth> {
  const truth = await readTruth(path, queries);
  const { ids, width } = truth;
  if (truth.lines !== queries && truth.lines !== lines) {
    throw wrong(`${path}: has neighbours of ${truth.lines} queries, expected ${queries}`);
  }
  if (width < k) throw wrong(`${path}: has ${width} neighbours a query, expected at least ${k}`);
  const bad = ids.findIndex((id) => id < 0 || id >= rows);
  if (bad < 0) return { ids, width };
  throw wrong(`${path}: query ${Math.floor(bad / width)} has neighbour ${ids[bad]}, expected 0 … ${rows - 1}`);
}

async function exact(base: string, query: string, dim: number, metric: Metric, width: number): Promise<Int32Array> {
  const index = await FlatIndex.create({ dim, metric });
  const [rows, queries] = [await openRows(base), await openRows(query)];
  try {
    for await (const { values } of slices(rows, { bytes: 64 << 20 })) await index.add(values as Float32Array);
    const found = await index.searchBatch((await readAll(queries)) as Float32Array, width);
    return Int32Array.from(found.ids);
  } finally {
    index.close();
    rows.close();
    queries.close();
  }
}
