import { fileURLToPath } from 'node:url';
import { LineProcess } from './bench_lines.js';
import type { Params } from './bench_system.js';
import type { Metric } from './data_prepare.js';

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

/** A process that answers requests about one index. */
export interface SystemProcess {
  hello(): Promise<{ version: string }>;
  data(request: DataRequest): Promise<{ rows: number; queries: number }>;
  build(request: BuildRequest): Promise<BuildAnswer>;
  run(request: RunRequest): Promise<RunAnswer>;
  close(): Promise<void>;
}

/** One index in a process of its own, so that its memory can be told apart and its crash ends nothing else. */
export class AnnProcess implements SystemProcess {
  readonly #process: LineProcess;

  constructor(process: LineProcess) {
    this.#process = process;
  }

  /** This package's own, run as this process is. `env`: variables of its environment. */
  static ours(threads: number, env: Readonly<Record<string, string>> = {}): AnnProcess {
    const worker = import.meta.url.replace(/bench_process(?=\.[jt]s$)/, 'bench_worker');
    const args = [...process.execArgv, '--expose-gc', fileURLToPath(worker)];
    return new AnnProcess(new LineProcess('annex', process.execPath, args, { ANNEX_THREADS: String(threads), ...env }));
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
