import { AnnexError } from './errors.js';
import { checkNumber } from './field.js';
import type { Filter } from './filter.js';
import { checkOptions } from './names.js';
import type { SearchResult } from './results.js';
import { checkK } from './search.js';
import { shapeOf } from './spec.js';
import type { VectorIndex } from './vector_index.js';
import { type Numbers, queryOf, rowsOf } from './vectors.js';

/**
 * Cuts vectors down to their first `toDim` numbers and scales each to length 1: what embeddings that were trained for it
 * (Matryoshka representation learning: Kusupati et al. 2022) are made for. A vector whose prefix is zero stays zero.
 *
 * @param vectors n × fromDim numbers, row-major, or an array of n rows.
 * @param fromDim their length.
 * @param toDim how many numbers to keep, 1 … fromDim.
 * @returns n × toDim numbers.
 * @throws AnnexError INVALID_TYPE, INVALID_ARGUMENT, DIMENSION_MISMATCH, NOT_FINITE, OUT_OF_MEMORY
 */
export function truncate(vectors: Numbers | readonly Numbers[], fromDim: number, toDim: number): Float32Array {
  const from = checkLength('fromDim', fromDim, 32768);
  const to = checkLength('toDim', toDim, from);
  const rows = rowsOf(vectors, shapeOf(from, 'l2', 'f32'), 'row');
  const out = new Float32Array(rows.n * to);
  const step = Math.max(1, Math.floor(2 ** 18 / from));
  for (let start = 0; start < rows.n; start += step) {
    const n = Math.min(step, rows.n - start);
    const slice = rows.take(start, n);
    for (let i = 0; i < n; i++) {
      const row = out.subarray((start + i) * to, (start + i + 1) * to);
      row.set(slice.subarray(i * from, i * from + to) as Float32Array);
      normalize(row, start + i);
    }
  }
  return out;
}

function checkLength(name: string, value: unknown, most: number): number {
  const length = checkNumber(name, value);
  if (Number.isInteger(length) && length >= 1 && length <= most) return length;
  throw new AnnexError('INVALID_ARGUMENT', `expected ${name} to be an integer from 1 to ${most}, got ${length}`);
}

/** Scales a row to length 1, in doubles: squares of floats neither overflow nor vanish there. */
function normalize(row: Float32Array, number: number): void {
  let sum = 0;
  for (const x of row) sum += x * x;
  if (!Number.isFinite(sum)) {
    const column = row.findIndex((x) => !Number.isFinite(x));
    throw new AnnexError(
      'NOT_FINITE',
      `expected finite numbers, got ${row[column]} in row ${number}, column ${column}`,
    );
  }
  if (sum === 0) return;
  const scale = 1 / Math.sqrt(sum);
  for (let i = 0; i < row.length; i++) row[i] = (row[i] as number) * scale;
}

/** Options of {@link twoStageSearch}. */
export interface TwoStageOptions<Search> {
  /** How many candidates the short index is asked for; at least k. Default 10 · k. */
  candidates?: number | undefined;
  /** Which ids may be returned. Default: all. */
  filter?: Filter | undefined;
  /** Parameters of the search in the short index. */
  search?: Search | undefined;
  /** Aborts the search: its promise rejects with code ABORTED. */
  signal?: AbortSignal | undefined;
}

/**
 * Searches in two stages: an index of truncated vectors (see {@link truncate}) finds candidates, and an index of the full
 * ones, which has the same ids, decides among them. With a {@link FlatIndex} as the full index only the candidates' rows
 * are read.
 *
 * @param short any index of the first `short.dim` numbers of each vector.
 * @param full an index of the full vectors; a {@link FlatIndex} reads the fewest rows.
 * @param query full.dim numbers.
 * @param k how many; default 10.
 * @throws AnnexError as `search` of either index
 */
export async function twoStageSearch<Search extends object>(
  short: Pick<VectorIndex<Float32Array, Search>, 'dim' | 'search'>,
  full: Pick<VectorIndex, 'dim' | 'search'>,
  query: Numbers,
  k = 10,
  options: TwoStageOptions<Search> = {},
): Promise<SearchResult> {
  checkK(k);
  const { candidates, filter, search, signal } = checkOptions<TwoStageOptions<Search>>('twoStageSearch', options, [
    'candidates',
    'filter',
    'search',
    'signal',
  ]);
  if (!(short.dim <= full.dim)) {
    throw new AnnexError(
      'DIMENSION_MISMATCH',
      `expected the short index first: its dim is ${short.dim}, that of the full index ${full.dim}`,
    );
  }
  const wanted = candidates === undefined ? 10 * k : Math.max(k, checkLength('candidates', candidates, 2 ** 32));
  const whole = queryOf(query, shapeOf(full.dim, 'l2', 'f32')).slice() as Float32Array;
  const prefix = truncate(whole, full.dim, short.dim);
  const first = await short.search(prefix, wanted, { ...search, filter, signal } as Search);
  return full.search(whole, k, { filter: first.ids, signal });
}
