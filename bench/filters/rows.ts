// Which rows a filter allows: anywhere, or by where they lie.
import { Bitset } from 'annex';
import { Random } from '../../ts/data_generate.js';

/** Anywhere; those nearest to the pivot; those farthest from it. */
export type FilterKind = 'random' | 'near' | 'far';

/** Squared distances of rows to one. */
function distances(rows: Float32Array, pivot: Float32Array, dim: number): Float32Array {
  const out = new Float32Array(rows.length / dim);
  for (let i = 0; i < out.length; i++) {
    let sum = 0;
    for (let d = 0; d < dim; d++) sum += (rows[i * dim + d]! - pivot[d]!) ** 2;
    out[i] = sum;
  }
  return out;
}

/** Rows by distance from the pivot, the nearest first. */
export function byDistance(rows: Float32Array, pivot: Float32Array, dim: number): Uint32Array {
  const far = distances(rows, pivot, dim);
  return Uint32Array.from(far.keys()).sort((a, b) => far[a]! - far[b]!);
}

/** Positions of a share of the rows. */
export function chosen(
  kind: FilterKind,
  share: number,
  rows: Float32Array,
  pivot: Float32Array,
  dim: number,
): number[] {
  const n = rows.length / dim;
  if (kind === 'random') {
    const random = new Random(9);
    return Array.from({ length: n }, (_, i) => i).filter(() => random.uniform() < share);
  }
  const order = byDistance(rows, pivot, dim);
  const count = Math.round(share * n);
  return Array.from(kind === 'near' ? order.subarray(0, count) : order.subarray(n - count));
}

export function idsFor(kind: FilterKind, share: number, rows: Float32Array, pivot: Float32Array, dim: number): Bitset {
  return Bitset.fromIds(chosen(kind, share, rows, pivot, dim));
}

/** The queries nearest to the pivot, in one array. */
export function nearestQueries(queries: Float32Array, pivot: Float32Array, dim: number, count: number): Float32Array {
  const order = byDistance(queries, pivot, dim).subarray(0, count);
  const out = new Float32Array(order.length * dim);
  order.forEach((q, i) => void out.set(queries.subarray(q * dim, (q + 1) * dim), i * dim));
  return out;
}
