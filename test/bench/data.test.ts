import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDataset, repeated } from '../../bench/data/dataset.js';
import { GENERATORS, type Generator, rowStream } from '../../ts/data_generate.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'annex-bench-data-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, ...parts: (ArrayBufferView | string)[]): string {
  const path = join(folder, name);
  const bytes = parts.map((part) =>
    typeof part === 'string'
      ? Buffer.from(part, 'latin1')
      : Buffer.from(part.buffer as ArrayBuffer, part.byteOffset, part.byteLength),
  );
  writeFileSync(path, Buffer.concat(bytes));
  return path;
}

function generate(kind: Generator, rows: number, queries: number, dim: number, seed: number) {
  const stream = rowStream(kind, dim, seed);
  const make = (n: number) => {
    const data = new Float32Array(n * dim);
    stream.next(data);
    return { data };
  };
  return { base: make(rows), queries: make(queries) };
}

describe('generate', () => {
  it.each(GENERATORS)('%s: the seed decides, values and their distances are finite', (kind) => {
    const make = (seed: number) => generate(kind, 300, 20, 24, seed);
    const first = make(1);
    expect(first.base.data).toHaveLength(300 * 24);
    expect(first.queries.data).toHaveLength(20 * 24);
    expect(make(1)).toEqual(first);
    expect(make(2).base.data).not.toEqual(first.base.data);
    for (let row = 0; row < 300; row++) {
      const norm = first.base.data.subarray(row * 24, (row + 1) * 24).reduce((sum, x) => Math.fround(sum + x * x), 0);
      expect(Number.isFinite(4 * norm)).toBe(true);
    }
  });

  it('clustered rows lie in few dimensions, uniform ones do not', () => {
    const dim = 32;
    const residue = (kind: 'clustered' | 'uniform'): number => {
      // Gram-Schmidt over the first dim / 8 + 1 rows spans the subspace; the rest of another row is what sticks out.
      const { data } = generate(kind, 40, 1, dim, 3).base;
      const basis: number[][] = [];
      const reduce = (row: number): number[] => {
        let rest = Array.from(data.subarray(row * dim, (row + 1) * dim));
        for (const unit of basis) {
          const dot = rest.reduce((sum, x, d) => sum + x * unit[d]!, 0);
          rest = rest.map((x, d) => x - dot * unit[d]!);
        }
        return rest;
      };
      for (let row = 0; row <= dim / 8; row++) {
        const rest = reduce(row);
        const norm = Math.hypot(...rest);
        basis.push(rest.map((x) => x / norm));
      }
      return Math.hypot(...reduce(39)) / Math.hypot(...data.subarray(39 * dim, 40 * dim));
    };
    expect(residue('clustered')).toBeLessThan(0.25);
    expect(residue('uniform')).toBeGreaterThan(0.5);
  });

  it('adversarial rows have duplicates, denormals, large norms and constants', () => {
    const { data } = generate('adversarial', 600, 1, 16, 1).base;
    const rows = Array.from({ length: 600 }, (_, row) => data.subarray(row * 16, (row + 1) * 16));
    expect(new Set(rows.map(String)).size).toBeLessThan(600);
    expect(rows.some((row) => row.every((x) => x !== 0 && Math.abs(x) < 1e-38))).toBe(true);
    expect(rows.some((row) => row.some((x) => Math.abs(x) > 1e14))).toBe(true);
    expect(rows.some((row) => row.every((x) => x === row[0]))).toBe(true);
  });
});

describe('openDataset', () => {
  it('opens the sample of the repository and repeats its queries to a full batch', () => {
    const { rows, dim, queries, distinct, query, metric } = openDataset({ batch: 1000 });
    expect({ rows, dim, queries, distinct, metric }).toEqual({
      rows: 10_000,
      dim: 256,
      queries: 1000,
      distinct: 200,
      metric: 'ip',
    });
    expect(query.subarray(200 * 256, 201 * 256)).toEqual(query.subarray(0, 256));
  });

  it('names what does not fit', () => {
    const base = file('base.fvecs', Int32Array.of(2), Float32Array.of(1, 2));
    const query = file('query.bvecs', Int32Array.of(3), Uint8Array.of(1, 2, 3));
    expect(() => openDataset({ base, query })).toThrow(/query.bvecs: has 3 columns, expected 2/);
    expect(() => openDataset({ base })).toThrow(/--base needs --query/);
    expect(() => openDataset({ base, query, generate: 'uniform' })).toThrow(/exclude each other/);
    expect(() => openDataset({ generate: 'unifrom' })).toThrow(/--generate must be one of clustered/);
    expect(() => openDataset({ base, query, metric: 'dot' })).toThrow(/--metric must be one of l2, ip, cosine/);
  });

  it('repeats values to a length that is no multiple', () => {
    expect(repeated(Float32Array.of(1, 2, 3), 7)).toEqual(Float32Array.of(1, 2, 3, 1, 2, 3, 1));
    expect(repeated(Float32Array.of(1, 2, 3), 2)).toEqual(Float32Array.of(1, 2));
  });
});
