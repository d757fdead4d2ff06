import { Bitset, type Filter, FlatIndex, type VectorIndex } from 'annex';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { byId, integers, row } from './support/data.js';
import { expectFailure, expectNearest, listed } from './support/expect.js';
import { subjects } from './support/subjects.js';

const dim = 24;
const n = 3000;
const ids = Array.from({ length: n }, (_, i) => (i * 31) % 20_011);
const rows = integers(new Float32Array(n * dim), -4, 4);
const model = byId(rows, dim, ids);
const queries = integers(new Float32Array(40 * dim), -4, 4, 7);
const query = row(queries, dim, 0);
const index = FlatIndex.createSync({ dim });
index.addSync(rows, { ids });
afterAll(() => index.close());

const selectivities = [0, 1, 3, 50, 1000, 2999, 3000];
describe.each(subjects.flatMap((subject) => selectivities.map((count) => [subject.name, count, subject] as const)))(
  '%s, %i rows allowed',
  (_, count, { create, exact }) => {
    let index: VectorIndex;
    beforeAll(() => {
      index = create({ dim });
      index.addSync(rows, { ids });
    });
    afterAll(() => index.close());
    const allowed = new Set(ids.slice(0, count));
    const forms: [string, () => Filter][] = [
      ['number[]', () => [...allowed]],
      ['Float64Array', () => Float64Array.from(allowed)],
      ['Uint32Array', () => Uint32Array.from(allowed)],
      ['bigint[]', () => [...allowed].map(BigInt)],
      ['Set', () => allowed],
      ['Bitset', () => Bitset.fromIds([...allowed])],
      ['predicate', () => (id) => allowed.has(id)],
    ];
    it.each(forms)('by %s', async (_, form) => {
      const options = { allowed: (id: number) => allowed.has(id) };
      for (const k of [1, 10, 5000]) {
        expectNearest(index.searchSync(query, k, { ...exact, filter: form() }), 'l2', model, query, k, options);
        expectNearest(await index.search(query, k, { ...exact, filter: form() }), 'l2', model, query, k, options);
      }
      const sync = index.searchBatchSync(queries, 10, { ...exact, filter: form() });
      const async = await index.searchBatch(queries, 10, { ...exact, filter: form() });
      for (let q = 0; q < 40; q++) {
        expectNearest(sync.at(q), 'l2', model, row(queries, dim, q), 10, options);
        expect(listed(async.at(q))).toEqual(listed(sync.at(q)));
      }
    });
  },
);

it('ids that are not in the index allow nothing, and repeats do no harm', () => {
  const [known] = ids as [number];
  const hit = index.searchSync(query, 10, { filter: [known, 999_999, known, Number.MAX_SAFE_INTEGER] });
  expect([...hit.ids]).toEqual([known]);
});

it('ids beyond a Bitset are not allowed', () => {
  const bits = new Bitset(10).not();
  expect(bits.size).toBe(10);
  const options = { allowed: (id: number) => id < 10 };
  expectNearest(index.searchSync(query, 100, { filter: bits }), 'l2', model, query, 100, options);
});

describe('what a Bitset allows is found, whole words of it and parts', () => {
  const sizes = [1, 31, 32, 33, 63, 64, 65, 95, 96, 127, 129, 4095, 4096, 4097, 4127, 4160, 8192, 12_345, 270_000];
  it.each(sizes)('of %i rows', (size) => {
    const index = FlatIndex.createSync({ dim: 1, storage: 'u8' });
    index.addSync(new Uint8Array(size));
    const every = Array.from({ length: size }, (_, id) => id);
    // All, all but the ends, half, few, one at each end and around the middle.
    const choices = [
      every,
      every.slice(1, -1),
      every.filter((id) => (id * 2_654_435_761) % 64 < 32),
      every.filter((id) => (id * 2_654_435_761) % 4096 < 8),
      [0],
      [size - 1],
      every.slice(size >> 1, (size >> 1) + 2),
    ];
    for (const allowed of choices) {
      const k = Math.min(allowed.length + 1, 20_000);
      const found = index.searchSync(Uint8Array.of(0), k, { filter: Bitset.fromIds(allowed) });
      expect([...found.ids]).toEqual(allowed.slice(0, k)); // equal distances: the least ids
    }
    index.close();
  });
});

it('a Bitset may change right after the call', async () => {
  const [a, b] = ids as [number, number];
  const bits = Bitset.fromIds([a]);
  const first = index.search(query, 10, { filter: bits });
  bits.delete(a);
  bits.add(b);
  const second = index.search(query, 10, { filter: bits });
  bits.add(a);
  const third = index.searchBatch(query, 10, { filter: bits });
  bits.delete(a);
  expect([...(await first).ids]).toEqual([a]);
  expect([...(await second).ids]).toEqual([b]);
  expect([...(await third).at(0).ids].sort()).toEqual([a, b].sort());
});

it('a list may change right after the call', async () => {
  const [a, b] = ids as [number, number];
  for (const list of [[a], Float64Array.of(a), new Set([a])]) {
    const promise = index.search(query, 10, { filter: list });
    if (list instanceof Set) list.add(b);
    else list[0] = b;
    expect([...(await promise).ids]).toEqual([a]);
  }
});

describe('predicates', () => {
  it('are asked once for every id', async () => {
    const seen: number[] = [];
    await index.search(query, 3, { filter: (id) => seen.push(id) > 0 });
    expect(seen.sort((a, b) => a - b)).toEqual([...ids].sort((a, b) => a - b));
  });

  it('that throw reject with their error as the cause', async () => {
    const cause = new Error('no such document');
    const filter = (id: number): boolean => {
      if (id === ids[5]) throw cause;
      return true;
    };
    for (const call of [
      () => index.searchSync(query, 3, { filter }),
      () => index.search(query, 3, { filter }),
      () => index.searchBatchSync(queries, 3, { filter }),
      () => index.searchBatch(queries, 3, { filter }),
    ]) {
      const error = await expectFailure(call, 'INVALID_ARGUMENT', /threw for id \d+: no such document/);
      expect(error.cause).toBe(cause);
    }
    expect(index.searchSync(query, 3).length).toBe(3);
  });

  it('must not be asynchronous', async () => {
    const filter = (async () => true) as never;
    await expectFailure(() => index.search(query, 3, { filter }), 'INVALID_TYPE', /promise/);
    await expectFailure(() => index.searchSync(query, 3, { filter }), 'INVALID_TYPE', /promise/);
  });

  it('may close the index under the search', async () => {
    for (const way of ['search', 'searchSync', 'searchBatch'] as const) {
      const short = FlatIndex.createSync({ dim: 1 });
      short.addSync([1, 2, 3]);
      const filter = (): boolean => {
        short.close();
        return true;
      };
      await expectFailure(() => short[way]([1], 1, { filter }), 'CLOSED');
    }
  });

  it('let the event loop turn', async () => {
    let turns = 0;
    let asked = 0;
    const timer = setInterval(() => turns++, 1);
    const slow = (): boolean => {
      asked++;
      const until = performance.now() + 0.02;
      while (performance.now() < until);
      return true;
    };
    await index.search(query, 3, { filter: slow });
    clearInterval(timer);
    expect(turns).toBeGreaterThan(5);
    expect(asked).toBe(n);
  });

  it('can be aborted', async () => {
    const controller = new AbortController();
    let asked = 0;
    const filter = (): boolean => {
      asked++;
      const until = performance.now() + 0.1;
      while (performance.now() < until);
      return true;
    };
    setTimeout(() => controller.abort(), 5);
    await expectFailure(() => index.search(query, 3, { filter, signal: controller.signal }), 'ABORTED');
    expect(asked).toBeLessThan(n);
  });
});

describe('bad filters', () => {
  const bad: [string, unknown, string, RegExp][] = [
    ['text', 'all', 'INVALID_TYPE', /filter.*got "all"/],
    ['a number', 5, 'INVALID_TYPE', /filter.*got 5/],
    ['an object', {}, 'INVALID_TYPE', /ids.*got an object/],
    ['a list of text', ['1'], 'INVALID_TYPE', /position 0, got "1"/],
    ['a negative id', [1, -1], 'INVALID_ID', /position 1, got -1/],
    ['a fraction', Float64Array.of(0.5), 'INVALID_ID', /got 0\.5/],
    ['NaN', new Set([Number.NaN]), 'INVALID_ID', /got NaN/],
    ['an id beyond 2^53', [2 ** 53], 'INVALID_ID', /2\^53/],
    ['a BigInt beyond 2^53', [2n ** 60n], 'INVALID_ID', /2\^53/],
    ['floats', new Float32Array(2), 'INVALID_TYPE', /Float32Array of 2/],
  ];
  it.each(bad)('%s', async (_, filter, code, message) => {
    const options = { filter: filter as Filter };
    await expectFailure(() => index.searchSync(query, 3, options), code as never, message);
    await expectFailure(() => index.search(query, 3, options), code as never, message);
    await expectFailure(() => index.searchBatch(query, 3, options), code as never, message);
    await expectFailure(() => index.searchBatchSync(query, 3, options), code as never, message);
  });
});
