import { createIndex, createIndexSync } from 'annex';
import { describe, expect, it } from 'vitest';
import { parseFactory } from '../ts/factory.js';
import { expectFailure } from './support/expect.js';

describe('reads', () => {
  const pq = (m: number, bits: 4 | 8, more = {}) => ({ codec: 'pq', m, bits, ...more });
  it.each<[string, string, object]>([
    ['Flat', 'flat', {}],
    [' Flat ', 'flat', {}],
    ['SQ8', 'flat', { storage: 'sq8' }],
    ['SQfp16', 'flat', { storage: 'f16' }],
    ['SQbf16', 'flat', { storage: 'bf16' }],
    ['PQ32', 'flat', { storage: pq(32, 8) }],
    ['PQ32x8', 'flat', { storage: pq(32, 8) }],
    ['PQ32x4', 'flat', { storage: pq(32, 4) }],
    ['PQ32x4fs', 'flat', { storage: pq(32, 4) }],
    ['OPQ32,PQ32', 'flat', { storage: pq(32, 8, { rotation: 'opq' }) }],
    ['OPQ32_128,IVF1024,PQ32x4fs', 'ivf', { nlist: 1024, storage: pq(32, 4, { rotation: 'opq', dim: 128 }) }],
    ['RaBitQ', 'flat', { storage: { codec: 'rabitq' } }],
    ['RaBitQ4', 'flat', { storage: { codec: 'rabitq', bits: 4 } }],
    ['HNSW32', 'hnsw', { M: 32 }],
    ['HNSW32,Flat', 'hnsw', { M: 32 }],
    ['HNSW16,SQ8,RFlat', 'hnsw', { M: 16, storage: 'sq8', rerank: 'f32' }],
    ['IVF1024', 'ivf', { nlist: 1024 }],
    ['IVF1024,Flat', 'ivf', { nlist: 1024 }],
    ['IVF65536_HNSW32,SQ8', 'ivf', { nlist: 65536, coarse: 'hnsw', storage: 'sq8' }],
    ['IVF1024,RaBitQ,Refine(SQ8)', 'ivf', { nlist: 1024, storage: { codec: 'rabitq' }, rerank: 'sq8' }],
    ['IVF4096,PQ96x4fs,Refine(SQfp16)', 'ivf', { nlist: 4096, storage: pq(96, 4), rerank: 'f16' }],
    ['HNSW8,Refine(Flat)', 'hnsw', { M: 8, rerank: 'f32' }],
  ])('%s', (factory, kind, options) => {
    expect(parseFactory(factory)).toEqual({ kind, options });
  });
});

describe('points at what it cannot read', () => {
  it.each<[string, number, string, RegExp]>([
    ['', 0, 'nothing', /expected a piece such as Flat/],
    ['Flatt', 0, '"Flatt"', /unknown \(did you mean "Flat"\?\)/],
    ['IVF1024,PQ32x5', 8, '"PQ32x5"', /unknown/],
    ['IVF1024, SQ6', 9, '"SQ6"', /unknown/],
    ['IVF1024,', 8, 'nothing', /expected a piece/],
    ['IVF1024,Flat,Flat', 13, '"Flat"', /wrong place/],
    ['Flat,IVF1024', 5, '"IVF1024"', /wrong place/],
    ['PQ32,OPQ32', 5, '"OPQ32"', /wrong place/],
    ['OPQ16,IVF64,PQ32', 0, '"OPQ16"', /expected OPQ32/],
    ['OPQ16,Flat', 0, '"OPQ16"', /expected a piece PQ16/],
    ['OPQ16', 0, '"OPQ16"', /expected a piece PQ16/],
    ['RFlat', 0, '"RFlat"', /wrong place/],
    ['IVF64,Flat,RFlat,Refine(SQ8)', 17, '"Refine(SQ8)"', /each at most once|wrong place/],
    ['HNSW32,Refine(PQ8)', 7, '"Refine(PQ8)"', /expected Refine\(Flat\)/],
    ['IVF,Flat', 0, '"IVF"', /unknown/],
    ['ivf1024,Flat', 0, '"ivf1024"', /did you mean/],
    ['IVF1e3,Flat', 0, '"IVF1e3"', /unknown/],
    ['constructor', 0, '"constructor"', /unknown/],
    [`IVF1024,${'x'.repeat(1e5)}`, 8, `"${'x'.repeat(40)}"`, /unknown/],
  ])('%.40s', async (factory, position, piece, message) => {
    const error = await expectFailure(() => parseFactory(factory), 'INVALID_ARGUMENT', message);
    expect(error.message).toContain(`at position ${position}, ${piece} `);
    expect(error.message.length).toBeLessThan(700);
  });

  it.each([[undefined], [null], [7], [{}], [['Flat']]])('%j is no string', async (value) => {
    await expectFailure(() => parseFactory(value), 'INVALID_TYPE', /factory string/);
    await expectFailure(() => createIndex(value as never, { dim: 4 }), 'INVALID_TYPE');
  });
});

describe('creates', () => {
  it('a flat index', async () => {
    const index = await createIndex('SQ8', { dim: 8, metric: 'ip', metadata: { model: 'm' } });
    expect(index.options()).toEqual({
      dim: 8,
      metric: 'ip',
      storage: 'sq8',
      sidecar: 'none',
      metadata: { model: 'm' },
    });
    index.close();
    expect(createIndexSync('Flat', { dim: 8, metric: 'hamming' }).storage).toBe('bits');
  });

  it('refuses what the class refuses', async () => {
    await expectFailure(() => createIndex('Flat', {} as never), 'INVALID_TYPE', /dim/);
    await expectFailure(
      () => createIndex('Flat', { dim: 4, storage: 'f16' } as never),
      'INVALID_ARGUMENT',
      /no option/,
    );
    await expectFailure(() => createIndex('HNSW32,PQ4', { dim: 8 }), 'UNSUPPORTED', /not pq/);
    await expectFailure(() => createIndex('Flat', undefined as never), 'INVALID_TYPE', /options object/);
    await expectFailure(() => createIndexSync('Flat,RFlat', { dim: 4 }), 'UNSUPPORTED', /rerank of a flat index/);
  });
});
