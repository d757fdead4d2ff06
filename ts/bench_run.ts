// Builds every index of a sweep, each in a process of its own, and measures all points by turns.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { recall } from './bench_measure.js';
import { AnnProcess, type BuildAnswer, type RunAnswer, type SystemProcess } from './bench_process.js';
import { Progress } from './bench_progress.js';
import { MODES, type Point, type Sample, type SweepMode, type SweepState, type SystemState } from './bench_state.js';
import type { SystemSpec } from './bench_systems.js';
import { keyOf } from './data_cache.js';
import type { Prepared } from './data_prepare.js';

export interface RunOptions {
  readonly k: number;
  readonly repetitions: number;
  /** Seconds that one repetition of one point should take at least, and about at most. */
  readonly seconds: number;
  readonly threads: number;
  readonly modes: readonly SweepMode[];
  /** Builds anew what an earlier sweep kept. */
  readonly fresh: boolean;
  readonly save: (state: SweepState) => void;
  readonly say: (text: string) => void;
  /** Without a line that shows how far it is. */
  readonly quiet?: boolean;
  /** Starts the process of a system; where nothing is given, of this package's own. */
  readonly start?: ((spec: SystemSpec, threads: number) => SystemProcess) | undefined;
}

const startOurs = (spec: SystemSpec, threads: number): AnnProcess => AnnProcess.ours(threads, spec.env);

interface Live {
  readonly spec: SystemSpec;
  readonly state: SystemState;
  readonly process: SystemProcess;
}

/** Does what `state` lacks. */
export async function runSweep(
  data: Prepared,
  specs: readonly SystemSpec[],
  state: SweepState,
  options: RunOptions,
): Promise<void> {
  const live: Live[] = [];
  try {
    for (const [i, spec] of specs.entries()) {
      const system = state.systems[i]!;
      if (system.skipped !== undefined || isDone(spec, system, options)) continue;
      const one = await start(data, spec, system, options);
      if (one !== undefined) live.push(one);
      options.save(state);
    }
    await measure(data, live, state, options);
  } finally {
    for (const { process } of live) await process.close();
  }
}

const modesOf = (spec: SystemSpec, options: RunOptions): SweepMode[] =>
  options.modes.filter((mode) => mode === 'single' || (spec.batch && (mode !== 'all' || options.threads > 1)));

function isDone(spec: SystemSpec, { points }: SystemState, options: RunOptions): boolean {
  const modes = modesOf(spec, options);
  return points.every(
    ({ recall, samples }) => recall !== undefined && modes.every((mode) => samples[mode].length >= options.repetitions),
  );
}

/** Opens the system's process and builds or loads its index; what fails becomes a named skip. */
async function start(
  data: Prepared,
  spec: SystemSpec,
  state: SystemState,
  options: RunOptions,
): Promise<Live | undefined> {
  let process: SystemProcess | undefined;
  try {
    process = (options.start ?? startOurs)(spec, options.threads);
    const { version } = await process.hello();
    state.version = version;
    const plain = spec.ours || data.metric !== 'cosine';
    await process.data({
      base: plain ? data.base : data.unitBase,
      query: plain ? data.query : data.unitQuery,
      metric: plain ? data.metric : 'ip',
      rows: data.rows,
    });
    await build(data, spec, state, process, options);
    return { spec, state, process };
  } catch (error) {
    state.skipped = (error as Error).message;
    options.say(`${spec.label}: skipped, ${state.skipped}`);
    await process?.close();
    return undefined;
  }
}

/** Peers' indexes are kept with what their build took: they do not change from one sweep to the next. Ours do. */
async function build(
  data: Prepared,
  spec: SystemSpec,
  state: SystemState,
  process: SystemProcess,
  options: RunOptions,
): Promise<void> {
  const { threads } = options;
  const { system, build: params } = spec;
  const key = keyOf({ data: data.key, metric: data.metric, system, params, version: state.version, threads });
  const folder = join(data.folder, 'indexes');
  const file = join(folder, spec.ours ? `ours-${globalThis.process.pid}-${key}` : key);
  const notes = `${file}.json`;
  mkdirSync(folder, { recursive: true });
  const load = !spec.ours && !options.fresh && existsSync(file) && existsSync(notes);
  options.say(`${spec.label}: ${load ? 'loading' : 'building'}`);
  try {
    const built = await process.build({ params, threads, file, load });
    if (load) state.build = JSON.parse(readFileSync(notes, 'utf8')) as SystemState['build'];
    else state.build = { ...(built satisfies BuildAnswer), threads };
    if (!load && !spec.ours) writeFileSync(notes, JSON.stringify(state.build));
  } finally {
    if (spec.ours) rmSync(file, { force: true });
  }
  if (!load) options.say(`${spec.label}: built in ${state.build!.seconds.toFixed(1)} s`);
}

/** Queries and passes of one repetition, so that it takes about the seconds that are wanted. */
interface Load {
  queries: number;
  passes: number;
}

/** Fewer queries than this tell too little. */
const FEWEST = 50;

async function measure(data: Prepared, live: readonly Live[], state: SweepState, options: RunOptions): Promise<void> {
  // The i-th parameters of every system, then the next: neighbours in time are neighbours in what they are compared to.
  const turns: { one: Live; point: Point; mode: SweepMode; load: Load }[] = [];
  const most = Math.max(0, ...live.map(({ state: { points } }) => points.length));
  for (let at = 0; at < most; at++) {
    for (const one of live) {
      const point = one.state.points[at];
      if (point === undefined) continue;
      for (const mode of MODES) {
        if (!modesOf(one.spec, options).includes(mode)) continue;
        turns.push({ one, point, mode, load: { queries: data.queries, passes: 1 } });
      }
    }
  }
  const progress = new Progress('measuring', turns.length * (options.repetitions + 1), options);
  const broken = new Set<Live>();
  // The first round warms up, and tells how much a repetition can hold and what is found.
  for (let round = 0; round <= options.repetitions; round++) {
    for (const { one, point, mode, load } of turns) {
      progress.step();
      // What an interrupted run has measured is not measured again; what is complete needs no warming up either.
      const has = point.samples[mode].length;
      if (broken.has(one) || has >= (round === 0 ? options.repetitions : round)) continue;
      try {
        if (round === 0) Object.assign(load, await calibrate(data, one, point, mode, options));
        else {
          const answer = await run(one, point, mode, load, options);
          point.samples[mode].push(sampleOf(answer, load));
        }
      } catch (error) {
        // The process is gone, or refuses these parameters: what was measured until now stays.
        broken.add(one);
        one.state.skipped = (error as Error).message;
        options.say(`${one.spec.label}: given up, ${one.state.skipped}`);
      }
      options.save(state);
    }
  }
  progress.end();
}

const run = (one: Live, { search }: Point, mode: SweepMode, load: Load, options: RunOptions): Promise<RunAnswer> =>
  one.process.run({
    params: search,
    mode: mode === 'single' ? 'single' : 'batch',
    threads: mode === 'all' ? options.threads : 1,
    ...load,
    k: options.k,
  });

async function calibrate(data: Prepared, one: Live, point: Point, mode: SweepMode, options: RunOptions): Promise<Load> {
  const { k, seconds } = options;
  const { queries } = data;
  if (point.recall === undefined) {
    const ids = join(tmpdir(), `annex-sweep-${globalThis.process.pid}.ids`);
    try {
      await one.process.run({
        params: point.search,
        mode: 'batch',
        threads: options.threads,
        queries,
        k,
        passes: 1,
        ids,
      });
      const bytes = readFileSync(ids);
      const found = new Float64Array(new Uint8Array(bytes).buffer);
      point.recall = recall(found, data.truth, k, data.width);
    } finally {
      rmSync(ids, { force: true });
    }
  }
  const few = Math.min(queries, FEWEST);
  const first = await run(one, point, mode, { queries: few, passes: 1 }, options);
  const each = first.seconds / few;
  const fits = Math.max(few, Math.min(queries, Math.ceil((3 * seconds) / each)));
  return { queries: fits, passes: Math.max(1, Math.round(seconds / (each * fits))) };
}

function sampleOf(answer: RunAnswer, { queries, passes }: Load): Sample {
  const n = queries * passes;
  const sample: Sample = { queriesPerSecond: n / answer.seconds, queriesPerCpuSecond: n / answer.cpu };
  return answer.latency === null ? sample : { ...sample, latency: answer.latency };
}
