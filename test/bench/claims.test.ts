import { readFileSync, statSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type Claim, claims, claimTables, printClaims } from '../../bench/lib/claims.js';
import { type GrowthReport, growthClaims, growthOf, slope } from '../../bench/lib/growth_report.js';
import { type TrainReport, trainClaims } from '../../bench/lib/train_report.js';
import type { SweepState } from '../../ts/bench_state.js';

const claim = (what: string, measured: number | undefined, more: Partial<Claim> = {}): Claim => {
  return { what, target: 2, better: 'higher', unit: '×', measured, ...more };
};

describe('tables of targets', () => {
  it('join the values of one line, and the datasets of another table', () => {
    const tables = claimTables([
      claim('scan', 3),
      claim('a ÷ b at recall', 2.5, { at: '0.9', dataset: 'small' }),
      claim('a ÷ b at recall', 1.5, { at: '0.95', dataset: 'small' }),
      claim('a ÷ b at recall', 4, { at: '0.9', dataset: 'large' }),
      claim('a ÷ b at recall', undefined, { at: '0.95', dataset: 'large' }),
      claim('memory', undefined, { dataset: 'small', better: 'lower' }),
    ]);
    expect(tables).toEqual([
      { head: ['what', 'target', 'measured', ''], rows: [['scan', '≥ 2 ×', '3 ×', 'pass']] },
      {
        head: ['what', 'target', 'small', 'large', ''],
        rows: [
          ['a ÷ b at recall 0.9 / 0.95', '≥ 2 ×', '2.5 / 1.5 ×', '4 / – ×', 'short: 1 of 3'],
          ['memory', '≤ 2 ×', '–', '–', 'not measured'],
        ],
      },
    ]);
  });

  it('name what was not measured, and stay short enough to be read', () => {
    const text = printClaims(claims({}));
    expect(text.split('\n').every((line, i) => i < 2 || line.endsWith('not measured'))).toBe(true);
    const rows = claimTables(claims({})).flatMap((table) => table.rows).length;
    expect(rows).toBeLessThanOrEqual(24); // to which sweeps add their own, 14 for all datasets together
  });
});

describe('growth', () => {
  const size = (rows: number, ours: number, theirs: number): SweepState => {
    const system = (family: string, own: boolean, micros: number): SweepState['systems'][number] => {
      const sample = { queriesPerSecond: 1, queriesPerCpuSecond: 1e6 / micros };
      const point = { search: {}, recall: 0.95, samples: { single: [], batch: [sample], all: [] } };
      const none = { version: undefined, build: undefined, skipped: undefined };
      return { label: family, family, structure: 'graph', ours: own, params: {}, ...none, points: [point] };
    };
    const dataset = { name: 'x', metric: 'l2', rows, dim: 8, queries: 9 };
    const machine = { cpu: 'x', cores: 1, memoryGiB: 1, platform: 'x', node: 'x' };
    const systems = [system('ours', true, ours), system('hnswlib', false, theirs)];
    return { key: 'x', preset: 'growth', machine, dataset, k: 10, repetitions: 1, threads: 1, finished: true, systems };
  };
  const sizes = [1e4, 3e4, 1e5, 3e5, 1e6];
  const sweeps = sizes.map((n) => size(n, 3 * n ** 0.25, 2 * n ** 0.5));
  const report: GrowthReport = { machine: sweeps[0]!.machine, recall: 0.95, sweeps };

  it('is the slope of the logarithms', () => {
    expect(growthOf(report).map((one) => one.slope)).toEqual([expect.closeTo(0.25, 9), expect.closeTo(0.5, 9)]);
    expect(growthClaims(report).map(({ measured }) => measured)).toEqual([
      expect.closeTo(0.25, 9),
      expect.closeTo(0.5, 9),
    ]);
    expect(slope([[1, 2]])).toBeUndefined();
  });

  it('over fewer sizes than the target names says nothing about it', () => {
    const few = { ...report, sweeps: sweeps.slice(0, 4) };
    expect(growthClaims(few).map(({ measured }) => measured)).toEqual([undefined, undefined]);
  });
});

it('training is judged by the least ratio and the greatest error', () => {
  const line = { what: 'pq', label: 'pq', ours: [1, 3], faiss: [10, 20], error: 0.9, isa: 'x' } as const;
  const report = { lines: [line, { ...line, ours: [2], faiss: [8], error: 1.1 }] } as unknown as TrainReport;
  const measured = trainClaims(report).map((one) => one.measured);
  expect(measured).toEqual([undefined, 4, undefined, undefined, 1.1, undefined]);
});

describe('README', () => {
  const text = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
  const outside = text.replace(/<!-- measured:[\s\S]*?<!-- \/measured -->/, '');
  /** Speeds, ratios and shares: what would have to be measured. */
  const figures =
    /\d[\d.,]*\s*(×(?!\s*\d)|times\b|%\s+(of|less|more|faster)|queries\/s|µs\b|ms\b)|\b(twice|faster than|smaller than) (?!the)/giu;
  const claimed = (of: string): string[] => of.match(figures) ?? [];

  it('states no figure of speed or size but in the table that claims write', () => {
    expect(claimed(outside)).toEqual([]);
  });

  it('shows a picture that is there, and small', () => {
    const pictures = [...text.matchAll(/!\[[^\]]*\]\(([^)]+)\)/g)].map(([, path]) => path!);
    expect(pictures).toEqual(['bench/reference/recall.png']);
    expect(statSync(new URL(`../../${pictures[0]}`, import.meta.url)).size).toBeLessThan(150_000);
  });

  it.each(['3.5 × hnswlib', 'takes 20 µs', '40 % of the memory', 'faster than FAISS', '5 times', '9,000 queries/s'])(
    '(which would find %s)',
    (sentence) => {
      expect(claimed(sentence)).toHaveLength(1);
    },
  );
});
