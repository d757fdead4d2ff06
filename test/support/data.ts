import type { Metric, Rows } from 'annex';

/** Deterministic numbers in [0, 1): mulberry32. */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** n × dim floats in [-1, 1). */
export function floats(n: number, dim: number, seed = 1): Float32Array {
  const next = random(seed);
  return Float32Array.from({ length: n * dim }, () => 2 * next() - 1);
}

/** n × dim floats that spread less along each further axis, by `fall`; the axes are the same for each seed. */
export function uneven(n: number, dim: number, fall: number, seed = 1): Float32Array {
  const axes = floats(dim, dim, 99);
  const next = random(seed);
  const out = new Float32Array(n * dim);
  for (let i = 0; i < n; i++) {
    for (let a = 0; a < dim; a++) {
      const along = (2 * next() - 1) / (a + 1) ** fall;
      for (let d = 0; d < dim; d++) out[i * dim + d]! += along * axes[a * dim + d]!;
    }
  }
  return out;
}

/** n × width integers in [low, high], in an array of the given type. */
export function integers<T extends Rows>(out: T, low: number, high: number, seed = 1): T {
  const next = random(seed);
  for (let i = 0; i < out.length; i++) out[i] = low + Math.floor(next() * (high - low + 1));
  return out;
}

export function row<T extends Rows>(rows: T, width: number, i: number): T {
  return rows.subarray(i * width, (i + 1) * width) as T;
}

const ones = (x: number): number => x.toString(2).replaceAll('0', '').length;

/** Distance by the definition, in doubles. */
export function distance(metric: Metric, a: Rows, b: Rows): number {
  let sum = 0;
  let aa = 0;
  let bb = 0;
  for (let i = 0; i < a.length; i++) {
    const x = a[i] as number;
    const y = b[i] as number;
    switch (metric) {
      case 'l2':
        sum += (x - y) ** 2;
        break;
      case 'l1':
        sum += Math.abs(x - y);
        break;
      case 'ip':
        sum -= x * y;
        break;
      case 'cosine':
        sum += x * y;
        aa += x * x;
        bb += y * y;
        break;
      case 'hamming':
        sum += ones(x ^ y);
        break;
      case 'jaccard':
        sum += ones(x & y);
        aa += ones(x | y);
        break;
    }
  }
  if (metric === 'cosine') return 1 - sum / Math.sqrt(aa * bb);
  if (metric === 'jaccard') return aa === 0 ? 0 : 1 - sum / aa;
  return sum;
}

export interface Found {
  id: number;
  distance: number;
}

/** The k nearest by the definition, ties by the smaller id. */
export function nearest(
  metric: Metric,
  rows: ReadonlyMap<number, Rows>,
  query: Rows,
  k: number,
  allowed: (id: number) => boolean = () => true,
): Found[] {
  const all: Found[] = [];
  for (const [id, vector] of rows) if (allowed(id)) all.push({ id, distance: distance(metric, query, vector) });
  all.sort((a, b) => a.distance - b.distance || a.id - b.id);
  return all.slice(0, k);
}

/** Rows of a flat array by id: position, or ids[position]. */
export function byId(rows: Rows, width: number, ids?: ArrayLike<number>): Map<number, Rows> {
  const map = new Map<number, Rows>();
  for (let i = 0; i * width < rows.length; i++) map.set(ids?.[i] ?? i, row(rows, width, i));
  return map;
}
