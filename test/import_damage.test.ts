import { readFileSync } from 'node:fs';
import { AnnexError, importFaiss, importHnswlib } from 'annex';
import { describe, expect, test } from 'vitest';
import { random } from './support/data.js';

const bytesOf = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`./golden/${name}`, import.meta.url)));
const FILES = [
  'faiss/idmap_refine_l2.faiss', // IDMap2, Refine, PreTransform, IVFPQ, Flat
  'faiss/ivf_pq3x4fs_ip.faiss',
  'faiss/ivf_pq2x5_l2.faiss',
  'faiss/pq4x4fs_l2.faiss',
  'faiss/ivf_sq8_l2.faiss',
  'faiss/ivf_sqfp16_plain_ip.faiss',
  'faiss/pca_flat_l2.faiss',
  'faiss/sq6_l2.faiss',
  'faiss/hnsw_sq8_l2.faiss',
  'imports/hnswlib_l2.bin',
];

/** How an import of these bytes ends; what it opens is searched. */
async function outcome(name: string, bytes: Uint8Array): Promise<string> {
  try {
    const index = await (name.endsWith('.bin') ? importHnswlib(bytes, { dim: 16, metric: 'l2' }) : importFaiss(bytes));
    index.searchSync(new Float32Array(index.dim).fill(1), 3);
    index.close();
    return 'opened';
  } catch (error) {
    if (!(error instanceof AnnexError)) throw error;
    return error.code;
  }
}

describe.each(FILES)('%s', (name) => {
  const whole = bytesOf(name);

  test('cut at every byte, and continued', async () => {
    expect(await outcome(name, whole)).toBe('opened');
    for (let n = 0; n < whole.length; n++) {
      const found = await outcome(name, whole.subarray(0, n));
      if (found !== 'CORRUPT') expect([n, found]).toEqual([n, 'UNSUPPORTED']);
    }
    expect(await outcome(name, Uint8Array.of(...whole, 0))).toBe('CORRUPT');
  });

  test('every byte changed', async () => {
    // Of rows and codes, where any byte will do, every 7th.
    for (let at = 0; at < whole.length; at += at < 1500 ? 1 : 7) {
      const bad = whole.slice();
      bad[at] = (bad[at] as number) ^ [1, 128, 255][at % 3]!;
      const found = await outcome(name, bad);
      if (!['opened', 'CORRUPT', 'UNSUPPORTED'].includes(found)) expect([at, found]).toBeUndefined();
    }
  });

  test('numbers replaced by large, small and negative ones', async () => {
    const next = random(5);
    const numbers = [0, 1, -1, 2 ** 31 - 1, -(2 ** 31), 65536, 255, 0x7fc00000, 2 ** 24];
    for (let round = 0; round < 400; round++) {
      const bad = whole.slice();
      const view = new DataView(bad.buffer);
      for (let change = 0; change <= round % 3; change++) {
        const at = Math.floor(next() * Math.min(bad.length - 4, 2000));
        view.setInt32(at, numbers[Math.floor(next() * numbers.length)] as number, true);
      }
      expect(['opened', 'CORRUPT', 'UNSUPPORTED']).toContain(await outcome(name, bad));
    }
  });
});
