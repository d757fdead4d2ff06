import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import * as annex from 'annex';
import * as nativeEntry from 'annex/native';
import * as wasmEntry from 'annex/wasm';
import { describe, expect, it } from 'vitest';
import { native } from './support/expect.js';

const run = promisify(execFile);
const entry = fileURLToPath(new URL('../ts/index.ts', import.meta.url));

/** What `annex` does in a process of its own with these environment variables. */
async function inProcess(env: Record<string, string | undefined>): Promise<{ stdout: string; stderr: string }> {
  const script = `
    const { FlatIndex, engineInfo, ready } = await import(${JSON.stringify(entry)});
    try {
      await ready();
      const index = await FlatIndex.create({ dim: 2 });
      await FlatIndex.create({ dim: 2 });
      await index.add([1, 2]);
      console.log(engineInfo().backend, index.searchSync([1, 2], 1).ids[0]);
    } catch (error) {
      console.log(error.name, error.code, error.message);
    }`;
  const clean = Object.fromEntries(
    Object.entries({ ...process.env, ...env }).filter(([, value]) => value !== undefined),
  );
  return run(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
    env: clean as NodeJS.ProcessEnv,
  });
}

it('tells which core answers', () => {
  const info = annex.engineInfo();
  expect(info.backend).toBe(native ? 'native' : 'wasm');
  expect(info.version).toMatch(/^\d+\.\d+\.\d+/);
  expect(info.isa).toMatch(/^[a-z0-9]+$/);
  expect(info.threads).toBeGreaterThanOrEqual(1);
});

it('all entry points export the same names', () => {
  const names = Object.keys(annex).sort();
  expect(names).toEqual(
    [
      ...['AnnexError', 'BatchResult', 'Bitset', 'FlatIndex', 'HnswIndex', 'IvfIndex', 'SearchResult', 'attach'],
      ...[
        'createIndex',
        'createIndexSync',
        'engineInfo',
        'exportFaiss',
        'importFaiss',
        'importHnswlib',
        'inspect',
        'open',
        'openSync',
        'ready',
        'truncate',
        'twoStageSearch',
      ],
    ].sort(),
  );
  for (const module of [nativeEntry, wasmEntry]) expect(Object.keys(module)).toEqual(expect.arrayContaining(names));
  expect([nativeEntry.AnnexError, wasmEntry.AnnexError]).toEqual([annex.AnnexError, annex.AnnexError]);
});

it('an index is an instance of the class of its own entry point', async () => {
  const index = await wasmEntry.FlatIndex.create({ dim: 2 });
  expect(index).toBeInstanceOf(wasmEntry.FlatIndex);
  expect(index).not.toBeInstanceOf(nativeEntry.FlatIndex);
  expect(wasmEntry.engineInfo().backend).toBe('wasm');
  expect(wasmEntry.FlatIndex.name).toBe('FlatIndex');
  index.close();
});

describe('annex chooses', () => {
  const missing = '/nonexistent/annex.node';

  it('native when it can', async () => {
    const { stdout, stderr } = await inProcess({ ANNEX_BACKEND: undefined });
    expect(stdout).toBe('native 0\n');
    expect(stderr).not.toContain('Annex');
  });

  it('WebAssembly when it must, with one warning', async () => {
    const { stdout, stderr } = await inProcess({ ANNEX_BACKEND: undefined, ANNEX_ADDON: missing });
    expect(stdout).toBe('wasm 0\n');
    expect(stderr.match(/AnnexWarning/g)).toHaveLength(1);
    expect(stderr).toContain(missing);
    expect(stderr).toMatch(/To fix it/);
    expect(stderr).toMatch(/ANNEX_BACKEND=wasm/);
  });

  it('WebAssembly when told, without a warning', async () => {
    const { stdout, stderr } = await inProcess({ ANNEX_BACKEND: 'wasm', ANNEX_ADDON: missing });
    expect(stdout).toBe('wasm 0\n');
    expect(stderr).not.toContain('AnnexWarning');
  });

  it('nothing when native is forced and cannot be had', async () => {
    const { stdout } = await inProcess({ ANNEX_BACKEND: 'native', ANNEX_ADDON: missing });
    expect(stdout).toMatch(/^AnnexError UNSUPPORTED .*nonexistent.*To fix it/s);
  });

  it('nothing when told nonsense', async () => {
    const { stdout } = await inProcess({ ANNEX_BACKEND: 'gpu' });
    expect(stdout).toMatch(/^AnnexError INVALID_ARGUMENT .*"native" or "wasm".*got "gpu"/);
  });
});
