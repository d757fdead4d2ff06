import { AnnexError, openSync, type SearchSyncOptions, type VectorIndex } from 'annex';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { row } from './support/data.js';
import { expectNearest } from './support/expect.js';
import { subjects } from './support/subjects.js';

const dim = 6;

/** An index and the Map that it must behave as. */
interface Pair {
  index: VectorIndex;
  exact: SearchSyncOptions;
  rows: Map<number, Float32Array>;
  nextId: number;
}

type Step =
  | { kind: 'add'; seeds: number[]; sync: boolean }
  | { kind: 'addIds' | 'upsert'; ids: number[]; sync: boolean }
  | { kind: 'remove'; ids: number[]; sync: boolean }
  | { kind: 'search'; seed: number; k: number; sync: boolean }
  | { kind: 'filter'; seed: number; ids: number[] }
  | { kind: 'abort'; ids: number[] }
  | { kind: 'bad'; ids: number[] }
  | { kind: 'compact'; sync: boolean }
  | { kind: 'reopen'; verify: 'full' | 'lazy' };

const id = fc.integer({ min: 0, max: 60 });
const ids = fc.array(id, { maxLength: 12 });
const sync = fc.boolean();
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('add' as const), seeds: ids, sync }),
  fc.record({ kind: fc.constantFrom('addIds' as const, 'upsert' as const), ids, sync }),
  fc.record({ kind: fc.constant('remove' as const), ids, sync }),
  fc.record({ kind: fc.constant('search' as const), seed: id, k: fc.integer({ min: 1, max: 70 }), sync }),
  fc.record({ kind: fc.constant('filter' as const), seed: id, ids }),
  fc.record({ kind: fc.constant('abort' as const), ids }),
  fc.record({ kind: fc.constant('bad' as const), ids }),
  fc.record({ kind: fc.constant('compact' as const), sync }),
  fc.record({ kind: fc.constant('reopen' as const), verify: fc.constantFrom('full' as const, 'lazy' as const) }),
);

/** Small integers, so that distances are exact and ties are common. */
function vectors(seeds: readonly number[], salt: number): Float32Array {
  return Float32Array.from({ length: seeds.length * dim }, (_, i) => {
    const seed = (seeds[Math.floor(i / dim)] as number) + salt;
    return ((seed * 31 + (i % dim) * 17) % 7) - 3;
  });
}

async function codeOf(call: () => unknown): Promise<string> {
  try {
    await call();
    return 'ok';
  } catch (error) {
    expect(error).toBeInstanceOf(AnnexError);
    return (error as AnnexError).code;
  }
}

async function apply(pair: Pair, step: Step, salt: number): Promise<void> {
  const { index, rows, exact } = pair;
  switch (step.kind) {
    case 'add': {
      const added = vectors(step.seeds, salt);
      const got = step.sync ? index.addSync(added) : await index.add(added);
      expect([...got]).toEqual(step.seeds.map((_, i) => pair.nextId + i));
      step.seeds.forEach((_, i) => void rows.set(pair.nextId + i, row(added, dim, i)));
      pair.nextId += step.seeds.length;
      return;
    }
    case 'addIds':
    case 'upsert': {
      const added = vectors(step.ids, salt);
      const repeated = new Set(step.ids).size < step.ids.length;
      const taken = step.kind === 'addIds' && step.ids.some((one) => rows.has(one));
      const code = await codeOf(() => {
        if (step.kind === 'upsert') {
          return step.sync ? index.upsertSync(step.ids, added) : index.upsert(step.ids, added);
        }
        return step.sync ? index.addSync(added, { ids: step.ids }) : index.add(added, { ids: step.ids });
      });
      expect(code).toBe(repeated || taken ? 'DUPLICATE_ID' : 'ok');
      if (code !== 'ok') return;
      step.ids.forEach((one, i) => void rows.set(one, row(added, dim, i)));
      pair.nextId = Math.max(pair.nextId, ...step.ids.map((one) => one + 1));
      return;
    }
    case 'remove': {
      const repeated = new Set(step.ids).size < step.ids.length;
      let removed = 0;
      const code = await codeOf(async () => {
        removed = step.sync ? index.removeSync(step.ids) : await index.remove(step.ids);
      });
      expect(code).toBe(repeated ? 'DUPLICATE_ID' : 'ok');
      if (code === 'ok') expect(removed).toBe(step.ids.filter((one) => rows.delete(one)).length);
      return;
    }
    case 'search': {
      const query = vectors([step.seed], salt);
      const hit = step.sync ? index.searchSync(query, step.k, exact) : await index.search(query, step.k, exact);
      expectNearest(hit, 'l2', rows, query, step.k);
      return;
    }
    case 'filter': {
      const query = vectors([step.seed], salt);
      const hit = await index.search(query, 5, { ...exact, filter: step.ids });
      expectNearest(hit, 'l2', rows, query, 5, { allowed: (one) => step.ids.includes(one) });
      return;
    }
    case 'abort': {
      const controller = new AbortController();
      const distinct = [...new Set(step.ids)];
      const added = vectors(distinct, salt);
      const writing = codeOf(() => index.upsert(distinct, added, { signal: controller.signal }));
      const searching = codeOf(() => index.search(vectors([1], salt), 3, { signal: controller.signal }));
      controller.abort();
      expect(await searching).toBe('ABORTED');
      // The write may have been done before it could be stopped: then all of it is there, else none.
      if ((await writing) === 'ok') {
        distinct.forEach((one, i) => void rows.set(one, row(added, dim, i)));
        pair.nextId = Math.max(pair.nextId, ...distinct.map((one) => one + 1));
      }
      return;
    }
    case 'compact': {
      if (step.sync) index.compactSync();
      else await index.compact();
      expect(index.stats().removed).toBe(0);
      return;
    }
    case 'reopen': {
      const bytes = index.toBytesSync();
      index.close();
      pair.index = openSync(bytes, { verify: step.verify }) as VectorIndex;
      return;
    }
    case 'bad': {
      const added = vectors([...step.ids, 1], salt);
      added[added.length - 1] = Number.NaN;
      expect(await codeOf(() => index.add(added))).toBe('NOT_FINITE');
      expect(await codeOf(() => index.addSync(added))).toBe('NOT_FINITE');
    }
  }
}

function expectSame({ index, rows }: Pair): void {
  expect(index.size).toBe(rows.size);
  expect([...index.ids()].sort((a, b) => a - b)).toEqual([...rows.keys()].sort((a, b) => a - b));
  for (const [one, vector] of rows) expect(index.get(one)).toEqual(vector);
}

describe.each(subjects)('$name', ({ create, exact }) => {
  it('behaves as a Map of vectors, whatever is done to it', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 25 }), async (steps) => {
        const pair: Pair = { index: create({ dim }), exact, rows: new Map(), nextId: 0 };
        for (const [i, one] of steps.entries()) {
          await apply(pair, one, i);
          expectSame(pair);
        }
        pair.index.close();
      }),
      { numRuns: 150 },
    );
  });
});
