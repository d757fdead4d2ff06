import { type RunOptions, runSweep as run } from '../../ts/bench_run.js';
import type { SweepState } from '../../ts/bench_state.js';
import type { SystemSpec } from '../../ts/bench_systems.js';
import type { Prepared } from '../../ts/data_prepare.js';
import { annProcess } from '../peers/ann_process.js';

/** Does what `state` lacks, peers included. */
export function runSweep(
  data: Prepared,
  specs: readonly SystemSpec[],
  state: SweepState,
  options: RunOptions,
): Promise<void> {
  return run(data, specs, state, {
    ...options,
    start: ({ runner, system, env }, threads) => annProcess(runner, system, threads, env),
  });
}
