import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { readState, type SweepState } from '../../ts/bench_state.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'annex-resume-test-'));
afterAll(() => rmSync(folder, { recursive: true }));

const env = { ...process.env, ANNEX_BENCH_CACHE: join(folder, 'cache') };
const script = ['--import', 'tsx', 'bench/sweep.ts'];
const common = ['--rows', '1500', '--queries', '40', '--alone', '--only', 'FlatIndex'];
const systems = ['--flat', '{}', '--flat', '{"storage":"f16"}', '--flat', '{"storage":"sq8"}'];

const samples = (state: SweepState | undefined): number[][] =>
  (state?.systems ?? []).flatMap(({ points }) =>
    points.flatMap(({ samples: { single, batch } }) =>
      [single, batch].map((list) => list.map(({ queriesPerSecond }) => queriesPerSecond)),
    ),
  );
const count = (state: SweepState | undefined): number => samples(state).flat().length;

describe('a sweep', () => {
  it('that is killed goes on from what it has measured', { timeout: 120_000 }, async () => {
    const out = join(folder, 'sweep.json');
    const args = [...script, ...common, ...systems, '--out', out];
    args.push('--modes', 'single,batch', '--ms', '150', '--repetitions', '4');
    const child = spawn(process.execPath, args, { cwd: root, env });
    const ended = new Promise((resolve) => child.once('close', resolve));
    while (child.exitCode === null && count(readState(out)) < 7) await sleep(20);
    child.kill('SIGKILL');
    await ended;
    const before = readState(out)!;
    expect(before.finished).toBe(false);
    expect(count(before)).toBeLessThan(24);

    const { status, stderr } = spawnSync(process.execPath, args, { cwd: root, env, encoding: 'utf8' });
    expect(stderr).toMatch(/going on from/);
    expect(status, stderr).toBe(0);
    const after = readState(out)!;
    expect(after.finished).toBe(true);
    expect(samples(after).map((list) => list.length)).toEqual([4, 4, 4, 4, 4, 4]);
    for (const [i, list] of samples(before).entries()) {
      expect(samples(after)[i]!.slice(0, list.length)).toEqual(list);
    }
    for (const { points, build, skipped } of after.systems) {
      expect(skipped).toBeUndefined();
      expect(build!.seconds).toBeGreaterThan(0);
      expect(points[0]!.recall).toBeGreaterThan(0.9);
    }
    expect(readFileSync(join(folder, 'sweep.html'), 'utf8')).toMatch(/<svg|queries\/s|recall/);
  });

  const vecs = (name: string, dim: number, rows: number, value: (i: number) => number): string => {
    const path = join(folder, name);
    const out = new Int32Array(rows * (dim + 1));
    const floats = new Float32Array(out.buffer);
    for (let row = 0; row < rows; row++) {
      out[row * (dim + 1)] = dim;
      for (let d = 0; d < dim; d++) {
        const at = row * (dim + 1) + 1 + d;
        if (name.endsWith('.ivecs')) out[at] = value(row * dim + d);
        else floats[at] = value(row * dim + d);
      }
    }
    writeFileSync(path, out);
    return path;
  };

  it.each<[string, () => string[], RegExp]>([
    [
      'a dataset that is not there',
      () => ['--base', join(folder, 'no.npy'), '--query', join(folder, 'q.npy')],
      /ENOENT/,
    ],
    [
      'a dataset that cannot be read',
      () => {
        writeFileSync(join(folder, 'bad.npy'), 'no array at all');
        return ['--base', join(folder, 'bad.npy'), '--query', join(folder, 'bad.npy')];
      },
      /bad.npy: expected the magic/,
    ],
    [
      'queries of another length',
      () => ['--base', vecs('b.fvecs', 4, 20, Math.sin), '--query', vecs('q.fvecs', 3, 2, Math.cos)],
      /q.fvecs: has 3 columns, expected 4 as in .*b.fvecs/,
    ],
    [
      'a truth of other queries',
      () => ['--rows', '100', '--queries', '5', '--gt', vecs('t.ivecs', 10, 4, (i) => i % 100)],
      /t.ivecs: has neighbours of 4 queries, expected 5/,
    ],
    [
      'a truth of other rows',
      () => ['--rows', '20', '--queries', '5', '--gt', vecs('t.ivecs', 10, 5, (i) => i)],
      /query 2 has neighbour 20, expected 0 … 19/,
    ],
    [
      'too narrow a truth',
      () => ['--rows', '100', '--queries', '5', '--gt', vecs('t.ivecs', 3, 5, (i) => i)],
      /has 3 neighbours a query, expected at least 10/,
    ],
    [
      'more neighbours than rows',
      () => ['--rows', '5', '--queries', '2'],
      /--k 10 asks for more neighbours than the 5/,
    ],
    ['options that are no JSON', () => ['--hnsw', 'M=16'], /--hnsw must be options as JSON/],
    ['a grid of no numbers', () => ['--ef', '10,x'], /--ef must be whole numbers/],
  ])('refuses %s before any work', (_what, args, message) => {
    const { status, stderr } = spawnSync(process.execPath, [...script, '--alone', ...args()], {
      cwd: root,
      env,
      encoding: 'utf8',
    });
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/building|finding|\n\s+at /);
    expect(status).toBe(2);
  });
});
