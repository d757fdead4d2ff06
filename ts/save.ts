import { throwIfAborted } from './abort.js';
import { allocate } from './allocate.js';
import type { Backend, BackendIndex, BackendSaver, Phase } from './backend.js';
import { describe } from './describe.js';
import { AnnexError } from './errors.js';
import type { Json } from './options.js';
import { needDisk, SLICE } from './source.js';
import type { OnProgress } from './write.js';

/** Options of `save` and `toBytes`. */
export interface SaveOptions {
  /** Aborts the call: its promise rejects with code ABORTED, and a file at the path stays what it was. */
  signal?: AbortSignal | undefined;
  /** Called after every slice, with bytes as the unit. What it throws aborts the call. */
  onProgress?: OnProgress | undefined;
}

/** What a save is about. */
export interface Saving {
  readonly backend: Backend;
  readonly index: BackendIndex;
  readonly metadata: Json | undefined;
}

/** What a save, or an opening, reports to and listens to. */
export interface FileControl {
  readonly signal: AbortSignal | undefined;
  readonly onProgress: OnProgress | undefined;
}

export function report(onProgress: OnProgress | undefined, phase: Phase, done: number, total: number): void {
  if (onProgress === undefined) return;
  try {
    onProgress({ done, total, phase });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : describe(cause);
    throw new AnnexError('INVALID_ARGUMENT', `onProgress threw: ${reason}`, { cause });
  }
}

function openSaver({ index, metadata }: Saving, path: string | null): BackendSaver {
  const bytes = metadata === undefined ? null : new TextEncoder().encode(JSON.stringify(metadata));
  return index.openSaver(bytes, path);
}

/** The saver's file in slices, each in an array that the next one reuses. */
function* slices(saver: BackendSaver): Generator<Uint8Array> {
  const buffer = new Uint8Array(SLICE);
  for (;;) {
    const n = saver.read(buffer);
    if (n > 0) yield buffer.subarray(0, n);
    if (n < buffer.length) return;
  }
}

export async function saveTo(saving: Saving, path: string, { signal, onProgress }: FileControl): Promise<void> {
  const { backend } = saving;
  throwIfAborted(signal);
  if (!backend.files) return saveByDisk(saving, path, { signal, onProgress });
  const saver = openSaver(saving, path);
  try {
    for (;;) {
      const { done, total, finished } = await saver.stepAsync(signal);
      report(onProgress, 'write', done, total);
      if (finished) return;
      throwIfAborted(signal);
    }
  } catch (error) {
    if (error instanceof AnnexError && error.code === 'ABORTED') throwIfAborted(signal);
    throw error;
  } finally {
    saver.close();
  }
}

async function saveByDisk(saving: Saving, path: string, { signal, onProgress }: FileControl): Promise<void> {
  const target = needDisk('to write to').create(path);
  try {
    const saver = openSaver(saving, null);
    try {
      const total = saver.size();
      let done = 0;
      for (const part of slices(saver)) {
        await target.writeAsync(part);
        done += part.length;
        report(onProgress, 'write', done, total);
        throwIfAborted(signal);
        await saving.backend.turn();
      }
    } finally {
      saver.close();
    }
    throwIfAborted(signal);
    await target.commitAsync();
  } finally {
    target.discard();
  }
}

export function saveToSync(saving: Saving, path: string): void {
  if (saving.backend.files) {
    const saver = openSaver(saving, path);
    try {
      while (!saver.step().finished);
    } finally {
      saver.close();
    }
    return;
  }
  const target = needDisk('to write to').create(path);
  try {
    const saver = openSaver(saving, null);
    try {
      for (const part of slices(saver)) target.write(part);
    } finally {
      saver.close();
    }
    target.commit();
  } finally {
    target.discard();
  }
}

/** Fills an array with the file, in slices; yields how much is done. */
function* fill(saving: Saving, give: (bytes: Uint8Array) => void): Generator<{ done: number; total: number }> {
  const saver = openSaver(saving, null);
  try {
    const total = saver.size();
    const bytes = allocate(() => new Uint8Array(total), total);
    let done = 0;
    while (done < total) {
      done += saver.read(bytes.subarray(done, done + SLICE));
      yield { done, total };
    }
    give(bytes);
  } finally {
    saver.close();
  }
}

export async function bytesOfIndex(saving: Saving, { signal, onProgress }: FileControl): Promise<Uint8Array> {
  throwIfAborted(signal);
  let out = new Uint8Array(0) as Uint8Array;
  const give = (bytes: Uint8Array): void => {
    out = bytes;
  };
  for (const { done, total } of fill(saving, give)) {
    report(onProgress, 'write', done, total);
    throwIfAborted(signal);
    await saving.backend.turn();
  }
  throwIfAborted(signal);
  return out;
}

export function bytesOfIndexSync(saving: Saving): Uint8Array {
  let out = new Uint8Array(0) as Uint8Array;
  const give = (bytes: Uint8Array): void => {
    out = bytes;
  };
  for (const _ of fill(saving, give));
  return out;
}

/**
 * The file as a stream. `run` starts its argument when the index is free for it, and keeps it busy until the promise
 * settles.
 */
export function streamOfIndex(
  run: (work: () => Promise<void>) => Promise<void>,
  saving: () => Saving,
): ReadableStream<Uint8Array> {
  let saver: BackendSaver | undefined;
  let release: (() => void) | undefined;
  let started: Promise<void> | undefined;
  const end = (): void => {
    saver?.close();
    saver = undefined;
    release?.();
  };
  const start = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const work = (): Promise<void> =>
        new Promise((done, fail) => {
          release = done;
          try {
            saver = openSaver(saving(), null);
            resolve();
          } catch (error) {
            fail(error);
          }
        });
      run(work).catch(reject);
    });
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        started ??= start();
        await started;
        if (saver === undefined) return;
        try {
          const buffer = new Uint8Array(SLICE / 4);
          const n = saver.read(buffer);
          if (n > 0) controller.enqueue(buffer.subarray(0, n));
          if (n === buffer.length) return;
          end();
          controller.close();
        } catch (error) {
          end();
          throw error;
        }
      },
      async cancel() {
        await started?.catch(() => {});
        end();
      },
    },
    { highWaterMark: 0 },
  );
}
