import { Bitset } from 'annex';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { expectFailure } from './support/expect.js';

describe('Bitset', () => {
  it('behaves as a Set of ids', () => {
    const id = fc.integer({ min: 0, max: 300 });
    const step = fc.record({ op: fc.constantFrom('add', 'delete', 'has' as const), id });
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const bits = new Bitset();
        const model = new Set<number>();
        for (const { op, id } of steps) {
          if (op === 'add') {
            bits.add(id);
            model.add(id);
          } else expect(bits[op](id)).toBe(model[op](id));
          expect(bits.size).toBe(model.size);
        }
        expect([...bits]).toEqual([...model].sort((a, b) => a - b));
        expect(bits.capacity).toBeGreaterThan(Math.max(-1, ...model));
      }),
    );
  });

  it('combines as sets do', () => {
    const ids = fc.uniqueArray(fc.integer({ min: 0, max: 200 }));
    fc.assert(
      fc.property(ids, ids, fc.integer({ min: 0, max: 250 }), (a, b, capacity) => {
        const [x, y] = [Bitset.fromIds(a), Bitset.fromIds(b)];
        const sorted = (list: number[]): number[] => [...list].sort((p, q) => p - q);
        expect([...x.and(y)]).toEqual(sorted(a.filter((id) => b.includes(id))));
        expect([...x.or(y)]).toEqual(sorted([...new Set([...a, ...b])]));
        const wide = new Bitset(capacity).or(x);
        const rest = Array.from({ length: wide.capacity }, (_, id) => id).filter((id) => !a.includes(id));
        expect([...wide.not()]).toEqual(rest);
        expect(wide.not().size).toBe(rest.length);
        expect([...x]).toEqual(sorted(a));
      }),
    );
  });

  it('takes ids in every form', () => {
    const forms = [
      [3, 1, 3],
      [1n, 3n],
      Float64Array.of(1, 3),
      Uint32Array.of(3, 1),
      new Set([1, 3]),
      new Bitset(9).add(1).add(3),
    ];
    for (const form of forms) expect([...Bitset.fromIds(form)]).toEqual([1, 3]);
  });

  it('holds the largest id of a word and of a large set', () => {
    const bits = new Bitset().add(31).add(32).add(63).add(10_000_000);
    expect([...bits]).toEqual([31, 32, 63, 10_000_000]);
    expect(bits.has(2 ** 32 - 1)).toBe(false);
    expect(bits.capacity).toBe(10_000_001);
    expect(new Bitset(64).not().size).toBe(64);
  });

  it.each([
    ['an id below 0', () => new Bitset().add(-1), 'INVALID_ID', /2\^32 - 1.*got -1/],
    ['a fraction', () => new Bitset().has(0.5), 'INVALID_ID', /got 0\.5/],
    ['an id beyond 2^32', () => new Bitset().add(2 ** 32), 'INVALID_ID', /list of ids/],
    ['text', () => new Bitset().delete('1' as never), 'INVALID_TYPE', /got "1"/],
    ['a capacity of text', () => new Bitset('8' as never), 'INVALID_TYPE', /capacity/],
    ['a negative capacity', () => new Bitset(-1), 'INVALID_ARGUMENT', /0 to 2\^32, got -1/],
    ['a Set to combine with', () => new Bitset().and(new Set() as never), 'INVALID_TYPE', /Bitset/],
    ['ids that are none', () => Bitset.fromIds(5.5 as never), 'INVALID_ID', /got 5\.5/],
    ['null', () => Bitset.fromIds(null as never), 'INVALID_TYPE', /got null/],
  ] as const)('refuses %s', async (_, call, code, message) => {
    await expectFailure(call, code, message);
  });
});
