// FlatIndex beside the exact indexes of FAISS, usearch and hnswlib, in one run.
import { engineInfo } from 'annex';
import { Progress } from '../ts/bench_progress.js';
import { readFixed } from '../ts/data_fixed.js';
import { type Dataset, openDataset } from './data/dataset.js';
import { DATASET_FLAGS, orExit, parse, QUICK } from './lib/cli.js';
import { compareExact, recall, sameBits } from './lib/exactness.js';
import { type FlatReport, printFlat, type Run } from './lib/flat_report.js';
import { interleave, spread } from './lib/measure.js';
import { machine, writeResult } from './lib/results.js';
import { npmPeers } from './peers/npm.js';
import { FORMS, OurPeer } from './peers/ours.js';
import type { Elapsed, Mode, Peer, Peers, Skip } from './peers/peer.js';
import { pythonPeers } from './peers/python.js';

const options = parse('bench:flat', 'FlatIndex beside FAISS, usearch and hnswlib: exact search in one run.', {
  ...DATASET_FLAGS,
  ...QUICK,
  k: { type: 'number', help: 'neighbours, default 10' },
  repetitions: { type: 'number', help: 'default 7, with --quick 3' },
  gt: { type: 'string', help: 'true neighbours (.ivecs) to count recall against; default: our plain f32' },
  alone: { type: 'boolean', help: 'without peers' },
});

const k = options.k ?? 10;
const repetitions = options.repetitions ?? (options.quick ? 3 : 7);
/** Seconds that one repetition of one system should take where fewer queries tell as much. */
const budget = options.quick ? 0.15 : 1;
/** Seconds that a repetition of full batches takes at least: a machine that is slow for a moment is not for so long. */
const least = options.quick ? 0.05 : 0.5;
/** What takes part with two threads; the others have nothing to show there. */
const TWO_THREADS = ['annex-f32', 'annex-f32-plain', 'faiss', 'usearch-npm', 'hnswlib'];

// A full batch even where there are fewer queries: below some 128,000 values FAISS does not use its matrix product.
const batch = options.queries ?? 1000;
const dataset = orExit(() => openDataset({ ...options, queries: batch, batch }));

interface Task {
  readonly peer: Peer;
  readonly mode: Mode;
  readonly queries: number;
}

/** Tasks that alternate, so many times in one repetition. */
interface Bout {
  readonly tasks: readonly Task[];
  readonly times: number;
}

async function gather(threads: number): Promise<Peers> {
  const sources = options.alone ? [] : [await pythonPeers(dataset, threads), await npmPeers(dataset, threads)];
  const peers: Peer[] = [
    ...FORMS.map((form) => new OurPeer(dataset, form, threads)),
    ...sources.flatMap((source) => source.peers),
  ];
  return {
    peers: threads === 1 ? peers : peers.filter((peer) => TWO_THREADS.includes(peer.id)),
    skipped: threads === 1 ? sources.flatMap((source) => source.skipped) : [],
    close: async () => {
      for (const source of sources) await source.close();
    },
  };
}

/**
 * How many queries one repetition takes: all for what is tiled, else what fits the budget. One thread and two alternate
 * batch by batch, for half a second later the machine may be another.
 */
async function plan(peers: readonly Peer[]): Promise<Bout[]> {
  const bouts = new Map<string, Bout>();
  for (const peer of peers) {
    const { seconds } = await peer.run('single', Math.min(3, dataset.queries), k);
    const some = Math.min(dataset.queries, Math.max(10, Math.ceil((budget * 3) / seconds)));
    for (const mode of peer.modes) {
      if (peer.threads > 1 && mode === 'single') continue;
      const full = mode === 'batch' && peer.tiled;
      const queries = full ? dataset.queries : some;
      const system = `${peer.id} ${mode}`;
      const { tasks, times } = bouts.get(system) ?? {
        tasks: [],
        times: full ? Math.ceil(least / (await peer.run(mode, queries, k)).seconds) : 1,
      };
      bouts.set(system, { tasks: [...tasks, { peer, mode, queries }], times });
    }
  }
  return [...bouts.values()];
}

/** What each of the tasks took on the average. */
async function measure({ tasks, times }: Bout): Promise<Elapsed[]> {
  const sums = tasks.map(() => ({ seconds: 0, cpu: 0 }));
  for (let time = 0; time < times; time++) {
    for (const [i, { peer, mode, queries }] of tasks.entries()) {
      const { seconds, cpu } = await peer.run(mode, queries, k);
      sums[i]!.seconds += seconds / times;
      sums[i]!.cpu += cpu / times;
    }
  }
  return sums;
}

function summarize(task: Task, elapsed: readonly Elapsed[]): Run {
  const { peer, mode, queries } = task;
  const perSecond = elapsed.map(({ seconds }) => queries / seconds);
  const shares = elapsed.map(({ seconds, cpu }) => cpu / seconds / peer.threads);
  const { id: system, label, version, threads } = peer;
  return { system, label, version, threads, mode, queries, perSecond, spread: spread(perSecond), shares };
}

async function check(data: Dataset, peers: readonly Peer[]): Promise<Pick<FlatReport, 'recall' | 'checks'>> {
  const of = (id: string, threads: number): Peer | undefined =>
    peers.find((peer) => peer.id === id && peer.threads === threads);
  const plain = of('annex-f32-plain', 1) as OurPeer;
  const exact = await plain.result(data.queries, k);
  const bits: FlatReport['checks']['bits'] = [];
  for (const id of ['annex-f32-plain', 'annex-f32']) {
    for (const threads of [1, 2]) {
      const peer = of(id, threads) as OurPeer | undefined;
      if (peer === undefined) continue;
      bits.push({
        what: `${peer.label}, batch, ${threads} thread(s)`,
        same: sameBits(await peer.result(data.queries, k), exact),
      });
      if (threads === 2) continue;
      const oneByOne = await peer.resultOneByOne(data.queries, k);
      bits.push({ what: `${peer.label}, one query at a time`, same: sameBits(oneByOne, exact) });
    }
  }
  const faiss = of('faiss', 1);
  const truth = options.gt === undefined ? { data: exact.ids, dim: k } : readFixed(options.gt, data.distinct);
  if (truth.dim < k) throw new Error(`--gt has ${truth.dim} neighbours a query, expected at least ${k}`);
  const found: Record<string, number> = {};
  for (const { id } of FORMS) {
    const peer = of(id, 1);
    if (peer !== undefined) found[id] = recall(await peer.result(data.queries, k), truth.data, k, truth.dim);
  }
  return {
    recall: found,
    checks: { bits, faiss: faiss && compareExact(data, k, exact, await faiss.result(data.queries, k)) },
  };
}

/** Builds every index. A peer that cannot hold the rows (half floats beyond their range, say) is skipped by name. */
async function buildAll(
  all: readonly Peer[],
  skipped: Skip[],
): Promise<{ peers: Peer[]; builds: FlatReport['builds'] }> {
  const peers: Peer[] = [];
  const builds: FlatReport['builds'] = [];
  const progress = new Progress('building', all.length);
  for (const peer of all) {
    try {
      const built = await peer.build();
      const held = peer instanceof OurPeer ? peer.index.stats().bytesTotal : undefined;
      if (peer.threads === 1) builds.push({ system: peer.id, label: peer.label, ...built, held });
      peers.push(peer);
    } catch (error) {
      if (peer.id.startsWith('annex-f32')) throw error;
      if (peer.threads === 1) skipped.push({ label: peer.label, reason: (error as Error).message });
    }
    progress.step();
  }
  progress.end();
  return { peers, builds };
}

async function main(): Promise<void> {
  const groups = [await gather(1), await gather(2)];
  try {
    const skipped: Skip[] = groups.flatMap((group) => group.skipped);
    const { peers, builds } = await buildAll(
      groups.flatMap((group) => group.peers),
      skipped,
    );

    const bouts = await plan(peers);
    const progress = new Progress('searching', bouts.length * (repetitions + 1));
    const works = bouts.map((bout) => () => measure(bout));
    const elapsed = await interleave(works, repetitions, () => progress.step());
    progress.end();

    const { name, rows, dim, queries, metric } = dataset;
    const report: FlatReport = {
      machine: machine(),
      engine: engineInfo(),
      dataset: { name, rows, dim, queries, metric },
      k,
      repetitions,
      runs: bouts.flatMap(({ tasks }, b) =>
        tasks.map((task, t) =>
          summarize(
            task,
            elapsed[b]!.map((repetition) => repetition[t]!),
          ),
        ),
      ),
      builds,
      skipped,
      ...(await check(dataset, peers)),
    };
    process.stdout.write(`${printFlat(report)}\n\nwritten to ${writeResult('flat', report)}\n`);
    const wrong = report.checks.bits.some(({ same }) => !same) || (report.checks.faiss?.wrong ?? 0) > 0;
    if (wrong) process.exitCode = 1;
  } finally {
    for (const group of groups) await group.close();
  }
}

await main();
