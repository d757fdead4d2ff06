import { checkSignal } from './abort.js';
import type { Rows } from './backend.js';
import { countOf } from './convert.js';
import { describe } from './describe.js';
import { AnnexError } from './errors.js';
import { checkProgress, report } from './eval_run.js';
import { FlatIndex, type FlatIndexClass } from './flat.js';
import type { Ids } from './ids.js';
import { checkOptions } from './names.js';
import { BatchResult } from './results.js';
import { allocateFound, checkK, type SearchOptions } from './search.js';
import { type Metric, type ScalarStorage, shapeOf } from './spec.js';
import { rowsOf, type Vectors } from './vectors.js';

/** How far {@link exactNeighbors} has come. */
export interface ExactProgress {
  /** Rows added, or queries answered. */
  readonly done: number;
  readonly total: number;
  readonly phase: 'add' | 'search';
}

/** Options of {@link exactNeighbors} over an index. */
export interface ExactSearchOptions extends SearchOptions {
  /** What it throws aborts the call. */
  onProgress?: ((progress: ExactProgress) => void) | undefined;
}

/** Options of {@link exactNeighbors} over vectors. */
export interface ExactOptions extends ExactSearchOptions {
  /** The class of the entry point in use (`annex`, `annex/native` or `annex/wasm`), whose core does the work. */
  FlatIndex: FlatIndexClass;
  /** Length of every vector. Default: that of the first one; a flat array does not tell. */
  dim?: number | undefined;
  /** Default `l2`. */
  metric?: Metric | undefined;
  /** How the vectors are kept meanwhile. Default `f32`, which is exact (`bits` for hamming and jaccard). */
  storage?: ScalarStorage | undefined;
  /** One distinct id for each vector. Default 0, 1, 2 … */
  ids?: Ids | undefined;
}

/** Queries in one batch: enough for the core to work at full speed. */
const SLICE = 512;

/**
 * The true k nearest neighbours of each query, by looking at every row: the truth for {@link evaluate}. Ids and
 * distances come as flat arrays of n × k.
 *
 * `base` is a FlatIndex, which is searched as it is (exact as to its rows as stored), or vectors, of which a FlatIndex
 * is made for the time of the call: that is why it wants the class, and by it the core.
 *
 * ```ts
 * const truth = await exactNeighbors(vectors, queries, 10, { FlatIndex, dim: 384, metric: 'cosine' });
 * ```
 *
 * @throws AnnexError INVALID_TYPE, INVALID_ARGUMENT, DIMENSION_MISMATCH, NOT_FINITE, ABORTED, CLOSED, OUT_OF_MEMORY; for
 * vectors also what `FlatIndex.create` and `add` throw
 */
export function exactNeighbors<Row extends Rows>(
  base: FlatIndex<Row>,
  queries: Vectors<NoInfer<Row>>,
  k: number,
  options?: ExactSearchOptions,
): Promise<BatchResult>;
export function exactNeighbors(
  base: Vectors<Rows>,
  queries: Vectors<Rows>,
  k: number,
  options: ExactOptions,
): Promise<BatchResult>;
export async function exactNeighbors(
  base: unknown,
  queries: unknown,
  k: number,
  options: Partial<ExactOptions> = {},
): Promise<BatchResult> {
  checkK(k);
  if (base instanceof FlatIndex) {
    const { onProgress, ...search } = checkOptions<ExactSearchOptions>('exactNeighbors over an index', options, [
      'filter',
      'threads',
      'signal',
      'onProgress',
    ]);
    return searchAll(base, queries, k, search, checkProgress(onProgress));
  }
  const keys = ['FlatIndex', 'dim', 'metric', 'storage', 'ids', 'filter', 'threads', 'signal', 'onProgress'] as const;
  const checked = checkOptions<ExactOptions>('exactNeighbors', options, keys);
  const { FlatIndex: Flat, metric, storage, ids, signal, filter, threads } = checked;
  if (typeof Flat !== 'function' || typeof Flat.create !== 'function') {
    throw new AnnexError(
      'INVALID_TYPE',
      `expected the class FlatIndex of annex in options.FlatIndex (or a FlatIndex in place of the vectors), got ` +
        describe(Flat),
    );
  }
  const onProgress = checkProgress(checked.onProgress);
  checkSignal(signal);
  const index = await Flat.create({ dim: checked.dim ?? dimOf(base, metric, storage), metric, storage });
  try {
    // Bad queries are found before the work, not after it.
    rowsOf(queries, shapeOf(index.dim, index.metric, index.storage), 'query');
    await index.add(base as Vectors<Rows>, {
      ids,
      signal,
      onProgress: onProgress && (({ done, total }) => report(onProgress, { done, total, phase: 'add' })),
    });
    return await searchAll(index, queries, k, { signal, filter, threads }, onProgress);
  } finally {
    index.close();
  }
}

async function searchAll(
  index: FlatIndex<Rows>,
  queries: unknown,
  k: number,
  options: SearchOptions,
  onProgress: ((progress: ExactProgress) => void) | undefined,
): Promise<BatchResult> {
  const { dim, metric, storage, size } = index;
  const rows = rowsOf(queries, shapeOf(dim, metric, storage), 'query');
  if (rows.n <= SLICE) {
    const all = await index.searchBatch(queries as Vectors<Rows>, k, options);
    report(onProgress, { done: rows.n, total: rows.n, phase: 'search' });
    return all;
  }
  const columns = Math.min(k, size);
  const { ids, distances, counts } = allocateFound(rows.n, columns);
  ids.fill(-1);
  distances.fill(Number.POSITIVE_INFINITY);
  for (let start = 0; start < rows.n; start += SLICE) {
    const n = Math.min(SLICE, rows.n - start);
    const part = await index.searchBatch(rows.take(start, n), k, options);
    for (let i = 0; i < n; i++) {
      const found = part.at(i);
      const count = Math.min(found.length, columns);
      ids.set(found.ids.subarray(0, count), (start + i) * columns);
      distances.set(found.distances.subarray(0, count), (start + i) * columns);
      counts[start + i] = count;
    }
    report(onProgress, { done: start + n, total: rows.n, phase: 'search' });
  }
  return new BatchResult(ids, distances, counts, columns, { metric, dim });
}

function dimOf(base: unknown, metric: Metric | undefined, storage: ScalarStorage | undefined): number {
  const first: unknown = Array.isArray(base) ? base[0] : undefined;
  if (typeof first !== 'object' || first === null) {
    throw new AnnexError('INVALID_ARGUMENT', 'expected dim, the length of every vector: a flat array does not tell it');
  }
  const bits = storage === 'bits' || metric === 'hamming' || metric === 'jaccard';
  return countOf(first) * (bits ? 8 : 1);
}
