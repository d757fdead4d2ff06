import { describe } from './describe.js';
import { AnnexError } from './errors.js';
import { type Ids, idsOf } from './ids.js';

const MAX_CAPACITY = 2 ** 32;

/** Words of a bitset that stay as they are: the bitset copies them before its next change. */
let snapshot: (bits: Bitset) => Uint32Array;
let isBitset: (value: unknown) => value is Bitset;

export { isBitset, snapshot };

/**
 * A set of ids from 0 to 2^32 − 1, one bit each: the fastest `filter` where many ids are allowed. It grows as ids are
 * added; ids beyond its capacity are not in it.
 *
 * ```ts
 * const recent = new Bitset(index.size);
 * for (const doc of docs) if (doc.year >= 2020) recent.add(doc.id);
 * await index.search(query, 10, { filter: recent });
 * ```
 */
export class Bitset {
  static {
    snapshot = (bits) => {
      bits.#lent = true;
      return bits.#words;
    };
    isBitset = (value): value is Bitset => typeof value === 'object' && value !== null && #words in value;
  }

  #words: Uint32Array;
  #capacity: number;
  #size = 0;
  /** Whether a pending search holds #words. */
  #lent = false;

  /**
   * An empty set.
   *
   * @param capacity ids that it covers, 0 … capacity − 1 (default 0; it grows with `add`). `not()` is taken within it.
   * @throws AnnexError INVALID_TYPE, INVALID_ARGUMENT, OUT_OF_MEMORY
   */
  constructor(capacity = 0) {
    if (typeof capacity !== 'number') {
      throw new AnnexError('INVALID_TYPE', `expected a capacity as a number, got ${describe(capacity)}`);
    }
    if (!(Number.isInteger(capacity) && capacity >= 0 && capacity <= MAX_CAPACITY)) {
      throw new AnnexError('INVALID_ARGUMENT', `expected a capacity from 0 to 2^32, got ${capacity}`);
    }
    this.#words = allocate(Math.ceil(capacity / 32));
    this.#capacity = capacity;
  }

  /** The set of these ids (repeats are harmless); its capacity is the largest plus one. */
  static fromIds(ids: Ids | Iterable<number>): Bitset {
    const bits = new Bitset();
    if (typeof ids === 'object' && ids !== null && !Array.isArray(ids) && !ArrayBuffer.isView(ids)) {
      if (typeof (ids as Iterable<number>)[Symbol.iterator] === 'function') {
        for (const id of ids as Iterable<number>) bits.add(id);
        return bits;
      }
    }
    const source = idsOf(ids);
    for (const id of source.take(0, source.n)) bits.add(id);
    return bits;
  }

  /** How many ids are in the set. */
  get size(): number {
    return this.#size;
  }

  /** How many ids the set covers: 0 … capacity − 1. */
  get capacity(): number {
    return this.#capacity;
  }

  /** Puts an id in, growing the capacity where needed. @throws AnnexError INVALID_TYPE, INVALID_ID */
  add(id: number): this {
    const i = checkId(id);
    if (i >= this.#capacity) this.#grow(i + 1);
    const mask = 1 << (i & 31);
    const word = this.#words[i >>> 5] as number;
    if ((word & mask) === 0) {
      this.#own();
      this.#words[i >>> 5] = word | mask;
      this.#size++;
    }
    return this;
  }

  /** Takes an id out; returns whether it was in. @throws AnnexError INVALID_TYPE, INVALID_ID */
  delete(id: number): boolean {
    if (!this.has(id)) return false;
    this.#own();
    this.#words[id >>> 5] = (this.#words[id >>> 5] as number) & ~(1 << (id & 31));
    this.#size--;
    return true;
  }

  /** Whether an id is in the set. @throws AnnexError INVALID_TYPE, INVALID_ID */
  has(id: number): boolean {
    const i = checkId(id);
    return i < this.#capacity && ((this.#words[i >>> 5] as number) & (1 << (i & 31))) !== 0;
  }

  /** A new set: ids that are in both. Its capacity is the smaller of the two. */
  and(other: Bitset): Bitset {
    const b = operand(other, 'and');
    const result = new Bitset(Math.min(this.#capacity, b.#capacity));
    for (let i = 0; i < result.#words.length; i++) {
      result.#words[i] = (this.#words[i] as number) & (b.#words[i] as number);
    }
    return result.#recount();
  }

  /** A new set: ids that are in either. Its capacity is the larger of the two. */
  or(other: Bitset): Bitset {
    const b = operand(other, 'or');
    const result = new Bitset(Math.max(this.#capacity, b.#capacity));
    for (let i = 0; i < result.#words.length; i++) result.#words[i] = (this.#words[i] ?? 0) | (b.#words[i] ?? 0);
    return result.#recount();
  }

  /** A new set: the ids below the capacity that are not in this one. */
  not(): Bitset {
    const result = new Bitset(this.#capacity);
    for (let i = 0; i < result.#words.length; i++) result.#words[i] = ~(this.#words[i] as number);
    const rest = this.#capacity & 31;
    const last = result.#words.length - 1;
    if (rest !== 0) result.#words[last] = (result.#words[last] as number) & ((1 << rest) - 1);
    return result.#recount();
  }

  /** The ids, ascending. */
  *[Symbol.iterator](): IterableIterator<number> {
    for (let i = 0; i < this.#words.length; i++) {
      let word = this.#words[i] as number;
      while (word !== 0) {
        const bit = 31 - Math.clz32(word & -word);
        yield i * 32 + bit;
        word &= word - 1;
      }
    }
  }

  #own(): void {
    if (!this.#lent) return;
    this.#words = this.#words.slice();
    this.#lent = false;
  }

  /** Words double, so that adding ids one by one costs a constant time each. */
  #grow(capacity: number): void {
    const needed = Math.ceil(capacity / 32);
    if (needed > this.#words.length) {
      const words = allocate(Math.min(Math.max(needed, 2 * this.#words.length), MAX_CAPACITY / 32));
      words.set(this.#words);
      this.#words = words;
      this.#lent = false;
    }
    this.#capacity = capacity;
  }

  #recount(): this {
    let n = 0;
    for (const word of this.#words) {
      let x = word - ((word >>> 1) & 0x55555555);
      x = (x & 0x33333333) + ((x >>> 2) & 0x33333333);
      n += Math.imul((x + (x >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
    }
    this.#size = n;
    return this;
  }
}

function operand(value: unknown, method: string): Bitset {
  if (isBitset(value)) return value;
  throw new AnnexError('INVALID_TYPE', `expected ${method}() to get a Bitset, got ${describe(value)}`);
}

function checkId(id: unknown): number {
  if (typeof id !== 'number') throw new AnnexError('INVALID_TYPE', `expected an id as a number, got ${describe(id)}`);
  if (Number.isInteger(id) && id >= 0 && id < MAX_CAPACITY) return id;
  throw new AnnexError(
    'INVALID_ID',
    `expected an id from 0 to 2^32 - 1 (the ids that a Bitset holds), got ${describe(id)}: use a list of ids as filter`,
  );
}

function allocate(words: number): Uint32Array {
  try {
    return new Uint32Array(words);
  } catch (cause) {
    throw new AnnexError('OUT_OF_MEMORY', `no memory for a Bitset of ${words * 32} ids`, { cause });
  }
}
