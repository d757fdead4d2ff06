import { AnnexError } from './errors.js';
import { KINDS, type KindName } from './kind.js';
import { located, metadataOf } from './open.js';
import { type CreatedWith, describeIndex, type Json } from './options.js';
import { type FileSource, openFile, type ParsedSource, parseSource, slicesOf } from './source.js';
import { KEY } from './spec.js';

/** A section of a file. */
export interface SectionInfo {
  /** Four characters; native/file/FORMAT.md tells what each holds. */
  readonly tag: string;
  readonly version: number;
  /** Whether a reader that does not know it must refuse the file. */
  readonly critical: boolean;
  readonly offset: number;
  readonly length: number;
}

/** What `inspect` tells of a file. */
export interface FileInfo {
  readonly kind: KindName;
  /** What the index was created with. */
  readonly options: CreatedWith;
  readonly metadata: Json | undefined;
  /** Rows in the index. */
  readonly size: number;
  /** The id that the next row added without ids will get. */
  readonly nextId: number;
  /** Bytes of the file. */
  readonly bytes: number;
  /** Version of the file format. */
  readonly format: number;
  /** What wrote the file, such as `annex 0.1.0`. */
  readonly creator: string;
  readonly sections: readonly SectionInfo[];
}

const HEADER = 64;
const ENTRY = 32;
const MAGIC = [0x89, 0x41, 0x4e, 0x58, 0x0d, 0x0a, 0x1a, 0x0a];
const FORMAT = 1;
const MOST_SECTIONS = 1024;
const MOST_METADATA = 1 << 28;

/**
 * Tells what a file holds without loading it: reads its header, its table of sections, options and metadata.
 *
 * @throws AnnexError CORRUPT, UNSUPPORTED (of a newer format; a path where there is no file system), IO, INVALID_TYPE
 */
export async function inspect(source: FileSource): Promise<FileInfo> {
  const parsed = parseSource(source);
  const path = 'path' in parsed ? parsed.path : undefined;
  try {
    const reader = readerOf(parsed);
    try {
      return await read(reader);
    } finally {
      await reader.close();
    }
  } catch (error) {
    throw located(error, path);
  }
}

interface Reader {
  /** Undefined while it is not known. */
  readonly size: number | undefined;
  /** Exactly n bytes, fewer only where the file ends. */
  at(offset: number, n: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

function readerOf(source: ParsedSource): Reader {
  if ('path' in source) {
    const file = openFile(source.path);
    return { size: file.size, at: (offset, n) => file.readAsync(offset, n), close: async () => file.close() };
  }
  if ('bytes' in source) {
    const { bytes } = source;
    return { size: bytes.length, at: async (offset, n) => bytes.slice(offset, offset + n), close: async () => {} };
  }
  if ('blob' in source) {
    const { blob } = source;
    const at = async (offset: number, n: number): Promise<Uint8Array> =>
      new Uint8Array(await blob.slice(offset, offset + n).arrayBuffer());
    return { size: blob.size, at, close: async () => {} };
  }
  return new StreamReader(source);
}

/** Keeps what has come of a stream, which is read no further than is asked for. */
class StreamReader implements Reader {
  readonly size = undefined;
  readonly #slices: AsyncGenerator<Uint8Array>;
  #bytes = new Uint8Array(0);
  #n = 0;

  constructor(source: ParsedSource) {
    this.#slices = slicesOf(source).slices();
  }

  async at(offset: number, n: number): Promise<Uint8Array> {
    while (this.#n < offset + n) {
      const next = await this.#slices.next();
      if (next.done) break;
      this.#take(next.value);
    }
    return this.#bytes.slice(offset, Math.min(this.#n, offset + n));
  }

  #take(part: Uint8Array): void {
    if (this.#n + part.length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(2 * this.#bytes.length, this.#n + part.length));
      grown.set(this.#bytes.subarray(0, this.#n));
      this.#bytes = grown;
    }
    this.#bytes.set(part, this.#n);
    this.#n += part.length;
  }

  async close(): Promise<void> {
    await this.#slices.return(undefined);
  }
}

function corrupt(what: string): AnnexError {
  return new AnnexError('CORRUPT', `${what}; the file is damaged: use another copy`);
}

async function read(reader: Reader): Promise<FileInfo> {
  const head = await reader.at(0, HEADER);
  if (head.length < HEADER) throw corrupt(`expected at least ${HEADER} bytes, got ${head.length}`);
  const view = viewOf(head);
  if (MAGIC.some((byte, i) => head[i] !== byte)) {
    throw new AnnexError('CORRUPT', 'header: expected a file that annex has saved, got something else');
  }
  if (crc32c(head.subarray(0, 60)) !== view.getUint32(60, true)) throw corrupt('header: its checksum does not match');
  const format = view.getUint32(8, true);
  const count = view.getUint32(12, true);
  const bytes = Number(view.getBigUint64(16, true));
  const creator = text(head.subarray(32, 56));
  if (format > FORMAT) {
    throw new AnnexError(
      'UNSUPPORTED',
      `header: format ${format}, written by ${creator}, and this annex reads up to format ${FORMAT}: update it`,
    );
  }
  if (count > MOST_SECTIONS) throw corrupt(`header: ${count} sections`);
  if (reader.size !== undefined && reader.size !== bytes) {
    throw corrupt(`expected ${bytes} bytes, got ${reader.size}`);
  }
  const table = await reader.at(HEADER, count * ENTRY);
  if (table.length < count * ENTRY || crc32c(table) !== view.getUint32(56, true)) {
    throw corrupt('section table: its checksum does not match');
  }
  const sections = Array.from({ length: count }, (_, i) => entry(viewOf(table), i * ENTRY));
  const checksums = Number(view.getBigUint64(24, true));
  const need = (tag: string): Promise<DataView> => content(reader, sections, checksums, tag, MOST_METADATA);
  const options = await need('OPTS');
  const pairs = new Float64Array(Math.floor(options.byteLength / 16) * 2);
  for (let i = 0; i < pairs.length; i++) pairs[i] = options.getFloat64(8 * i, true);
  const info = await need('INFO');
  if (info.byteLength < 16) throw corrupt('section INFO: too short');
  const metadata = sections.some(({ tag }) => tag === 'META') ? await need('META') : undefined;
  const kept = metadata === undefined ? undefined : metadataOf(new Uint8Array(metadata.buffer as ArrayBuffer));
  const { kind, created } = described(pairs, kept);
  const size = Number(info.getBigUint64(0, true));
  const nextId = Number(info.getBigInt64(8, true));
  return { kind, options: created, metadata: kept, size, nextId, bytes, format, creator, sections };
}

function described(pairs: Float64Array, metadata: Json | undefined): { kind: KindName; created: CreatedWith } {
  let code = 0;
  for (let i = 0; i < pairs.length; i += 2) if (pairs[i] === KEY.kind) code = pairs[i + 1] as number;
  if (KINDS[code] === undefined) {
    throw new AnnexError(
      'UNSUPPORTED',
      `section OPTS: an index of kind ${code}, which this annex does not know: update it`,
    );
  }
  const { kind, created } = describeIndex(pairs, metadata);
  return { kind: kind.name, created };
}

function entry(view: DataView, at: number): SectionInfo {
  const tag = String.fromCharCode(...[0, 1, 2, 3].map((i) => view.getUint8(at + i)));
  return {
    tag: tag.replace(/[^ -~]/g, '?'),
    version: view.getUint16(at + 4, true),
    critical: (view.getUint16(at + 6, true) & 1) !== 0,
    offset: Number(view.getBigUint64(at + 8, true)),
    length: Number(view.getBigUint64(at + 16, true)),
  };
}

/** The content of a section, compared with its checksum where the end of the file is within reach. */
async function content(
  reader: Reader,
  sections: readonly SectionInfo[],
  checksums: number,
  tag: string,
  most: number,
): Promise<DataView> {
  const i = sections.findIndex((section) => section.tag === tag);
  const section = sections[i];
  if (section === undefined) throw corrupt(`section ${tag}: it is missing`);
  if (section.length > most) throw corrupt(`section ${tag}: ${section.length} bytes`);
  const bytes = await reader.at(section.offset, section.length);
  if (bytes.length < section.length) throw corrupt(`section ${tag}: it reaches beyond the end of the file`);
  if (reader.size !== undefined) {
    const sum = await reader.at(checksums + 4 * i, 4);
    if (sum.length < 4 || viewOf(sum).getUint32(0, true) !== crc32c(bytes)) {
      throw corrupt(`section ${tag}: its checksum does not match`);
    }
  }
  return viewOf(bytes);
}

function viewOf(bytes: Uint8Array): DataView {
  const own = bytes.byteOffset === 0 && bytes.byteLength === bytes.buffer.byteLength ? bytes : bytes.slice();
  return new DataView(own.buffer, 0, own.byteLength);
}

function text(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return String.fromCharCode(...bytes.subarray(0, end < 0 ? bytes.length : end)).replace(/[^ -~]/g, '?');
}

let table: Uint32Array | undefined;

/** CRC-32C (Castagnoli), a byte at a time: only small parts of a file pass here. */
export function crc32c(bytes: Uint8Array): number {
  table ??= Uint32Array.from({ length: 256 }, (_, b) => {
    let crc = b;
    for (let i = 0; i < 8; i++) crc = (crc & 1) !== 0 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
    return crc;
  });
  let crc = -1;
  for (const byte of bytes) crc = (crc >>> 8) ^ (table[(crc ^ byte) & 255] as number);
  return ~crc >>> 0;
}
