import { AnnexError } from './errors.js';
import type { ByteReader } from './import_bytes.js';

/** What a list holds: codes of its rows one behind another, and the rows' ids. */
export interface FaissList {
  readonly codes: Uint8Array<ArrayBuffer>;
  readonly ids: Float64Array;
}

/** Inverted lists in arrays (invlists/InvertedLists.h). */
export function readLists(reader: ByteReader, nlist: number, codeBytes: number, total: number): FaissList[] {
  const tag = reader.tag();
  if (tag !== 'ilar') {
    throw new AnnexError('UNSUPPORTED', `inverted lists of kind "${tag}" have no import: only those in the file`);
  }
  const lists = reader.count('a number of lists', 2 ** 24);
  const bytes = reader.count('a code size', 2 ** 32);
  if (lists !== nlist || bytes !== codeBytes) throw reader.fail('the lists are of another index');
  const form = reader.tag();
  const sizes = new Float64Array(nlist);
  const numbers = reader.i64s(reader.count('lengths', 2 ** 25));
  if (form === 'full' && numbers.length === nlist) sizes.set(numbers);
  else if (form === 'sprs' && numbers.length % 2 === 0) {
    for (let i = 0; i < numbers.length; i += 2) {
      const list = numbers[i] as number;
      if (!(list >= 0 && list < nlist)) throw reader.fail('a list that there is not');
      sizes[list] = numbers[i + 1] as number;
    }
  } else throw reader.fail('the lengths of the lists cannot be read');
  return Array.from(sizes, (n) => {
    if (!(n >= 0 && n <= total)) throw reader.fail(`a list of ${n} rows`);
    return { codes: reader.bytes(n * codeBytes), ids: reader.i64s(n) };
  });
}

/** Lists in blocks for FAISS's fast scan (invlists/BlockInvertedLists.h), as codes of two parts a byte. */
export function readBlockLists(reader: ByteReader, nlist: number, m: number, total: number): FaissList[] {
  const tag = reader.tag();
  if (tag !== 'ilbl') {
    throw new AnnexError('UNSUPPORTED', `inverted lists of kind "${tag}" have no import: only those in the file`);
  }
  const padded = 2 * Math.ceil(m / 2);
  if (reader.count('a number of lists', 2 ** 24) !== nlist) throw reader.fail('the lists are of another index');
  reader.bytes(8); // a code size that says nothing
  const rows = reader.whole('rows a block', 32, 2 ** 20);
  const bytes = reader.whole('bytes a block', 1, 2 ** 40);
  if (rows % 32 !== 0 || bytes !== (rows * padded) / 2) throw reader.fail('the blocks are of another index');
  const lists: FaissList[] = [];
  for (let l = 0; l < nlist; l++) {
    const n = reader.count('rows of a list', total);
    const ids = reader.i64s(n);
    const blocks = reader.bytes(reader.count('bytes of a list', reader.left));
    lists.push({ codes: unpackBlocks(reader, blocks, n, rows, m), ids });
  }
  return lists;
}

/**
 * Codes out of the blocks of FAISS's fast scan (impl/fast_scan/fast_scan.h): two parts share 32 bytes for each 32 rows,
 * 16 bytes a part. Its byte 2 i holds row i, its byte 2 i + 1 row i + 8, and the high halves the same rows plus 16.
 */
export function unpackBlocks(
  reader: ByteReader,
  blocks: Uint8Array,
  n: number,
  rows: number,
  m: number,
): Uint8Array<ArrayBuffer> {
  const padded = 2 * Math.ceil(m / 2);
  const blockBytes = (rows * padded) / 2;
  if (blocks.length < Math.ceil(n / rows) * blockBytes) throw reader.fail(`${n} rows need more bytes of codes`);
  const codeBytes = padded / 2;
  const codes = new Uint8Array(n * codeBytes);
  for (let row = 0; row < n; row++) {
    const inside = row % rows;
    const lane = inside % 16;
    const place = lane < 8 ? 2 * lane : 2 * (lane - 8) + 1;
    const base = Math.floor(row / rows) * blockBytes + Math.floor(inside / 32) * 32 + place;
    const shift = inside % 32 < 16 ? 0 : 4;
    for (let pair = 0; pair < codeBytes; pair++) {
      const at = base + pair * rows;
      const low = ((blocks[at] as number) >> shift) & 15;
      const high = 2 * pair + 1 < m ? ((blocks[at + 16] as number) >> shift) & 15 : 0;
      codes[row * codeBytes + pair] = low | (high << 4);
    }
  }
  return codes;
}
