import { type Backend, type BackendIndex, type CoreFilter, FILTER } from './backend.js';
import { type Bitset, isBitset, snapshot } from './bitset.js';
import { describe } from './describe.js';
import { AnnexError } from './errors.js';
import { checkedId, type Ids, idsOf } from './ids.js';

/**
 * Which ids a search may return: a list or Set of ids, a {@link Bitset}, or a predicate that is asked once for every
 * id of the index when the search is called (so a list or a Bitset kept between searches is far faster).
 */
export type Filter = Ids | ReadonlySet<number> | Bitset | ((id: number) => boolean);

export const NO_FILTER: CoreFilter = { kind: FILTER.none, data: null, count: 0 };

export type Predicate = (id: number) => unknown;

/** A filter for the core, or the predicate that is yet to be evaluated. */
export function filterOf(value: unknown): CoreFilter | Predicate {
  if (value === undefined || value === null) return NO_FILTER;
  if (typeof value === 'function') return value as Predicate;
  if (isBitset(value)) return { kind: FILTER.bits, data: snapshot(value), count: value.capacity };
  const data = value instanceof Set ? idsOfSet(value) : idsOfList(value);
  return { kind: FILTER.ids, data, count: data.length };
}

function idsOfSet(set: ReadonlySet<unknown>): Float64Array {
  const out = new Float64Array(set.size);
  let i = 0;
  for (const id of set) {
    out[i] = checkedId(id, i);
    i++;
  }
  return out;
}

function idsOfList(value: unknown): Float64Array {
  if ((typeof value !== 'object' || value === null) && typeof value !== 'bigint') {
    throw new AnnexError(
      'INVALID_TYPE',
      `expected filter to be a list or Set of ids, a Bitset or a function of an id, got ${describe(value)}`,
    );
  }
  const source = idsOf(value);
  const ids = source.take(0, source.n).slice();
  for (let i = 0; i < ids.length; i++) checkedId(ids[i], i);
  return ids;
}

/** Whether two filters allow the same ids in the same form, so that their searches can share a batch. */
export function sameFilter(a: CoreFilter, b: CoreFilter): boolean {
  if (a.kind !== b.kind || a.count !== b.count) return false;
  if (a.data === b.data) return true;
  if (a.kind !== FILTER.ids || a.data === null || b.data === null) return false;
  for (let i = 0; i < a.count; i++) if (a.data[i] !== b.data[i]) return false;
  return true;
}

/** Ids asked of the core at once. */
const SLICE = 4096;

/** Collects the ids that a predicate allows, a slice at a time. */
class Sieve {
  readonly #index: () => BackendIndex;
  readonly #predicate: Predicate;
  readonly #slice = new Float64Array(SLICE);
  #allowed = new Float64Array(1024);
  #count = 0;
  #start = 0;

  /** `index` throws CLOSED once the index is closed, which the predicate itself may do. */
  constructor(index: () => BackendIndex, predicate: Predicate) {
    this.#index = index;
    this.#predicate = predicate;
  }

  /** Asks about ids until `deadline` (performance.now()); returns whether all have been asked. */
  advance(deadline: number): boolean {
    for (;;) {
      const got = this.#index().ids(this.#start, this.#slice);
      for (let i = 0; i < got; i++) {
        const id = this.#slice[i] as number;
        if (this.#ask(id)) this.#push(id);
        if ((i & 63) === 63 && performance.now() >= deadline) {
          this.#start += i + 1;
          return false;
        }
      }
      this.#start += got;
      if (got < SLICE) return true;
    }
  }

  result(): CoreFilter {
    this.#index();
    return { kind: FILTER.ids, data: this.#allowed.slice(0, this.#count), count: this.#count };
  }

  #ask(id: number): boolean {
    let answer: unknown;
    try {
      answer = this.#predicate(id);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : describe(cause);
      throw new AnnexError('INVALID_ARGUMENT', `the filter threw for id ${id}: ${reason}`, { cause });
    }
    if (typeof answer === 'object' && answer !== null && 'then' in answer) {
      Promise.resolve(answer).catch(() => {});
      throw new AnnexError(
        'INVALID_TYPE',
        'expected filter to return a boolean, got a promise: it must be synchronous',
      );
    }
    return Boolean(answer);
  }

  #push(id: number): void {
    if (this.#count === this.#allowed.length) {
      const larger = new Float64Array(2 * this.#count);
      larger.set(this.#allowed);
      this.#allowed = larger;
    }
    this.#allowed[this.#count++] = id;
  }
}

export function evaluateSync(index: () => BackendIndex, predicate: Predicate): CoreFilter {
  const sieve = new Sieve(index, predicate);
  sieve.advance(Number.POSITIVE_INFINITY);
  return sieve.result();
}

/** Evaluates a predicate with a turn of the event loop every few milliseconds. `check` throws when aborted. */
export async function evaluate(
  backend: Backend,
  index: () => BackendIndex,
  predicate: Predicate,
  check: () => void,
): Promise<CoreFilter> {
  const sieve = new Sieve(index, predicate);
  while (!sieve.advance(performance.now() + 3)) {
    await backend.turn();
    check();
  }
  return sieve.result();
}
