// annex bench: recall, speed, memory and size of indexes over someone's rows.
import { rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { checkCharts } from './bench_chart.js';
import { sweepPage } from './bench_page.js';
import { printPoints, printSweep } from './bench_print.js';
import { runSweep } from './bench_run.js';
import { MODES, newState, readState, type SweepState, unfinished, writeState } from './bench_state.js';
import { summary } from './bench_summary.js';
import { byFactory, GRID, type Grid, QUICK_GRID, standardFactories } from './bench_systems.js';
import { type Context, countOf, countsOf, listOf, oneOf, print, textOf, UsageError } from './cli_context.js';
import { checkWritable } from './cli_index.js';
import { keyOf } from './data_cache.js';
import { GENERATORS } from './data_generate.js';
import { METRICS, type Prepared, prepare } from './data_prepare.js';
import { parseFactory } from './factory.js';
import { createIndexSync } from './index.js';

interface Asked {
  readonly k: number;
  readonly repetitions: number;
  readonly threads: number;
  /** Milliseconds of one repetition of one point. */
  readonly ms: number;
  readonly grid: Grid;
  /** The standard ones where there are none. */
  readonly factories: readonly string[];
}

function askedOf(context: Context): Asked {
  const quick = context.values.quick === true;
  const standard = quick ? QUICK_GRID : GRID;
  const factories = listOf(context, 'factory');
  for (const factory of factories) parseFactory(factory);
  return {
    k: countOf(context, 'k') ?? 10,
    repetitions: countOf(context, 'repetitions') ?? (quick ? 3 : 5),
    threads: countOf(context, 'threads') ?? availableParallelism(),
    ms: countOf(context, 'ms') ?? (quick ? 40 : 300),
    grid: {
      ef: countsOf(context, 'ef-search') ?? standard.ef,
      nprobe: countsOf(context, 'nprobe') ?? standard.nprobe,
      rerank: countsOf(context, 'rerank-factor') ?? standard.rerank,
    },
    factories,
  };
}

/** Where the report goes, once it is known that it can go there. */
function reportPath(context: Context): { path: string; html: boolean } | undefined {
  const path = textOf(context, 'out');
  if (path === undefined) return undefined;
  const html = path.endsWith('.html');
  if (!html && !path.endsWith('.json'))
    throw new UsageError(`--out takes a name that ends in .html or .json, got ${path}`);
  checkWritable(path);
  if (html) checkCharts(path);
  return { path, html };
}

function preparedFor(
  context: Context,
  base: string | undefined,
  k: number,
  say: (text: string) => void,
): Promise<Prepared> {
  const generate = oneOf(context, 'generate', GENERATORS);
  if (base === undefined && generate === undefined) {
    throw new UsageError(`annex bench takes a file of vectors, or --generate ${GENERATORS.join(' | ')}`);
  }
  const options = {
    base,
    generate,
    query: textOf(context, 'query'),
    gt: textOf(context, 'truth'),
    column: textOf(context, 'column'),
    metric: oneOf(context, 'metric', METRICS),
    rows: countOf(context, 'rows'),
    queries: countOf(context, 'queries'),
    dim: countOf(context, 'dim'),
    seed: countOf(context, 'seed', 0),
  };
  return prepare(options, k, say);
}

export async function benchCommand(context: Context, [base]: [string?]): Promise<void> {
  const say = (text: string): void => {
    if (!context.quiet) process.stderr.write(`${process.stderr.isTTY ? '\r\x1b[K' : ''}${text}\n`);
  };
  const { factories, grid, ...asked } = askedOf(context);
  const { k, repetitions, threads, ms } = asked;
  const report = reportPath(context);
  const data = await preparedFor(context, base, k, say);
  const chosen = factories.length === 0 ? standardFactories(data.rows, data.dim) : factories;
  // What cannot be made is told here, and not when its turn has come.
  for (const factory of chosen) createIndexSync(factory, { dim: data.dim, metric: data.metric }).close();
  const specs = chosen.map((factory) => byFactory(factory, grid));

  const fresh = newState(keyOf({ ...asked, data: data.key, metric: data.metric, specs }), data, specs, {
    preset: 'bench',
    k,
    repetitions,
    threads,
  });
  const kept = join(data.folder, 'bench', `${fresh.key}.json`);
  const state = (context.values.fresh === true ? undefined : unfinished(readState(kept), fresh)) ?? fresh;
  if (state !== fresh) say('going on where the same command was interrupted');
  await runSweep(data, specs, state, {
    k,
    repetitions,
    seconds: ms / 1000,
    threads,
    modes: MODES,
    fresh: false,
    quiet: context.quiet,
    save: (now) => writeState(kept, now),
    say,
  });
  state.finished = true;
  rmSync(kept, { force: true });
  if (report !== undefined)
    writeFileSync(report.path, report.html ? sweepPage(state) : `${JSON.stringify(summary(state))}\n`);
  await print(context, summary(state), () => text(state, report?.path));
  if (state.systems.every(({ skipped }) => skipped !== undefined)) process.exitCode = 1;
}

const text = (state: SweepState, path: string | undefined): string[] => [
  printSweep(state),
  '',
  printPoints(state),
  ...(path === undefined ? [] : ['', `written to ${path}`]),
];
