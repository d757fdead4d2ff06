// How the time of a query grows with the rows: HnswIndex beside hnswlib at one recall, over generated sets of five sizes.
import { availableParallelism } from 'node:os';
import { newState, unfinished } from '../ts/bench_state.js';
import { keyOf } from '../ts/data_cache.js';
import { prepare } from './data/prepare.js';
import { orExitAsync, parse, QUICK } from './lib/cli.js';
import { type GrowthReport, printGrowth, SIZES } from './lib/growth_report.js';
import { machine, readResult, writeResult } from './lib/results.js';
import { runSweep } from './sweep/run.js';
import { GRID, graphPeers, ourGraphs, QUICK_GRID } from './sweep/systems.js';

const options = parse('bench -- growth', 'Time of a query at recall 0.95 over the number of rows, clustered × 128.', {
  ...QUICK,
  most: { type: 'number', help: 'rows of the largest set, default 1000000, with --quick 30000' },
  repetitions: { type: 'number', help: 'default 5, with --quick 3' },
  ms: { type: 'number', help: 'milliseconds of one repetition of one point, default 150, with --quick 40' },
});

const DIM = 128;
const RECALL = 0.95;
const most = options.most ?? (options.quick ? 30_000 : 1_000_000);
const asked = {
  preset: 'growth',
  k: 10,
  repetitions: options.repetitions ?? (options.quick ? 3 : 5),
  threads: availableParallelism(),
};
const seconds = (options.ms ?? (options.quick ? 40 : 150)) / 1000;

await orExitAsync(async () => {
  const say = (text: string): void => void process.stderr.write(`${process.stderr.isTTY ? '\r\x1b[K' : ''}${text}\n`);
  const grid = options.quick ? QUICK_GRID : GRID;
  const specs = [ourGraphs(grid)[0]!, graphPeers(grid)[0]!];
  const kept = readResult<GrowthReport>('growth')?.sweeps ?? [];
  const report: GrowthReport = { machine: machine(), recall: RECALL, sweeps: [] };
  for (const rows of SIZES.filter((size) => size <= most)) {
    say(`${rows.toLocaleString('en-US')} rows`);
    const data = await prepare({ generate: 'clustered', rows, dim: DIM }, asked.k, say);
    const fresh = newState(keyOf({ asked, seconds, data: data.key, specs }), data, specs, asked);
    const state = kept.flatMap((one) => unfinished(one, fresh) ?? [])[0] ?? fresh;
    report.sweeps.push(state);
    const save = (): void => void writeResult('growth', report);
    const { k, repetitions, threads } = asked;
    await runSweep(data, specs, state, { k, repetitions, threads, seconds, modes: ['batch'], fresh: false, save, say });
    state.finished = true;
    save();
  }
  process.stdout.write(`${printGrowth(report)}\n`);
});
