import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Metric } from '../data/dataset.js';
import type { Params } from './ann.js';
import { LineProcess, PYTHON } from './process.js';

export interface DataRequest {
  /** .npy of f32; of unit length where cosine is asked of a system that has none. */
  readonly base: string;
  readonly query: string;
  readonly metric: Metric;
  readonly rows: number;
}

export interface BuildRequest {
  readonly params: Params;
  readonly threads: number;
  /** Where the index is kept, to be written or read. */
  readonly file: string;
  readonly load: boolean;
}

export interface BuildAnswer {
  readonly seconds: number;
  /** Seconds of processor time, of all threads. */
  readonly cpu: number;
  /** Growth of the process; null where the system does not tell. */
  readonly bytes: number | null;
  /** Bytes by the index's own account. */
  readonly held?: number | null;
  /** null where the index could not be saved. */
  readonly fileBytes: number | null;
  /** How many were built from; null for what was loaded. */
  readonly rows?: number | null;
}

export type RunMode = 'single' | 'batch';

export interface RunRequest {
  readonly params: Params;
  readonly mode: RunMode;
  readonly threads: number;
  readonly queries: number;
  readonly k: number;
  /** Times over the queries. */
  readonly passes: number;
  /** Where to write the ids that were found, as f64. */
  readonly ids?: string | undefined;
}

/** Milliseconds. */
export interface LatencyPoint {
  readonly mean: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly p999: number;
}

export interface RunAnswer {
  readonly seconds: number;
  readonly cpu: number;
  readonly latency: LatencyPoint | null;
}

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** One index in a process of its own, so that its memory can be told apart and its crash ends nothing else. */
export class AnnProcess {
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
