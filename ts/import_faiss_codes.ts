import { AnnexError } from './errors.js';
import type { ByteReader } from './import_bytes.js';
import { type ImportedRows, plainRows } from './import_rows.js';
import { MAX_DIM } from './spec.js';

/** Numbers of `bits` bits each, the first in the lowest bits, as FAISS packs them; every code begins with a byte. */
export function unpackBits(codes: Uint8Array, n: number, codeBytes: number, m: number, bits: number): Uint8Array {
  if (bits === 8 && codeBytes === m) return codes;
  const out = new Uint8Array(n * m);
  for (let row = 0; row < n; row++) {
    const base = row * codeBytes;
    for (let j = 0; j < m; j++) {
      const bit = j * bits;
      const at = base + (bit >> 3);
      const both = (codes[at] as number) | ((codes[at + 1] ?? 0) << 8);
      out[row * m + j] = (both >> (bit & 7)) & ((1 << bits) - 1);
    }
  }
  return out;
}

/** FAISS's ProductQuantizer. */
export interface FaissPq {
  readonly dim: number;
  readonly m: number;
  readonly bits: number;
  /** [m][2^bits][dim / m] */
  readonly codebooks: Float32Array;
  readonly codeBytes: number;
}

export function readPq(reader: ByteReader, dim: number): FaissPq {
  const own = reader.whole('a dimension', 1, MAX_DIM);
  const m = reader.whole('a number of sub-quantizers', 1, MAX_DIM);
  const bits = reader.whole('a number of bits', 1, 24);
  const codebooks = reader.floats('a number of values');
  if (own !== dim || dim % m !== 0 || codebooks.length !== dim * 2 ** bits) {
    throw reader.fail(`a product quantizer of ${m} × ${bits} bits does not fit ${dim} dimensions`);
  }
  if (bits > 8) {
    throw new AnnexError(
      'UNSUPPORTED',
      `a product quantizer of ${bits} bits has no import: annex has codes of up to 8 bits. Train it with nbits 8`,
    );
  }
  return { dim, m, bits, codebooks, codeBytes: Math.ceil((m * bits) / 8) };
}

/** What one code a byte stands for. */
export function decodePq({ dim, m, bits, codebooks }: FaissPq, codes: Uint8Array, n: number): Float32Array {
  const part = dim / m;
  const rows = new Float32Array(n * dim);
  for (let row = 0; row < n; row++) {
    for (let j = 0; j < m; j++) {
      const word = ((j << bits) + (codes[row * m + j] as number)) * part;
      rows.set(codebooks.subarray(word, word + part), row * dim + j * part);
    }
  }
  return rows;
}

/** The same quantizer with 8 bits a code: codes of 4 bits go in pairs, others get codebooks that repeat themselves. */
export function widenPq(pq: FaissPq): { readonly wide: FaissPq; readonly convert: (codes: Uint8Array) => Uint8Array } {
  const { dim, m, bits, codebooks } = pq;
  if (bits === 8) return { wide: pq, convert: (codes) => codes };
  const pairs = bits === 4 && m % 2 === 0;
  const wide = new Float32Array(256 * dim);
  const part = dim / m;
  const parts = pairs ? m / 2 : m;
  const word = (j: number, c: number): Float32Array =>
    codebooks.subarray(((j << bits) + c) * part, ((j << bits) + c + 1) * part);
  for (let j = 0; j < parts; j++) {
    for (let c = 0; c < 256; c++) {
      const to = (j * 256 + c) * (dim / parts);
      wide.set(word(pairs ? 2 * j : j, c & ((1 << bits) - 1)), to);
      if (pairs) wide.set(word(2 * j + 1, c >> 4), to + part);
    }
  }
  const convert = (codes: Uint8Array): Uint8Array => {
    const n = codes.length / pq.codeBytes;
    return pairs ? codes : unpackBits(codes, n, pq.codeBytes, m, bits);
  };
  return { wide: { dim, m: parts, bits: 8, codebooks: wide, codeBytes: parts }, convert };
}

/** FAISS's ScalarQuantizer: a code to a number in 0 … 1, and that into a range. */
export interface FaissSq {
  readonly codeBytes: number;
  readonly decode: (codes: Uint8Array, n: number) => ImportedRows;
}

const HALF = { 4: 'f16', 7: 'bf16' } as const;
const RANGED: Readonly<Record<number, { bits: number; uniform: boolean }>> = {
  0: { bits: 8, uniform: false },
  1: { bits: 4, uniform: false },
  2: { bits: 8, uniform: true },
  3: { bits: 4, uniform: true },
  6: { bits: 6, uniform: false },
};
/** Bytes as they are: what is subtracted from them. */
const DIRECT: Readonly<Record<number, number>> = { 5: 0, 8: 128 };

export function readSq(reader: ByteReader, dim: number): FaissSq {
  const type = reader.i32();
  reader.i32(); // how ranges were trained
  reader.f32();
  const own = reader.whole('a dimension', 1, MAX_DIM);
  const codeBytes = reader.whole('a code size', 1, 4 * MAX_DIM);
  const trained = reader.floats('a number of values');
  const half = HALF[type as 4 | 7];
  const ranged = RANGED[type];
  const direct = DIRECT[type];
  const bits = half !== undefined ? 16 : (ranged?.bits ?? 8);
  if (half === undefined && ranged === undefined && direct === undefined) {
    throw new AnnexError(
      'UNSUPPORTED',
      `a ScalarQuantizer of type ${type} has no import: annex reads 4, 6 and 8 bits, fp16 and bf16 of those`,
    );
  }
  const values = ranged === undefined ? 0 : ranged.uniform ? 2 : 2 * dim;
  if (own !== dim || codeBytes !== Math.ceil((dim * bits) / 8) || trained.length < values) {
    throw reader.fail(`a scalar quantizer of ${bits} bits does not fit ${dim} dimensions`);
  }
  if (half !== undefined) return { codeBytes, decode: (codes) => halfRows(codes, half) };
  const decode = (codes: Uint8Array, n: number): ImportedRows => {
    const numbers = unpackBits(codes, n, codeBytes, dim, bits);
    const rows = new Float32Array(n * dim);
    const most = 2 ** bits - 1;
    for (let i = 0; i < rows.length; i++) {
      const code = numbers[i] as number;
      if (ranged === undefined) rows[i] = code - (direct as number);
      else {
        const d = i % dim;
        const [low, width] = ranged.uniform ? [trained[0], trained[1]] : [trained[d], trained[dim + d]];
        rows[i] = (low as number) + Math.fround((code + 0.5) / most) * (width as number);
      }
    }
    return plainRows(rows);
  };
  return { codeBytes, decode };
}

/** Rows of half precision stay what they are. */
function halfRows(codes: Uint8Array, storage: 'f16' | 'bf16'): ImportedRows {
  const bits = new Uint16Array(codes.buffer, codes.byteOffset, codes.length / 2);
  const wide = new Uint32Array(bits.length);
  const values = new Float32Array(wide.buffer);
  if (storage === 'bf16') for (let i = 0; i < bits.length; i++) wide[i] = (bits[i] as number) << 16;
  else for (let i = 0; i < bits.length; i++) values[i] = halfToFloat(bits[i] as number);
  return { values, storage, coded: codes };
}

function halfToFloat(bits: number): number {
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  const size =
    exponent === 31
      ? fraction === 0
        ? Number.POSITIVE_INFINITY
        : Number.NaN
      : exponent === 0
        ? fraction * 2 ** -24
        : (1 + fraction / 1024) * 2 ** (exponent - 15);
  return bits >> 15 === 0 ? size : -size;
}
