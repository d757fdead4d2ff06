import { describe } from './describe.js';
import { AnnexError } from './errors.js';
import { checkedId, type Ids, idsOf } from './ids.js';
import { tagOf } from './typed_arrays.js';

/** The ids found for one query, best first: plain ids, or what `search` returned (its distances are used for ties). */
export type Ranked = Ids | { readonly ids: Ids; readonly distances?: ArrayLike<number> | undefined };

/**
 * Lists of several queries in one flat table of nq × k, such as a BatchResult: row i holds the list of query i, then
 * padding. Without `counts` a list ends where only ids of −1 follow.
 */
export interface RunTable {
  readonly ids: Ids;
  /** Columns. */
  readonly k: number;
  readonly counts?: ArrayLike<number> | undefined;
  readonly distances?: ArrayLike<number> | undefined;
}

/** What was found for several queries: one list for each, or a table. */
export type Run = readonly Ranked[] | RunTable;

/**
 * What ought to be found for one query:
 * - a list: the true neighbours, nearest first. Of these the first k are relevant, each with gain 1;
 * - a set: relevant ids without an order. All count, with gain 1;
 * - a map from ids to gains (finite, from 0 on): graded relevance. Ids with a gain above 0 are relevant.
 */
export type Truth = Ranked | ReadonlySet<number> | ReadonlyMap<number, number>;

/** What ought to be found for several queries: a truth for each, or a table of true neighbours. */
export type Truths = readonly Truth[] | RunTable;

/** A list that was checked: distinct valid ids. */
export interface List {
  readonly ids: Float64Array;
  readonly distances: ArrayLike<number> | undefined;
}

/** A truth that was checked: a list, or gains of relevant ids (all above 0). */
export type CheckedTruth = List | ReadonlyMap<number, number>;

/** Checks one ranked list; `what` names it in messages. */
export function listOf(value: unknown, what: string): List {
  if (typeof value !== 'object' || value === null) throw noList(value, what);
  const plain = Array.isArray(value) || tagOf(value) !== undefined;
  if (!plain && !('ids' in value)) throw noList(value, what);
  const { ids: given, distances } = plain
    ? { ids: value, distances: undefined }
    : (value as { ids: unknown; distances?: unknown });
  const ids = located(what, () => takeIds(given));
  checkDistinct(ids, what);
  return { ids, distances: distancesOf(distances, ids.length, what) };
}

/** Checks a run; `what` names it in messages, such as `found`. */
export function listsOf(value: unknown, what: string): List[] {
  if (Array.isArray(value)) return value.map((one, i) => listOf(one, `${what} of query ${i}`));
  return tableOf(value, what);
}

export function truthOf(value: unknown, what: string): CheckedTruth {
  if (value instanceof Set) {
    const gains = new Map<number, number>();
    for (const id of value)
      gains.set(
        located(what, () => checkedId(id)),
        1,
      );
    return gains;
  }
  return value instanceof Map ? gainsOf(value, what) : listOf(value, what);
}

export function truthsOf(value: unknown): CheckedTruth[] {
  if (Array.isArray(value)) return value.map((one, i) => truthOf(one, `truth of query ${i}`));
  return tableOf(value, 'truth');
}

/** Throws unless there is one truth (or list) for each of n queries. */
export function checkSameCount(what: string, count: number, of: string, n: number): void {
  if (count === n) return;
  throw new AnnexError(
    'INVALID_ARGUMENT',
    `expected ${what} for as many queries as ${of}, ${n}, got ${count}: does it belong to other queries?`,
  );
}

function tableOf(value: unknown, what: string): List[] {
  const table = value as { ids: unknown; k: unknown; counts?: ArrayLike<number>; distances?: unknown };
  if (typeof value !== 'object' || value === null || tagOf(value) !== undefined || !('ids' in value)) {
    throw new AnnexError(
      'INVALID_TYPE',
      `expected ${what} as a list for each query or a table { ids, k }, got ${describe(value)}`,
    );
  }
  const ids = located(what, () => idsOf(table.ids));
  const { k, counts } = table;
  if (typeof k !== 'number' || !Number.isInteger(k) || k < 0 || (k === 0 && counts === undefined)) {
    throw new AnnexError('INVALID_ARGUMENT', `expected ${what}.k, columns of the table, from 1 on, got ${describe(k)}`);
  }
  const n = counts === undefined ? ids.n / k : counts.length;
  if (!Number.isInteger(n) || n * k !== ids.n) {
    const rows = counts === undefined ? `rows of ${k}` : `${n} rows of ${k}`;
    throw new AnnexError('DIMENSION_MISMATCH', `expected ${what}.ids to hold ${rows} (k) ids, got ${ids.n} in all`);
  }
  const flat = located(what, () => ids.take(0, ids.n));
  const distances = distancesOf(table.distances, ids.n, what);
  return Array.from({ length: n }, (_, i) => {
    const count = counts === undefined ? unpadded(flat, i * k, k) : (counts[i] as number);
    if (!(Number.isInteger(count) && count >= 0 && count <= k)) {
      throw new AnnexError(
        'INVALID_ARGUMENT',
        `expected ${what}.counts from 0 to ${k} (k), got ${describe(count)} for query ${i}`,
      );
    }
    const row = flat.slice(i * k, i * k + count);
    const name = `${what} of query ${i}`;
    located(name, () => row.forEach(checkedId));
    checkDistinct(row, name);
    return { ids: row, distances: distances && Float64Array.from(row, (_, j) => distances[i * k + j] as number) };
  });
}

function unpadded(flat: Float64Array, start: number, k: number): number {
  let count = k;
  while (count > 0 && flat[start + count - 1] === -1) count--;
  return count;
}

function takeIds(value: unknown): Float64Array {
  if (typeof value !== 'object') throw noList(value, 'ids');
  const source = idsOf(value);
  const ids = source.take(0, source.n).slice();
  ids.forEach(checkedId);
  return ids;
}

function checkDistinct(ids: Float64Array, what: string): void {
  const seen = new Set<number>();
  for (const id of ids) {
    if (seen.has(id)) throw new AnnexError('DUPLICATE_ID', `expected distinct ids in ${what}, got ${id} twice`);
    seen.add(id);
  }
}

function distancesOf(value: unknown, n: number, what: string): ArrayLike<number> | undefined {
  if (value === undefined) return undefined;
  if (!Array.isArray(value) && tagOf(value) === undefined) {
    throw new AnnexError('INVALID_TYPE', `expected distances of ${what} as an array, got ${describe(value)}`);
  }
  const distances = value as ArrayLike<number>;
  if (distances.length === n) return distances;
  throw new AnnexError(
    'DIMENSION_MISMATCH',
    `expected as many distances as ids in ${what}, ${n}, got ${distances.length}`,
  );
}

function gainsOf(map: ReadonlyMap<unknown, unknown>, what: string): ReadonlyMap<number, number> {
  const gains = new Map<number, number>();
  for (const [key, gain] of map) {
    const id = located(what, () => checkedId(key));
    if (typeof gain !== 'number') {
      throw new AnnexError(
        'INVALID_TYPE',
        `expected the gain of id ${id} in ${what} as a number, got ${describe(gain)}`,
      );
    }
    if (!(Number.isFinite(gain) && gain >= 0)) {
      throw new AnnexError(
        'INVALID_ARGUMENT',
        `expected the gain of id ${id} in ${what} to be finite and from 0 on, got ${gain}`,
      );
    }
    if (gain > 0) gains.set(id, gain);
  }
  return gains;
}

function noList(value: unknown, what: string): AnnexError {
  return new AnnexError(
    'INVALID_TYPE',
    `expected ${what} as a list of ids or an object { ids, distances }, got ${describe(value)}`,
  );
}

/** What `read` returns; its errors say of what they speak. */
function located<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof AnnexError)) throw error;
    throw new AnnexError(error.code, `${what}: ${error.message}`, { cause: error });
  }
}
