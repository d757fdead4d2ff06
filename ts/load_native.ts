import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { Addon } from './addon.js';
import type { Backend } from './backend.js';
import { NodeBackend } from './backend_node.js';
import { AnnexError } from './errors.js';

/**
 * The native backend.
 *
 * @throws AnnexError UNSUPPORTED that tells what was tried, why each failed, and what to do.
 */
export function loadNative(): Backend {
  return new NodeBackend(loadAddon().addon);
}

/**
 * Loads the addon from, in this order: the file that the environment variable ANNEX_ADDON names (and then nothing
 * else), prebuilds/<platform>-<arch>[-musl]/annex.node of this package, build/Release/annex.node, where node-gyp leaves
 * it. Throws as {@link loadNative} does.
 */
export function loadAddon(): { readonly addon: Addon; readonly path: string } {
  const require = createRequire(import.meta.url);
  const failures: string[] = [];
  for (const path of candidates()) {
    if (!existsSync(path)) {
      failures.push(`${path}: no such file`);
      continue;
    }
    try {
      return { addon: require(path) as Addon, path };
    } catch (error) {
      failures.push(`${path}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  throw new AnnexError('UNSUPPORTED', explanation(failures));
}

function candidates(): string[] {
  const forced = process.env.ANNEX_ADDON;
  if (forced) return [forced];
  const target = `${process.platform}-${process.arch}${process.platform === 'linux' && isMusl() ? '-musl' : ''}`;
  return [`../prebuilds/${target}/annex.node`, '../build/Release/annex.node'].map((path) =>
    fileURLToPath(new URL(path, import.meta.url)),
  );
}

/** Whether this process runs on musl (Alpine Linux), told by the C library that is mapped into it. */
function isMusl(): boolean {
  try {
    return readFileSync('/proc/self/maps', 'utf8').includes('/ld-musl-');
  } catch {
    return existsSync('/etc/alpine-release');
  }
}

function explanation(failures: readonly string[]): string {
  const remedy = process.env.ANNEX_ADDON
    ? 'let the environment variable ANNEX_ADDON name an annex.node that was built for this platform, or unset it'
    : 'reinstall annex for this platform (node_modules copied from another one does not fit), or build the addon in ' +
      'its directory with `npx node-gyp rebuild` (a C++20 compiler, make and python3 are needed), or use annex/wasm';
  return (
    `the native addon of annex could not be loaded (${process.platform}-${process.arch}, ` +
    `${process.release?.name ?? 'runtime'} ${process.version}). Tried:\n${failures.map((line) => `  - ${line}\n`).join('')}` +
    `To fix it: ${remedy}.`
  );
}
