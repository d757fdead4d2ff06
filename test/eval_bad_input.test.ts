import { type AnnexErrorCode, FlatIndex, type Rows } from 'annex';
import {
  compareRuns,
  confidenceInterval,
  evaluate,
  exactNeighbors,
  latencySummary,
  measure,
  ndcgAtK,
  percentile,
  precisionAtK,
  recallAtK,
  reciprocalRank,
} from 'annex/eval';
import { describe, expect, it } from 'vitest';
import { expectFailure } from './support/expect.js';

describe('bad input', () => {
  const index = FlatIndex.createSync({ dim: 2 });
  index.addSync([0, 0, 1, 1]);
  const twisted = (value: unknown): never => value as never;
  it.each<[string, AnnexErrorCode, RegExp, () => unknown]>([
    ['text as list', 'INVALID_TYPE', /found as a list.*got "1"/, () => recallAtK(twisted('1'), [1], 1)],
    ['a number as list', 'INVALID_TYPE', /truth as a list.*got 1/, () => recallAtK([1], twisted(1), 1)],
    ['an id twice', 'DUPLICATE_ID', /distinct ids in found, got 2 twice/, () => recallAtK([2, 2], [1], 1)],
    ['an id twice in truth', 'DUPLICATE_ID', /truth of query 1/, () => measure([[1], [1]], [[1], [2, 2]], { k: 1 })],
    ['a bad id', 'INVALID_ID', /found of query 0: .*position 1, got -1/, () => measure([[1, -1]], [[1]], { k: 1 })],
    ['a bad id of a set', 'INVALID_ID', /truth: .*got 0\.5/, () => recallAtK([1], new Set([0.5]), 1)],
    ['text as id', 'INVALID_TYPE', /found: .*got "a"/, () => recallAtK(twisted(['a']), [1], 1)],
    ['k of 0', 'INVALID_ARGUMENT', /k to be an integer from 1/, () => precisionAtK([1], [1], 0)],
    ['k as text', 'INVALID_TYPE', /k, how many/, () => reciprocalRank([1], [1], twisted('1'))],
    ['a negative gain', 'INVALID_ARGUMENT', /gain of id 1 .*got -1/, () => ndcgAtK([1], new Map([[1, -1]]), 1)],
    ['an infinite gain', 'INVALID_ARGUMENT', /got Infinity/, () => ndcgAtK([1], new Map([[1, Infinity]]), 1)],
    ['text as gain', 'INVALID_TYPE', /gain of id 1/, () => ndcgAtK([1], twisted(new Map([[1, '1']])), 1)],
    ['another gain', 'INVALID_ARGUMENT', /"exponential"/, () => ndcgAtK([1], [1], 1, twisted({ gain: 'exp' }))],
    ['tolerance alone', 'INVALID_ARGUMENT', /distances/, () => recallAtK([1], [1], 1, { tolerance: 0 })],
    ['tolerance below 0', 'INVALID_ARGUMENT', /from 0 on/, () => recallAtK([1], [1], 1, { tolerance: -1 })],
    ['an unknown option', 'INVALID_ARGUMENT', /did you mean/, () => recallAtK([1], [1], 1, twisted({ toleranc: 1 }))],
    [
      'too few distances',
      'DIMENSION_MISMATCH',
      /as many distances as ids/,
      () => recallAtK({ ids: [1, 2], distances: [1] }, [1], 1),
    ],
    ['another count', 'INVALID_ARGUMENT', /truth.*found, 2, got 1/, () => measure([[1], [2]], [[1]], { k: 1 })],
    ['no run', 'INVALID_TYPE', /found as a list for each query/, () => measure(twisted(null), [], { k: 1 })],
    ['numbers as lists', 'INVALID_TYPE', /found of query 0/, () => measure(twisted([1, 2]), [[1], [2]], { k: 1 })],
    ['a crooked table', 'DIMENSION_MISMATCH', /rows of 2/, () => measure({ ids: [1, 2, 3], k: 2 }, [[1]], { k: 1 })],
    [
      'counts for fewer rows',
      'DIMENSION_MISMATCH',
      /1 rows of 2 \(k\) ids, got 3/,
      () => measure({ ids: [1, 2, 3], k: 2, counts: [1] }, [[1]], { k: 1 }),
    ],
    ['no columns', 'INVALID_ARGUMENT', /found\.k/, () => measure({ ids: [], k: 0 }, [], { k: 1 })],
    [
      'counts beyond k',
      'INVALID_ARGUMENT',
      /counts from 0 to 1/,
      () => measure({ ids: [1], k: 1, counts: [2] }, [[1]], { k: 1 }),
    ],
    ['no k', 'INVALID_TYPE', /k, how many/, () => measure([], [], twisted({}))],
    ['level of 1', 'INVALID_ARGUMENT', /level between 0 and 1/, () => confidenceInterval([1], { level: 1 })],
    ['no samples', 'INVALID_ARGUMENT', /samples from 1/, () => confidenceInterval([1], { samples: 0 })],
    ['a crooked seed', 'INVALID_ARGUMENT', /seed an integer/, () => confidenceInterval([1], { seed: 0.5 })],
    ['NaN as value', 'NOT_FINITE', /NaN at position 1/, () => confidenceInterval([1, Number.NaN])],
    ['text as value', 'INVALID_TYPE', /position 0/, () => percentile(twisted(['1']), 50)],
    ['no values', 'INVALID_TYPE', /array of numbers/, () => latencySummary(twisted(undefined))],
    ['p of 101', 'INVALID_ARGUMENT', /p from 0 to 100/, () => percentile([1], 101)],
    ['runs of two sizes', 'INVALID_ARGUMENT', /run b.*run a, 1, got 2/, () => compareRuns([[1]], [[1], [2]])],
    ['truth of another size', 'INVALID_ARGUMENT', /the runs, 1, got 0/, () => compareRuns([[1]], [[1]], [])],
    ['no index', 'INVALID_TYPE', /an index with dim/, () => evaluate(twisted({}), [], [], { k: 1 })],
    [
      'queries of another size',
      'INVALID_ARGUMENT',
      /truth.*queries, 2, got 1/,
      () => evaluate(index, [0, 0, 1, 1], [[0]], { k: 1 }),
    ],
    ['queries over', 'DIMENSION_MISMATCH', /got 3 in all/, () => evaluate(index, [0, 0, 1], [[0]], { k: 1 })],
    ['text as queries', 'INVALID_TYPE', /queries as/, () => evaluate(index, twisted('q'), [[0]], { k: 1 })],
    ['no options', 'INVALID_TYPE', /options object/, () => evaluate(index, [0, 0], [[0]], twisted(undefined))],
    [
      'another run',
      'INVALID_ARGUMENT',
      /"single"/,
      () => evaluate(index, [0, 0], [[0]], twisted({ k: 1, run: 'all' })),
    ],
    ['warmup below 0', 'INVALID_ARGUMENT', /warmup/, () => evaluate(index, [0, 0], [[0]], { k: 1, warmup: -1 })],
    [
      'no search option',
      'INVALID_ARGUMENT',
      /no option "ef"/,
      () => evaluate(index, [0, 0], [[0]], twisted({ k: 1, ef: 1 })),
    ],
    [
      'an onProgress that throws',
      'INVALID_ARGUMENT',
      /onProgress threw: no/,
      () =>
        evaluate(index, [0, 0], [[0]], {
          k: 1,
          onProgress: () => {
            throw new Error('no');
          },
        }),
    ],
    ['no class', 'INVALID_TYPE', /options\.FlatIndex/, () => exactNeighbors([[1]], [[1]], 1, twisted({}))],
    ['no dim', 'INVALID_ARGUMENT', /expected dim/, () => exactNeighbors([1], [1], 1, { FlatIndex })],
    [
      'queries of another dim',
      'DIMENSION_MISMATCH',
      /the queries as rows of 2/,
      () => exactNeighbors([[1, 2]], Float32Array.of(1, 2, 3), 1, { FlatIndex }),
    ],
    [
      'a class for an index',
      'INVALID_ARGUMENT',
      /"FlatIndex"/,
      () => exactNeighbors(index, [0, 0], 1, twisted({ FlatIndex })),
    ],
  ])('%s', async (_, code, message, call) => {
    await expectFailure(call, code, message);
  });
});

it('types are exact', () => {
  const never = (index: FlatIndex, bytes: FlatIndex<Int8Array>, any: FlatIndex<Rows>): void => {
    evaluate(any, new Int8Array(4), [[1]], { k: 1 });
    exactNeighbors(bytes, new Int8Array(4), 1);
    // @ts-expect-error no k
    evaluate(index, [1, 2], [[1]], {});
    // @ts-expect-error an option that neither knows
    evaluate(index, [1, 2], [[1]], { k: 1, effort: 3 });
    // @ts-expect-error bytes are not floats
    evaluate(index, new Uint8Array(4), [[1]], { k: 1 });
    // @ts-expect-error nor are they here
    exactNeighbors(index, new Uint8Array(4), 1);
    // @ts-expect-error vectors want the class of an entry
    exactNeighbors([[1]], [[1]], 1, {});
  };
  expect(never).toBeTypeOf('function');
});
