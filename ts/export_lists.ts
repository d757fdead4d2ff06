import { AnnexError } from './errors.js';

/** A section by its tag, or where there is none by another. */
export type Section = (tag: string, or?: string) => Uint8Array;

/** The sections of a file that annex itself has just written (native/file/FORMAT.md). */
export function sectionsOf(file: Uint8Array): Section {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const sections = new Map<string, Uint8Array>();
  for (let at = 64; at < 64 + 32 * view.getUint32(12, true); at += 32) {
    const tag = String.fromCharCode(...file.subarray(at, at + 4));
    const offset = Number(view.getBigUint64(at + 8, true));
    sections.set(tag, file.subarray(offset, offset + Number(view.getBigUint64(at + 16, true))));
  }
  return (tag, or = tag) => {
    const section = sections.get(tag) ?? sections.get(or);
    // Sections of FORMAT.md start at multiples of 64, and so do files in memory of their own.
    if (section !== undefined) return section;
    throw new AnnexError('INTERNAL', `section ${tag} is missing in a file that was just made: report it`);
  };
}

export const floatsOf = (bytes: Uint8Array): Float32Array =>
  new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
export const wordsOf = (bytes: Uint8Array): Uint32Array =>
  new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);

/** How a list of an ivf index lies in section LIST. */
export interface ListShape {
  /** Entries that a list has room for come in this many. */
  readonly group: number;
  /** Bytes of so many entries' codes. */
  readonly codeBytes: (room: number) => number;
  /** Floats of an entry behind the codes. */
  readonly terms: number;
}

/** A list: its codes as they lie, and the slots of its rows. */
export interface StoredList {
  readonly codes: Uint8Array;
  readonly slots: Uint32Array;
}

export function storedLists(section: (tag: string) => Uint8Array, shape: ListShape): StoredList[] {
  const table = section('LTAB');
  const bytes = section('LIST');
  const view = new DataView(table.buffer, table.byteOffset, table.byteLength);
  return Array.from({ length: table.length / 16 }, (_, l) => {
    const offset = Number(view.getBigUint64(16 * l, true));
    const n = view.getUint32(16 * l + 8, true);
    const room = Math.ceil(n / shape.group) * shape.group;
    const slotsAt = offset + shape.codeBytes(room) + 4 * shape.terms * room;
    return {
      codes: bytes.subarray(offset, offset + shape.codeBytes(room)),
      slots: wordsOf(bytes.subarray(slotsAt, slotsAt + 4 * n)),
    };
  });
}

const GROUP = 32;

/** Codes out of blocks of 32 rows (native/kernels/codes.h), row by row; of 4 bits two a byte, the first in the low half. */
export function unblocked(blocks: Uint8Array, n: number, m: number, bits: number, blockBytes: number): Uint8Array {
  const codeBytes = Math.ceil((m * bits) / 8);
  const codes = new Uint8Array(n * codeBytes);
  for (let i = 0; i < n; i++) {
    const block = Math.floor(i / GROUP) * blockBytes;
    const inside = i % GROUP;
    for (let j = 0; j < m; j++) {
      if (bits === 8) {
        codes[i * codeBytes + j] = blocks[block + GROUP * j + inside] as number;
      } else {
        const code = ((blocks[block + 16 * j + (inside % 16)] as number) >> (inside < 16 ? 0 : 4)) & 15;
        const at = i * codeBytes + (j >> 1);
        codes[at] = (codes[at] as number) | (code << (4 * (j & 1)));
      }
    }
  }
  return codes;
}
