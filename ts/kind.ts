import { choice, type Fields, flag, numeric } from './field.js';
import { COARSES, KEY, LAYOUTS, RERANKS, SIDECARS } from './spec.js';

/** What is particular to a kind of index: everything here is a table, so that the code knows no kinds. */
export interface Kind {
  readonly name: KindName;
  readonly className: string;
  /** Options of its own, beyond dim, metric, storage and metadata. */
  readonly options: Fields;
  /** Search parameters of its own, by name, with their keys. */
  readonly search: Readonly<Record<string, number>>;
}

/** The words that name kinds, as in share tokens. */
const NAMES = ['flat', 'hnsw', 'ivf'] as const;
export type KindName = (typeof NAMES)[number];

/** The kinds; the position is the code in the C ABI (AnnexKind). */
export const KINDS: readonly Kind[] = [
  {
    name: 'flat',
    className: 'FlatIndex',
    options: {
      sidecar: choice(KEY.sidecar, SIDECARS),
      rerank: choice(KEY.rerank, RERANKS, -1),
      seed: numeric(KEY.seed),
    },
    search: { rerankFactor: KEY.rerankFactor },
  },
  {
    name: 'hnsw',
    className: 'HnswIndex',
    options: {
      M: numeric(KEY.m),
      efConstruction: numeric(KEY.efConstruction),
      rerank: choice(KEY.rerank, RERANKS, -1),
      layout: choice(KEY.layout, LAYOUTS),
      seed: numeric(KEY.seed),
    },
    search: { efSearch: KEY.efSearch },
  },
  {
    name: 'ivf',
    className: 'IvfIndex',
    options: {
      nlist: numeric(KEY.nlist),
      rerank: choice(KEY.rerank, RERANKS, -1),
      coarse: choice(KEY.coarse, COARSES),
      spill: numeric(KEY.spill),
      balanced: flag(KEY.balanced),
      residual: flag(KEY.residual),
      lengths: flag(KEY.lengths),
      iterations: numeric(KEY.iterations),
      maxPointsPerCentroid: numeric(KEY.maxPoints),
      seed: numeric(KEY.seed),
    },
    search: { nprobe: KEY.nprobe, rerankFactor: KEY.rerankFactor, earlyStop: KEY.earlyStop },
  },
];

export const FLAT = KINDS[0] as Kind;
export const HNSW = KINDS[1] as Kind;
export const IVF = KINDS[2] as Kind;
