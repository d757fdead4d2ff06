import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, join, resolve } from 'node:path';

/**
 * Where rows, true neighbours and peers' indexes are kept between runs: ANNEX_BENCH_CACHE, or the user's folder of caches.
 * Everything in it can be made again.
 */
export const CACHE =
  process.env.ANNEX_BENCH_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'annex-bench');

/** Sixteen hex digits that depend on the value alone. */
export function keyOf(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 16);
}

/** What tells a file from another version of it without reading it. */
export function fingerprint(path: string): readonly [path: string, size: number, modified: number] {
  const { size, mtimeMs } = statSync(path);
  return [resolve(path), size, mtimeMs];
}

/** The file's path, after `make` has written it where it was missing. An interrupted `make` leaves nothing behind. */
export async function cachedFile(path: string, make: (path: string) => Promise<void> | void): Promise<string> {
  if (existsSync(path)) return path;
  mkdirSync(join(path, '..'), { recursive: true });
  const partial = join(path, '..', `${process.pid}-${basename(path)}`); // its name still tells its format
  try {
    await make(partial);
    renameSync(partial, path);
  } finally {
    rmSync(partial, { force: true });
  }
  return path;
}
