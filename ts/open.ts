import { checkSignal, throwIfAborted } from './abort.js';
import { type Backend, type BackendIndex, type BackendOpener, OPEN } from './backend.js';
import { describe } from './describe.js';
import { failed } from './disk.js';
import { AnnexError } from './errors.js';
import { checkChoice, checkOptions } from './names.js';
import { checkMetadata, type Json } from './options.js';
import { type FileControl, report } from './save.js';
import { cut, fileSlicesSync, openFile, type ParsedSource, parseSource, slicesOf } from './source.js';
import { checkOnProgress, type OnProgress } from './write.js';

/** Options of `openSync`. */
export interface OpenSyncOptions {
  /**
   * Maps the file into memory instead of reading it, native core and paths only: opening takes constant time, pages come
   * in when they are needed, and processes share them. Positions, links and ids are checked at first touch. Changes go
   * to copies of pages in memory and never to the file, which nobody may change in place meanwhile; `save` never does,
   * it puts a new file there.
   */
  mmap?: boolean | undefined;
  /**
   * `full` compares everything with its checksums before the index is handed out; `lazy` leaves out rows and codes,
   * where damage can make answers wrong but no more than that. Default: `lazy` with `mmap`, otherwise `full`.
   */
  verify?: 'full' | 'lazy' | undefined;
  /** The index refuses every change with UNSUPPORTED. */
  readOnly?: boolean | undefined;
}

/** Options of `open`. */
export interface OpenOptions extends OpenSyncOptions {
  /** Aborts the call: its promise rejects with code ABORTED. */
  signal?: AbortSignal | undefined;
  /** Called after every slice, with bytes as the unit. What it throws aborts the call. */
  onProgress?: OnProgress | undefined;
}

/** What came out of a file. */
export interface Opened {
  readonly core: BackendIndex;
  readonly metadata: Json | undefined;
}

const VERIFY = ['full', 'lazy'] as const;

interface Parsed {
  readonly source: ParsedSource;
  readonly flags: number;
  readonly control: FileControl;
}

function checkFlag(name: string, value: unknown): boolean {
  if (value === undefined || typeof value === 'boolean') return value === true;
  throw new AnnexError('INVALID_TYPE', `expected ${name} to be true or false, got ${describe(value)}`);
}

export function parseOpen(where: string, given: unknown, options: unknown, asynchronous: boolean): Parsed {
  const source = parseSource(given);
  const known = ['mmap', 'verify', 'readOnly', ...(asynchronous ? ['signal', 'onProgress'] : [])];
  const parsed = checkOptions<OpenOptions>(where, options === undefined ? {} : options, known as never[]);
  const mmap = checkFlag('mmap', parsed.mmap);
  if (mmap && !('path' in source)) {
    throw new AnnexError(
      'INVALID_ARGUMENT',
      'expected the path of a file with mmap: true, got its bytes: leave mmap out',
    );
  }
  const verify = parsed.verify === undefined ? undefined : checkChoice('verify', parsed.verify, VERIFY);
  const lazy = (verify ?? (mmap ? 'lazy' : 'full')) === 'lazy';
  const readOnly = checkFlag('readOnly', parsed.readOnly);
  if (!asynchronous && !('path' in source || 'bytes' in source)) {
    throw new AnnexError('INVALID_TYPE', `${where} reads a path or bytes; for a Blob or a stream use open`);
  }
  return {
    source,
    flags: (mmap ? OPEN.mmap : 0) | (lazy ? OPEN.lazy : 0) | (readOnly ? OPEN.readOnly : 0),
    control: { signal: checkSignal(parsed.signal), onProgress: checkOnProgress(parsed.onProgress) },
  };
}

function refuseMap(backend: Backend, flags: number): void {
  if ((flags & OPEN.mmap) !== 0 && !backend.files) {
    throw new AnnexError('UNSUPPORTED', 'mmap: true needs the native backend (Node.js): leave it out to read the file');
  }
}

export async function openIndex(backend: Backend, parsed: Parsed): Promise<Opened> {
  const { source, flags, control } = parsed;
  const { signal, onProgress } = control;
  refuseMap(backend, flags);
  const path = 'path' in source ? source.path : undefined;
  const direct = path !== undefined && backend.files;
  let opener: BackendOpener | undefined;
  try {
    if (direct) {
      opener = backend.openOpener(flags, path, 0);
    } else {
      const { size, slices } = slicesOf(source);
      opener = backend.openOpener(flags, null, size);
      let done = 0;
      for await (const part of slices()) {
        opener.append(part);
        done += part.length;
        report(onProgress, 'read', done, size);
        throwIfAborted(signal);
        await backend.turn();
      }
    }
    for (let finished = false; !finished; ) {
      throwIfAborted(signal);
      const step = await opener.stepAsync(signal);
      finished = step.finished;
      report(onProgress, 'read', step.done, step.total);
    }
    return handOut(opener);
  } catch (error) {
    if (error instanceof AnnexError && error.code === 'ABORTED') throwIfAborted(signal);
    throw located(error, path);
  } finally {
    opener?.close();
  }
}

export function openIndexSync(backend: Backend, { source, flags }: Parsed): Opened {
  refuseMap(backend, flags);
  const path = 'path' in source ? source.path : undefined;
  let opener: BackendOpener | undefined;
  try {
    if (path !== undefined && backend.files) {
      opener = backend.openOpener(flags, path, 0);
    } else if (path !== undefined) {
      const file = openFile(path);
      opener = backend.openOpener(flags, null, file.size);
      for (const part of fileSlicesSync(file, path)) opener.append(part);
    } else if ('bytes' in source) {
      opener = backend.openOpener(flags, null, source.bytes.length);
      for (const part of cut(source.bytes)) opener.append(part);
    } else {
      throw new AnnexError('INTERNAL', 'a source that cannot be read at once');
    }
    while (!opener.step().finished);
    return handOut(opener);
  } catch (error) {
    throw located(error, path);
  } finally {
    opener?.close();
  }
}

function handOut(opener: BackendOpener): Opened {
  const bytes = opener.metadata();
  const metadata = bytes.length === 0 ? undefined : metadataOf(bytes);
  return { core: opener.finish(), metadata };
}

/** Metadata as a file keeps it: JSON in UTF-8. */
export function metadataOf(bytes: Uint8Array): Json {
  try {
    return checkMetadata(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)));
  } catch (cause) {
    throw new AnnexError('CORRUPT', 'section META: expected JSON in UTF-8; the file is damaged: use another copy', {
      cause,
    });
  }
}

/** The error with the path of the file in front. */
export function located(error: unknown, path: string | undefined): unknown {
  if (path === undefined) return error;
  if (!(error instanceof AnnexError)) return failed(path, 'cannot be opened', error);
  if (error.message.startsWith(path) || !['CORRUPT', 'UNSUPPORTED', 'IO', 'OUT_OF_MEMORY'].includes(error.code)) {
    return error;
  }
  return new AnnexError(error.code, `${path}: ${error.message}`, { cause: error.cause });
}
