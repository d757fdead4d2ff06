import { IvfIndex, type IvfIndexOptions } from 'annex';
import { describe, expect, it } from 'vitest';
import { floats } from './support/data.js';

// Rows apart lie in blocks of a power of two.
const [DIM, N, NLIST] = [64, 32_768, 20];
const rows = floats(N, DIM, 3);
const pq = (m: number, bits: number, more: object = {}) => ({ storage: { codec: 'pq', m, bits, ...more } });
/** Codebooks as floats twice, once laid out for encoding, and half the square of each codeword. */
const books = (m: number, bits: number): number => 2 ** bits * (2 * DIM + m) * 4;

describe('stats tells the memory that HACKING.md reckons with', () => {
  // Bytes of an entry, of a row apart, and of the codec.
  it.each<[string, object, number, number, number]>([
    ['f32', {}, DIM + 16, 4 * DIM + 4, 0],
    ['f16', { storage: 'f16' }, 2 * DIM + 4, 0, 0],
    ['sq8, rerank f16', { storage: 'sq8', rerank: 'f16' }, DIM + 16, 2 * DIM + 4, 0],
    ['pq of 8 bits, l2', pq(16, 8), 16 + 4, 0, books(16, 8)],
    ['pq of 4 bits, ip', { metric: 'ip', ...pq(32, 4) }, 16 + 4, 0, books(32, 4)],
    ['pq of 4 bits, ip without lengths', { metric: 'ip', lengths: false, ...pq(32, 4) }, 16, 0, books(32, 4)],
    ['pq of 8 bits, ip, anisotropic', { metric: 'ip', ...pq(16, 8, { anisotropic: 2 }) }, 16, 0, books(16, 8)],
    ['pq of 8 bits, rerank f32', { rerank: 'f32', ...pq(16, 8) }, 16 + 4, 4 * DIM + 4, books(16, 8)],
    ['rabitq', { storage: 'rabitq' }, DIM / 8 + 8, 0, 0],
    ['rabitq of 4 bits, ip', { metric: 'ip', storage: { codec: 'rabitq', bits: 4 } }, DIM / 2 + 8 + 12 - 2 * 4, 0, 0],
    ['two lists a row', { spill: 1, ...pq(16, 8) }, 16 + 4, 0, books(16, 8)],
  ])('%s', (_, options, entry, apart, codec) => {
    const index = IvfIndex.createSync({ dim: DIM, nlist: NLIST, ...options } as IvfIndexOptions) as IvfIndex;
    index.trainSync(rows.subarray(0, 5000 * DIM));
    index.addSync(rows);
    const codes = codec > 0 || entry < DIM;
    const copies = 'spill' in options ? 2 : 1;
    // On average a list has half a block to spare.
    const entries = copies * N + (NLIST * (codes ? 32 : 16)) / 2;
    const wanted = entries * (entry + 4) + N * apart + NLIST * (5 * DIM + 20) + codec;
    expect(index.stats().bytesTotal / wanted).toBeGreaterThan(0.98);
    expect(index.stats().bytesTotal / wanted).toBeLessThan(1.02);
    index.close();
  });
});
