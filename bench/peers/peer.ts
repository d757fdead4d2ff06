import type { Dataset } from '../data/dataset.js';
import { collectGarbage } from '../lib/measure.js';

export type Mode = 'batch' | 'single';

/** What a timed run took: wall clock, and processor time of all threads, in seconds. */
export interface Elapsed {
  readonly seconds: number;
  readonly cpu: number;
}

export interface Found {
  /** queries × k, best first. */
  readonly ids: Float64Array;
  readonly distances: Float32Array;
}

/** One system under test, over one dataset and with a fixed number of threads. */
export interface Peer {
  readonly id: string;
  /** As tables show it. */
  readonly label: string;
  readonly version: string;
  readonly threads: number;
  readonly modes: readonly Mode[];
  /** Whether a batch is faster than its queries one by one, so that only the full batch tells. */
  readonly tiled: boolean;
  /** Memory that holding the rows took: growth of the process, in bytes. */
  build(): Promise<{ seconds: number; bytes: number }>;
  /** Searches the first `queries` queries and says how long the peer took. */
  run(mode: Mode, queries: number, k: number): Promise<Elapsed>;
  result(queries: number, k: number): Promise<Found>;
  drop(): Promise<void>;
}

/** A peer that cannot take part, and why. */
export interface Skip {
  readonly label: string;
  readonly reason: string;
}

export interface Peers {
  readonly peers: readonly Peer[];
  readonly skipped: readonly Skip[];
  close(): Promise<void>;
}

export type Source = (dataset: Dataset, threads: number) => Promise<Peers>;

/** Times work on this thread and the processor time that the process spent on it. */
export function timed(work: () => void): Elapsed {
  const cpu = process.cpuUsage();
  const start = process.hrtime.bigint();
  work();
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  const used = process.cpuUsage(cpu);
  return { seconds, cpu: (used.user + used.system) / 1e6 };
}

/** Bytes that the process grew by, the collector having run before and after. */
export function grown(work: () => void): number {
  collectGarbage();
  const before = process.memoryUsage.rss();
  work();
  collectGarbage();
  return process.memoryUsage.rss() - before;
}
