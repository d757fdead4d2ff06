// annex bench, run in a process of its own as a user has it.
import { execFile, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import * as h5wasm from 'h5wasm/node';
import { afterAll, describe, expect, test } from 'vitest';
import type { SweepState } from '../ts/bench_state.js';
import { byFactory, QUICK_GRID, standardFactories } from '../ts/bench_systems.js';
import { floats } from './support/data.js';

const folder = mkdtempSync(join(tmpdir(), 'annex-cli-bench-'));
const at = (name: string): string => join(folder, name);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const root = fileURLToPath(new URL('..', import.meta.url));
const cli = ['--import', 'tsx', 'ts/cli.ts', 'bench'];
const env = { ...process.env, ANNEX_BENCH_CACHE: at('cache') };

function bench(...args: string[]): Promise<{ code: number; out: string; error: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [...cli, ...args], { cwd: root, env, maxBuffer: 1 << 26 }, (error, out, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), out, error: stderr });
    });
  });
}

const DIM = 8;
const generated = ['--generate', 'clustered', '--rows', '600', '--queries', '20', '--dim', String(DIM)];
const short = ['--repetitions', '2', '--ms', '2', '--ef-search', '10,40', '--nprobe', '1,8'];

interface Summary {
  dataset: { rows: number; queries: number; metric: string };
  systems: {
    label: string;
    skipped?: string;
    build: Record<string, number>;
    points: { search: object; recall: number; single: Record<string, number>; batch: Record<string, number> }[];
  }[];
}

async function hdf5(name: string, neighbors: Int32Array, k: number): Promise<string> {
  await h5wasm.ready;
  const file = new h5wasm.File(at(name), 'w');
  file.create_dataset({ name: 'train', data: floats(50, DIM), shape: [50, DIM] });
  file.create_dataset({ name: 'test', data: floats(50, DIM).slice(0, 2 * DIM), shape: [2, DIM] });
  file.create_dataset({ name: 'neighbors', data: neighbors, shape: [neighbors.length / k, k] });
  file.create_attribute('distance', 'euclidean');
  file.close();
  return at(name);
}

const fbin = (name: string, rows: number, dim: number): string => {
  writeFileSync(
    at(name),
    Buffer.concat([Buffer.from(Uint32Array.of(rows, dim).buffer), Buffer.from(floats(rows, dim).buffer)]),
  );
  return at(name);
};
const ibin = (name: string, rows: number, k: number, id: (i: number) => number): string => {
  const ids = Int32Array.from({ length: rows * k }, (_, i) => id(i));
  writeFileSync(at(name), Buffer.concat([Buffer.from(Uint32Array.of(rows, k).buffer), Buffer.from(ids.buffer)]));
  return at(name);
};

describe('annex bench', { timeout: 240_000 }, () => {
  test('measures what is generated, as one JSON object and a page', async () => {
    const page = at('report.html');
    const factories = ['--factory', 'Flat', '--factory', 'HNSW8', '--factory', 'IVF8,SQ8'];
    const { code, out, error } = await bench(...generated, ...short, ...factories, '--json', '--out', page);
    expect(code, error).toBe(0);
    const { dataset, systems } = JSON.parse(out) as Summary;
    expect(dataset).toMatchObject({ rows: 600, queries: 20, metric: 'l2' });
    expect(systems.map(({ label, points }) => [label, points.length])).toEqual([
      ['Flat', 1],
      ['HNSW8', 2],
      ['IVF8,SQ8', 2],
    ]);
    for (const { build, points, skipped } of systems) {
      expect(skipped).toBeUndefined();
      expect(build.seconds).toBeGreaterThan(0);
      expect(build.memoryBytes).toBeGreaterThan(600 * DIM);
      expect(build.fileBytes).toBeGreaterThan(600 * DIM);
      for (const { single, batch } of points) {
        const { p50, p95, p99, p999, queriesPerSecond } = single as Record<string, number>;
        expect([p50, p95, p99, p999]).toEqual([p50, p95, p99, p999].toSorted((a, b) => (a as number) - (b as number)));
        expect(queriesPerSecond).toBeGreaterThan(0);
        expect(batch.queriesPerSecond).toBeGreaterThan(0);
      }
    }
    expect(systems[0]?.points[0]?.recall).toBe(1);
    expect(systems[2]?.points.map(({ recall }) => recall)).toEqual([expect.any(Number), 1]);
    const html = readFileSync(page, 'utf8');
    expect(html).toMatch(/^<!doctype html>[\s\S]*<svg[\s\S]*HNSW8/);
    expect(html).not.toMatch(/<script|https?:\/\/(?!www\.w3\.org)/);
  });

  test('goes on where it was killed', async () => {
    const args = [
      ...cli,
      ...generated,
      '--seed',
      '5',
      '--factory',
      'Flat',
      '--factory',
      'SQ8',
      '--repetitions',
      '4',
      '--ms',
      '150',
    ];
    const child = spawn(process.execPath, args, { cwd: root, env });
    const ended = new Promise((resolve) => child.once('close', resolve));
    const kept = (): SweepState | undefined => {
      const states = !existsSync(at('cache'))
        ? []
        : readdirSync(at('cache'), { recursive: true }).filter((name) =>
            /bench.[0-9a-f]{16}\.json$/.test(String(name)),
          );
      return states.length === 0 ? undefined : JSON.parse(readFileSync(join(at('cache'), String(states[0])), 'utf8'));
    };
    const samples = (state: SweepState | undefined): number[] =>
      (state?.systems ?? []).flatMap(({ points }) =>
        points.flatMap(({ samples }) => samples.single.map(({ queriesPerSecond }) => queriesPerSecond)),
      );
    while (child.exitCode === null && samples(kept()).length < 3) await sleep(20);
    child.kill('SIGKILL');
    await ended;
    const before = samples(kept());
    expect(before.length).toBeGreaterThanOrEqual(3);
    expect(before.length).toBeLessThan(8);
    const out = await bench(...args.slice(cli.length), '--json');
    expect(out.code, out.error).toBe(0);
    expect(out.error).toMatch(/going on where the same command was interrupted/);
    expect((JSON.parse(out.out) as Summary).systems).toHaveLength(2);
    expect(kept()).toBeUndefined();
  });

  test("takes an HDF5 file's own queries, neighbours and metric", async () => {
    const told = await hdf5(
      'told.hdf5',
      Int32Array.from({ length: 40 }, (_, i) => 49 - (i % 20)),
      20,
    ); // not the truth
    const { code, out, error } = await bench(told, ...short, '--factory', 'Flat', '--json');
    expect(code, error).toBe(0);
    expect(error).not.toMatch(/finding/);
    const { dataset, systems } = JSON.parse(out) as Summary;
    expect(dataset).toMatchObject({ rows: 50, queries: 2, metric: 'l2' });
    expect(systems[0]?.points[0]?.recall).toBeLessThan(0.9);
    const found = await bench(told, ...short, '--factory', 'Flat', '--json', '--metric', 'cosine');
    expect(found.error).toMatch(/finding the 50 true neighbours/);
    expect((JSON.parse(found.out) as Summary).systems[0]?.points[0]?.recall).toBe(1);
  });

  test('says what is wrong before any work', async () => {
    const base = fbin('base.fbin', 30, DIM);
    const query = fbin('query.fbin', 3, DIM);
    const both = [base, '--query', query];
    const cases: [string[], number, RegExp][] = [
      [[], 2, /takes a file of vectors, or --generate/],
      [[at('none.npy'), '--query', query], 1, /ENOENT/],
      [[base], 1, /needs --query/],
      [
        [base, '--query', fbin('other.fbin', 3, DIM + 1)],
        1,
        /other\.fbin: has 9 columns, expected 8 as in .*base\.fbin/,
      ],
      [[...both, '--truth', ibin('t.ibin', 4, 10, (i) => i % 30)], 1, /has neighbours of 4 queries, expected 3/],
      [[...both, '--truth', ibin('u.ibin', 3, 5, (i) => i)], 1, /has 5 neighbours a query, expected at least 10/],
      [[...both, '--truth', ibin('v.ibin', 3, 11, (i) => i)], 1, /query 2 has neighbour 30, expected 0 … 29/],
      [[...both, '-k', '31'], 1, /--k 31 asks for more neighbours than the 30 rows/],
      [[...both, '--factory', 'HNSW8,Nope'], 1, /Nope/],
      [[...both, '--ef-search', '10,x'], 2, /--ef-search takes whole numbers/],
      [[...both, '--metric', 'dot'], 2, /--metric takes one of l2, ip, cosine/],
      [[...both, '--out', at('x.pdf')], 2, /ends in \.html or \.json/],
      [[...both, '--out', at('no/x.json')], 1, /ENOENT/],
      [[...both, '--generate', 'uniform'], 1, /exclude each other/],
    ];
    const runs = await Promise.all(cases.map(([args]) => bench(...args)));
    for (const [i, [args, code, message]] of cases.entries()) {
      const run = runs[i] as (typeof runs)[number];
      expect(run.error, args.join(' ')).toMatch(message);
      expect(run.error).not.toMatch(/building|finding|\n\s+at /);
      expect([run.code, run.out]).toEqual([code, '']);
    }
  });
});

test('the standard systems can be made of any rows', () => {
  for (const [rows, dim] of [
    [1, 1],
    [50, 3],
    [1000, 7],
    [1e6, 1536],
  ] as const) {
    const made = standardFactories(rows, dim).map((factory) => byFactory(factory, QUICK_GRID));
    expect(made.map(({ structure }) => structure)).toEqual(['flat', 'graph', 'list', 'list']);
    expect(made.at(-1)?.search).toHaveLength(QUICK_GRID.nprobe.length * QUICK_GRID.rerank.length);
  }
});
