import { INPUT, type InputCode, type Rows } from './backend.js';

/** Metrics; the position is the code in the C ABI (AnnexMetric). */
export const METRICS = ['l2', 'ip', 'cosine', 'l1', 'hamming', 'jaccard'] as const;

/**
 * How far two vectors are apart. Distances ascend for every metric, smaller is nearer:
 * - `l2`: squared Euclidean distance (no root);
 * - `ip`: minus the inner product;
 * - `cosine`: 1 − cosine of the angle, 0 … 2; the zero vector is refused;
 * - `l1`: Manhattan distance;
 * - `hamming`: number of bits that differ (packed bits only);
 * - `jaccard`: 1 − |a ∧ b| / |a ∨ b|, 0 … 1 (packed bits only).
 */
export type Metric = (typeof METRICS)[number];

/** Storages; the position is the code in the C ABI (AnnexStorage). */
export const STORAGES = ['f32', 'f16', 'bf16', 'sq8', 'i8', 'u8', 'bits', 'pq', 'rabitq'] as const;

/**
 * How rows are coded in memory, in bytes a dimension:
 * - `f32` (4): exactly as given;
 * - `f16` (2): rounded to half precision, up to ±65504;
 * - `bf16` (2): rounded to 8 bits of significand, with the range of f32;
 * - `sq8` (1): 8-bit scalar quantization of floats;
 * - `i8`, `u8` (1): byte embeddings, exactly as given;
 * - `bits` (1/8): packed bits, exactly as given, for the metrics hamming and jaccard;
 * - `pq` (m · bits / 8 bytes a row): product quantization, see {@link PqStorage};
 * - `rabitq` (bits / 8): random rotation and few bits, see {@link RabitqStorage}.
 */
export type Storage = (typeof STORAGES)[number];

/** Storages that code every number of a row by itself. */
export type ScalarStorage = Exclude<Storage, 'pq' | 'rabitq'>;

/** Values of `sidecar`; the position is the code in the C ABI (AnnexSidecar). */
export const SIDECARS = ['auto', 'none', 'i8'] as const;
export type Sidecar = (typeof SIDECARS)[number];

/** Layouts of a graph; the position is the code in the C ABI (AnnexLayout). */
export const LAYOUTS = ['auto', 'plain', 'codes'] as const;
export type Layout = (typeof LAYOUTS)[number];

/** Ways to find the lists next to a query; the position is the code in the C ABI (AnnexCoarse). */
export const COARSES = ['flat', 'hnsw'] as const;
export type Coarse = (typeof COARSES)[number];

/** Rotations before product quantization; the position is the code in the C ABI (AnnexRotation). */
export const ROTATIONS = ['none', 'opq', 'random'] as const;
export type Rotation = (typeof ROTATIONS)[number];

/** What a wider copy of the rows may be; the position is one more than the code in the C ABI, where none is -1. */
export const RERANKS = ['none', 'f32', 'f16', 'bf16', 'sq8', 'i8', 'u8'] as const;
export type Rerank = (typeof RERANKS)[number];

/** Option keys of the C ABI (AnnexKey). */
export const KEY = {
  kind: 0,
  dim: 1,
  metric: 2,
  storage: 3,
  sidecar: 4,
  m: 5,
  efConstruction: 6,
  seed: 7,
  rerank: 8,
  layout: 9,
  nlist: 10,
  coarse: 11,
  spill: 12,
  balanced: 13,
  iterations: 14,
  maxPoints: 15,
  codeM: 20,
  codeBits: 21,
  rotation: 22,
  rotatedDim: 23,
  anisotropic: 24,
  residual: 25,
  lengths: 26,
  threads: 100,
  efSearch: 101,
  nprobe: 102,
  rerankFactor: 103,
  earlyStop: 104,
} as const;

export const MAX_DIM = 32768;

/** What rows of an index look like to a caller. */
export interface Shape {
  readonly dim: number;
  readonly metric: Metric;
  readonly storage: Storage;
  /** How rows are given to the core. */
  readonly type: InputCode;
  /** Elements of the typed array that make one row: dim, or dim / 8 for packed bits. */
  readonly width: number;
  /** Bytes of one row as given to the core. */
  readonly rowBytes: number;
}

export function shapeOf(dim: number, metric: Metric, storage: Storage): Shape {
  const type = storage === 'i8' ? INPUT.i8 : storage === 'u8' ? INPUT.u8 : storage === 'bits' ? INPUT.bits : INPUT.f32;
  const width = type === INPUT.bits ? dim / 8 : dim;
  return { dim, metric, storage, type, width, rowBytes: type === INPUT.f32 ? 4 * width : width };
}

/** A zeroed array of n rows, of the type in which the core takes and gives them. */
export function allocateRows(shape: Shape, n: number): Rows {
  const length = n * shape.width;
  if (shape.type === INPUT.f32) return new Float32Array(length);
  return shape.type === INPUT.i8 ? new Int8Array(length) : new Uint8Array(length);
}
