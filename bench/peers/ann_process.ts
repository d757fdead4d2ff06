import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type {
  BuildAnswer,
  BuildRequest,
  DataRequest,
  RunAnswer,
  RunRequest,
  SystemProcess,
} from '../../ts/bench_process.js';
import { LineProcess, PYTHON } from './process.js';

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** One index in a process of its own, so that its memory can be told apart and its crash ends nothing else. */
export class AnnProcess implements SystemProcess {
  readonly #process: LineProcess;

  /** `more`: variables of its environment. */
  constructor(runner: 'python' | 'node', system: string, threads: number, more: Readonly<Record<string, string>> = {}) {
    if (runner === 'python' && !existsSync(PYTHON)) throw new Error('no virtual environment in bench/.venv');
    const env = { OMP_NUM_THREADS: String(threads), ANNEX_THREADS: String(threads), ...more };
    this.#process =
      runner === 'python'
        ? new LineProcess(system, PYTHON, ['-IB', here('ann_runner.py'), system], env)
        : new LineProcess(
            system,
            process.execPath,
            ['--expose-gc', '--import', 'tsx', here('ann_runner.ts'), system],
            env,
          );
  }

  hello(): Promise<{ version: string }> {
    return this.#process.ask('hello');
  }

  data(request: DataRequest): Promise<{ rows: number; queries: number }> {
    return this.#process.ask('data', request);
  }

  build(request: BuildRequest): Promise<BuildAnswer> {
    return this.#process.ask('build', request);
  }

  run(request: RunRequest): Promise<RunAnswer> {
    return this.#process.ask('run', request);
  }

  close(): Promise<void> {
    return this.#process.close();
  }
}
