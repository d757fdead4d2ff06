import { Random } from '../../ts/data_generate.js';
import type { Dataset } from './dataset.js';

/** Rows for an index, and queries that are none of them. */
export interface Split {
  readonly name: string;
  readonly metric: Dataset['metric'];
  readonly dim: number;
  readonly n: number;
  readonly rows: Float32Array;
  readonly pool: Float32Array;
  readonly queries: number;
}

/** Takes rows out of the base at random, until there are `queries` of them and the dataset's own together, but no more than a fifth. */
export function split({ name, metric, dim, base, query, distinct }: Dataset, queries: number): Split {
  const all = base.length / dim;
  const out = Math.max(0, Math.min(queries - distinct, Math.floor(all / 5)));
  const order = shuffled(all, 1);
  const own = Math.min(distinct, queries);
  const pool = new Float32Array((own + out) * dim);
  pool.set(query.subarray(0, own * dim));
  pool.set(pick(base, dim, order.subarray(0, out)), own * dim);
  // In their old order: files are often sorted by something.
  const rows = pick(base, dim, order.subarray(out).sort());
  return { name, metric, dim, n: all - out, rows, pool, queries: own + out };
}

/** The rows at these positions, one after another. */
export function pick(rows: Float32Array, dim: number, positions: Uint32Array): Float32Array {
  const out = new Float32Array(positions.length * dim);
  positions.forEach((from, to) => {
    out.set(rows.subarray(from * dim, (from + 1) * dim), to * dim);
  });
  return out;
}

/** 0 … n - 1 in an order that depends on the seed alone. */
export function shuffled(n: number, seed: number): Uint32Array {
  const random = new Random(seed);
  const order = Uint32Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}
