import { readdirSync, readFileSync } from 'node:fs';
import { type AnyIndex, exportFaiss, importFaiss, open } from 'annex';
import { describe, expect, test } from 'vitest';
import { expectFailure } from './support/expect.js';

/** What FAISS answers from a file, as test/golden/make_faiss.py noted it. */
interface Noted {
  class: string;
  dim: number;
  metric: 'l2' | 'ip';
  options: object;
  ids: number[][];
  distances: number[][];
  /** Rows as FAISS decodes them, by id. */
  rows?: Record<string, number[]>;
  /** Exact distances to all rows, where FAISS rounds its tables. */
  all?: number[][];
  offset?: boolean;
  cosine?: boolean;
}

const url = (name: string): URL => new URL(`./golden/faiss/${name}`, import.meta.url);
const noted = JSON.parse(readFileSync(url('answers.json'), 'utf8')) as {
  queries: Record<number, number[][]>;
  indexes: Record<string, Noted>;
};
const names = Object.keys(noted.indexes);

const near = (a: number, b: number, tolerance = 2e-5): void =>
  expect(Math.abs(a - b)).toBeLessThanOrEqual(tolerance * Math.max(1, Math.abs(b)));

function expectAnswers(index: AnyIndex, name: string): void {
  const { class: kind, dim, metric, options, ids, distances, rows, all, offset, cosine } = noted.indexes[name] as Noted;
  expect([index.constructor.name, index.dim, index.metric]).toEqual([kind, dim, cosine ? 'cosine' : metric]);
  expect(index.size).toBe(90);
  for (const [id, row] of Object.entries(rows ?? {})) {
    const own = index.get(Number(id)) as Float32Array;
    for (const [d, x] of row.entries()) near(own[d] as number, x);
  }
  for (const [q, query] of (noted.queries[dim] as number[][]).entries()) {
    const found = index.searchSync(Float32Array.from(query), 5, options);
    const theirs = distances[q] as number[];
    if (all !== undefined) {
      // Tables rounded to bytes, here and there: each distance is near the exact one, and so is the order.
      const exact = all[q] as number[];
      const span = Math.max(...exact) - Math.min(...exact);
      const best = exact.toSorted((a, b) => a - b);
      for (const [i, id] of [...found.ids].entries()) {
        expect(Math.abs((found.distances[i] as number) - (exact[id] as number))).toBeLessThan(0.03 * span);
        expect((exact[id] as number) - (best[i] as number)).toBeLessThan(0.03 * span);
      }
      continue;
    }
    // Ids are FAISS's, but for those that are as far as its last one.
    const others = [...found.ids].filter((id) => !(ids[q] as number[]).includes(id));
    const ours = (d: number): number => (cosine ? 1 - d : metric === 'ip' ? -d : d);
    const moved = offset ? (found.distances[0] as number) - (theirs[0] as number) : 0;
    for (let i = 0; i < 5; i++) near((found.distances[i] as number) - moved, ours(theirs[i] as number), 1e-4);
    for (const id of others) {
      near(found.distances[found.ids.indexOf(id)] as number, found.distances[4] as number, 1e-5);
    }
  }
}

describe('FAISS files give the answers of FAISS', () => {
  test.each(names)('%s', async (name) => {
    const index = await importFaiss(url(`${name}.faiss`));
    expectAnswers(index, name);
    expectAnswers(await open(await index.toBytes()), name);
    expectAnswers(await importFaiss(await exportFaiss(index)), name);
    const row = new Float32Array(index.dim).fill(3);
    await index.add(row, { ids: [100_000] });
    expect(index.searchSync(row, 91, noted.indexes[name]?.options).ids).toContain(100_000);
    await index.remove([100_000]);
    expectAnswers(index, name);
  });

  test('every kind of file is there', () => {
    expect(names.length).toBeGreaterThan(70);
    const files = readdirSync(url('.')).filter((file) => file.endsWith('.faiss') && !file.startsWith('refused'));
    expect(files.map((file) => file.slice(0, -6)).sort()).toEqual(names.toSorted());
  });

  test.each([
    ['rabitq', /"Iwrq" has no import/],
    ['whitened', /changes distances/],
    ['unit_ivf', /spherical/],
    ['unit_twice', /L2norm/],
    ['refine_flat', /base_index/],
    ['nsg', /"INSf" has no import/],
    ['pq12', /9 bits/],
    ['moved_ip', /under L2/],
  ])('refused by name: %s', async (name, message) => {
    await expectFailure(() => importFaiss(url(`refused_${name}.faiss`)), 'UNSUPPORTED', message);
  });
});
