import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LineProcess } from '../../ts/bench_lines.js';
import { type Dataset, unitRows } from '../data/dataset.js';
import type { Elapsed, Found, Mode, Peer, Peers, Skip } from './peer.js';
import { PYTHON } from './process.js';

const RUNNER = fileURLToPath(new URL('runner.py', import.meta.url));

const SYSTEMS = [
  { id: 'faiss', label: 'FAISS IndexFlat', tiled: true, index: true },
  { id: 'usearch-index', label: 'usearch Index exact', tiled: false, index: true },
  { id: 'usearch-function', label: 'usearch exact search', tiled: false, index: false },
  { id: 'hnswlib', label: 'hnswlib BFIndex', tiled: false, index: true },
] as const;

/** The peers from PyPI, in a process of their own with a fixed number of threads. */
export async function pythonPeers(dataset: Dataset, threads: number): Promise<Peers> {
  const labels = SYSTEMS.map((system) => system.label);
  const skipAll = (reason: string): Peers => ({
    peers: [],
    skipped: labels.map((label) => ({ label, reason })),
    close: async () => undefined,
  });
  if (!existsSync(PYTHON)) return skipAll('no virtual environment in bench/.venv');
  const process = new LineProcess('the peers from PyPI', PYTHON, ['-IB', RUNNER, String(threads)]);
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
function shareRows(dataset: Dataset, folder: string): Record<string, unknown> {
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
  readonly #process: LineProcess;
  readonly #folder: string;
  readonly #index: boolean;

  constructor(
    process: LineProcess,
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
