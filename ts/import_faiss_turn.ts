import { AnnexError } from './errors.js';
import type { ByteReader } from './import_bytes.js';
import { uniforms } from './random.js';
import { MAX_DIM } from './spec.js';

/** A transform that keeps distances: x ↦ A x + b, the rows of A orthonormal. */
export interface Turn {
  /** [dimensions out][dimensions in] */
  readonly matrix: Float32Array;
  readonly shift: Float32Array | null;
  readonly from: number;
  readonly to: number;
  readonly random: boolean;
}

const MISS = 1e-3; // what the core takes for orthonormal, too
const ROUNDS = 8;
const LINEAR = ['LTra', 'rrot', 'PcAm', 'Pcam'];

/** A transform of an IndexPreTransform (VectorTransform.h): 'unit' scales to length 1. */
export function readTransform(reader: ByteReader): Turn | 'unit' {
  const tag = reader.tag();
  if (tag === 'VNrm') {
    const norm = reader.f32();
    readEnd(reader);
    if (norm === 2) return 'unit';
    throw new AnnexError('UNSUPPORTED', `a NormalizationTransform of norm ${norm} has no import: only norm 2`);
  }
  if (!LINEAR.includes(tag)) {
    if (!/^[ -~]{4}$/.test(tag)) throw reader.fail('expected a transform');
    throw unsupported(`the transform "${tag}"`);
  }
  if (tag === 'PcAm' || tag === 'Pcam') {
    reader.f32(); // the power of the eigenvalues: told by the matrix
    if (tag === 'Pcam') reader.f32();
    reader.u8();
    reader.i32();
    for (let i = 0; i < 3; i++) reader.floats('a number of values');
  }
  const shifts = reader.u8() !== 0;
  const matrix = reader.floats('a number of values');
  const shift = reader.floats('a number of values');
  const [from, to] = readEnd(reader);
  if (matrix.length !== from * to || (shifts && shift.length !== to)) {
    throw reader.fail(`a transform from ${from} to ${to} dimensions has ${matrix.length} coefficients`);
  }
  if (!orthonormal(matrix, from, to)) throw unsupported(`a linear transform (${tag}) that changes distances`);
  return { matrix, shift: shifts && shift.some((x) => x !== 0) ? shift : null, from, to, random: tag === 'rrot' };
}

function unsupported(what: string): AnnexError {
  return new AnnexError(
    'UNSUPPORTED',
    `${what} has no import: annex reads OPQ, rotations, PCA without whitening, and L2norm. Transform the vectors before ` +
      'they are added instead',
  );
}

function readEnd(reader: ByteReader): [from: number, to: number] {
  const from = reader.i32();
  const to = reader.i32();
  reader.u8();
  if (!(from >= 1 && from <= MAX_DIM && to >= 1 && to <= MAX_DIM))
    throw reader.fail(`from ${from} to ${to} dimensions`);
  return [from, to];
}

/** Whether A Aᵀ z = z for some z of ±1 (Freivalds 1979): a full product takes minutes where there are many dimensions. */
function orthonormal(matrix: Float32Array, from: number, to: number): boolean {
  if (to > from) return false;
  const random = uniforms(1);
  const bare = { matrix, shift: null, from, to, random: false };
  for (let round = 0; round < ROUNDS; round++) {
    const signs = Float32Array.from({ length: to }, () => (random() < 0.5 ? -1 : 1));
    const back = turn(bare, turnBack(bare, signs));
    if (!back.every((x, r) => Math.abs(x - (signs[r] as number)) <= MISS)) return false;
  }
  return true;
}

/** Aᵀ (y - b) of rows y behind the transform: rows before it that are as far from each other. */
export function turnBack({ matrix, shift, from, to }: Turn, rows: Float32Array): Float32Array {
  const n = rows.length / to;
  const out = new Float32Array(n * from);
  const sums = new Float64Array(from);
  for (let row = 0; row < n; row++) {
    sums.fill(0);
    for (let r = 0; r < to; r++) {
      const y = (rows[row * to + r] as number) - (shift === null ? 0 : (shift[r] as number));
      const base = r * from;
      for (let d = 0; d < from; d++) sums[d] = (sums[d] as number) + y * (matrix[base + d] as number);
    }
    out.set(sums, row * from);
  }
  return out;
}

/** A x of rows before the transform. */
export function turn({ matrix, from, to }: Turn, rows: Float32Array): Float32Array {
  const n = rows.length / from;
  const out = new Float32Array(n * to);
  for (let row = 0; row < n; row++) {
    for (let r = 0; r < to; r++) {
      let sum = 0;
      for (let d = 0; d < from; d++) sum += (matrix[r * from + d] as number) * (rows[row * from + d] as number);
      out[row * to + r] = sum;
    }
  }
  return out;
}
