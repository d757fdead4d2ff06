import { readFileSync } from 'node:fs';
import { AnnexError, type AnyIndex, FlatIndex, HnswIndex, IvfIndex, inspect, open } from 'annex';
import { describe, expect, test } from 'vitest';
import { answers, RECIPES } from './support/kinds_files.js';

interface Golden {
  options: object;
  size: number;
  ids: number[];
  distances: number[];
}

const path = (name: string): URL => new URL(`./golden/v1/${name}`, import.meta.url);
const goldens = JSON.parse(readFileSync(path('answers.json'), 'utf8')) as Record<string, Golden>;

/** Every storage. */
const STORAGES = [
  ...['f32', 'f16', 'bf16', 'sq8', 'i8', 'u8', 'bits'],
  { codec: 'pq', m: 4, bits: 4 },
  { codec: 'pq', m: 4, bits: 8 },
  { codec: 'rabitq', bits: 1 },
  { codec: 'rabitq', bits: 4 },
];

/** What tells one storage from another: the bits of rabitq are but a number. */
function codecOf(storage: unknown): string {
  if (typeof storage !== 'object' || storage === null) return String(storage ?? 'f32');
  const { codec, bits = 8 } = storage as { codec: string; bits?: number };
  return codec === 'pq' ? `pq${bits}` : codec;
}

describe('files of format 1', () => {
  test('there is one of every structure with every codec that it takes', async () => {
    expect(Object.keys(goldens).sort()).toEqual(Object.keys(RECIPES).sort());
    const covered = new Set(
      Object.values(RECIPES).map(({ kind, options }) => {
        return `${kind} ${codecOf((options as { storage?: unknown }).storage)}`;
      }),
    );
    let accepted = 0;
    for (const [kind, Class] of Object.entries({ FlatIndex, HnswIndex, IvfIndex })) {
      const create = Class.create as (options: object) => Promise<AnyIndex>;
      for (const storage of STORAGES) {
        const options = { dim: 64, storage, ...(kind === 'IvfIndex' && { nlist: 4 }) };
        try {
          (await create(options)).close();
        } catch (error) {
          if (!(error instanceof AnnexError)) throw error;
          continue;
        }
        accepted++;
        expect(covered).toContain(`${kind} ${codecOf(storage)}`);
      }
    }
    expect(accepted).toBeGreaterThanOrEqual(27);
  });

  test.each(Object.keys(goldens))('%s', async (name) => {
    const golden = goldens[name] as Golden;
    const index = (await open(path(`${name}.annex`))) as AnyIndex;
    expect(index.metadata).toEqual({ name });
    expect(index.options()).toEqual(golden.options);
    expect(index.size).toBe(golden.size);
    const { ids, distances } = answers(name, index);
    expect(ids).toEqual(golden.ids);
    for (const [i, distance] of distances.entries()) {
      const wanted = golden.distances[i] as number;
      expect(Math.abs(distance - wanted)).toBeLessThanOrEqual(1e-4 * Math.max(1, Math.abs(wanted)));
    }
    const { format, size } = await inspect(path(`${name}.annex`));
    expect([format, size]).toEqual([1, golden.size]);
  });
});
