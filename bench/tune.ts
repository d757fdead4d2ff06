// Whether tune keeps its promise: recall on queries it has not seen, and speed beside the best point of a dense sweep.
import { FlatIndex, HnswIndex, IvfIndex } from 'annex';
import { type TunedParams, tune } from 'annex/eval';
import { table } from '../ts/bench_table.js';
import { type Dataset, openDataset } from './data/dataset.js';
import { pick, type Split, shuffled, split } from './data/split.js';
import { DATASET_FLAGS, orExit, parse, QUICK } from './lib/cli.js';
import { recall as share } from './lib/exactness.js';
import { spread } from './lib/measure.js';
import { machine, writeResult } from './lib/results.js';
import { front, leastOf } from './tune/sweep.js';

const options = parse(
  'bench -- tune',
  `Tunes indexes with some queries, by several seeds, and measures what was found with others: recall, and processor time
beside that of the cheapest point of a dense grid whose recall is as high. Without files: the WordNet sample,
clustered and uniform rows.`,
  {
    ...DATASET_FLAGS,
    ...QUICK,
    recall: { type: 'string', help: 'to reach, default 0.95' },
    seeds: { type: 'number', help: 'default 10, with --quick 3' },
    tuning: { type: 'number', help: 'queries to tune with, default 1000' },
    fresh: { type: 'number', help: 'queries to measure with, default 2000' },
    only: { type: 'string', help: 'indexes whose name contains one of these, with commas' },
  },
);

const K = 10;
const BAND = { below: 0.005, above: 0.025 };
const WITHIN = 0.9;
const ROUNDS = 7;

const seeds = options.seeds ?? (options.quick ? 3 : 10);
const target = Number(options.recall ?? 0.95);
const tuning = options.tuning ?? 1000;
const fresh = options.fresh ?? 2000;

interface Searchable {
  readonly index: HnswIndex | IvfIndex;
  readonly nlist: number | undefined;
  /** Whether rerankFactor is a parameter. */
  readonly pairs: boolean;
}

async function graph({ rows, dim, metric }: Split, more: object): Promise<Searchable> {
  const index = await HnswIndex.create({ dim, metric, ...more } as { dim: number });
  await index.add(rows);
  return { index, nlist: undefined, pairs: false };
}

async function lists({ rows, dim, metric }: Split, more: { storage?: unknown }): Promise<Searchable> {
  const index = await IvfIndex.build(rows, { dim, metric, ...more } as { dim: number });
  return {
    index,
    nlist: index.options().nlist,
    pairs: (more.storage as { codec?: string } | undefined)?.codec === 'pq',
  };
}

/** Sub-quantizers of so many dimensions each, or as near as divides dim. */
function quantizers(dim: number, share: number): number {
  let m = Math.max(1, Math.floor(dim / share));
  while (dim % m !== 0) m--;
  return m;
}

const SYSTEMS: Readonly<Record<string, (data: Split) => Promise<Searchable>>> = {
  'HNSW f32': (data) => graph(data, {}),
  'HNSW sq8': (data) => graph(data, { storage: 'sq8' }),
  'IVF f32': (data) => lists(data, {}),
  'IVF PQ 8 bit, rerank': (data) =>
    lists(data, { storage: { codec: 'pq', m: quantizers(data.dim, 4), bits: 8 }, rerank: 'f32' } as object),
  'IVF PQ 4 bit, rerank': (data) =>
    lists(data, { storage: { codec: 'pq', m: quantizers(data.dim, 2), bits: 4 }, rerank: 'f32' } as object),
  'IVF RaBitQ, rerank': (data) => lists(data, { storage: { codec: 'rabitq', bits: 1 }, rerank: 'f32' } as object),
};

interface Line {
  readonly dataset: string;
  readonly system: string;
  /** Tuned parameters and what they come to, by seed. */
  readonly runs: {
    params: TunedParams;
    recall: number;
    inBand: boolean;
    speed: number;
    message: string;
    searches: number;
  }[];
  readonly best: TunedParams | undefined;
  readonly inBand: number;
  /** Processor time of the best point over that of the tuned one: median over seeds, and the worst. */
  readonly speed: number;
  readonly slowest: number;
  readonly pass: boolean;
}

const keyOf = (params: TunedParams): string => JSON.stringify(params);
const shown = (params: TunedParams | undefined): string =>
  params === undefined ? '–' : Object.values(params).join(' × ');

async function judge(data: Split, system: string, truth: Float64Array): Promise<Line> {
  const { index, nlist, pairs } = await SYSTEMS[system]!(data);
  const { dim, pool, queries } = data;
  const known = new Map<string, { hits: Float64Array; mean: number }>();
  /** Recall of each query of the pool. */
  const recalls = (params: TunedParams): { hits: Float64Array; mean: number } => {
    const key = keyOf(params);
    let found = known.get(key);
    if (found === undefined) {
      const { ids, distances } = index.searchBatchSync(pool, K, { ...params, threads: 1 } as object);
      const hits = Float64Array.from({ length: queries }, (_, q) => {
        const part = { ids: ids.subarray(q * K, (q + 1) * K), distances: distances.subarray(0, K) };
        return share(part, truth.subarray(q * K, (q + 1) * K), K);
      });
      found = { hits, mean: hits.reduce((a, b) => a + b, 0) / queries };
      known.set(key, found);
    }
    return found;
  };
  const meanOf = (params: TunedParams, which: Uint32Array): number => {
    const { hits } = recalls(params);
    return which.reduce((sum, q) => sum + hits[q]!, 0) / which.length;
  };

  const found = [];
  for (let seed = 1; seed <= seeds; seed++) {
    const order = shuffled(queries, seed);
    const some = order.subarray(0, Math.min(tuning, queries >> 1));
    const ids = new Float64Array(some.length * K);
    some.forEach((q, i) => {
      ids.set(truth.subarray(q * K, (q + 1) * K), i * K);
    });
    const tuned = await tune(index, {
      queries: pick(pool, dim, some),
      truth: { ids, k: K },
      recall: target,
      k: K,
      threads: 1,
    });
    const others = order.subarray(some.length, some.length + fresh);
    const recall = meanOf(tuned.params, others);
    const inBand =
      recall >= target - BAND.below && (recall <= target + BAND.above || !reaches(less(tuned.params), others));
    found.push({ params: tuned.params, recall, inBand, message: tuned.message, searches: tuned.trials.length });
  }
  /** Whether some parameters next to those that were found would do as well. */
  function reaches(nearby: TunedParams[], which: Uint32Array): boolean {
    return nearby.some((params) => meanOf(params, which) >= target);
  }
  function less(params: TunedParams): TunedParams[] {
    const { efSearch = 0, nprobe = 0 } = params;
    if (efSearch > K) return [{ efSearch: efSearch - 1 }];
    return nprobe > 1 ? [{ ...params, nprobe: nprobe - 1 }] : [];
  }

  const mean = (params: TunedParams): number => recalls(params).mean;
  const points =
    nlist === undefined
      ? leastOf('efSearch', K, Math.min(4096, data.n), target, mean)
      : pairs
        ? front(nlist, target, mean)
        : leastOf('nprobe', 1, nlist, target, mean);
  const speeds = timed(
    points,
    found.map(({ params }) => params),
  );
  index.close();
  const runs = found.map((run) => ({ ...run, speed: speeds.of(run.params) }));
  const speed = spread(runs.map((run) => run.speed));
  const inBand = runs.filter((run) => run.inBand).length;
  const pass = inBand >= Math.floor(0.9 * seeds) && speed.median >= WITHIN;
  return { dataset: data.name, system, runs, best: speeds.best, inBand, speed: speed.median, slowest: speed.min, pass };

  /** Times the points of the front once, then the best of them and the tuned ones by turns. */
  function timed(
    all: readonly TunedParams[],
    tuned: readonly TunedParams[],
  ): { best: TunedParams | undefined; of: (params: TunedParams) => number } {
    const batch = pool.subarray(0, Math.min(queries, 1000) * dim);
    const time = (params: TunedParams): number => {
      const start = process.cpuUsage();
      index.searchBatchSync(batch, K, { ...params, threads: 1 } as object);
      const { user, system } = process.cpuUsage(start);
      return user + system;
    };
    const rough = all.map((params) => ({ params, seconds: Math.min(time(params), time(params)) }));
    const few = rough.toSorted((a, b) => a.seconds - b.seconds).slice(0, 6);
    const entrants = new Map([...few.map(({ params }) => params), ...tuned].map((params) => [keyOf(params), params]));
    const times = new Map([...entrants.keys()].map((key): [string, number[]] => [key, []]));
    for (let round = 0; round < ROUNDS; round++) {
      for (const [key, params] of entrants) times.get(key)!.push(time(params));
    }
    const of = (params: TunedParams): number => spread(times.get(keyOf(params))!).median;
    const best = few.map(({ params }) => params).toSorted((a, b) => of(a) - of(b))[0];
    return { best, of: (params) => (best === undefined ? 1 : of(best) / of(params)) };
  }
}

function datasets(): Dataset[] {
  const queries = tuning + fresh;
  if (options.base !== undefined || options.generate !== undefined) {
    return [openDataset({ ...options, queries: options.queries ?? queries })];
  }
  const small = options.quick ? 10_000 : 50_000;
  return [
    openDataset({}),
    openDataset({ generate: 'clustered', rows: small, dim: 64, queries }),
    openDataset({ generate: 'uniform', rows: small, dim: 8, queries }),
  ];
}

const words = options.only?.split(',');
const chosen = Object.keys(SYSTEMS).filter((name) => words?.some((word) => name.includes(word)) ?? true);
const lines: Line[] = [];
for (const dataset of orExit(datasets)) {
  const data = split(dataset, tuning + fresh);
  const flat = FlatIndex.createSync({ dim: data.dim, metric: data.metric });
  flat.addSync(data.rows);
  const truth = flat.searchBatchSync(data.pool, K).ids;
  flat.close();
  for (const system of chosen) {
    process.stderr.write(`${data.name}, ${data.n} × ${data.dim}: ${system}\n`);
    lines.push(await judge(data, system, truth));
    writeResult('tune', { machine: machine(), target, k: K, seeds, tuning, fresh, lines });
  }
}

const head = ['rows', 'index', 'recall', 'in band', 'best by sweep', 'tuned', 'speed', 'slowest', 'trials', ''];
const cells = lines.map(({ dataset, system, runs, best, inBand, speed, slowest, pass }) => {
  const recalls = runs.map(({ recall }) => recall);
  const range = `${Math.min(...recalls).toFixed(3)} … ${Math.max(...recalls).toFixed(3)}`;
  const middle = runs.toSorted((a, b) => a.speed - b.speed)[runs.length >> 1];
  return [
    dataset,
    system,
    range,
    `${inBand} of ${runs.length}`,
    shown(best),
    shown(middle?.params),
    speed.toFixed(2),
    slowest.toFixed(2),
    spread(runs.map(({ searches }) => searches)).median,
    pass ? 'pass' : 'short',
  ];
});
process.stdout.write(
  `tune(${target}) with ${tuning} queries, ${seeds} seeds: recall@${K} of others, and processor time of the best point of a dense\n` +
    `sweep with a recall of ${target} over that of the tuned point (1.00 is as fast; within 10 % is 0.90 and more)\n\n` +
    `${table(head, cells)}\n`,
);
