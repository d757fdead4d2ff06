import { FlatIndex, HnswIndex, IvfIndex } from 'annex';
import { evaluate, type Tuned, tune } from 'annex/eval';
import { describe, expect, it } from 'vitest';
import { floats } from './support/data.js';
import { expectFailure } from './support/expect.js';

const K = 10;
const N = 400;

/** Uniform numbers by a rule that needs no seed: query, slot. */
const noise = (q: number, j: number): number => {
  const x = Math.sin(q * 12.9898 + j * 78.233) * 43758.5453;
  return x - Math.floor(x);
};

interface Shape {
  readonly options: object;
  readonly storage?: string;
  /** Share of the true neighbours that parameters find. */
  recall(params: Record<string, number>): number;
  /** Milliseconds of a batch. */
  cost?(params: Record<string, number>): number;
}

/** An index whose recall is a known function of its search parameters: id q · K + j is neighbour j of query q. */
function index({ options, storage = 'f32', recall, cost }: Shape) {
  const calls: Record<string, number>[] = [];
  const truth = { k: K, ids: Float64Array.from({ length: N * K }, (_, id) => id) };
  const fake = {
    dim: 1,
    metric: 'l2',
    storage,
    size: N * K,
    options: () => options,
    ids: () => truth.ids,
    getMany: () => [],
    async searchBatch(_queries: unknown, _k?: number, given?: object) {
      const params = given as Record<string, number>;
      calls.push(params);
      if (cost !== undefined) await new Promise((resolve) => setTimeout(resolve, cost(params)));
      const share = recall(params);
      const ids = truth.ids.map((id) => (noise(Math.floor(id / K), id % K) < share ? id : -1));
      return { ids, k: K, length: N };
    },
  };
  return { fake: fake as never as FlatIndex, truth, calls };
}

const queries = new Float32Array(N);
const graph = { M: 16, efConstruction: 200 };

describe('tune finds the least that reaches the recall', () => {
  const recall = ({ efSearch = 0 }: Record<string, number>): number => 1 - Math.exp(-efSearch / 25);

  it('the smallest efSearch of a graph, with confidence', async () => {
    const { fake, truth } = index({ options: graph, recall });
    const tuned = await tune(fake, { queries, truth, recall: 0.95, k: K });
    expect(tuned.reached).toBe(true);
    expect(tuned.recall.low).toBeGreaterThanOrEqual(0.95);
    // 75 gives 0.95 on average; with 4,000 draws the interval wants some 0.005 more.
    expect(tuned.params.efSearch).toBeGreaterThanOrEqual(74);
    expect(tuned.params.efSearch).toBeLessThanOrEqual(84);
    const less = tuned.trials.filter(({ params }) => params.efSearch! < tuned.params.efSearch! / 1.03);
    expect(less.length).toBeGreaterThan(2);
    for (const trial of less) expect(trial.recall.low).toBeLessThan(0.95);
    expect(tuned.message).toMatch(/recall 0\.95.* with efSearch/);
  });

  it('more confidence asks for more', async () => {
    const { fake, truth } = index({ options: graph, recall });
    const at = async (confidence: number) => (await tune(fake, { queries, truth, confidence })).params.efSearch!;
    expect(await at(0.99)).toBeGreaterThan(await at(0.6));
  });

  it('the smallest nprobe of lists without reranking', async () => {
    const { fake, truth } = index({
      options: { nlist: 64, rerank: 'none' },
      recall: ({ nprobe = 0 }) => (nprobe >= 13 ? 1 : 0.9),
    });
    const tuned = await tune(fake, { queries, truth });
    expect(tuned).toMatchObject({ reached: true, params: { nprobe: 13 } });
    expect(tuned.params.rerankFactor).toBeUndefined();
    expect(tuned.message).toMatch(
      /recall 1.0000 .* with nprobe 13; the best .* below that is 0\.[89]\d+ with nprobe 12/,
    );
    const single = index({ options: { nlist: 64, rerank: 'none' }, recall: () => 1 });
    const { message } = await tune(single.fake, { queries, truth: single.truth });
    expect(message).toMatch(/with nprobe 1, the least there is/);
  });

  it('the fastest pair of nprobe and rerankFactor', async () => {
    // Eight lists suffice with a factor of 32, ten with 4; reranking is what costs.
    const { fake, truth } = index({
      options: { nlist: 64, rerank: 'f32' },
      storage: 'pq',
      recall: ({ nprobe = 0, rerankFactor = 0 }) =>
        (nprobe >= 8 && rerankFactor >= 32) || (nprobe >= 10 && rerankFactor >= 4) ? 1 : 0.8,
      cost: ({ nprobe = 0, rerankFactor = 0 }) => 0.5 * nprobe + 2 * rerankFactor,
    });
    const tuned = await tune(fake, { queries, truth });
    expect(tuned.reached).toBe(true);
    expect(tuned.params).toEqual({ nprobe: 10, rerankFactor: 4 });
  });

  it('says when it is out of reach, and what limits it', async () => {
    const coded = index({ options: { nlist: 8, rerank: 'none' }, storage: 'pq', recall: () => 0.7 });
    const tuned = await tune(coded.fake, { queries, truth: coded.truth, recall: 0.9 });
    expect(tuned.reached).toBe(false);
    expect(tuned.recall.mean).toBeCloseTo(0.7, 1);
    expect(tuned.message).toMatch(/0\.9 was not reached: .*codes of "pq".*rerank/);
    const poor = index({ options: graph, recall: () => 0.7 });
    expect((await tune(poor.fake, { queries, truth: poor.truth })).message).toMatch(/larger M and efConstruction/);
  });

  it('a budget ends the search with the best until then', async () => {
    const { fake, truth, calls } = index({ options: graph, recall, cost: () => 20 });
    const tuned = await tune(fake, { queries, truth, budget: 30 });
    expect(calls.length).toBeLessThanOrEqual(3);
    expect(tuned.reached).toBe(false);
    expect(tuned.message).toMatch(/budget ran out/);
  });

  it('can be aborted, and passes its threads on', async () => {
    const { fake, truth, calls } = index({ options: graph, recall });
    const abort = new AbortController();
    const onProgress = ({ trials }: { trials: number }) => trials === 2 && abort.abort();
    await expectFailure(() => tune(fake, { queries, truth, threads: 3, signal: abort.signal, onProgress }), 'ABORTED');
    expect(calls[0]).toMatchObject({ threads: 3, efSearch: 10 });
  });
});

describe('tune on real indexes', () => {
  it('finds truth by exact search over the rows of the index, whatever their ids', async () => {
    const dim = 8;
    const flat = await FlatIndex.create({ dim });
    await flat.add(floats(500, dim, 1), { ids: Array.from({ length: 500 }, (_, i) => 7 * i + 3) });
    const tuned: Tuned = await tune(flat, { queries: floats(20, dim, 2), FlatIndex });
    expect(tuned).toMatchObject({ reached: true, params: {}, recall: { mean: 1, low: 1 } });
    expect(tuned.queriesPerSecond).toBeGreaterThan(0);
    flat.close();
  });
});

describe('tune on data it has not seen', () => {
  const dim = 24;
  const centres = floats(16, dim, 5);
  const rows = (n: number, seed: number): Float32Array =>
    floats(n, dim, seed).map((x, i) => centres[((((i / dim) | 0) * 7) % 16) * dim + (i % dim)]! + 0.7 * x);

  it.each<[string, () => Promise<unknown>]>([
    ['HnswIndex', () => HnswIndex.create({ dim, M: 8, efConstruction: 40 })],
    ['IvfIndex', () => IvfIndex.create({ dim, nlist: 64 })],
    [
      'IvfIndex with codes',
      () => IvfIndex.create({ dim, nlist: 64, storage: { codec: 'pq', m: 12, bits: 4 }, rerank: 'f32' }),
    ],
  ])('%s: the recall holds for fresh queries', { timeout: 60_000 }, async (_what, make) => {
    const base = rows(4000, 1);
    const flat = await FlatIndex.create({ dim });
    await flat.add(base);
    const index = (await make()) as FlatIndex;
    if (!index.trained) await index.train(base);
    await index.add(base);
    const tuned = await tune(index, { queries: rows(800, 2), recall: 0.9, FlatIndex });
    expect(tuned.reached, tuned.message).toBe(true);
    const fresh = rows(800, 3);
    const { recall } = await evaluate(index, fresh, await flat.searchBatch(fresh, 10), {
      k: 10,
      run: 'batch',
      ...tuned.params,
    } as never);
    expect(recall.mean).toBeGreaterThan(0.885);
    // Whole lists and whole candidates are coarse steps on few rows; far above it would be wasteful.
    expect(recall.mean).toBeLessThan(0.97);
    index.close();
    flat.close();
  });
});

describe('tune refuses', () => {
  const { fake, truth } = index({ options: graph, recall: () => 1 });
  const coded = index({ options: { nlist: 4 }, storage: 'rabitq', recall: () => 1 }).fake;
  it.each<[string, () => Promise<unknown>, string, RegExp]>([
    ['what is no index', () => tune({} as never, { queries, truth }), 'INVALID_TYPE', /index of annex, got an object/],
    ['unknown options', () => tune(fake, { queries, truth, target: 1 } as never), 'INVALID_ARGUMENT', /target/],
    ['no truth', () => tune(fake, { queries }), 'INVALID_ARGUMENT', /expected truth.*FlatIndex/],
    ['codes without truth', () => tune(coded, { queries, FlatIndex }), 'UNSUPPORTED', /only codes \(rabitq\)/],
    [
      'a recall of 0',
      () => tune(fake, { queries, truth, recall: 0 }),
      'INVALID_ARGUMENT',
      /recall above 0 and up to 1/,
    ],
    ['a recall above 1', () => tune(fake, { queries, truth, recall: 1.1 }), 'INVALID_ARGUMENT', /up to 1, got 1.1/],
    ['a confidence of 1', () => tune(fake, { queries, truth, confidence: 1 }), 'INVALID_ARGUMENT', /from 0.5 and up/],
    ['a budget of no number', () => tune(fake, { queries, truth, budget: '1' as never }), 'INVALID_TYPE', /budget/],
    ['k of 0', () => tune(fake, { queries, truth, k: 0 }), 'INVALID_ARGUMENT', /k/],
    [
      'a truth of other queries',
      () => tune(fake, { queries, truth: { k: 1, ids: [1, 2] } }),
      'INVALID_ARGUMENT',
      /truth for as many queries/,
    ],
    ['no queries', () => tune(fake, { queries, truth: [] }), 'INVALID_ARGUMENT', /at least one query/],
  ])('%s', async (_what, call, code, message) => {
    await expectFailure(call, code as never, message);
  });
});
