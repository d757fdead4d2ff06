import { FlatIndex, type Metric, type Rows, type VectorIndex } from 'annex';
import { expect, it } from 'vitest';
import { byId, floats, integers, row } from './data.js';
import { expectNearest, listed } from './expect.js';
import { recallOf } from './sample.js';

type Options = { readonly dim: number; readonly metric?: Metric; readonly storage?: string };
/** An index of the structure under test that holds the rows. */
export type Build = (rows: Rows, options: Options) => VectorIndex<Rows>;

const METRICS: readonly Metric[] = ['l2', 'ip', 'cosine', 'l1'];
const FLOATS = (['f32', 'f16', 'bf16', 'sq8'] as const).flatMap((storage) => METRICS.map((m) => [storage, m] as const));
const BYTES = [
  ['i8', Int8Array, -128, 127],
  ['u8', Uint8Array, 0, 255],
] as const;

/**
 * Declares the tests of a structure that leaves nothing out when it is searched with `all`: over storages, metrics and
 * dimensions it answers as an exact search does.
 */
export function itAnswersExactly(build: Build, all: object): void {
  it.each(FLOATS)('%s under %s, as in a flat index', async (storage, metric) => {
    const options = { dim: 20, metric, storage };
    const [rows, queries] = [floats(500, 20, 3), floats(20, 20, 4)];
    const index = build(rows, options);
    const exact = FlatIndex.createSync(options as { dim: number });
    exact.addSync(rows);
    const [found, wanted] = [index.searchBatchSync(queries, 10, all), exact.searchBatchSync(queries, 10)];
    exact.close();
    expect(recallOf(found, wanted)).toBeGreaterThanOrEqual(storage === 'sq8' ? 0.95 : 1);
    for (const [i, d] of found.distances.entries()) {
      expect(d).toBeCloseTo(wanted.distances[i] as number, storage === 'sq8' ? 1 : 4);
    }
    for (let q = 0; q < 20; q++) {
      const query = row(queries, 20, q);
      expect(listed(await index.search(query, 10, all))).toEqual(listed(index.searchSync(query, 10, all)));
      expect(listed(index.searchSync(query, 10, all))).toEqual(listed(found.at(q)));
    }
  });

  it.each(METRICS)('bytes under %s', (metric) => {
    for (const [storage, array, low, high] of BYTES) {
      const rows = integers(new array(400 * 33), low, high) as Rows;
      const index = build(rows, { dim: 33, metric, storage });
      for (let q = 0; q < 10; q++) {
        const query = row(rows, 33, q * 7);
        const tolerance = metric === 'cosine' ? 1e-5 : 0;
        expectNearest(index.searchSync(query, 5, all), metric, byId(rows, 33), query, 5, { tolerance });
        expect(index.get(q)).toEqual(row(rows, 33, q));
      }
    }
  });

  it.each([1, 2, 7, 4096])('dim %i', (dim) => {
    const n = dim > 1000 ? 60 : 400;
    const rows = integers(new Float32Array(n * dim), -3, 3);
    const index = build(rows, { dim });
    for (let q = 0; q < 10; q++) {
      expectNearest(index.searchSync(row(rows, dim, q), 12, all), 'l2', byId(rows, dim), row(rows, dim, q), 12);
    }
  });
}
