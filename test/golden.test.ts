import { readFileSync } from 'node:fs';
import { type AnyIndex, inspect, open } from 'annex';
import { describe, expect, test } from 'vitest';
import { answers } from './support/kinds_files.js';

interface Golden {
  options: object;
  size: number;
  ids: number[];
  distances: number[];
}

const path = (name: string): URL => new URL(`./golden/v1/${name}`, import.meta.url);
const goldens = JSON.parse(readFileSync(path('answers.json'), 'utf8')) as Record<string, Golden>;

describe('files of format 1', () => {
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
