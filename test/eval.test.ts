import { FlatIndex } from 'annex';
import {
  averagePrecision,
  compareRuns,
  confidenceInterval,
  evaluate,
  exactNeighbors,
  latencySummary,
  measure,
  ndcgAtK,
  percentile,
  precisionAtK,
  type Ranked,
  recallAtK,
  reciprocalRank,
  type Truth,
  topKHit,
} from 'annex/eval';
import { describe, expect, it } from 'vitest';
import { byId, floats, integers, nearest, random, row } from './support/data.js';
import { expectFailure } from './support/expect.js';

/** All metrics of one query, in the order recall, precision, reciprocal rank, NDCG, average precision, top-k hit. */
function all(found: Ranked, truth: Truth, k: number): number[] {
  return [recallAtK, precisionAtK, reciprocalRank, ndcgAtK, averagePrecision, topKHit].map((f) => f(found, truth, k));
}

function expectClose(got: readonly number[], wanted: readonly number[]): void {
  expect(got.length).toBe(wanted.length);
  got.forEach((x, i) => {
    if (Number.isNaN(wanted[i])) expect(x).toBeNaN();
    else expect(Math.abs(x - (wanted[i] as number)), `value ${i}: ${x} against ${wanted[i]}`).toBeLessThan(1e-6);
  });
}

describe('metrics by hand', () => {
  // Discounts of places 1 … 5: 1, 0.6309298, 0.5, 0.4306766, 0.3868528; their sum is 2.9484591.
  it.each<[string, Ranked, Truth, number, number[]]>([
    // hits at places 1 and 3: DCG 1.5; AP (1/1 + 2/3) / 5
    ['some hits', [1, 9, 3, 8, 7], [1, 2, 3, 4, 5], 5, [0.4, 0.4, 1, 0.508740308, 0.333333333, 1]],
    ['all hits, in any order', [3, 1, 2], [1, 2, 3], 3, [1, 1, 1, 1, 1, 1]],
    ['no hit', [7, 8, 9], [1, 2, 3], 3, [0, 0, 0, 0, 0, 0]],
    ['nothing found', [], [1, 2, 3], 3, [0, 0, 0, 0, 0, 0]],
    ['of a list the first k count', [2, 3, 9], [1, 2, 3, 9], 2, [0.5, 0.5, 1, 0.613147196, 0.5, 0]],
    ['of a set all count', [2, 3, 9], new Set([1, 2, 3, 9]), 2, [0.5, 1, 1, 1, 1, 1]],
    // two neighbours exist, k is 4: DCG (0.6309298 + 0.5) / 1.6309298; AP (1/2 + 2/3) / 2
    ['k beyond the truth', [9, 1, 2], [1, 2], 4, [1, 0.5, 0.5, 0.693426404, 0.583333333, 1]],
    ['one id', [5], [5], 1, [1, 1, 1, 1, 1, 1]],
    // gains 2 at place 1, 3 at place 3: (2 + 1.5) / (3 + 2 · 0.6309298)
    [
      'gains',
      [2, 9, 1],
      new Map([
        [1, 3],
        [2, 2],
        [9, 0],
      ]),
      3,
      [1, 0.666666667, 1, 0.821237771, 0.833333333, 1],
    ],
    ['nothing relevant', [1, 2], [], 2, [NaN, NaN, NaN, NaN, NaN, NaN]],
    ['an empty set', [1, 2], new Set<number>(), 2, [NaN, NaN, NaN, NaN, NaN, NaN]],
    ['no gain above 0', [1, 2], new Map([[1, 0]]), 2, [NaN, NaN, NaN, NaN, NaN, NaN]],
  ])('%s', (_, found, truth, k, wanted) => {
    expectClose(all(found, truth, k), wanted);
  });

  it('exponential gains', () => {
    const truth = new Map([
      [1, 3],
      [2, 2],
      [3, 1],
    ]);
    // (7 + 1 / 2) / (7 + 3 · 0.6309298 + 1 / 2)
    expectClose([ndcgAtK([1, 9, 3], truth, 3, { gain: 'exponential' })], [0.798484858]);
    expect(ndcgAtK([1, 9], new Map([[1, 2000]]), 2, { gain: 'exponential' })).toBe(1);
  });

  it('the target of a map is what has the largest gain', () => {
    const truth = new Map([
      [1, 1],
      [2, 5],
      [3, 5],
    ]);
    expect([[1], [2], [3], [1, 3]].map((found) => topKHit(found, truth, 2))).toEqual([0, 1, 1, 1]);
  });

  it('ties at the k-th place, by distance', () => {
    const truth = { ids: [1, 2, 3], distances: [0, 1, 1] };
    const found = { ids: [1, 3, 9], distances: [0, 1, 1.25] };
    expect(recallAtK(found, truth, 2)).toBe(0.5);
    expect(recallAtK(found, truth, 2, { tolerance: 0 })).toBe(1);
    expect(recallAtK(found, truth, 3, { tolerance: 0.2 })).toBeCloseTo(2 / 3, 12);
    expect(recallAtK(found, truth, 3, { tolerance: 0.25 })).toBe(1);
    // Never more than all, and an id of the truth is a hit whatever its distance was rounded to.
    expect(recallAtK({ ids: [7, 8, 9], distances: [1, 1, 1] }, { ids: [1], distances: [1] }, 3, { tolerance: 0 })).toBe(
      1,
    );
    expect(recallAtK({ ids: [1], distances: [1.001] }, { ids: [1], distances: [1] }, 1, { tolerance: 0 })).toBe(1);
  });
});

// Values of scikit-learn 1.9.1. A list of ids stands for scores that fall with the place:
//   ndcg_score([gains], [scores], k=k), also with 2**gains - 1 and with gains > 0; average_precision_score(gains > 0, scores);
//   recall_score and precision_score of "among the first k"; top_k_accuracy_score(targets, scores, k=k);
//   label_ranking_average_precision_score, which is the reciprocal rank where one label is relevant.
describe('metrics as of scikit-learn', () => {
  const found = [3, 7, 1, 9, 4, 0, 8, 2, 6, 5];
  const gains = new Map([
    [7, 3],
    [4, 2],
    [0, 3],
    [2, 1],
    [5, 2],
  ]);
  const relevant = new Set(gains.keys());

  it('NDCG', () => {
    const linear = [1, 3, 5, 10].map((k) => ndcgAtK(found, gains, k));
    expectClose(linear, [0, 0.3212043018970803, 0.37340662000756225, 0.6481885012663237]);
    const exponential = [3, 5, 10].map((k) => ndcgAtK(found, gains, k, { gain: 'exponential' }));
    expectClose(exponential, [0.3419274142028242, 0.38211150285492185, 0.6339793511939434]);
    const binary = [3, 5, 10].map((k) => ndcgAtK(found, relevant, k));
    expectClose(binary, [0.2960819109658652, 0.3451913422468693, 0.6710350631449844]);
  });

  it('average precision, recall and precision', () => {
    expectClose([averagePrecision(found, relevant, 10)], [0.48]);
    const ks = [1, 3, 5, 10];
    expectClose(
      ks.map((k) => recallAtK(found, relevant, k)),
      [0, 0.2, 0.4, 1],
    );
    expectClose(
      ks.map((k) => precisionAtK(found, relevant, k)),
      [0, 0.3333333333333333, 0.4, 0.5],
    );
  });

  it('means of several queries: MRR, MAP, top-k accuracy', () => {
    const runs = [
      [2, 0, 1, 3, 4],
      [4, 3, 2, 1, 0],
      [1, 2, 3, 4, 0],
    ];
    const targets = [[0], [4], [0]];
    const { mrr, map } = measure(runs, targets, { k: 5 });
    expectClose([mrr.mean, map.mean], [0.5666666666666667, 0.5666666666666667]);
    const top = [1, 2, 5].map((k) => measure(runs, targets, { k }).topK.mean);
    expectClose(top, [0.3333333333333333, 0.6666666666666666, 1]);
  });
});

describe('measure', () => {
  it('gives values, means and intervals, over the queries that have a truth', () => {
    const quality = measure(
      [
        [1, 2],
        [1, 3],
        [4, 5],
      ],
      [[1, 2], [1, 2], []],
      { k: 2 },
    );
    expect(quality).toMatchObject({ k: 2, queries: 3 });
    const { recall } = quality;
    expect(recall.values).toEqual(Float64Array.of(1, 0.5, Number.NaN));
    expect([recall.mean, recall.low, recall.high, recall.level, recall.counted]).toEqual([0.75, 0.5, 1, 0.95, 2]);
    const none = measure([], [], { k: 2 }).ndcg;
    expect([none.counted, none.mean, none.low, none.high]).toEqual([0, Number.NaN, Number.NaN, Number.NaN]);
  });

  it('reads tables, padded or with counts', () => {
    const truth = { ids: Int32Array.of(1, 2, 3, -1, -1, -1), k: 3 };
    const found = { ids: [1, 9, 8, 3, 7, 7], k: 3, counts: [3, 1] };
    expect(measure(found, truth, { k: 3 }).recall.values).toEqual(Float64Array.of(1 / 3, Number.NaN));
    const distances = [0, 1, 2, 0, 0, 0];
    const tied = measure({ ...found, distances }, { ...truth, distances }, { k: 3, tolerance: 0 });
    expect(tied.recall.values[0]).toBe(1);
    const second = measure(
      { ids: [1, 2], k: 1, distances: [0, 5] },
      { ids: [1, 3], k: 1, distances: [0, 4] },
      { k: 1, tolerance: 0 },
    );
    expect(second.recall.values).toEqual(Float64Array.of(1, 0));
    expect(measure(found, [new Set([1, 8]), new Map([[3, 2]])], { k: 3, gain: 'exponential' }).recall.mean).toBe(1);
  });
});

describe('statistics', () => {
  it('percentiles by nearest rank', () => {
    const values = [15, 20, 35, 40, 50];
    expect([0, 5, 20, 30, 40, 50, 100].map((p) => percentile(values, p))).toEqual([15, 15, 15, 20, 20, 35, 50]);
    const thousand = Array.from({ length: 1000 }, (_, i) => 1000 - i);
    expect(latencySummary(thousand)).toEqual({
      count: 1000,
      mean: 500.5,
      min: 1,
      p50: 500,
      p95: 950,
      p99: 990,
      p999: 999,
      max: 1000,
    });
    expect(thousand[0]).toBe(1000);
    expect(latencySummary([7])).toMatchObject({ min: 7, p50: 7, p999: 7, max: 7 });
    expect(percentile([], 50)).toBeNaN();
  });

  it('bootstrap intervals are as wide as theory says, and the same every time', () => {
    const next = random(3);
    const values = Float64Array.from({ length: 400 }, () => next());
    const a = confidenceInterval(values, { samples: 4000 });
    expect(confidenceInterval([...values], { samples: 4000, seed: 1, level: 0.95 })).toEqual(a);
    expect(confidenceInterval(values, { samples: 4000, seed: 2 })).not.toEqual(a);
    expect(a.low).toBeLessThan(a.mean);
    expect(a.high).toBeGreaterThan(a.mean);
    // The mean of n uniform numbers: ± 1.96 · sqrt(1/12) / sqrt(400) = ± 0.0283.
    expect((a.high - a.low) / 2 / 0.0283).toBeCloseTo(1, 0.8);
    const narrow = confidenceInterval(values, { samples: 4000, level: 0.5 });
    // 0.6745 / 1.96
    expect((narrow.high - narrow.low) / (a.high - a.low)).toBeCloseTo(0.344, 1);
    expect(confidenceInterval([0.25])).toEqual({ mean: 0.25, low: 0.25, high: 0.25, level: 0.95 });
    const constant = confidenceInterval(Array(9).fill(0.1));
    expect([constant.low, constant.high]).toEqual([constant.mean, constant.mean]);
  });

  it('the bootstrap is what a second implementation made of its description', () => {
    const cubes = Array.from({ length: 10 }, (_, i) => i ** 3);
    const { mean, low, high } = confidenceInterval(cubes, { samples: 200, seed: 7 });
    expect([mean, low, high]).toEqual([202.5, 58.5, 351.7]);
  });
});

describe('exactNeighbors', () => {
  const base = floats(700, 8, 1);
  const queries = floats(600, 8, 2);

  it.each(['l2', 'cosine'] as const)('is the definition: %s', async (metric) => {
    const phases: string[] = [];
    const onProgress = ({ done, total, phase }: { done: number; total: number; phase: string }): void => {
      phases.push(`${phase} ${done}/${total}`);
    };
    const truth = await exactNeighbors(base, queries, 5, { FlatIndex, dim: 8, metric, onProgress });
    expect([truth.length, truth.k, truth.ids.length]).toEqual([600, 5, 3000]);
    expect(phases).toEqual(['add 700/700', 'search 512/600', 'search 600/600']);
    const rows = byId(base, 8);
    for (const i of [0, 511, 512, 599]) {
      const wanted = nearest(metric, rows, row(queries, 8, i), 5);
      expect([...truth.at(i).ids]).toEqual(wanted.map((x) => x.id));
      expectClose(
        [...truth.at(i).distances],
        wanted.map((x) => x.distance),
      );
      expect(truth.at(i).score(0)).toBeGreaterThan(0);
    }
  });

  it('over an index, with a filter and ids of its own', async () => {
    const index = FlatIndex.createSync({ dim: 8 });
    const ids = Float64Array.from({ length: 700 }, (_, i) => 10 * i);
    index.addSync(base, { ids });
    const filter = [50, 60, 70];
    const over = await exactNeighbors(index, queries, 5, { filter });
    expect(over.ids.subarray(0, 5)).toEqual(over.ids.slice(0, 5));
    expect([...over.at(599).ids].sort()).toEqual(filter);
    expect(over.ids.subarray(2998)).toEqual(Float64Array.of(-1, -1));
    expect(over.distances[2999]).toBe(Number.POSITIVE_INFINITY);
    const made = await exactNeighbors(base, queries, 5, { FlatIndex, dim: 8, ids, filter });
    expect(made.ids).toEqual(over.ids);
    expect(index.closed).toBe(false);
    index.close();
  });

  it('takes dim from rows, bits too, and k beyond the base', async () => {
    const rows = [
      [0, 0],
      [3, 4],
      [1, 0],
    ];
    const truth = await exactNeighbors(rows, [[0, 0]], 10, { FlatIndex });
    expect([truth.k, [...truth.ids], [...truth.distances]]).toEqual([3, [0, 2, 1], [0, 1, 25]]);
    const bits = [Uint8Array.of(1, 1), Uint8Array.of(255, 0)];
    const near = await exactNeighbors(bits, bits.slice(1), 1, { FlatIndex, metric: 'hamming' });
    expect([...near.ids, ...near.distances]).toEqual([1, 0]);
  });

  it('can be aborted', async () => {
    const controller = new AbortController();
    const onProgress = ({ phase }: { phase: string }): void => {
      if (phase === 'search') controller.abort();
    };
    const { signal } = controller;
    await expectFailure(() => exactNeighbors(base, queries, 5, { FlatIndex, dim: 8, signal, onProgress }), 'ABORTED');
  });
});

describe('evaluate', () => {
  const base = floats(500, 8, 1);
  const queries = floats(40, 8, 2);
  const index = FlatIndex.createSync({ dim: 8 });
  index.addSync(base);

  it('an exact index is exact', async () => {
    const truth = await exactNeighbors(index, queries, 10);
    const progress: string[] = [];
    const evaluation = await evaluate(index, queries, truth, {
      k: 10,
      threads: 1,
      onProgress: ({ done, total, phase }) => progress.push(`${phase} ${done}/${total}`),
    });
    for (const metric of ['recall', 'precision', 'mrr', 'ndcg', 'map', 'topK'] as const) {
      expect(evaluation[metric]).toMatchObject({ mean: 1, low: 1, high: 1, counted: 40 });
    }
    expect(evaluation.latency?.values.length).toBe(40);
    expect(evaluation.latency?.min).toBeGreaterThan(0);
    expect(evaluation.latency?.p50).toBeLessThanOrEqual(evaluation.latency?.p99 as number);
    const { throughput } = evaluation;
    expect(throughput?.queriesPerSecond).toBeCloseTo(40 / (throughput?.seconds as number), 6);
    expect(progress.length).toBe(41);
    expect(progress.slice(-2)).toEqual(['single 40/40', 'batch 40/40']);
  });

  it('counts what is missing, and passes the options of searches on', async () => {
    const truth = await exactNeighbors(index, queries, 10);
    const filter = Float64Array.from({ length: 250 }, (_, i) => 2 * i);
    const kept = truth.ids.filter((id) => id % 2 === 0).length / 400;
    for (const run of ['single', 'batch', 'both'] as const) {
      const evaluation = await evaluate(index, queries, truth, { k: 10, filter, run, bootstrap: { seed: 5 } });
      expectClose([evaluation.recall.mean], [kept]);
      expect(evaluation.recall.low).toBeLessThan(kept);
      expect(evaluation.recall.high).toBeGreaterThan(kept);
      expect([evaluation.latency === undefined, evaluation.throughput === undefined]).toEqual([
        run === 'batch',
        run === 'single',
      ]);
    }
  });

  it('takes queries in every form, and any index', async () => {
    const truth = [[3], [4]];
    const flat = base.slice(24, 40);
    const lists = [[...flat.subarray(0, 8)], [...flat.subarray(8)]];
    for (const given of [flat, [...flat], lists, [flat.subarray(0, 8), flat.subarray(8)]]) {
      expect((await evaluate(index, given, truth, { k: 1 })).recall.mean).toBe(1);
    }
    expect((await evaluate(index, base.subarray(0, 8), [[0]], { k: 1 })).recall.values).toEqual(Float64Array.of(1));
    expect((await evaluate(index, [], [], { k: 1 })).recall.counted).toBe(0);
    const bits = FlatIndex.createSync({ dim: 16, storage: 'bits' });
    const packed = integers(new Uint8Array(20), 0, 255);
    bits.addSync(packed);
    expect((await evaluate(bits, packed.subarray(4, 8), [[2], [3]], { k: 1 })).recall.mean).toBe(1);
    const seen: unknown[] = [];
    const other = {
      dim: 2,
      search: async (query: readonly number[], k = 1, options: { ef?: number } = {}) => {
        seen.push([query, k, options]);
        return [7];
      },
      searchBatch: async () => ({ ids: [7], k: 1 }),
    };
    const got = await evaluate(other, [[1, 2]], [[7]], { k: 1, ef: 40, warmup: 0 });
    expect(got.recall.mean).toBe(1);
    expect(seen).toEqual([[[1, 2], 1, { ef: 40 }]]);
  });

  it('warms up', async () => {
    let calls = 0;
    const counting = {
      dim: 8,
      search: async () => [++calls],
      searchBatch: async (some: readonly number[][]) => ({ ids: some.map(() => ++calls), k: 1 }),
    };
    const given = Array.from({ length: 4 }, () => [1, 2, 3, 4, 5, 6, 7, 8]);
    await evaluate(counting, given, [[1], [1], [1], [1]], { k: 1, warmup: 3, run: 'single' });
    expect(calls).toBe(7);
    await evaluate(counting, given, [[1], [1], [1], [1]], { k: 1, warmup: 3, run: 'batch' });
    expect(calls).toBe(14);
  });

  it('can be aborted', async () => {
    const controller = new AbortController();
    const { signal } = controller;
    let last = 0;
    const onProgress = ({ done }: { done: number }): void => {
      last = done;
      if (done === 5) controller.abort();
    };
    const truth = await exactNeighbors(index, queries, 1);
    const call = evaluate(index, queries, truth, { k: 1, signal, onProgress });
    await expectFailure(() => call, 'ABORTED');
    expect(last).toBe(5);
    await expectFailure(() => evaluate(index, queries, truth, { k: 1, signal: AbortSignal.abort() }), 'ABORTED');
    // Also over an index that does not look at the signal it is given.
    const again = new AbortController();
    const seen = new Set<unknown>();
    const deaf = {
      dim: 8,
      search: async (_: readonly number[], _k?: number, options: { signal?: AbortSignal } = {}) => {
        seen.add(options.signal);
        again.abort();
        return [1];
      },
      searchBatch: async () => ({ ids: [1], k: 1 }),
    };
    const options = { k: 1, signal: again.signal, warmup: 0, run: 'single' } as const;
    await expectFailure(() => evaluate(deaf, [[1], [1]], [[1], [1]], options), 'ABORTED');
    expect([...seen]).toEqual([again.signal]);
  });
});

describe('compareRuns', () => {
  const before = [[1, 2, 3], [4, 5, 6], [7, 8, 9], []];
  const after = [[3, 2, 1], [4, 9, 8], [7, 1], []];

  it('overlap, and what changed', () => {
    const { k, queries, overlap, changed, recall } = compareRuns(before, after);
    expect([k, queries, recall]).toEqual([3, 4, undefined]);
    expectClose([...overlap.values], [1, 1 / 3, 1 / 3, 1]);
    expectClose([overlap.mean], [2 / 3]);
    expect(changed.map((x) => [x.query, [...x.lost], [...x.gained]])).toEqual([
      [1, [5, 6], [9, 8]],
      [2, [8, 9], [1]],
    ]);
    expect(compareRuns(before, after, undefined, { k: 1 }).changed.map((x) => x.query)).toEqual([0]);
    expect(compareRuns(before, before).overlap).toMatchObject({ mean: 1, low: 1, high: 1 });
  });

  it('divides by the longer list, and sorts by how much changed', () => {
    const a = [[1], [1, 2, 3, 4], [1, 2, 3, 4], [1, 2]];
    const b = [
      [1, 2],
      [1, 2, 3, 9],
      [1, 7, 8, 9],
      [1, 2],
    ];
    const truth = [
      [1, 2],
      [1, 2, 3, 4],
      [1, 2, 3, 4],
      [1, 2],
    ];
    const forth = compareRuns(a, b, truth);
    expectClose([...forth.overlap.values], [0.5, 0.75, 0.25, 1]);
    expect(forth.changed.map((x) => x.query)).toEqual([2, 0, 1]);
    expect(forth.recall?.worse.map((x) => x.query)).toEqual([2, 1]);
    expect(compareRuns(b, a, truth).recall?.better.map((x) => x.query)).toEqual([2, 1]);
  });

  it('with a truth: who got worse and by how much', () => {
    const truth = [[1, 2, 3], [4, 5, 6], [7, 1, 2], []];
    const { recall } = compareRuns(before, after, truth);
    expectClose([...(recall?.change.values ?? [])], [0, -2 / 3, 1 / 3, Number.NaN]);
    expectClose([recall?.before.mean ?? 0, recall?.after.mean ?? 0, recall?.change.mean ?? 0], [7 / 9, 2 / 3, -1 / 9]);
    expect(recall?.worse.map((x) => x.query)).toEqual([1]);
    expectClose([recall?.worse[0]?.change ?? 0, recall?.worse[0]?.before ?? 0], [-2 / 3, 1]);
    expect(recall?.better.map((x) => x.query)).toEqual([2]);
  });

  it('watches an index drift', async () => {
    const index = FlatIndex.createSync({ dim: 2 });
    index.addSync([0, 0, 1, 0, 5, 5, 6, 5]);
    const queries = [0, 0, 6, 6];
    const first = await index.searchBatch(queries, 2);
    index.removeSync(1);
    const second = [await index.search([0, 0], 2), await index.search([6, 6], 2)];
    const { changed, recall } = compareRuns(first, second, first);
    expect(changed.map((x) => [x.query, x.overlap, [...x.lost], [...x.gained]])).toEqual([[0, 0.5, [1], [2]]]);
    expect(recall?.worse).toEqual([{ query: 0, before: 1, after: 0.5, change: -0.5 }]);
    index.close();
  });
});
