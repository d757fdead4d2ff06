import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { type Dataset, unitRows } from '../data/dataset.js';
import { type Elapsed, type Found, grown, type Mode, type Peer, type Peers, type Skip, timed } from './peer.js';

const require = createRequire(import.meta.url);

/** What is used of hnswlib-node. */
interface HnswlibNode {
  BruteforceSearch: new (
    space: string,
    dim: number,
  ) => {
    initIndex(rows: number): void;
    addPoint(row: number[], id: number): void;
    searchKnn(query: number[], k: number): { distances: number[]; neighbors: number[] };
  };
}

/** What is used of usearch. */
interface Usearch {
  MetricKind: { IP: string; L2sq: string };
  exactSearch(
    base: Float32Array,
    queries: Float32Array,
    dim: number,
    k: number,
    metric: string,
    threads: number,
  ): { keys: BigUint64Array; distances: Float32Array };
}

/** The peers from npm that take part with so many threads. */
export async function npmPeers(dataset: Dataset, threads: number): Promise<Peers> {
  const peers: Peer[] = [];
  const skipped: Skip[] = [];
  const attempt = (name: string, label: string, make: (version: string) => Peer): void => {
    try {
      peers.push(make(versionOf(name)));
    } catch (error) {
      skipped.push({ label, reason: (error as Error).message.split('\n')[0]! });
    }
  };
  attempt('usearch', UsearchPeer.label, (version) => new UsearchPeer(require('usearch'), dataset, version, threads));
  if (threads === 1) {
    const make = (version: string): Peer => new HnswlibPeer(require('hnswlib-node'), dataset, version);
    attempt('hnswlib-node', HnswlibPeer.label, make);
  }
  return { peers, skipped, close: async () => undefined };
}

/** Where a peer is installed: its package.json need not be among its exports, so that it is looked for. */
export function folderOf(name: string): string {
  const folders = (require.resolve.paths(name) ?? []).map((path) => join(path, name));
  const folder = folders.find((path) => existsSync(join(path, 'package.json')));
  if (folder === undefined) throw new Error(`${name} is not installed in bench/node_modules`);
  return folder;
}

export const versionOf = (name: string): string =>
  (require(join(folderOf(name), 'package.json')) as { version: string }).version;

/** Copies queries × k results of any array-like form. */
function emptyResult(queries: number, k: number): Found {
  return { ids: new Float64Array(queries * k).fill(-1), distances: new Float32Array(queries * k).fill(Infinity) };
}

/** hnswlib-node's BruteforceSearch: one query a call, on the calling thread. */
class HnswlibPeer implements Peer {
  static readonly label = 'hnswlib-node BruteforceSearch';
  readonly id = 'hnswlib-node';
  readonly label = HnswlibPeer.label;
  readonly threads = 1;
  readonly tiled = false;
  readonly modes: readonly Mode[] = ['single'];
  readonly #dataset: Dataset;
  readonly #library: HnswlibNode;
  /** Converted beforehand, which the peer's own users have to do within every call. */
  readonly #queries: number[][] = [];
  #index: InstanceType<HnswlibNode['BruteforceSearch']> | undefined;

  constructor(
    library: HnswlibNode,
    dataset: Dataset,
    readonly version: string,
  ) {
    this.#library = library;
    this.#dataset = dataset;
    const { dim, query } = dataset;
    for (let at = 0; at < query.length; at += dim) this.#queries.push(Array.from(query.subarray(at, at + dim)));
  }

  async build(): Promise<{ seconds: number; bytes: number }> {
    const { dim, rows, base, metric } = this.#dataset;
    let seconds = 0;
    const bytes = grown(() => {
      const index = new this.#library.BruteforceSearch(metric, dim);
      ({ seconds } = timed(() => {
        index.initIndex(rows);
        for (let row = 0; row < rows; row++) index.addPoint(Array.from(base.subarray(row * dim, (row + 1) * dim)), row);
      }));
      this.#index = index;
    });
    return { seconds, bytes };
  }

  async run(_mode: Mode, queries: number, k: number): Promise<Elapsed> {
    return timed(() => {
      for (let q = 0; q < queries; q++) this.#index!.searchKnn(this.#queries[q]!, k);
    });
  }

  async result(queries: number, k: number): Promise<Found> {
    const found = emptyResult(queries, k);
    for (let q = 0; q < queries; q++) {
      const hits = this.#index!.searchKnn(this.#queries[q]!, k);
      found.ids.set(hits.neighbors, q * k);
      found.distances.set(hits.distances, q * k);
    }
    return found;
  }

  async drop(): Promise<void> {
    this.#index = undefined;
  }
}

/** usearch's exactSearch: brute force over the caller's array, no index. */
class UsearchPeer implements Peer {
  static readonly label = 'usearch (npm) exactSearch';
  readonly id = 'usearch-npm';
  readonly label = UsearchPeer.label;
  readonly tiled = false;
  readonly modes: readonly Mode[] = ['batch', 'single'];
  readonly #library: Usearch;
  readonly #base: Float32Array;
  readonly #dim: number;
  readonly #metric: string;
  /** Copies, because the peer ignores where a subarray starts. */
  readonly #queries: Float32Array[] = [];
  readonly #all: Float32Array;

  constructor(
    library: Usearch,
    dataset: Dataset,
    readonly version: string,
    readonly threads: number,
  ) {
    const { dim, metric } = dataset;
    const unit = metric === 'cosine';
    this.#library = library;
    this.#dim = dim;
    this.#metric = metric === 'l2' ? library.MetricKind.L2sq : library.MetricKind.IP;
    this.#base = unit ? unitRows(dataset.base, dim) : dataset.base;
    this.#all = unit ? unitRows(dataset.query, dim) : dataset.query;
    for (let at = 0; at < this.#all.length; at += dim) this.#queries.push(this.#all.slice(at, at + dim));
  }

  async build(): Promise<{ seconds: number; bytes: number }> {
    return { seconds: 0, bytes: Number.NaN };
  }

  #search(queries: Float32Array, k: number): { keys: BigUint64Array; distances: Float32Array } {
    return this.#library.exactSearch(this.#base, queries, this.#dim, k, this.#metric, this.threads);
  }

  async run(mode: Mode, queries: number, k: number): Promise<Elapsed> {
    const batch = this.#all.slice(0, queries * this.#dim);
    return timed(() => {
      if (mode === 'batch') this.#search(batch, k);
      else for (let q = 0; q < queries; q++) this.#search(this.#queries[q]!, k);
    });
  }

  async result(queries: number, k: number): Promise<Found> {
    const found = emptyResult(queries, k);
    for (let q = 0; q < queries; q++) {
      const hits = this.#search(this.#queries[q]!, k);
      found.ids.set(Array.from(hits.keys, Number), q * k);
      found.distances.set(hits.distances, q * k);
    }
    return found;
  }

  async drop(): Promise<void> {}
}
