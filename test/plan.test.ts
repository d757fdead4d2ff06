import { FlatIndex, HnswIndex, IvfIndex } from 'annex';
import { type PlanOptions, type Proposal, plan } from 'annex/eval';
import { describe, expect, it } from 'vitest';
import { rowStream } from '../ts/data_generate.js';
import { floats } from './support/data.js';
import { expectFailure } from './support/expect.js';

const classes = { FlatIndex, HnswIndex, IvfIndex };
const make = (options: Partial<PlanOptions>) => plan({ n: 1000, dim: 16, ...classes, ...options });

/** Clusters in few dimensions, so that an index has something to hold on to. */
function clustered(n: number, dim: number, seed: number): Float32Array {
  const [centres, noise] = [floats(20, dim, 99), floats(n, dim, seed)];
  return noise.map((x, i) => 4 * centres[(((i / dim) | 0) % 20) * dim + (i % dim)]! + x);
}

async function built({ structure, options, search }: Proposal, rows: Float32Array, queries: Float32Array, dim: number) {
  const create = classes[structure].create as (options: object) => Promise<unknown>;
  const index = (await create.call(classes[structure], { ...options, dim })) as FlatIndex;
  const truth = await FlatIndex.create({ dim });
  try {
    await truth.add(rows);
    if (!index.trained) await index.train(rows);
    await index.add(rows);
    const [found, wanted] = [await index.searchBatch(queries, 10, search), await truth.searchBatch(queries, 10)];
    let hits = 0;
    for (let q = 0; q < wanted.length; q++) {
      const relevant = new Set(wanted.at(q).ids);
      for (const id of found.at(q).ids) if (relevant.has(id)) hits++;
    }
    const recall = hits / (10 * wanted.length);
    return { ram: index.stats().bytesTotal, file: (await index.toBytes()).byteLength, recall };
  } finally {
    index.close();
    truth.close();
  }
}

describe('plan', () => {
  // Lists hold short rows themselves, and narrow copies of long ones.
  it.each([16, 40])(
    'predicts memory, file size and recall of what it proposes, dim %i',
    { timeout: 180_000 },
    async (dim) => {
      const n = 6600;
      const rows = clustered(n, dim, 1);
      const every = 3;
      const sample = new Float32Array((n / every) * dim);
      for (let i = 0; i < n / every; i++) sample.set(rows.subarray(i * every * dim, (i * every + 1) * dim), i * dim);
      const { best, proposals } = await make({ n, dim, sample, recall: 0.9 });
      expect(best).toBe(proposals[0]);
      expect(new Set(proposals.map(({ structure }) => structure)).size).toBe(3);
      for (const proposal of proposals) {
        const what = JSON.stringify([proposal.structure, proposal.options, proposal.search]);
        const is = await built(proposal, rows, clustered(200, dim, 2), dim);
        // What 25 lists of the sample are padded with varies by more than the 5 % of ordinary numbers of lists.
        expect(Math.abs(proposal.ram.value / is.ram - 1), `${what} ram`).toBeLessThan(0.08);
        expect(Math.abs(proposal.file!.value / is.file - 1), `${what} file`).toBeLessThan(0.08);
        const { value, low, high } = proposal.recall;
        // Other queries stray as those of the sample do.
        expect(is.recall, `${what} recall ${low} … ${high}`).toBeGreaterThan(low - 0.02);
        expect(is.recall, `${what} recall ${low} … ${high}`).toBeLessThan(high + 0.02);
        expect(value).toBeGreaterThanOrEqual(low);
        expect(value).toBeLessThanOrEqual(high);
        expect(high - low, what).toBeLessThan(0.25);
        for (const { basis } of [proposal.ram, proposal.recall, proposal.querySeconds, proposal.buildSeconds]) {
          expect(basis).toMatch(/the sample/);
        }
      }
    },
  );

  it('predicts the recall of lists that are finer than the clusters of the rows', { timeout: 180_000 }, async () => {
    const [n, dim] = [15_000, 128];
    const stream = rowStream('clustered', dim, 1);
    const rows = new Float32Array(n * dim);
    const [queries, sample] = [new Float32Array(300 * dim), new Float32Array(3000 * dim)];
    for (const part of [rows, queries, sample]) stream.next(part);
    const { proposals } = await make({ n, dim, sample });
    const lists = proposals.find(({ structure, options }) => structure === 'IvfIndex' && options.storage === undefined);
    const { recall } = await built(lists!, rows, queries, dim);
    expect(Math.abs(lists!.recall.value - recall)).toBeLessThan(0.04);
  });

  it('predicts numbers for rows that are all equal', { timeout: 120_000 }, async () => {
    const { proposals } = await make({ n: 20_000, dim: 16, sample: new Float32Array(2200 * 16).fill(0.5) });
    for (const { recall } of proposals) {
      expect(recall.value).toBeGreaterThanOrEqual(recall.low);
      expect(recall.value).toBeLessThanOrEqual(recall.high);
    }
  });

  it('proposes only what fits, the fastest first', { timeout: 120_000 }, async () => {
    const n = 1000;
    const all = await make({ n, recall: 0.5 });
    const rams = all.proposals.map(({ ram }) => ram.value).sort((a, b) => a - b);
    const memory = rams[3]!;
    const { best, proposals } = await make({ n, recall: 0.5, memory });
    expect(best!.ram.value).toBeLessThanOrEqual(memory);
    const fits = proposals.filter((proposal) => proposal.fits);
    expect(fits.length).toBeGreaterThan(0);
    expect(fits.length).toBeLessThan(proposals.length);
    for (const { ram, recall } of fits) {
      expect(ram.value).toBeLessThanOrEqual(memory);
      expect(recall.value).toBeGreaterThanOrEqual(0.5);
    }
    const times = fits.map(({ querySeconds }) => querySeconds.value);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    expect(best!.recall.basis).toMatch(/measured with all 1,000 rows/);
    expect((await make({ n: 200, dim: 8, memory: 1 })).best).toBeUndefined();
  });

  it('reports progress, and can be aborted', async () => {
    const abort = new AbortController();
    const seen: number[] = [];
    const onProgress = ({ done }: { done: number }) => {
      seen.push(done);
      if (done === 2) abort.abort();
    };
    await expectFailure(() => make({ n: 500, signal: abort.signal, onProgress }), 'ABORTED');
    expect(seen).toEqual([1, 2]);
  });

  it.each<[string, Partial<Record<keyof PlanOptions, unknown>>, string, RegExp]>([
    ['no n', { n: undefined }, 'INVALID_TYPE', /expected n as a number, got undefined/],
    ['half a row', { n: 0.5 }, 'INVALID_ARGUMENT', /n to be an integer from 1/],
    ['a recall of 2', { recall: 2 }, 'INVALID_ARGUMENT', /recall to be from 0 to 1, got 2/],
    ['no classes', { IvfIndex: undefined }, 'INVALID_TYPE', /class IvfIndex/],
    ['metrics of bits', { metric: 'hamming' }, 'UNSUPPORTED', /metric of floats/],
    ['a small sample', { sample: new Float32Array(160) }, 'INVALID_ARGUMENT', /at least 2000 vectors, got 10/],
    ['a sample of another length', { sample: new Float32Array(17) }, 'DIMENSION_MISMATCH', /17/],
    ['unknown options', { ram: 1 } as never, 'INVALID_ARGUMENT', /ram/],
  ])('refuses %s', async (_what, options, code, message) => {
    await expectFailure(() => make(options as Partial<PlanOptions>), code as never, message);
  });
});
