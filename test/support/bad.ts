import type { AnnexErrorCode } from 'annex';

/** Of the indexes that the values are tried on. */
export const dim = 4;
export const good = Float32Array.of(1, 2, 3, 4);

/** A value that is refused, and how. */
export interface BadRow {
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
export const badVectors: BadRow[] = [
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
export const badQueries: BadRow[] = [
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
export const badRows: BadRow[] = [
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

export const badIds: BadRow[] = [
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

export const badK: BadRow[] = [
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

export const badSearchOptions: BadRow[] = [
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

export const badSignals: BadRow[] = [
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

export const badWriteOptions: BadRow[] = [
  { name: 'text', value: () => 'ids', code: 'INVALID_TYPE', message: /options object, got "ids"/ },
  { name: 'ids without a name', value: () => [1], code: 'INVALID_TYPE', message: /options object, got an array/ },
  { name: 'unknown', value: () => ({ id: [1] }), code: 'INVALID_ARGUMENT', message: /no option "id"/ },
];

export const badProgress: BadRow[] = [
  {
    name: 'progress that is no function',
    value: () => ({ onProgress: 1 }),
    code: 'INVALID_TYPE',
    message: /onProgress.*got 1/,
  },
  ...badSignals,
];
