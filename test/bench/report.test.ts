import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { openReport } from '../../bench/screenshot.mjs';
import { sweepClaims } from '../../bench/sweep/claims.js';
import { sweepPage } from '../../ts/bench_page.js';
import { printPoints, printSweep } from '../../ts/bench_print.js';
import type { Point, SweepState, SystemState } from '../../ts/bench_state.js';

const folder = mkdtempSync(join(tmpdir(), 'annex-report-test-'));
afterAll(() => rmSync(folder, { recursive: true }));

const latency = { mean: 0.1, p50: 0.09, p95: 0.2, p99: 0.3, p999: 0.9 };
const point = (search: object, recall: number, rate: number): Point => {
  const sample = { queriesPerSecond: rate, queriesPerCpuSecond: 2 * rate };
  return {
    search: search as Point['search'],
    recall,
    samples: { single: [{ ...sample, latency }], batch: [sample, sample], all: [] },
  };
};

const system = (label: string, ours: boolean, points: Point[], more: Partial<SystemState> = {}): SystemState => ({
  label,
  family: label,
  structure: 'graph',
  ours,
  params: {},
  version: '1.0',
  build: { seconds: 2, cpu: 3, bytes: 1e6, held: 5e5, fileBytes: 4e5, threads: 2 },
  skipped: undefined,
  points,
  ...more,
});

const state: SweepState = {
  key: 'k',
  preset: 'all',
  machine: { cpu: 'A <processor> & more', cores: 2, memoryGiB: 8, platform: 'linux-x64', node: 'v20' },
  dataset: { name: 'rows', metric: 'l2', rows: 1000, dim: 8, queries: 10 },
  k: 10,
  repetitions: 2,
  threads: 2,
  finished: true,
  systems: [
    system(
      'annex-graph',
      true,
      [point({}, 0.96, 4500), point({ efSearch: 20 }, 0.9, 8000), point({ efSearch: 80 }, 0.98, 2000)],
      {
        params: { structure: 'HnswIndex', compact: true },
      },
    ),
    system('hnswlib', false, [
      point({ ef: 20 }, 0.8, 4000),
      point({ ef: 80 }, 0.95, 1000),
      point({ ef: 90 }, 0.94, 900),
    ]),
    system('usearch f32', false, [], { skipped: 'not "here" <at> all', build: undefined }),
  ],
};

/** Both modes draw each point, and so do both charts of latencies. */
const DRAWN = 6 * 4;

describe('the report in Chromium', () => {
  it.each([false, true])('draws every point, which says what it is, and loads nothing (dark: %s)', async (dark) => {
    const path = join(folder, 'report.html');
    writeFileSync(path, sweepPage(state));
    const { points, titles, problems } = await openReport(path, { dark });
    expect(problems).toEqual([]);
    expect(points).toBe(DRAWN);
    expect(titles).toContain('hnswlib, ef 80: recall 0.9500, 1,000 queries/s');
    expect(titles).toContain('annex-graph, efSearch 80: recall 0.9800, p50 90 µs, p95 200 µs, p99 300 µs, p999 900 µs');
  });

  it('is told what is wrong with one', async () => {
    const path = join(folder, 'bad.html');
    const bad = '<script>console.error("oh"); throw new Error("no")</script><img src="http://127.0.0.1:9/x.png">';
    writeFileSync(path, sweepPage(state).replace('</html>', `${bad}</html>`));
    const { problems } = await openReport(path);
    expect(problems.join('\n')).toMatch(/console: oh[\s\S]*page: no/);
    expect(problems.join('\n')).toMatch(/request: http/);
  });

  it('must draw points, in sight', async () => {
    const path = join(folder, 'bare.html');
    const page = sweepPage(state);
    writeFileSync(path, page.replace(/<svg[\s\S]*?<\/svg>/g, ''));
    expect((await openReport(path)).problems).toEqual(['no point is drawn']);
    writeFileSync(path, page.replace('</style>', 'svg path { transform: translate(2000px) }</style>'));
    expect((await openReport(path)).problems).toEqual([expect.stringMatching(/^\d+ of \d+ points are out of sight$/)]);
  });
});

describe('tables and targets of a sweep', () => {
  it('compare at equal recall', () => {
    const text = printSweep(state);
    expect(text).toMatch(/hnswlib +1,587 \(5\.04\) +1,000 \(\d\.\d\d\)/); // √… between 0.8 and 0.95: 4000^(1/3) · 1000^(2/3)
    expect(text).toMatch(/skipped: usearch f32: not "here" <at> all/);
    expect(printPoints(state)).toMatch(/batch +annex-graph +efSearch 80 +0\.9800 +2,000/);
    expect(printSweep(state, 'cpu')).toMatch(/hnswlib +3,175 \(5\.04\)/);
  });

  it('state targets with what was measured, and what was not', () => {
    const claims = Object.fromEntries(
      sweepClaims(state).map(({ what, at, measured }) => [[what, at].filter(Boolean).join(' '), measured]),
    );
    expect(claims['HNSW ÷ hnswlib, batch, at recall 0.9']).toBeCloseTo(8000 / (4000 ** (1 / 3) * 1000 ** (2 / 3)), 6);
    expect(claims['HNSW ÷ hnswlib, batch, at recall 0.99']).toBeUndefined();
    expect(claims['HNSW with default options ÷ hnswlib at recall 0.95, batch']).toBeCloseTo(4.5, 9);
    expect(claims["hnswlib's time to build ÷ HNSW's, at no less recall"]).toBe(1);
    expect(claims['HNSW ÷ hnswlib-node, one query a call, at recall 0.9']).toBeUndefined();
  });
});
