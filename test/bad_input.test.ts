import { type AnnexErrorCode, FlatIndex, type Rows, type VectorIndex } from 'annex';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type BadRow,
  badIds,
  badK,
  badProgress,
  badQueries,
  badRows,
  badSearchOptions,
  badSignals,
  badVectors,
  badWriteOptions,
  dim,
  good,
} from './support/bad.js';
import { expectFailure, listed } from './support/expect.js';
import { subjects } from './support/subjects.js';

type Index = VectorIndex<Rows>;

/** Everything that a failed call must leave as it was. */
function fingerprint(index: Index): unknown {
  return {
    size: index.size,
    ids: [...index.ids()],
    rows: index.getMany(index.ids()),
    found: listed(index.searchSync([1, 2, 3, 4] as never, 5)),
  };
}

type Call = [method: string, call: (index: Index, value: never) => unknown];

const searches: Call[] = [
  ['searchSync', (i, v) => i.searchSync(v, 3)],
  ['search', (i, v) => i.search(v, 3)],
];
const batches: Call[] = [
  ['searchBatchSync', (i, v) => i.searchBatchSync(v, 3)],
  ['searchBatch', (i, v) => i.searchBatch(v, 3)],
];
const two = Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8);
const table: [what: string, rows: BadRow[], calls: Call[]][] = [
  ['query', [...badVectors, ...badQueries], searches],
  ['queries', [...badVectors, ...badRows], batches],
  [
    'vectors',
    [...badVectors, ...badRows],
    [
      ['addSync', (i, v) => i.addSync(v)],
      ['add', (i, v) => i.add(v)],
    ],
  ],
  [
    'vectors of upsert',
    badVectors,
    [
      ['upsertSync', (i, v) => i.upsertSync([0], v)],
      ['upsert', (i, v) => i.upsert([0], v)],
    ],
  ],
  [
    'ids',
    badIds,
    [
      ['addSync', (i, v) => i.addSync(two, { ids: v })],
      ['add', (i, v) => i.add(two, { ids: v })],
      ['upsertSync', (i, v) => i.upsertSync(v, two)],
      ['upsert', (i, v) => i.upsert(v, two)],
    ],
  ],
  [
    'ids to remove',
    badIds.filter(({ code }) => code !== 'INVALID_ARGUMENT'),
    [
      ['removeSync', (i, v) => i.removeSync(v)],
      ['remove', (i, v) => i.remove(v)],
    ],
  ],
  [
    'k',
    badK,
    [
      ['searchSync', (i, v) => i.searchSync(good, v)],
      ['search', (i, v) => i.search(good, v)],
      ['searchBatchSync', (i, v) => i.searchBatchSync(two, v)],
      ['searchBatch', (i, v) => i.searchBatch(two, v)],
    ],
  ],
  [
    'options',
    badSearchOptions,
    [
      ['searchSync', (i, v) => i.searchSync(good, 3, v)],
      ['search', (i, v) => i.search(good, 3, v)],
      ['searchBatchSync', (i, v) => i.searchBatchSync(two, 3, v)],
      ['searchBatch', (i, v) => i.searchBatch(two, 3, v)],
    ],
  ],
  [
    'signal',
    badSignals,
    [
      ['search', (i, v) => i.search(good, 3, v)],
      ['searchBatch', (i, v) => i.searchBatch(two, 3, v)],
    ],
  ],
  [
    'options of writers',
    badWriteOptions,
    [
      ['addSync', (i, v) => i.addSync(two, v)],
      ['add', (i, v) => i.add(two, v)],
      ['upsert', (i, v) => i.upsert([7, 8], two, v)],
    ],
  ],
  [
    'progress and signal of writers',
    badProgress,
    [
      ['add', (i, v) => i.add(two, v)],
      ['upsert', (i, v) => i.upsert([7, 8], two, v)],
      ['compact', (i, v) => i.compact(v)],
    ],
  ],
];

const cases = subjects.flatMap((subject) => table.map((line) => [subject.name, ...line, subject] as const));
describe.each(cases)('%s: bad %s', (_name, _what, rows, calls, subject) => {
  let index: Index;
  let before: unknown;
  beforeAll(() => {
    index = subject.create({ dim });
    index.addSync([1, 2, 3, 4, -1, 0, 1, 2], { ids: [0, 5] });
    before = fingerprint(index);
  });
  afterAll(() => index.close());

  it.each(rows.flatMap((row) => calls.map(([method, call]) => [row.name, method, row, call] as const)))(
    '%s: %s',
    async (_name, method, { value, code, message }, call) => {
      const bad = value() as never;
      if (method.endsWith('Sync')) expect(() => call(index, bad)).toThrow();
      else expect(() => void (call(index, bad) as Promise<unknown>).catch(() => {})).not.toThrow();
      await expectFailure(() => call(index, bad), code, message);
      expect(fingerprint(index)).toEqual(before);
    },
  );
});

it.each(subjects)('$name: an id that is in the index cannot be added again', async ({ create }) => {
  const index = create({ dim });
  index.addSync(two, { ids: [3, 4] });
  await expectFailure(() => index.addSync(two, { ids: [9, 4] }), 'DUPLICATE_ID', /id 4 at position 1.*upsert/);
  await expectFailure(() => index.add(two, { ids: [9, 4] }), 'DUPLICATE_ID', /id 4 at position 1.*upsert/);
  expect([...index.ids()]).toEqual([3, 4]);
});

it('a synchronous search takes no signal', async () => {
  const index = FlatIndex.createSync({ dim });
  const options = { signal: new AbortController().signal } as object;
  await expectFailure(() => index.searchSync(good, 1, options), 'INVALID_ARGUMENT', /no option "signal"/);
});

describe.each(subjects)('$name: the zero vector under cosine', ({ create }) => {
  const zero = [0, 0, 0, 0];
  it('is refused by every method', async () => {
    const index = create({ dim, metric: 'cosine' });
    index.addSync(two);
    for (const call of [
      () => index.addSync([good, zero]),
      () => index.add([good, zero]),
      () => index.upsert([0, 1], [good, zero]),
      () => index.searchBatchSync([good, zero]),
      () => index.searchBatch([good, zero]),
    ]) {
      await expectFailure(call, 'NOT_FINITE', /(row|query) 1 is the zero vector/);
    }
    await expectFailure(() => index.searchSync(zero), 'NOT_FINITE', /query 0 is the zero vector/);
    await expectFailure(() => index.search(zero), 'NOT_FINITE', /query 0 is the zero vector/);
    expect(index.size).toBe(2);
  });

  it('names the query of a large batch', async () => {
    const wide = create({ dim: 1024, metric: 'cosine' });
    wide.addSync(new Float32Array(1024).fill(1));
    const queries = new Float32Array(2500 * 1024).fill(1);
    queries.fill(0, 2400 * 1024, 2401 * 1024);
    await expectFailure(() => wide.searchBatch(queries, 1), 'NOT_FINITE', /query 2400 is the zero vector/);
    await expectFailure(() => wide.searchBatchSync(queries, 1), 'NOT_FINITE', /query 2400 is the zero vector/);
    queries.fill(1);
    queries[2300 * 1024 + 17] = Number.NaN;
    await expectFailure(() => wide.searchBatch(queries, 1), 'NOT_FINITE', /query 2300 holds NaN at column 17/);
    await expectFailure(() => wide.searchBatchSync(queries, 1), 'NOT_FINITE', /query 2300 holds NaN at column 17/);
    await expectFailure(() => wide.add(queries), 'NOT_FINITE', /row 2300 holds NaN at column 17/);
    await expectFailure(() => wide.addSync(Array.from(queries)), 'NOT_FINITE', /row 2300 holds NaN at column 17/);
    expect(wide.size).toBe(1);
  });
});

describe('bytes', () => {
  const cases: [storage: 'i8' | 'u8' | 'bits', name: string, value: unknown, code: AnnexErrorCode, message: RegExp][] =
    [
      ['i8', 'a Uint8Array', new Uint8Array(8), 'INVALID_TYPE', /Int8Array/],
      ['i8', 'a number out of range', [0, 0, 128, 0, 0, 0, 0, 0], 'INVALID_ARGUMENT', /128 at column 2.*-128 to 127/],
      ['i8', 'a fraction', Float32Array.of(0, 0.5, 0, 0, 0, 0, 0, 0), 'INVALID_ARGUMENT', /0\.5 at column 1/],
      ['i8', 'NaN', Float32Array.of(0, 0, 0, 0, Number.NaN, 0, 0, 0), 'NOT_FINITE', /NaN at column 4/],
      ['u8', 'an Int8Array', new Int8Array(8), 'INVALID_TYPE', /Uint8Array/],
      ['u8', 'a negative number', [0, 0, 0, -1, 0, 0, 0, 0], 'INVALID_ARGUMENT', /-1 at column 3.*0 to 255/],
      ['u8', 'text', [0, '1', 0, 0, 0, 0, 0, 0], 'INVALID_TYPE', /"1" at column 1/],
      ['bits', 'numbers', [1, 0, 1, 1, 0, 0, 0, 0], 'INVALID_TYPE', /packed bits/],
      ['bits', 'floats', new Float32Array(8), 'INVALID_TYPE', /packed bits/],
      ['bits', 'a byte too many', new Uint8Array(9), 'DIMENSION_MISMATCH', /8 bytes \(dim \/ 8 = 64 \/ 8\), got 9/],
      ['u8', 'shared memory', new Uint8Array(new SharedArrayBuffer(8)), 'INVALID_TYPE', /SharedArrayBuffer/],
    ];
  it.each(cases)('%s: %s', async (storage, _, value, code, message) => {
    const index = FlatIndex.createSync({ dim: storage === 'bits' ? 64 : 8, storage }) as Index;
    for (const call of [
      () => index.addSync(value as never),
      () => index.add(value as never),
      () => index.searchSync(value as never),
      () => index.search(value as never),
      () => index.searchBatch(value as never),
    ]) {
      const shape = code === 'DIMENSION_MISMATCH' ? /8 bytes/ : message;
      await expectFailure(call, code, shape);
    }
    expect(index.size).toBe(0);
    index.close();
  });
});

it('f16 refuses what it cannot hold', async () => {
  const index = FlatIndex.createSync({ dim: 2, storage: 'f16' });
  await expectFailure(() => index.addSync([1, 1, 1, 70_000]), 'INVALID_ARGUMENT', /row 1 holds 70000 at column 1/);
  await expectFailure(() => index.add([1, 1, 1, 70_000]), 'INVALID_ARGUMENT', /row 1 holds 70000 at column 1/);
  expect(index.size).toBe(0);
});
