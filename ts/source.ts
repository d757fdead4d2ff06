import { describe } from './describe.js';
import type { ReadFile } from './disk.js';
import { disk } from './disk.js';
import { AnnexError } from './errors.js';
import { isShared, lengthOf, tagOf, viewOf } from './typed_arrays.js';

/**
 * What `open` and `inspect` read: the path of a file (a string, or a `file:` URL) where there is a file system, its
 * bytes, a Blob or File, or a ReadableStream of bytes such as the body of a Response.
 */
export type FileSource = string | URL | ArrayBufferLike | ArrayBufferView | Blob | ReadableStream<Uint8Array>;

/** What `openSync` reads. */
export type FileSyncSource = string | URL | ArrayBufferLike | ArrayBufferView;

export type ParsedSource =
  | { readonly path: string }
  | { readonly bytes: Uint8Array }
  | { readonly blob: Blob }
  | { readonly stream: ReadableStream<Uint8Array> };

/** The path that a string or URL means. */
export function pathOf(value: unknown, what: string): string {
  const path = value instanceof URL ? pathOfUrl(value) : value;
  if (typeof path !== 'string') {
    throw new AnnexError('INVALID_TYPE', `expected ${what} as a string or a file: URL, got ${describe(value)}`);
  }
  if (path === '' || path.includes('\0')) {
    throw new AnnexError(
      'INVALID_ARGUMENT',
      `expected ${what}, got ${path === '' ? 'an empty one' : 'one with a NUL'}`,
    );
  }
  return path;
}

function pathOfUrl(url: URL): string {
  if (url.protocol !== 'file:') {
    throw new AnnexError(
      'INVALID_ARGUMENT',
      `expected a path or a file: URL, got ${url.protocol} URL: fetch it, and open the body of the response`,
    );
  }
  const path = decodeURIComponent(url.pathname);
  // file:///C:/x
  return /^\/[A-Za-z]:\//.test(path) ? path.slice(1) : path;
}

export function parseSource(value: unknown): ParsedSource {
  if (typeof value === 'string' || value instanceof URL) return { path: pathOf(value, 'the path of a file') };
  const bytes = bytesOf(value);
  if (bytes !== undefined) return { bytes };
  if (typeof Blob !== 'undefined' && value instanceof Blob) return { blob: value };
  if (typeof ReadableStream !== 'undefined' && value instanceof ReadableStream) return { stream: value };
  throw new AnnexError(
    'INVALID_TYPE',
    `expected a path, bytes (Uint8Array, ArrayBuffer), a Blob or a ReadableStream of bytes, got ${describe(value)}`,
  );
}

/** The bytes of a buffer or view; undefined for what is neither. */
export function bytesOf(value: unknown): Uint8Array | undefined {
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  if (typeof SharedArrayBuffer !== 'undefined' && value instanceof SharedArrayBuffer) return new Uint8Array(value);
  if (value instanceof DataView) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  if (tagOf(value) === undefined) return undefined;
  const view = value as ArrayBufferView & { readonly BYTES_PER_ELEMENT: number };
  return viewOf(view, Uint8Array, 0, lengthOf(view) * view.BYTES_PER_ELEMENT);
}

/** The file at `path`, where there is a file system. */
export function openFile(path: string): ReadFile {
  return needDisk('to read it').open(path);
}

export function needDisk(purpose: string): NonNullable<ReturnType<typeof disk>> {
  const found = disk();
  if (found !== undefined) return found;
  throw new AnnexError(
    'UNSUPPORTED',
    `a path needs a file system ${purpose}, and there is none here: pass bytes, a Blob or a stream, and take bytes ` +
      'from toBytes() or saveStream()',
  );
}

/** Bytes taken at once: little enough to copy within a millisecond or two. */
export const SLICE = 1 << 20;

/** All of a source's bytes in slices; `size` is 0 where it is not known. */
export interface Slices {
  readonly size: number;
  slices(): AsyncGenerator<Uint8Array>;
}

export function slicesOf(source: ParsedSource): Slices {
  if ('bytes' in source) return { size: source.bytes.length, slices: () => later(cut(source.bytes)) };
  if ('path' in source) {
    const file = openFile(source.path);
    return { size: file.size, slices: () => fileSlices(file, source.path) };
  }
  if ('blob' in source) return { size: source.blob.size, slices: () => blobSlices(source.blob) };
  return { size: 0, slices: () => streamSlices(source.stream) };
}

export function* cut(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += SLICE) yield owned(bytes.subarray(at, at + SLICE));
}

async function* later(slices: Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* slices;
}

/** Memory that other threads may write is copied before it is looked at. */
function owned(bytes: Uint8Array): Uint8Array {
  return isShared(bytes) ? new Uint8Array(bytes) : bytes;
}

async function* fileSlices(file: ReadFile, path: string): AsyncGenerator<Uint8Array> {
  try {
    for (let at = 0; at < file.size; at += SLICE) {
      const wanted = Math.min(SLICE, file.size - at);
      const bytes = await file.readAsync(at, wanted);
      if (bytes.length < wanted) throw shrunk(path);
      yield bytes;
    }
  } finally {
    file.close();
  }
}

export function* fileSlicesSync(file: ReadFile, path: string): Generator<Uint8Array> {
  try {
    for (let at = 0; at < file.size; at += SLICE) {
      const wanted = Math.min(SLICE, file.size - at);
      const bytes = file.read(at, wanted);
      if (bytes.length < wanted) throw shrunk(path);
      yield bytes;
    }
  } finally {
    file.close();
  }
}

function shrunk(path: string): AnnexError {
  return new AnnexError('IO', `${path}: the file became shorter while it was read: it was changed meanwhile`);
}

async function* blobSlices(blob: Blob): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < blob.size; at += SLICE) {
    let part: ArrayBuffer;
    try {
      part = await blob.slice(at, at + SLICE).arrayBuffer();
    } catch (cause) {
      throw new AnnexError('IO', 'the Blob cannot be read: its file may have changed', { cause });
    }
    yield new Uint8Array(part);
  }
}

async function* streamSlices(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  let reader: ReadableStreamDefaultReader<Uint8Array>;
  try {
    reader = stream.getReader();
  } catch (cause) {
    throw new AnnexError('INVALID_ARGUMENT', 'expected a stream that nobody reads yet, got one that is locked', {
      cause,
    });
  }
  let ended = false;
  try {
    for (;;) {
      let next: { done: boolean; value?: unknown };
      try {
        next = await reader.read();
      } catch (cause) {
        ended = true;
        const reason = cause instanceof Error ? cause.message : describe(cause);
        throw new AnnexError('IO', `the stream failed: ${reason}`, { cause });
      }
      if (next.done) {
        ended = true;
        return;
      }
      const bytes = bytesOf(next.value);
      if (bytes === undefined) {
        throw new AnnexError('INVALID_TYPE', `expected a stream of Uint8Array, got ${describe(next.value)} in it`);
      }
      yield* cut(bytes);
    }
  } finally {
    if (!ended) reader.cancel().catch(() => {});
    else reader.releaseLock();
  }
}
