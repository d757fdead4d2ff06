import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type Dataset, unitRows } from '../data/dataset.js';
import type { Elapsed, Found, Mode, Peer, Peers, Skip } from './peer.js';

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
export const PYTHON = here(process.platform === 'win32' ? '../.venv/Scripts/python.exe' : '../.venv/bin/python');

const SYSTEMS = [
  { id: 'faiss', label: 'FAISS IndexFlat', tiled: true, index: true },
  { id: 'usearch-index', label: 'usearch Index exact', tiled: false, index: true },
  { id: 'usearch-function', label: 'usearch exact search', tiled: false, index: false },
  { id: 'hnswlib', label: 'hnswlib BFIndex', tiled: false, index: true },
] as const;

type Answer = Record<string, unknown>;

/** The peers from PyPI, in a process of their own with a fixed number of threads. */
export async function pythonPeers(dataset: Dataset, threads: number): Promise<Peers> {
  const labels = SYSTEMS.map((system) => system.label);
  const skipAll = (reason: string): Peers => ({
    peers: [],
    skipped: labels.map((label) => ({ label, reason })),
    close: async () => undefined,
  });
  if (!existsSync(PYTHON)) return skipAll('no virtual environment in bench/.venv');
  const process = new PythonProcess(threads);
  const folder = mkdtempSync(join(tmpdir(), 'annex-bench-'));
  const close = async (): Promise<void> => {
    await process.close();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const hello = await process.ask<{ versions: Record<string, string>; missing: Record<string, string> }>('hello');
    await process.ask('data', shareRows(dataset, folder));
    const peers: Peer[] = [];
    const skipped: Skip[] = [];
    for (const system of SYSTEMS) {
      const version = hello.versions[system.id];
      if (version !== undefined) peers.push(new PythonPeer(process, folder, system, version, threads));
      else skipped.push({ label: system.label, reason: hello.missing[system.id] ?? 'absent' });
    }
    return { peers, skipped, close };
  } catch (error) {
    await close();
    return skipAll((error as Error).message);
  }
}

/** Writes the rows where the other process reads them; both then hold the same bits. */
function shareRows(dataset: Dataset, folder: string): Answer {
  const unit = dataset.metric === 'cosine';
  const share = (name: string, rows: Float32Array): string => {
    const path = join(folder, name);
    const data = unit ? unitRows(rows, dataset.dim) : rows;
    writeFileSync(path, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    return path;
  };
  const base = share('base.f32', dataset.base);
  const query = share('query.f32', dataset.query);
  return { base, query, dim: dataset.dim, metric: unit ? 'ip' : dataset.metric };
}

class PythonPeer implements Peer {
  readonly id: string;
  readonly label: string;
  readonly tiled: boolean;
  readonly modes: readonly Mode[] = ['batch', 'single'];
  readonly #process: PythonProcess;
  readonly #folder: string;
  readonly #index: boolean;

  constructor(
    process: PythonProcess,
    folder: string,
    system: (typeof SYSTEMS)[number],
    readonly version: string,
    readonly threads: number,
  ) {
    this.#process = process;
    this.#folder = folder;
    this.id = system.id;
    this.label = system.label;
    this.tiled = system.tiled;
    this.#index = system.index;
  }

  async build(): Promise<{ seconds: number; bytes: number }> {
    const built = await this.#process.ask<{ seconds: number; bytes: number }>('build', { system: this.id });
    return { seconds: built.seconds, bytes: this.#index ? built.bytes : Number.NaN };
  }

  async run(mode: Mode, queries: number, k: number): Promise<Elapsed> {
    return this.#process.ask<{ seconds: number; cpu: number }>('run', { system: this.id, mode, queries, k });
  }

  async result(queries: number, k: number): Promise<Found> {
    const ids = join(this.#folder, 'ids');
    const distances = join(this.#folder, 'distances');
    await this.#process.ask('result', { system: this.id, queries, k, ids, distances });
    const read = (path: string): ArrayBuffer => new Uint8Array(readFileSync(path)).buffer;
    return { ids: new Float64Array(read(ids)), distances: new Float32Array(read(distances)) };
  }

  async drop(): Promise<void> {
    await this.#process.ask('drop', { system: this.id });
  }
}

/** bench/peers/runner.py: one request at a time, one answer each. */
class PythonProcess {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #lines: AsyncIterator<string>;
  readonly #ended: Promise<void>;
  #errors = '';

  constructor(threads: number) {
    this.#child = spawn(PYTHON, ['-I', here('runner.py'), String(threads)]);
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

  async ask<T = Answer>(verb: string, request: Answer = {}): Promise<T> {
    this.#child.stdin.write(`${JSON.stringify({ verb, ...request })}\n`);
    const line = await this.#lines.next();
    if (line.done)
      throw new Error(`the Python process ended: ${this.#errors.trim().split('\n').at(-1) || 'no message'}`);
    const answer = JSON.parse(line.value) as { ok: boolean; error?: string };
    if (!answer.ok) throw new Error(answer.error);
    return answer as T;
  }

  async close(): Promise<void> {
    this.#child.stdin.end();
    await this.#ended;
  }
}
