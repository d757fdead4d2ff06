import { type AnnexErrorCode, FlatIndex, type Rows } from 'annex';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectFailure, listed } from './support/expect.js';

const dim = 4;
const good = Float32Array.of(1, 2, 3, 4);

type Index = FlatIndex<Rows>;

/** Everything that a failed call must leave as it was. */
function fingerprint(index: Index): unknown {
  return {
    size: index.size,
    ids: [...index.ids()],
    rows: index.getMany(index.ids()),
    found: listed(index.searchSync([1, 2, 3, 4] as never, 5)),
  };
}

interface Row {
  name: string;
  value: () => unknown;
  code: AnnexErrorCode;
  message: RegExp;
}

function detached(): Float32Array {
  const array = Float32Array.of(1, 2, 3, 4);
  structuredClone(array.buffer, { transfer: [array.buffer] });
  return array;
}

/** A view of which resizing has taken away the end. */
function shrunk(): Float32Array {
  const Resizable = ArrayBuffer as unknown as new (n: number, o: object) => ArrayBuffer & { resize(n: number): void };
  const buffer = new Resizable(16, { maxByteLength: 16 });
  const array = new Float32Array(buffer, 0, 4);
  buffer.resize(8);
  return array;
}

const shared = (): Float32Array => new Float32Array(new SharedArrayBuffer(16));
const holding = (value: number) => () => Float32Array.of(1, 2, value, 4);

/** Bad both as a query and as vectors. */
const badVectors: Row[] = [
  { name: 'undefined', value: () => undefined, code: 'INVALID_TYPE', message: /got undefined/ },
  { name: 'null', value: () => null, code: 'INVALID_TYPE', message: /got null/ },
  { name: 'text', value: () => '1,2,3,4', code: 'INVALID_TYPE', message: /got "1,2,3,4"/ },
  { name: 'a number', value: () => 4, code: 'INVALID_TYPE', message: /got 4/ },
  { name: 'an object', value: () => ({ length: 4 }), code: 'INVALID_TYPE', message: /got an object/ },
  { name: 'an ArrayBuffer', value: () => new ArrayBuffer(16), code: 'INVALID_TYPE', message: /ArrayBuffer/ },
  { name: 'a DataView', value: () => new DataView(new ArrayBuffer(16)), code: 'INVALID_TYPE', message: /DataView/ },
  { name: 'BigInts', value: () => new BigInt64Array(4), code: 'INVALID_TYPE', message: /BigInts are for ids only/ },
  { name: 'a Uint8Array', value: () => new Uint8Array(4), code: 'INVALID_TYPE', message: /storage "u8"/ },
  { name: 'an Int8Array', value: () => new Int8Array(4), code: 'INVALID_TYPE', message: /storage "i8"/ },
  { name: 'an Int32Array', value: () => new Int32Array(4), code: 'INVALID_TYPE', message: /Int32Array of 4/ },
  { name: 'a proxy', value: () => new Proxy(good, {}), code: 'INVALID_TYPE', message: /got/ },
  { name: 'a fake', value: () => Object.create(Float32Array.prototype), code: 'INVALID_TYPE', message: /got/ },
  { name: 'shared memory', value: shared, code: 'INVALID_TYPE', message: /SharedArrayBuffer.*copy/ },
  { name: 'a detached array', value: detached, code: 'INVALID_ARGUMENT', message: /transferred or detached.*copy/ },
  {
    name: 'text among numbers',
    value: () => [1, 2, '3', 4],
    code: 'INVALID_TYPE',
    message: /0 holds "3" at column 2/,
  },
  { name: 'holes', value: () => new Array(4), code: 'INVALID_TYPE', message: /undefined at column 0/ },
  { name: 'null among numbers', value: () => [1, 2, 3, null], code: 'INVALID_TYPE', message: /null at column 3/ },
  { name: 'a BigInt among numbers', value: () => [1, 2, 3, 4n], code: 'INVALID_TYPE', message: /4n at column 3/ },
  { name: 'NaN', value: holding(Number.NaN), code: 'NOT_FINITE', message: /(row|query) 0 holds NaN at column 2/ },
  {
    name: 'Infinity',
    value: holding(Number.POSITIVE_INFINITY),
    code: 'NOT_FINITE',
    message: /0 holds Infinity at column 2/,
  },
  {
    name: '-Infinity',
    value: holding(Number.NEGATIVE_INFINITY),
    code: 'NOT_FINITE',
    message: /0 holds -Infinity at column 2/,
  },
  {
    name: 'NaN in an array',
    value: () => [1, Number.NaN, 3, 4],
    code: 'NOT_FINITE',
    message: /0 holds NaN at column 1/,
  },
  {
    name: 'NaN in doubles',
    value: () => Float64Array.of(1, 2, 3, Number.NaN),
    code: 'NOT_FINITE',
    message: /0 holds NaN at column 3/,
  },
  {
    name: 'beyond f32',
    value: () => [1, 2, 3, 1e39],
    code: 'NOT_FINITE',
    message: /0 holds 1e\+39 at column 3, beyond the range/,
  },
  {
    name: 'beyond f32 in doubles',
    value: () => Float64Array.of(-1e200, 2, 3, 4),
    code: 'NOT_FINITE',
    message: /-1e\+200 at column 0/,
  },
];

/** Bad as a query alone: a length that is not dim. */
const badQueries: Row[] = [
  {
    name: 'too short',
    value: () => new Float32Array(3),
    code: 'DIMENSION_MISMATCH',
    message: /query of 4 numbers \(dim\), got 3$/,
  },
  {
    name: 'too long',
    value: () => new Float32Array(5),
    code: 'DIMENSION_MISMATCH',
    message: /query of 4 numbers \(dim\), got 5$/,
  },
  {
    name: 'two queries',
    value: () => new Float32Array(8),
    code: 'DIMENSION_MISMATCH',
    message: /got 8: for several queries use searchBatch/,
  },
  { name: 'empty', value: () => [], code: 'DIMENSION_MISMATCH', message: /got 0/ },
  { name: 'short doubles', value: () => new Float64Array(3), code: 'DIMENSION_MISMATCH', message: /got 3/ },
  { name: 'shrunk', value: shrunk, code: 'DIMENSION_MISMATCH', message: /got 0/ },
  { name: 'a row in an array', value: () => [[1, 2, 3, 4]], code: 'DIMENSION_MISMATCH', message: /got 1/ },
];

/** Bad as several rows. */
const badRows: Row[] = [
  {
    name: 'a row and a bit',
    value: () => new Float32Array(6),
    code: 'DIMENSION_MISMATCH',
    message: /rows of 4 numbers \(dim\), got 6 in all: 1 rows and 2 over/,
  },
  {
    name: 'a short row',
    value: () => [good, [1, 2, 3]],
    code: 'DIMENSION_MISMATCH',
    message: /(row|query) 1 to be 4 numbers \(dim\), got 3/,
  },
  {
    name: 'a row that is text',
    value: () => [good, 'abcd'],
    code: 'INVALID_TYPE',
    message: /(row|query) 1.*got "abcd"/,
  },
  { name: 'a row that is null', value: () => [good, null], code: 'INVALID_TYPE', message: /(row|query) 1.*got null/ },
  {
    name: 'a detached row',
    value: () => [good, detached()],
    code: 'INVALID_ARGUMENT',
    message: /(row|query) 1.*detached/,
  },
  {
    name: 'a shared row',
    value: () => [good, shared()],
    code: 'INVALID_TYPE',
    message: /(row|query) 1.*SharedArrayBuffer/,
  },
  {
    name: 'NaN in the second row',
    value: () => [good, [1, 2, 3, Number.NaN]],
    code: 'NOT_FINITE',
    message: /(row|query) 1 holds NaN at column 3/,
  },
  {
    name: 'NaN in a flat array',
    value: () => Float32Array.of(1, 2, 3, 4, 5, Number.NaN, 7, 8),
    code: 'NOT_FINITE',
    message: /(row|query) 1 holds NaN at column 1/,
  },
  {
    name: 'text in the second row',
    value: () => [good, [1, 'x', 3, 4]],
    code: 'INVALID_TYPE',
    message: /(row|query) 1 holds "x" at column 1/,
  },
];

const badIds: Row[] = [
  { name: 'too few', value: () => [7], code: 'INVALID_ARGUMENT', message: /as many ids as vectors, 2, got 1/ },
  { name: 'too many', value: () => [7, 8, 9], code: 'INVALID_ARGUMENT', message: /as many ids as vectors, 2, got 3/ },
  { name: 'repeated', value: () => [7, 7], code: 'DUPLICATE_ID', message: /id 7 is given twice.*position 1/ },
  { name: 'negative', value: () => [7, -1], code: 'INVALID_ID', message: /id 1 is -1/ },
  { name: 'a fraction', value: () => Float64Array.of(1.5, 7), code: 'INVALID_ID', message: /id 0 is 1\.5/ },
  { name: 'NaN', value: () => [7, Number.NaN], code: 'INVALID_ID', message: /id 1 is/ },
  { name: 'beyond 2^53', value: () => [7, 2 ** 53], code: 'INVALID_ID', message: /2\^53/ },
  { name: 'a BigInt beyond 2^53', value: () => [7n, 2n ** 53n], code: 'INVALID_ID', message: /2\^53/ },
  { name: 'a negative BigInt', value: () => BigInt64Array.of(7n, -1n), code: 'INVALID_ID', message: /-1n/ },
  { name: 'text', value: () => ['7', '8'], code: 'INVALID_TYPE', message: /position 0, got "7"/ },
  { name: 'one text', value: () => '7', code: 'INVALID_TYPE', message: /ids.*got "7"/ },
  { name: 'null', value: () => null, code: 'INVALID_TYPE', message: /ids.*got null/ },
  { name: 'floats', value: () => Float32Array.of(7, 8), code: 'INVALID_TYPE', message: /Float32Array of 2/ },
  { name: 'a Set', value: () => new Set([7, 8]), code: 'INVALID_TYPE', message: /Set/ },
  {
    name: 'shared',
    value: () => new Float64Array(new SharedArrayBuffer(16)),
    code: 'INVALID_TYPE',
    message: /SharedArrayBuffer/,
  },
];

const badK: Row[] = [
  { name: '0', value: () => 0, code: 'INVALID_ARGUMENT', message: /k.*from 1 on, got 0/ },
  { name: '-1', value: () => -1, code: 'INVALID_ARGUMENT', message: /got -1/ },
  { name: '1.5', value: () => 1.5, code: 'INVALID_ARGUMENT', message: /got 1\.5/ },
  { name: 'NaN', value: () => Number.NaN, code: 'INVALID_ARGUMENT', message: /got NaN/ },
  { name: 'Infinity', value: () => Number.POSITIVE_INFINITY, code: 'INVALID_ARGUMENT', message: /got Infinity/ },
  { name: 'text', value: () => '10', code: 'INVALID_TYPE', message: /got "10"/ },
  { name: 'null', value: () => null, code: 'INVALID_TYPE', message: /got null/ },
  { name: 'a BigInt', value: () => 10n, code: 'INVALID_TYPE', message: /got the BigInt 10n/ },
  { name: 'options', value: () => ({ filter: [1] }), code: 'INVALID_TYPE', message: /got an object/ },
];

const badSearchOptions: Row[] = [
  { name: 'a number', value: () => 5, code: 'INVALID_TYPE', message: /options object, got 5/ },
  { name: 'null', value: () => null, code: 'INVALID_TYPE', message: /options object, got null/ },
  {
    name: 'unknown',
    value: () => ({ filters: [1] }),
    code: 'INVALID_ARGUMENT',
    message: /"filters" \(did you mean "filter"\?\)/,
  },
  { name: 'threads 0', value: () => ({ threads: 0 }), code: 'INVALID_ARGUMENT', message: /threads.*got 0/ },
  { name: 'threads 1.5', value: () => ({ threads: 1.5 }), code: 'INVALID_ARGUMENT', message: /threads.*got 1\.5/ },
  { name: 'threads 2000', value: () => ({ threads: 2000 }), code: 'INVALID_ARGUMENT', message: /threads.*got 2000/ },
  { name: 'threads as text', value: () => ({ threads: '2' }), code: 'INVALID_TYPE', message: /threads.*got "2"/ },
];

const badSignals: Row[] = [
  {
    name: 'a signal that is none',
    value: () => ({ signal: {} }),
    code: 'INVALID_TYPE',
    message: /AbortSignal, got an object/,
  },
  {
    name: 'a controller',
    value: () => ({ signal: new AbortController() }),
    code: 'INVALID_TYPE',
    message: /AbortController/,
  },
  { name: 'an aborted signal', value: () => ({ signal: AbortSignal.abort() }), code: 'ABORTED', message: /aborted/ },
];

const badWriteOptions: Row[] = [
  { name: 'text', value: () => 'ids', code: 'INVALID_TYPE', message: /options object, got "ids"/ },
  { name: 'ids without a name', value: () => [1], code: 'INVALID_TYPE', message: /options object, got an array/ },
  { name: 'unknown', value: () => ({ id: [1] }), code: 'INVALID_ARGUMENT', message: /no option "id"/ },
];

const badProgress: Row[] = [
  {
    name: 'progress that is no function',
    value: () => ({ onProgress: 1 }),
    code: 'INVALID_TYPE',
    message: /onProgress.*got 1/,
  },
  ...badSignals,
];

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
const table: [what: string, rows: Row[], calls: Call[]][] = [
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
    ],
  ],
];

describe.each(table)('bad %s', (_, rows, calls) => {
  let index: Index;
  let before: unknown;
  beforeAll(() => {
    index = FlatIndex.createSync({ dim });
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

it('an id that is in the index cannot be added again', async () => {
  const index = FlatIndex.createSync({ dim });
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

describe('the zero vector under cosine', () => {
  const zero = [0, 0, 0, 0];
  it('is refused by every method', async () => {
    const index = FlatIndex.createSync({ dim, metric: 'cosine' });
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
    expect(index.getMany([0, 1])).toEqual([two.slice(0, 4), two.slice(4)]);
  });

  it('names the query of a large batch', async () => {
    const wide = FlatIndex.createSync({ dim: 1024, metric: 'cosine' });
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
