import { AnnexError } from './errors.js';
import type { Metric } from './spec.js';

/** One neighbour. */
export interface Neighbor {
  readonly id: number;
  readonly distance: number;
}

/** What turns distances into scores: the metric, and dim for hamming. */
export interface Scale {
  readonly metric: Metric;
  readonly dim: number;
}

/**
 * The similarity people expect, larger is nearer:
 * l2 and l1: 1 / (1 + distance); ip: the inner product; cosine: the cosine; hamming: share of equal bits;
 * jaccard: |a ∧ b| / |a ∨ b|.
 */
function scoreOf(distance: number, scale: Scale): number {
  switch (scale.metric) {
    case 'l2':
    case 'l1':
      return 1 / (1 + distance);
    case 'ip':
      return 0 - distance;
    case 'cosine':
    case 'jaccard':
      return 1 - distance;
    case 'hamming':
      return 1 - distance / scale.dim;
  }
}

/** The neighbours of one query, best first, ties by the smaller id. The arrays are the caller's own. */
export class SearchResult implements Iterable<Neighbor> {
  /** Ids, one for each neighbour found: at most k. */
  readonly ids: Float64Array;
  /** Distances, ascending; what they mean is the metric's: see {@link Metric}. */
  readonly distances: Float32Array;
  readonly #scale: Scale;

  /** @internal */
  constructor(ids: Float64Array, distances: Float32Array, scale: Scale) {
    this.ids = ids;
    this.distances = distances;
    this.#scale = scale;
  }

  /** How many neighbours were found: k, or fewer when the index (or what the filter allows) holds fewer. */
  get length(): number {
    return this.ids.length;
  }

  /**
   * Similarity of neighbour i, larger is nearer: l2 and l1 give 1 / (1 + distance), in (0, 1]; ip the inner product;
   * cosine the cosine, −1 … 1; hamming the share of equal bits and jaccard the overlap, 0 … 1.
   *
   * @throws AnnexError INVALID_ARGUMENT when i is not in 0 … length − 1
   */
  score(i: number): number {
    return scoreOf(this.distances[checkPosition(i, this.length, 'neighbour')] as number, this.#scale);
  }

  /** {@link score} of every neighbour, descending. */
  scores(): Float64Array {
    return Float64Array.from(this.distances, (d) => scoreOf(d, this.#scale));
  }

  *[Symbol.iterator](): IterableIterator<Neighbor> {
    for (let i = 0; i < this.ids.length; i++) {
      yield { id: this.ids[i] as number, distance: this.distances[i] as number };
    }
  }
}

/**
 * The neighbours of several queries, in flat arrays of nq × k: row i holds the neighbours of query i, best first,
 * then padding (id −1, distance +Infinity) where fewer than k were found.
 */
export class BatchResult implements Iterable<SearchResult> {
  /** nq × k ids; −1 where nothing was found. */
  readonly ids: Float64Array;
  /** nq × k distances; +Infinity where nothing was found. */
  readonly distances: Float32Array;
  /** How many neighbours each query has. */
  readonly counts: Uint32Array;
  /** Columns: the k that was asked for, or the size of the index where that is less. */
  readonly k: number;
  readonly #scale: Scale;

  /** @internal */
  constructor(ids: Float64Array, distances: Float32Array, counts: Uint32Array, k: number, scale: Scale) {
    this.ids = ids;
    this.distances = distances;
    this.counts = counts;
    this.k = k;
    this.#scale = scale;
  }

  /** Queries. */
  get length(): number {
    return this.counts.length;
  }

  /**
   * The neighbours of query i, trimmed to what was found, as views of this result's arrays.
   *
   * @throws AnnexError INVALID_ARGUMENT when i is not in 0 … length − 1
   */
  at(i: number): SearchResult {
    const start = checkPosition(i, this.length, 'query') * this.k;
    const end = start + (this.counts[i] as number);
    return new SearchResult(this.ids.subarray(start, end), this.distances.subarray(start, end), this.#scale);
  }

  /** nq × k scores as {@link SearchResult.score} gives them; −Infinity where nothing was found. */
  scores(): Float64Array {
    return Float64Array.from(this.distances, (d, i) =>
      this.ids[i] === -1 ? Number.NEGATIVE_INFINITY : scoreOf(d, this.#scale),
    );
  }

  *[Symbol.iterator](): IterableIterator<SearchResult> {
    for (let i = 0; i < this.length; i++) yield this.at(i);
  }
}

function checkPosition(i: number, length: number, what: string): number {
  if (Number.isInteger(i) && i >= 0 && i < length) return i;
  throw new AnnexError(
    'INVALID_ARGUMENT',
    `expected a ${what} from 0 to ${length - 1} (there are ${length}), got ${i}`,
  );
}
