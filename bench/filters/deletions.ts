// Recall of a graph with removed rows, before and after compact, beside a graph that never held them.
import { FlatIndex, type HnswIndex } from 'annex';
import { Random } from '../../ts/data_generate.js';
import { recall } from '../lib/exactness.js';
import type { DeletionLine } from './report.js';
import { chosen, type FilterKind } from './rows.js';

const SHARE = 0.3;
const ROUNDS = 10;

interface Setting {
  readonly dim: number;
  readonly metric: 'l2' | 'ip' | 'cosine';
  readonly k: number;
}

const without = (n: number, gone: readonly number[]): number[] => {
  const set = new Set(gone);
  return Array.from({ length: n }, (_, i) => i).filter((i) => !set.has(i));
};

function take(rows: Float32Array, ids: readonly number[], dim: number): Float32Array {
  const out = new Float32Array(ids.length * dim);
  ids.forEach((id, i) => void out.set(rows.subarray(id * dim, (id + 1) * dim), i * dim));
  return out;
}

export function deletions(
  make: () => HnswIndex,
  rows: Float32Array,
  queries: Float32Array,
  { dim, metric, k }: Setting,
): DeletionLine[] {
  const n = rows.length / dim;
  const pivot = rows.subarray(0, dim);
  const lines: DeletionLine[] = [];
  const truthOf = (ids: readonly number[]): Int32Array => {
    const flat = FlatIndex.createSync({ dim, metric });
    flat.addSync(take(rows, ids, dim), { ids });
    const found = Int32Array.from(flat.searchBatchSync(queries, k).ids);
    flat.close();
    return found;
  };
  const measure = (index: HnswIndex, truth: Int32Array): number =>
    recall(index.searchBatchSync(queries, k), truth, k, k);
  const built = (ids: readonly number[]): HnswIndex => {
    const index = make();
    index.addSync(take(rows, ids, dim), { ids });
    return index;
  };
  const add = (what: string, index: HnswIndex, left: readonly number[]): void => {
    const truth = truthOf(left);
    const before = measure(index, truth);
    index.compactSync();
    const after = measure(index, truth);
    index.close();
    const fresh = built(left);
    lines.push({ what, fresh: measure(fresh, truth), before, after });
    fresh.close();
    process.stderr.write(`${what}\n`);
  };
  for (const kind of ['random', 'near'] as const satisfies readonly FilterKind[]) {
    const gone = chosen(kind, SHARE, rows, pivot, dim);
    const index = built(without(n, []));
    index.removeSync(gone);
    add(kind === 'random' ? '30 % removed, anywhere' : '30 % removed, the nearest to a row', index, without(n, gone));
  }
  // Half of the rows first; in each round a tenth of those goes, and as many of the others come.
  const half = Math.floor(n / 2);
  const part = Math.floor(half / ROUNDS);
  const random = new Random(3);
  let left = Array.from({ length: half }, (_, i) => i);
  const index = built(left);
  for (let round = 0; round < ROUNDS; round++) {
    const goes = new Set<number>();
    while (goes.size < part) goes.add(left[random.below(left.length)]!);
    const comes = Array.from({ length: part }, (_, i) => half + round * part + i);
    index.removeSync([...goes]);
    index.addSync(take(rows, comes, dim), { ids: comes });
    left = [...left.filter((id) => !goes.has(id)), ...comes];
  }
  add(`${ROUNDS} times a tenth removed and a tenth added`, index, left);
  return lines;
}
