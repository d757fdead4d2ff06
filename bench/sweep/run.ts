import { type RunOptions, runSweep as run } from '../../ts/bench_run.js';
import type { SweepState } from '../../ts/bench_state.js';
import type { SystemSpec } from '../../ts/bench_systems.js';
import type { Prepared } from '../../ts/data_prepare.js';
import { AnnProcess } from '../peers/ann_process.js';

/** Does what `state` lacks, peers included. */
export function runSweep(
  data: Prepared,
  specs: readonly SystemSpec[],
  state: SweepState,
  options: RunOptions,
): Promise<void> {
  const start = ({ runner, system, env }: SystemSpec, threads: number): AnnProcess =>
    new AnnProcess(runner, system, threads, env);
  return run(data, specs, state, { ...options, start });
}
