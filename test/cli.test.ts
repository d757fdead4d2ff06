import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { HnswIndex, importFaiss, open } from 'annex';
import { afterAll, describe, expect, test } from 'vitest';
import { floats } from './support/data.js';

const directory = mkdtempSync(join(tmpdir(), 'annex-cli-'));
const at = (name: string): string => join(directory, name);
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const cli = fileURLToPath(new URL('../ts/cli.ts', import.meta.url));
const tsx = fileURLToPath(new URL('../node_modules/tsx/dist/cli.mjs', import.meta.url));

interface Run {
  code: number;
  out: string;
  error: string;
}

function annex(...args: string[]): Promise<Run> {
  return new Promise((resolve) => {
    execFile(process.execPath, [tsx, cli, ...args], { maxBuffer: 1 << 26 }, (error, out, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), out, error: stderr });
    });
  });
}

const DIM = 12;
const rows = floats(500, DIM);

function writeFvecs(path: string, data: Float32Array): void {
  const n = data.length / DIM;
  const bytes = Buffer.alloc(n * (4 + 4 * DIM));
  for (let i = 0; i < n; i++) {
    bytes.writeInt32LE(DIM, i * (4 + 4 * DIM));
    Buffer.from(data.slice(i * DIM, (i + 1) * DIM).buffer).copy(bytes, i * (4 + 4 * DIM) + 4);
  }
  writeFileSync(path, bytes);
}

describe('annex on the command line', () => {
  test('build, inspect, verify, search', async () => {
    writeFvecs(at('base.fvecs'), rows);
    writeFvecs(at('query.fvecs'), rows.slice(0, 3 * DIM));
    const index = at('index.annex');
    const built = await annex(
      'build',
      at('base.fvecs'),
      index,
      '--factory',
      'HNSW8',
      '--metric',
      'cosine',
      '--metadata',
      '{"a":1}',
      '--json',
    );
    expect(built).toMatchObject({ code: 0, error: '' });
    expect(JSON.parse(built.out)).toMatchObject({ rows: 500 });
    const opened = await open(index);
    expect([opened.size, opened.metric, opened.metadata]).toEqual([500, 'cosine', { a: 1 }]);

    const [inspected, lines, verified, found, text] = await Promise.all([
      annex('inspect', index, '--json'),
      annex('inspect', index),
      annex('verify', index, '--json'),
      annex('search', index, at('query.fvecs'), '-k', '2', '--ef-search', '50', '--json'),
      annex('search', index, at('query.fvecs'), '-k', '1', '--out', at('ids.ivecs')),
    ]);
    expect(JSON.parse(inspected.out)).toMatchObject({ kind: 'hnsw', size: 500, metadata: { a: 1 } });
    expect(lines.out).toMatch(/^hnsw, 500 rows/);
    expect(JSON.parse(verified.out)).toEqual({ files: [{ path: index, ok: true }] });
    const { results } = JSON.parse(found.out);
    expect(results.map(({ ids }: { ids: number[] }) => ids[0])).toEqual([0, 1, 2]);
    expect(text.code).toBe(0);
    expect([...new Int32Array(new Uint8Array(readFileSync(at('ids.ivecs'))).buffer)]).toEqual([1, 0, 1, 1, 1, 2]);

    const bad = readFileSync(index);
    bad[bad.length >> 1] = (bad[bad.length >> 1] as number) ^ 4;
    writeFileSync(at('bad.annex'), bad);
    const damaged = await annex('verify', index, at('bad.annex'));
    expect(damaged.code).toBe(1);
    expect(damaged.out).toMatch(/index\.annex: sound\n.*bad\.annex: section .* checksum does not match/);
  });

  test('convert there and back, training', async () => {
    writeFvecs(at('a.fvecs'), rows);
    expect((await annex('convert', at('a.fvecs'), at('b.npy'))).code).toBe(0);
    expect((await annex('convert', at('b.npy'), at('c.fbin'))).code).toBe(0);
    expect((await annex('convert', at('c.fbin'), at('d.fvecs'))).code).toBe(0);
    expect(Buffer.compare(readFileSync(at('a.fvecs')), readFileSync(at('d.fvecs')))).toBe(0);
    const built = await annex('build', at('b.npy'), at('ivf.annex'), '--factory', 'IVF4,Flat', '--limit', '300');
    expect(built).toMatchObject({ code: 0 });
    expect((await open(at('ivf.annex'))).size).toBe(300);
  });

  test('convert indexes from and to other libraries', async () => {
    const index = await HnswIndex.create({ dim: DIM, metric: 'ip', M: 6 });
    await index.add(rows, { ids: Float64Array.from({ length: 500 }, (_, i) => 2 * i + 1) });
    await index.save(at('graph.annex'));
    const query = rows.subarray(0, DIM);
    const expected = index.searchSync(query, 5, { efSearch: 500 }).ids;
    const exported = await annex('convert', at('graph.annex'), at('graph.faiss'), '--json');
    expect(exported).toMatchObject({ code: 0, error: '' });
    expect(JSON.parse(exported.out)).toMatchObject({ format: 'faiss', rows: 500, dim: DIM, metric: 'ip' });
    const imported = (await importFaiss(at('graph.faiss'))) as HnswIndex;
    expect(imported.searchSync(query, 5, { efSearch: 500 }).ids).toEqual(expected);
    expect((await annex('convert', at('graph.faiss'), at('again.annex'))).code).toBe(0);
    const again = (await HnswIndex.open(at('again.annex'))) as HnswIndex;
    expect(again.searchSync(query, 5, { efSearch: 500 }).ids).toEqual(expected);

    const saved = fileURLToPath(new URL('./golden/imports/hnswlib_l2.bin', import.meta.url));
    expect((await annex('convert', saved, at('h.annex'), '--dim', '16', '--metric', 'l2')).code).toBe(0);
    expect((await open(at('h.annex'))).dim).toBe(16);
    for (const [args, code, message] of [
      [[saved, at('x.annex')], 2, /say them/],
      [[saved, at('x.annex'), '--dim', '17', '--metric', 'l2'], 1, /hnswlib_l2\.bin.*dim 17/],
      [[at('graph.annex'), at('x.bin')], 2, /no file of hnswlib is written/],
      [[at('none.annex'), at('x.faiss')], 1, /none\.annex/],
      [[at('graph.annex'), at('no/x.faiss')], 1, /no\/x\.faiss/],
    ] as const) {
      const run = await annex('convert', ...args);
      expect([run.code, run.error]).toEqual([code, expect.stringMatching(message)]);
    }
    expect(existsSync(at('x.annex')) || existsSync(at('x.faiss'))).toBe(false);
  });

  test('what cannot be', async () => {
    writeFileSync(at('cut.fvecs'), Buffer.from([12, 0, 0, 0, 1]));
    writeFileSync(at('text.npy'), 'hello world, this is no array at all');
    for (const [args, code, message] of [
      [['fly'], 2, /no command "fly"/],
      [['inspect'], 2, /takes 1 argument/],
      [['inspect', at('none')], 1, /ENOENT|No such file/i],
      [['build', at('cut.fvecs'), at('x')], 1, /no whole number/],
      [['build', at('text.npy'), at('x')], 1, /magic/],
      [['build', at('x.csv'), at('x')], 1, /ends in \.npy/],
      [['inspect', at('none'), '--nope'], 2, /nope/],
    ] as const) {
      const run = await annex(...args);
      expect(run.code).toBe(code);
      expect(run.error).toMatch(message);
      expect(run.out).toBe('');
    }
    expect((await annex('--help')).out).toMatch(/annex build VECTORS INDEX/);
  });
});
