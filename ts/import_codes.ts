import { buildFile } from './container.js';
import { AnnexError } from './errors.js';
import { type ImportedRows, idSections, normsOf, storageCode } from './import_rows.js';
import { KEY, METRICS, type Metric, ROTATIONS, type Rotation, STORAGES } from './spec.js';

/** Lists of product codes as other libraries keep them. */
export interface ImportedCodes {
  readonly dim: number;
  readonly metric: Metric;
  readonly centroids: Float32Array;
  /** The centroids behind the rotation. */
  readonly turned: Float32Array;
  /** Whether codes are of what rows differ from their centroid by. */
  readonly residual: boolean;
  readonly m: number;
  readonly bits: 4 | 8;
  /** [m][2^bits][dimensions behind the rotation / m] */
  readonly codebooks: Float32Array;
  readonly rotation: Rotation;
  /** [dimensions behind it][dim] */
  readonly matrix: Float32Array | null;
  /** Codes row by row, of 4 bits two a byte, the first in the low half; and the rows' positions or ids. */
  readonly lists: readonly { readonly codes: Uint8Array; readonly ids: Float64Array }[];
  /** Ids by position, where lists hold positions. */
  readonly ids: Float64Array | null;
  /** Rows by position, for rerank. */
  readonly rerank: ImportedRows | null;
}

const GROUP = 32; // rows of a block (native/kernels/codes.h)
const align = (n: number): number => Math.ceil(n / 64) * 64;

/** The file of an ivf index of these codes. What is wrong with them is found when the file is opened. */
export function fileOfCodes(given: ImportedCodes): Uint8Array {
  const { dim, metric, centroids, m, bits, codebooks, rotation, matrix, lists, rerank } = given;
  const nlist = centroids.length / dim;
  const behind = codebooks.length / 2 ** bits;
  const total = lists.reduce((sum, { ids }) => sum + ids.length, 0);
  const { slots, ids } = slotsOf(given, total);
  const origin = meanOf(centroids, dim);
  // Where sums of tables are counted from; ip needs none (native/quant/codec_pq.h).
  const adds = metric === 'ip' ? null : factorsOf(given, matrix === null ? origin : times(matrix, origin), behind);
  const table = new DataView(new ArrayBuffer(16 * nlist));
  const blockBytes = GROUP * ((m * bits) / 8 + (adds === null ? 0 : 4));
  let length = 0;
  const offsets = lists.map(({ ids }, l) => {
    const blocks = Math.ceil(ids.length / GROUP);
    const offset = length;
    table.setBigUint64(16 * l, BigInt(offset), true);
    table.setUint32(16 * l + 8, ids.length, true);
    length += align(align(blocks * blockBytes) + blocks * GROUP * 4);
    return offset;
  });
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  let position = 0;
  for (const [l, { codes, ids }] of lists.entries()) {
    const n = ids.length;
    const base = offsets[l] as number;
    placeCodes(codes, n, m, bits, bytes.subarray(base), blockBytes);
    const slotsAt = base + align(Math.ceil(n / GROUP) * blockBytes);
    for (let i = 0; i < n; i++, position++) {
      view.setUint32(slotsAt + 4 * i, slots[position] as number, true);
      if (adds === null) continue;
      const block = base + Math.floor(i / GROUP) * blockBytes;
      view.setFloat32(block + (GROUP * m * bits) / 8 + 4 * (i % GROUP), adds[position] as number, true);
    }
  }
  const pairs = [KEY.kind, 2, KEY.dim, dim, KEY.metric, METRICS.indexOf(metric), KEY.storage, STORAGES.indexOf('pq')];
  pairs.push(KEY.nlist, nlist, KEY.codeM, m, KEY.codeBits, bits, KEY.rotation, ROTATIONS.indexOf(rotation));
  pairs.push(KEY.rotatedDim, behind, KEY.rerank, rerank === null ? -1 : storageCode(rerank));
  pairs.push(KEY.residual, given.residual ? 1 : 0);
  const facts = new DataView(new ArrayBuffer(16));
  facts.setUint32(0, 1, true);
  facts.setBigUint64(8, BigInt(total), true);
  return buildFile([
    { tag: 'OPTS', content: Float64Array.from(pairs) },
    ...idSections(ids, total),
    { tag: 'IVF ', content: facts },
    { tag: 'CENT', content: centroids },
    { tag: 'CBOK', content: codebooks },
    ...(matrix === null ? [] : [{ tag: 'ROTM', content: matrix }]),
    ...(adds === null ? [] : [{ tag: 'ORIG', content: origin }]),
    { tag: 'LTAB', content: table },
    { tag: 'LIST', content: bytes },
    ...(rerank === null
      ? []
      : [
          { tag: 'ROWS', content: rerank.coded },
          { tag: 'NORM', content: normsOf(rerank.values, dim) },
        ]),
  ]);
}

/** Rows with a copy for rerank stand where that has them; others in the order of the lists. */
function slotsOf(
  { lists, ids, rerank }: ImportedCodes,
  total: number,
): { slots: Uint32Array; ids: Float64Array | null } {
  const positions = new Float64Array(total);
  let at = 0;
  for (const list of lists) {
    positions.set(list.ids, at);
    at += list.ids.length;
  }
  if (ids !== null || rerank !== null) {
    const bad = positions.find((position) => !(position < total));
    if (bad !== undefined) throw new AnnexError('CORRUPT', `a list has row ${bad} of ${total}; the file is damaged`);
  }
  if (rerank !== null) return { slots: Uint32Array.from(positions), ids };
  const own = ids === null ? positions : positions.map((position) => ids[position] as number);
  return { slots: Uint32Array.from(positions, (_, i) => i), ids: own };
}

function meanOf(rows: Float32Array, dim: number): Float32Array {
  const sums = new Float64Array(dim);
  for (let i = 0; i < rows.length; i++) sums[i % dim] = (sums[i % dim] as number) + (rows[i] as number);
  return Float32Array.from(sums, (sum) => (sum * dim) / rows.length);
}

function times(matrix: Float32Array, row: Float32Array): Float64Array {
  const out = new Float64Array(matrix.length / row.length);
  for (let i = 0; i < matrix.length; i++) {
    const r = Math.floor(i / row.length);
    out[r] = (out[r] as number) + (matrix[i] as number) * (row[i % row.length] as number);
  }
  return out;
}

/** |p|² + 2 ⟨c - o, p⟩ of every row, behind the rotation, in the order of the lists. */
function factorsOf(
  { lists, turned, residual, m, bits, codebooks }: ImportedCodes,
  origin: ArrayLike<number>,
  dim: number,
) {
  const part = dim / m;
  const adds = new Float32Array(lists.reduce((sum, { ids }) => sum + ids.length, 0));
  const shift = new Float64Array(dim);
  const codeBytes = Math.ceil((m * bits) / 8);
  let row = 0;
  for (const [l, { codes, ids }] of lists.entries()) {
    for (let d = 0; d < dim; d++)
      shift[d] = 2 * ((residual ? (turned[l * dim + d] as number) : 0) - (origin[d] as number));
    for (let i = 0; i < ids.length; i++, row++) {
      let sum = 0;
      for (let j = 0; j < m; j++) {
        const byte = codes[i * codeBytes + (bits === 8 ? j : j >> 1)] as number;
        const code = bits === 8 ? byte : (byte >> (4 * (j & 1))) & 15;
        const word = ((j << bits) + code) * part;
        for (let d = 0; d < part; d++) {
          const p = codebooks[word + d] as number;
          sum += p * (p + (shift[j * part + d] as number));
        }
      }
      adds[row] = sum;
    }
  }
  return adds;
}

/** Codes of n rows into blocks of 32: one part of all rows behind the other (native/kernels/codes.h). */
function placeCodes(codes: Uint8Array, n: number, m: number, bits: 4 | 8, to: Uint8Array, blockBytes: number): void {
  const codeBytes = Math.ceil((m * bits) / 8);
  for (let i = 0; i < n; i++) {
    const block = Math.floor(i / GROUP) * blockBytes;
    const inside = i % GROUP;
    for (let j = 0; j < m; j++) {
      if (bits === 8) {
        to[block + GROUP * j + inside] = codes[i * codeBytes + j] as number;
      } else {
        const code = ((codes[i * codeBytes + (j >> 1)] as number) >> (4 * (j & 1))) & 15;
        const at = block + 16 * j + (inside % 16);
        to[at] = (to[at] as number) | (inside < 16 ? code : code << 4);
      }
    }
  }
}
