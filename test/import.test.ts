import { readFileSync } from 'node:fs';
import { type AnyIndex, importFaiss, importHnswlib } from 'annex';
import { describe, expect, test } from 'vitest';
import { expectFailure } from './support/expect.js';

interface Answer {
  ids: number[][];
  distances: number[][];
  n: number;
}

const url = (name: string): URL => new URL(`./golden/imports/${name}`, import.meta.url);
const answers = JSON.parse(readFileSync(url('answers.json'), 'utf8'));
const queries = answers.queries as number[][];

/** Searches find what the other library found, with its distances put into ours. */
function expectSame(index: AnyIndex, name: string, options: object, ours: (distance: number) => number): void {
  const { ids, distances, n } = answers[name] as Answer;
  expect(index.size).toBe(n);
  for (const [q, query] of queries.entries()) {
    const found = index.searchSync(Float32Array.from(query), 5, options);
    expect([...found.ids]).toEqual(ids[q]);
    for (let i = 0; i < 5; i++) {
      expect(found.distances[i]).toBeCloseTo(ours((distances[q] as number[])[i] as number), 4);
    }
  }
}

const same = (distance: number): number => distance;
const negative = (distance: number): number => -distance;

describe('FAISS', () => {
  test.each([
    ['flat_l2', 'FlatIndex', {}, same],
    ['flat_ip', 'FlatIndex', {}, negative],
    ['idmap_l2', 'FlatIndex', {}, same],
    ['idmap_ip', 'FlatIndex', {}, negative],
    ['hnsw_l2', 'HnswIndex', { efSearch: 200 }, same],
    ['hnsw_ip', 'HnswIndex', { efSearch: 200 }, negative],
    ['ivf_l2', 'IvfIndex', { nprobe: 2 }, same],
    ['ivf_ip', 'IvfIndex', { nprobe: 2 }, negative],
  ] as const)('%s', async (name, kind, options, ours) => {
    const index = await importFaiss(url(`${name}.faiss`));
    expect(index.constructor.name).toBe(kind);
    expectSame(index, name, options, ours);
    expectSame(await importFaiss(readFileSync(url(`${name}.faiss`))), name, options, ours);
    await index.add(new Float32Array(16).fill(9), { ids: [100_000] });
    expect(index.searchSync(new Float32Array(16).fill(9), 1, options).ids[0]).toBe(100_000);
  });

  test('what has no import is refused by name', async () => {
    await expectFailure(() => importFaiss(new TextEncoder().encode('hello, this is a text')), 'UNSUPPORTED', /"hell"/);
    await expectFailure(() => importFaiss(new Uint8Array(0)), 'CORRUPT');
  });
});

describe('hnswlib', () => {
  test.each([
    ['l2', same],
    ['ip', (distance: number) => distance - 1],
    ['cosine', same],
  ] as const)('%s', async (metric, ours) => {
    const name = `hnswlib_${metric}`;
    const index = await importHnswlib(url(`${name}.bin`), { dim: 16, metric });
    expectSame(index as AnyIndex, name, { efSearch: 120 }, ours);
    expect(index.has(7 + 3 * 5)).toBe(false);
    await index.add(new Float32Array(16).fill(9), { ids: [22] });
    expect(index.searchSync(new Float32Array(16).fill(9), 1).ids[0]).toBe(22);
  });

  test('another dim, no options', async () => {
    await expectFailure(() => importHnswlib(url('hnswlib_l2.bin'), { dim: 17, metric: 'l2' }), 'CORRUPT', /dim 17/);
    await expectFailure(() => importHnswlib(url('hnswlib_l2.bin'), { dim: 0, metric: 'l2' }), 'INVALID_ARGUMENT');
    await expectFailure(() => importHnswlib(url('hnswlib_l2.bin'), undefined as never), 'INVALID_TYPE');
  });
});
