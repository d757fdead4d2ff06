import { AnnexError } from './errors.js';
import type { RunTable } from './eval_lists.js';
import { type Candidate, emptyBytes } from './plan_candidates.js';
import { uniforms } from './random.js';
import type { Metric } from './spec.js';

/** What a plan uses of the classes of an entry point. */
export interface PlanIndex {
  train(rows: Float32Array, options?: object): Promise<unknown>;
  add(rows: Float32Array, options?: object): Promise<unknown>;
  searchBatch(queries: Float32Array, k: number, options?: object): Promise<RunTable>;
  toBytes(): Promise<Uint8Array>;
  stats(): { readonly bytesTotal: number };
  readonly trained: boolean;
  close(): void;
}
export interface PlanClass {
  create(options: never): Promise<unknown>;
}
export type PlanClasses = Readonly<Record<Candidate['structure'], PlanClass>>;

/** Rows and queries that trials are made with. */
export interface Sample {
  readonly dim: number;
  readonly metric: Metric;
  readonly rows: Float32Array;
  readonly queries: Float32Array;
}

/** Bytes of an index before the first row was added, and of its rows. */
export interface Bytes {
  readonly empty: number;
  readonly rows: number;
}

/** What one index of a few rows came to. */
export interface Trial {
  readonly n: number;
  readonly nlist: number;
  /** Without what is empty in last blocks. */
  readonly ram: Bytes;
  /** Undefined where this kind of index cannot be saved. */
  readonly file: Bytes | undefined;
  readonly buildSeconds: number;
  /** For each of the candidate's search parameters. */
  readonly recalls: readonly number[];
  /** Seconds of a query in a batch. */
  readonly seconds: readonly number[];
}

/** Of parameters beyond those tried, which would find no more, the last that was. */
export const last = <T>(values: readonly T[], at: number): T => values[Math.min(at, values.length - 1)] as T;

/** Search parameters beyond the first that finds this share of the true neighbours are not tried. */
const ENOUGH = 0.9995;

/** Builds the candidate over the rows of the sample, trained on these or a part of them, and measures it. */
export async function tryOut(
  candidate: Candidate,
  classes: PlanClasses,
  { dim, metric, rows, queries }: Sample,
  training: Float32Array,
  nlist: number,
  k: number,
  truth: readonly ReadonlySet<number>[],
  signal: AbortSignal | undefined,
): Promise<Trial> {
  const n = rows.length / dim;
  const create = classes[candidate.structure].create.bind(classes[candidate.structure]);
  const index = (await create({ ...candidate.options(nlist), dim, metric } as never)) as PlanIndex;
  try {
    const start = performance.now();
    if (!index.trained) await index.train(training, { signal });
    const trained = performance.now();
    const empty = { ram: index.stats().bytesTotal, file: await fileBytes(index) };
    const begun = performance.now();
    await index.add(rows, { signal });
    const buildSeconds = (performance.now() - begun + trained - start) / 1000;
    const recalls: number[] = [];
    const seconds: number[] = [];
    for (const params of candidate.searches(k)) {
      const begin = performance.now();
      const found = await index.searchBatch(queries, k, { ...params, signal });
      seconds.push((performance.now() - begin) / 1000 / truth.length);
      recalls.push(recallOf(found, truth));
      if ((recalls.at(-1) as number) >= ENOUGH) break;
    }
    const ram = index.stats().bytesTotal - emptyBytes(candidate, dim, metric, n);
    const file = await fileBytes(index);
    return {
      n,
      nlist,
      ram: { empty: empty.ram, rows: ram - empty.ram },
      file: file === undefined || empty.file === undefined ? undefined : { empty: empty.file, rows: file - empty.file },
      buildSeconds,
      recalls,
      seconds,
    };
  } finally {
    index.close();
  }
}

/** The k nearest rows of the sample to each of its queries. */
export async function truthOf(
  { FlatIndex }: PlanClasses,
  { dim, metric, rows, queries }: Sample,
  k: number,
  signal: AbortSignal | undefined,
): Promise<Set<number>[]> {
  const index = (await FlatIndex.create({ dim, metric } as never)) as PlanIndex;
  try {
    await index.add(rows, { signal });
    const { ids, k: columns } = await index.searchBatch(queries, k, { signal });
    const list = ids as Float64Array;
    return Array.from(
      { length: queries.length / dim },
      (_, q) => new Set(list.subarray(q * columns, (q + 1) * columns)),
    );
  } finally {
    index.close();
  }
}

/** Of the nearest rows of a sample, so many are as near as the k nearest of all n. */
export const asNear = (k: number, rows: number, n: number): number => Math.max(1, Math.round((k * rows) / n));

/** The share of the true neighbours that were found; 1 where there are none. */
export function recallOf({ ids, k }: RunTable, truth: readonly ReadonlySet<number>[]): number {
  let hits = 0;
  let wanted = 0;
  for (let q = 0; q < truth.length; q++) {
    const row = truth[q] as ReadonlySet<number>;
    wanted += row.size;
    for (let j = 0; j < k; j++) if (row.has((ids as Float64Array)[q * k + j] as number)) hits++;
  }
  return wanted === 0 ? 1 : hits / wanted;
}

async function fileBytes(index: PlanIndex): Promise<number | undefined> {
  try {
    return (await index.toBytes()).byteLength;
  } catch (error) {
    if (error instanceof AnnexError && error.code === 'UNSUPPORTED') return undefined;
    throw error;
  }
}

/** Clusters in a subspace of dim / 8 dimensions, with a little noise in all: what embeddings look like to an index. */
export function generatedRows(count: number, dim: number): Float32Array {
  const latent = Math.max(2, Math.round(dim / 8));
  const clusters = 64;
  const normal = normals(1);
  const project = Float32Array.from({ length: latent * dim }, () => normal() / Math.sqrt(latent));
  const centres = Float32Array.from({ length: clusters * latent }, normal);
  const out = new Float32Array(count * dim);
  for (let row = 0; row < count; row++) {
    const centre = Math.floor(Math.abs(normal()) * 1e6) % clusters;
    const at = row * dim;
    for (let d = 0; d < dim; d++) out[at + d] = 0.02 * normal();
    for (let l = 0; l < latent; l++) {
      const value = (centres[centre * latent + l] as number) + 0.4 * normal();
      for (let d = 0; d < dim; d++) out[at + d] = (out[at + d] as number) + value * (project[l * dim + d] as number);
    }
  }
  return out;
}

/** Normal numbers by Box and Muller's method over splitmix32: the same on every platform up to rounding. */
function normals(seed: number): () => number {
  const uniform = uniforms(seed);
  return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}
