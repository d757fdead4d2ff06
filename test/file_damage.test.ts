import { readFileSync } from 'node:fs';
import { AnnexError, type AnyIndex, inspect, openSync } from 'annex';
import { describe, expect, test } from 'vitest';
import { answers, RECIPES } from './support/kinds_files.js';

/** How opening these bytes ends; with a name, what opens is searched. */
function outcome(bytes: Uint8Array, verify: 'full' | 'lazy', name?: string): string {
  try {
    const index = openSync(bytes, { verify }) as AnyIndex;
    if (name !== undefined) answers(name, index);
    index.close();
    return 'opened';
  } catch (error) {
    if (!(error instanceof AnnexError)) throw error;
    expect(error.message.length).toBeGreaterThan(20);
    return error.code;
  }
}

describe.each(Object.keys(RECIPES))('%s', (name) => {
  const whole = new Uint8Array(readFileSync(new URL(`./golden/v1/${name}.annex`, import.meta.url)));

  // Larger files here and there: what they hold is in smaller ones too.
  const step = whole.length < 9000 ? 1 : 7;

  test('cut at every byte', async () => {
    expect(outcome(whole, 'full', name)).toBe('opened');
    for (let n = 0; n < whole.length; n += step) {
      const found = outcome(whole.subarray(0, n), 'full');
      if (found !== 'CORRUPT') expect([n, found]).toEqual([n, 'CORRUPT']);
    }
    for (let n = 0; n < whole.length; n += 97) {
      await expect(inspect(whole.subarray(0, n))).rejects.toMatchObject({ code: 'CORRUPT' });
    }
  });

  test('every byte changed', () => {
    const bad = whole.slice();
    for (let at = 0; at < whole.length; at += step) {
      const was = bad[at] as number;
      bad[at] = was ^ ([1, 16, 128, 255][at % 4] as number);
      const found = outcome(bad, 'full');
      if (found !== 'CORRUPT') expect([at, found]).toEqual([at, 'CORRUPT']);
      if (at % 5 === 0) {
        // Rows and codes may then be wrong, and the answers with them.
        const lazy = outcome(bad, 'lazy', name);
        if (lazy !== 'opened') expect([at, lazy]).toEqual([at, 'CORRUPT']);
      }
      bad[at] = was;
    }
  });
});
