import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Metric } from '../data/dataset.js';
import type { Params } from './ann.js';
import { PYTHON } from './python.js';

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
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #lines: AsyncIterator<string>;
  readonly #ended: Promise<void>;
  readonly #name: string;
  #errors = '';

  constructor(runner: 'python' | 'node', system: string, threads: number) {
    this.#name = system;
    if (runner === 'python' && !existsSync(PYTHON)) throw new Error('no virtual environment in bench/.venv');
    const env = { ...process.env, OMP_NUM_THREADS: String(threads), ANNEX_THREADS: String(threads) };
    this.#child =
      runner === 'python'
        ? spawn(PYTHON, ['-IB', here('ann_runner.py'), system], { env })
        : spawn(process.execPath, ['--expose-gc', '--import', 'tsx', here('ann_runner.ts'), system], { env });
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
    this.#ended = new Promise((resolve) => {
      this.#child.once('close', () => resolve());
      this.#child.once('error', () => resolve());
    });
    this.#child.stdin.on('error', () => undefined); // the missing answer tells
    this.#child.stderr.on('data', (text: Buffer) => {
      this.#errors = (this.#errors + text.toString()).slice(-2000);
    });
  }

  async #ask<T>(verb: string, request: object = {}): Promise<T> {
    this.#child.stdin.write(`${JSON.stringify({ verb, ...request })}\n`);
    const line = await this.#lines.next();
    if (line.done) {
      const last = this.#errors.trim().split('\n').at(-1) || 'no message';
      throw new Error(`the process of ${this.#name} ended: ${last}`);
    }
    const answer = JSON.parse(line.value) as { ok: boolean; error?: string };
    if (!answer.ok) throw new Error(answer.error);
    return answer as T;
  }

  hello(): Promise<{ version: string }> {
    return this.#ask('hello');
  }

  data(request: DataRequest): Promise<{ rows: number; queries: number }> {
    return this.#ask('data', request);
  }

  build(request: BuildRequest): Promise<BuildAnswer> {
    return this.#ask('build', request);
  }

  run(request: RunRequest): Promise<RunAnswer> {
    return this.#ask('run', request);
  }

  async close(): Promise<void> {
    this.#child.stdin.end();
    await this.#ended;
  }
}
