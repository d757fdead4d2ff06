import { describe, expect, it } from 'vitest';
import { faiss, GRID, listsFor, ours } from '../../bench/sweep/systems.js';
import { pareto, rateAt } from '../../ts/bench_curve.js';
import { rowStream } from '../../ts/data_generate.js';

const at = (recall: number, rate: number) => ({ recall, rate });

describe('curves', () => {
  const points = [at(0.8, 1000), at(0.9, 400), at(0.85, 300), at(0.95, 100), at(0.95, 90), at(0.99, 10)];

  it('a front holds what nothing beats in both', () => {
    expect(pareto(points)).toEqual([at(0.8, 1000), at(0.9, 400), at(0.95, 100), at(0.99, 10)]);
    expect(pareto([])).toEqual([]);
    expect(pareto([at(0.5, 7), at(0.5, 7)])).toEqual([at(0.5, 7)]);
  });

  it('between two points of the front the logarithm of the rate is linear', () => {
    expect(rateAt(points, 0.9)).toEqual({ rate: 400, atLeast: false });
    expect(rateAt(points, 0.925)?.rate).toBeCloseTo(200, 9); // √(400 · 100)
    expect(rateAt(points, 0.97)?.rate).toBeCloseTo(Math.sqrt(1000), 9);
    expect(rateAt(points, 0.995)).toBeUndefined();
    expect(rateAt(points, 0.7)).toEqual({ rate: 1000, atLeast: true });
  });
});

describe('systems', () => {
  it('sweep the parameters that they have', () => {
    expect(ours('graph', { M: 8 }, GRID)).toMatchObject({
      build: { structure: 'HnswIndex', M: 8 },
      label: 'annex HnswIndex M 8',
    });
    expect(ours('list', { nlist: 4, rerank: 'f32' }, { ...GRID, nprobe: [1, 2], rerank: [3] }).search).toEqual([
      { nprobe: 1, rerankFactor: 3 },
      { nprobe: 2, rerankFactor: 3 },
    ]);
    expect(faiss('IVF64,PQ8', { ...GRID, nprobe: [4] }).search).toEqual([{ nprobe: 4 }]);
    expect(faiss('IVF64,PQ8x4fs,RFlat', { ...GRID, nprobe: [4], rerank: [2, 9] }).search).toEqual([
      { nprobe: 4, k_factor_rf: 2 },
      { nprobe: 4, k_factor_rf: 9 },
    ]);
    expect(faiss('HNSW16', { ...GRID, ef: [4] })).toMatchObject({ structure: 'graph', search: [{ efSearch: 4 }] });
  });

  it('lists grow with the root of the rows', () => {
    expect([100, 10_000, 116_311, 1_000_000, 1e9].map(listsFor)).toEqual([32, 256, 1024, 2048, 4096]);
  });
});

describe('generated rows', () => {
  it.each(['clustered', 'uniform', 'adversarial'] as const)('%s do not depend on the slices', (kind) => {
    const [whole, slices] = [new Float32Array(50 * 16), new Float32Array(50 * 16)];
    rowStream(kind, 16, 7).next(whole);
    const stream = rowStream(kind, 16, 7);
    for (const [from, to] of [
      [0, 1],
      [1, 33],
      [33, 50],
    ] as const) {
      stream.next(slices.subarray(from * 16, to * 16));
    }
    expect(slices).toEqual(whole);
  });
});
