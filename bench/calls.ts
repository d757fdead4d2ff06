// What a call costs beside the search itself, what coalescing gives, and whether the event loop stays free.
import { readFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import * as native from 'annex/native';
import * as wasm from 'annex/wasm';
import Benchmark from 'benchmark';
import { Progress } from '../ts/bench_progress.js';
import { type Dataset, openDataset, repeated } from './data/dataset.js';
import { type CallLine, type CallsReport, printCalls } from './lib/calls_report.js';
import { DATASET_FLAGS, orExit, parse, QUICK } from './lib/cli.js';
import { collectGarbage, interleave, ratio, spread } from './lib/measure.js';
import { machine, writeResult } from './lib/results.js';

const options = parse('bench:calls', 'Cost of calls, coalescing and event-loop delay, on both backends.', {
  ...DATASET_FLAGS,
  ...QUICK,
  backend: { type: 'string', help: 'native or wasm alone; default both' },
});
const quick = options.quick ?? false;

type Annex = typeof native | typeof wasm;
type Index = native.FlatIndex | wasm.FlatIndex;
const BACKENDS: Record<string, Annex> = { native, wasm };

const CONCURRENT = 10_000;
/** Queries of one turn where delays are measured: issuing many more takes milliseconds of the caller's own loop. */
const AT_ONCE = 1000;
/** How many times as many repetitions there are at most, until there are enough in which the host took no time. */
const MOST_TRIES = 2;
/** Where the host left fewer such repetitions, all count. */
const LEAST_JUDGED = 3;
const DIM = 8; // small, so that the search itself costs next to nothing
const K = 10;

const lines: CallLine[] = [];
const note = (line: CallLine): void => {
  lines.push(line);
};

/** Median nanoseconds a call, by benchmark.js, which chooses how many calls make a sample. */
function callTime(call: () => unknown): number {
  const bench = new Benchmark({ fn: call, minSamples: 30, maxTime: quick ? 0.5 : 2 }).run({ async: false });
  const failure = (bench as { error?: Error }).error;
  if (failure) throw failure;
  return spread(bench.stats.sample as number[]).median * 1e9;
}

async function overhead(backend: string, annex: Annex): Promise<void> {
  using index = annex.FlatIndex.createSync({ dim: DIM });
  const query = new Float32Array(DIM).fill(0.5);
  index.addSync(query);
  const sync = callTime(() => index.searchSync(query, 1)) / 1000;
  note({
    id: 'sync',
    backend,
    what: 'searchSync, 1-row index',
    unit: 'µs',
    measured: sync,
    target: 3,
    better: 'lower',
  });

  const times: number[] = [];
  for (let i = 0; i < (quick ? 5_000 : 50_000); i++) {
    const start = process.hrtime.bigint();
    await index.search(query, 1);
    times.push(Number(process.hrtime.bigint() - start) / 1000);
  }
  const { median } = spread(times.slice(times.length / 10));
  note({
    id: 'await',
    backend,
    what: 'awaited search, 1-row index',
    unit: 'µs',
    measured: median,
    target: 25,
    better: 'lower',
  });
}

function built(annex: Annex, dataset: Dataset): Index {
  const index = annex.FlatIndex.createSync({ dim: dataset.dim, metric: dataset.metric });
  index.addSync(dataset.base);
  return index;
}

async function coalescing(backend: string, annex: Annex, dataset: Dataset): Promise<void> {
  using index = built(annex, dataset);
  const { dim } = dataset;
  const queries = repeated(dataset.query, CONCURRENT * dim);
  const rows = Array.from({ length: CONCURRENT }, (_, i) => queries.subarray(i * dim, (i + 1) * dim));
  const seconds = async (work: () => Promise<unknown>): Promise<number> => {
    const start = performance.now();
    await work();
    return (performance.now() - start) / 1000;
  };
  const progress = new Progress(`${backend}: concurrent search`, 2 * (quick ? 4 : 8));
  const [concurrent, batch] = await interleave(
    [
      () => seconds(() => Promise.all(rows.map((row) => index.search(row, K)))),
      () => seconds(() => index.searchBatch(queries, K)),
    ],
    quick ? 3 : 7,
    () => progress.step(),
  );
  progress.end();
  const share = ratio(batch!, concurrent!);
  const detail = `${dataset.rows} × ${dim}; batch ${Math.round(CONCURRENT / spread(batch!).median)} queries/s`;
  const what = `${CONCURRENT} concurrent search ÷ searchBatch`;
  note({ id: 'coalesce', backend, what, unit: '×', measured: share.median, target: 0.8, better: 'higher', detail });
}

interface Held {
  /** Wall clock, which grows with whatever else the machine does. */
  readonly wall: number;
  /** Processor time of the JavaScript thread alone: what is ours to answer for. NaN where the system does not tell. */
  readonly cpu: number;
  /** Whether the host took time from the processors meanwhile: then the clock tells of that. */
  readonly disturbed: boolean;
}

/** The longest that the event loop was held while `work` ran, in milliseconds, sampled every millisecond. */
async function longestDelay(work: () => Promise<unknown>): Promise<Held> {
  const histogram = monitorEventLoopDelay({ resolution: 1 });
  collectGarbage(); // what came before must not count
  await sleep(20);
  let last = threadTime();
  let cpu = Number.isNaN(last) ? last : 0;
  const sample = (): void => {
    const now = threadTime();
    cpu = Math.max(cpu, now - last);
    last = now;
  };
  const timer = setInterval(sample, 1);
  const stolen = stolenTime();
  histogram.enable();
  await work();
  await sleep(5); // the sample of the last block comes after it
  histogram.disable();
  clearInterval(timer);
  return { wall: histogram.max / 1e6, cpu, disturbed: stolenTime() > stolen };
}

/** Time that the host has taken from this machine's processors; 0 where the system does not tell. */
function stolenTime(): number {
  try {
    return Number(readFileSync('/proc/stat', 'latin1').split('\n', 1)[0]?.split(/ +/)[8] ?? 0);
  } catch {
    return 0;
  }
}

/** Milliseconds that this thread has been on a processor. */
function threadTime(): number {
  try {
    return Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'latin1').split(' ')[0]) / 1e6;
  } catch {
    return Number.NaN;
  }
}

async function eventLoop(backend: string, annex: Annex, dataset: Dataset): Promise<void> {
  const { dim } = dataset;
  const rows = Math.ceil(((quick ? 64 : 256) * 2 ** 20) / (4 * dim));
  const large = repeated(dataset.base, rows * dim);
  const queries = repeated(dataset.query, AT_ONCE * dim);
  const delays: Record<'idle' | 'add' | 'batch' | 'search', Held[]> = { idle: [], add: [], batch: [], search: [] };
  const adds: number[] = [];
  const repetitions = quick ? 2 : 9;
  const undisturbed = (all: readonly Held[]): Held[] => all.filter((held) => !held.disturbed);
  const enough = (): boolean => Object.values(delays).every((all) => undisturbed(all).length >= repetitions);
  const progress = new Progress(`${backend}: event loop`, repetitions);
  for (let i = 0; i < MOST_TRIES * repetitions && !enough(); i++) {
    delays.idle.push(await longestDelay(() => sleep(200)));
    using index = annex.FlatIndex.createSync({ dim, metric: dataset.metric });
    delays.add.push(
      await longestDelay(async () => {
        const start = performance.now();
        await index.add(large);
        adds.push((performance.now() - start) / 1000);
      }),
    );
    delays.batch.push(await longestDelay(() => index.searchBatch(queries, K)));
    using small = built(annex, dataset);
    const parts = Array.from({ length: AT_ONCE }, (_, q) => queries.subarray(q * dim, (q + 1) * dim));
    delays.search.push(await longestDelay(() => Promise.all(parts.map((query) => small.search(query, K)))));
    if (i < repetitions) progress.step();
  }
  progress.end();
  // What the work itself holds comes back in every repetition; a hiccup of the machine shows in one alone.
  const wall = (all: readonly Held[]) => spread(all.map((held) => held.wall));
  const judged = (all: readonly Held[]): readonly Held[] => {
    const left = undisturbed(all);
    return left.length >= LEAST_JUDGED ? left : all;
  };
  const idle = wall(judged(delays.idle));
  const figures = (all: readonly Held[]): Pick<CallLine, 'measured' | 'detail'> => {
    const counted = judged(all);
    const { median, max } = wall(counted);
    const cpu = spread(counted.map((held) => held.cpu)).median;
    const own = Number.isNaN(cpu) ? '' : `${cpu.toFixed(1)} ms on the processor, `;
    const undisturbedOnly = counted.length === all.length ? '' : ` undisturbed by the host, of ${all.length}`;
    const detail = `${own}worst of ${counted.length}${undisturbedOnly} ${max.toFixed(1)} ms; idle ${idle.median.toFixed(1)}, worst ${idle.max.toFixed(1)} ms`;
    return { measured: median, detail };
  };
  const what = 'event loop, longest delay (median) during';
  const megabytes = Math.round(large.byteLength / 1e6);
  const add = `${what} add of ${megabytes} MB`;
  const common = { backend, unit: 'ms', target: 5, better: 'lower' } as const;
  note({ ...common, id: 'loop-add', what: add, ...figures(delays.add) });
  note({ ...common, id: 'loop-batch', what: `${what} searchBatch of ${AT_ONCE}`, ...figures(delays.batch) });
  note({
    ...common,
    id: 'loop-search',
    what: `${what} ${AT_ONCE} concurrent search`,
    ...figures(delays.search),
  });

  const rate = rows / spread(adds).median;
  note({
    id: 'add',
    backend,
    what: 'add, awaited',
    unit: 'rows/s',
    measured: rate,
    better: 'higher',
    detail: `dim ${dim}`,
  });
  using index = annex.FlatIndex.createSync({ dim, metric: dataset.metric });
  const start = performance.now();
  index.addSync(large);
  const sync = rows / ((performance.now() - start) / 1000);
  note({
    id: 'add-sync',
    backend,
    what: 'addSync',
    unit: 'rows/s',
    measured: sync,
    better: 'higher',
    detail: `dim ${dim}`,
  });
}

async function main(): Promise<void> {
  const dataset = orExit(() => {
    if (options.backend !== undefined && !Object.hasOwn(BACKENDS, options.backend)) {
      throw new Error(`--backend must be native or wasm, got ${options.backend}`);
    }
    return openDataset({ ...options, queries: options.queries ?? 1000 });
  });
  const engines: CallsReport['engines'] = [];
  const skipped: CallsReport['skipped'] = [];
  for (const [backend, annex] of Object.entries(BACKENDS)) {
    if (options.backend !== undefined && options.backend !== backend) continue;
    try {
      await annex.ready();
    } catch (error) {
      skipped.push({ label: backend, reason: (error as Error).message });
      continue;
    }
    engines.push(annex.engineInfo());
    await overhead(backend, annex);
    if (backend === 'native') await coalescing(backend, annex, dataset);
    await eventLoop(backend, annex, dataset);
  }
  const { name, rows, dim, queries, metric } = dataset;
  const report = { machine: machine(), engines, dataset: { name, rows, dim, queries, metric }, lines, skipped };
  process.stdout.write(`${printCalls(report)}\n\nwritten to ${writeResult('calls', report)}\n`);
}

await main();
