import { crc32c } from './inspect.js';

/** A section of a file to be built. */
export interface Part {
  readonly tag: string;
  readonly content: ArrayBufferView;
  readonly critical?: boolean;
}

const align = (at: number, unit: number): number => Math.ceil(at / unit) * unit;

/** The bytes of a file of these sections, as native/file/FORMAT.md says. */
export function buildFile(parts: readonly Part[]): Uint8Array {
  const count = parts.length;
  const table = new DataView(new ArrayBuffer(32 * count));
  let at = 64 + 32 * count;
  const offsets = parts.map(({ tag, content, critical = true }, i) => {
    const length = content.byteLength;
    at = align(at, length >= 65536 ? 4096 : 64);
    for (let c = 0; c < 4; c++) table.setUint8(32 * i + c, tag.charCodeAt(c));
    table.setUint16(32 * i + 4, 1, true);
    table.setUint16(32 * i + 6, critical ? 1 : 0, true);
    table.setBigUint64(32 * i + 8, BigInt(at), true);
    table.setBigUint64(32 * i + 16, BigInt(length), true);
    const offset = at;
    at += length;
    return offset;
  });
  const checksums = align(at, 64);
  const file = new Uint8Array(checksums + 4 * count + 4);
  const view = new DataView(file.buffer);
  const bytes = parts.map(({ content }) => new Uint8Array(content.buffer, content.byteOffset, content.byteLength));
  bytes.forEach((content, i) => {
    file.set(content, offsets[i]);
    view.setUint32(checksums + 4 * i, crc32c(content), true);
  });
  view.setUint32(checksums + 4 * count, crc32c(file.subarray(checksums, checksums + 4 * count)), true);
  file.set([0x89, 0x41, 0x4e, 0x58, 0x0d, 0x0a, 0x1a, 0x0a]);
  view.setUint32(8, 1, true);
  view.setUint32(12, count, true);
  view.setBigUint64(16, BigInt(file.length), true);
  view.setBigUint64(24, BigInt(checksums), true);
  file.set(new TextEncoder().encode('annex import'), 32);
  file.set(new Uint8Array(table.buffer), 64);
  view.setUint32(56, crc32c(file.subarray(64, 64 + 32 * count)), true);
  view.setUint32(60, crc32c(file.subarray(0, 60)), true);
  return file;
}
