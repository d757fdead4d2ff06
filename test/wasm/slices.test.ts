import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Pace, Turns, turn } from '../../ts/turns.js';

// Time passes only while work is done, so that a busy machine changes nothing.
let now = 0;
/** How long the thread was held before each turn of the event loop. */
let holds: number[] = [];
let since = 0;

function countedTurn(): Promise<void> {
  holds.push(now - since);
  since = now;
  return turn();
}

beforeEach(() => {
  now = since = 0;
  holds = [];
  vi.spyOn(performance, 'now').mockImplementation(() => now);
});
afterEach(() => {
  vi.restoreAllMocks();
});

/** Work of `total` units that take `ms` each, and what happened to it. */
function workOf(total: number, ms: number, slices: number[] = []) {
  let done = 0;
  let ended = 0;
  return {
    left: () => total - done,
    step: (units: number) => {
      now += units * ms;
      done += units;
      slices.push(units);
    },
    end: () => {
      ended++;
    },
    ended: () => ended,
  };
}

const pace = (grain?: number) => new Pace({ ms: 0 }, grain);
const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);

describe('asynchronous work on the calling thread', () => {
  test.each([0.0001, 0.003, 0.05, 0.7, 3])('is cut into slices of a few milliseconds, at %f ms a unit', async (ms) => {
    const slices: number[] = [];
    const total = Math.ceil(200 / ms);
    await new Turns(countedTurn).run(workOf(total, ms, slices), pace());
    expect(sum(slices)).toBe(total);
    expect(slices[0]).toBe(1);
    expect(Math.max(...holds)).toBeLessThanOrEqual(5);
    expect(holds.length).toBeLessThan(90); // and not into crumbs
  });

  test('holds the thread longer only for a single unit', async () => {
    await new Turns(countedTurn).run(workOf(20, 30), pace());
    expect(holds.slice(1).every((ms) => ms === 30)).toBe(true);
  });

  test('shares the thread: many small works do not add up to a long pause', async () => {
    const turns = new Turns(countedTurn);
    const cost = { ms: 0 };
    await Promise.all(Array.from({ length: 300 }, () => turns.run(workOf(1, 1), new Pace(cost))));
    expect(holds.length).toBeGreaterThan(70); // 300 ms of work
    expect(Math.max(...holds)).toBeLessThanOrEqual(5);
  });

  test('does not trust what units of other work have cost', async () => {
    const turns = new Turns(countedTurn);
    const cost = { ms: 0 };
    await turns.run(workOf(10_000, 0.001), new Pace(cost));
    await turns.run(workOf(100, 2), new Pace(cost));
    expect(Math.max(...holds)).toBeLessThanOrEqual(6);
  });

  test('lets the event loop go on even when every call is awaited at once', async () => {
    const turns = new Turns(countedTurn);
    for (let i = 0; i < 100; i++) await turns.run(workOf(1, 0.5), pace());
    expect(holds.length).toBeGreaterThan(10);
    expect(Math.max(...holds)).toBeLessThanOrEqual(5);
  });

  test('counts what the caller does between its calls', async () => {
    const turns = new Turns(countedTurn);
    for (let i = 0; i < 40; i++) {
      now += 1.5; // copies the next rows, say
      await turns.run(workOf(20, 0.1), pace());
    }
    expect(Math.max(...holds)).toBeLessThanOrEqual(6);
  });

  test('goes on where the clock stands still', async () => {
    const slices: number[] = [];
    await new Turns(countedTurn).run(workOf(100_000, 0, slices), pace());
    expect(sum(slices)).toBe(100_000);
    expect(slices.length).toBeLessThan(20);
  });

  test('stops at an abort, ends once, and leaves other work alone', async () => {
    const turns = new Turns(countedTurn);
    const controller = new AbortController();
    const stopped = workOf(1_000_000, 0.1);
    const other = workOf(500, 0.1);
    const first = turns.run(stopped, pace(), controller.signal);
    const second = turns.run(other, pace());
    setTimeout(() => controller.abort(new Error('enough')), 1);
    await expect(first).rejects.toMatchObject({ code: 'ABORTED', cause: { message: 'enough' } });
    await second;
    expect([stopped.ended(), other.ended()]).toEqual([1, 1]);
    expect(stopped.left()).toBeGreaterThan(0);
    const left = stopped.left();
    await turn();
    expect(stopped.left()).toBe(left);
  });

  test('refuses what is aborted before it starts, without a step', async () => {
    const work = workOf(10, 0);
    const run = new Turns(countedTurn).run(work, pace(), AbortSignal.abort());
    await expect(run).rejects.toMatchObject({ code: 'ABORTED' });
    expect([work.left(), work.ended()]).toEqual([10, 1]);
  });

  test('passes on what a step throws', async () => {
    const failing = () => {
      throw new Error('step');
    };
    const work = { ...workOf(10, 0), step: failing };
    await expect(new Turns(countedTurn).run(work, pace())).rejects.toThrow('step');
    expect(work.ended()).toBe(1);
  });

  test('slices are whole grains', async () => {
    const slices: number[] = [];
    await new Turns(countedTurn).run(workOf(1000, 0.01, slices), pace(64));
    expect(slices.slice(0, -1).every((units) => units % 64 === 0)).toBe(true);
    expect(sum(slices)).toBe(1000);
  });
});
