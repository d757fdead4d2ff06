import { describe, expect, test } from 'vitest';
import { Pace, Turns, turn } from '../../ts/turns.js';

/** Keeps the thread busy. */
function spin(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

/** Work of `total` units of `ms` each, and what happened to it. */
function workOf(total: number, ms: number, slices: number[] = []) {
  let done = 0;
  let ended = 0;
  return {
    left: () => total - done,
    step: (units: number) => {
      spin(units * ms);
      done += units;
      slices.push(units);
    },
    end: () => {
      ended++;
    },
    ended: () => ended,
  };
}

/** Runs `work` and returns the times for which the event loop had to wait, descending. */
async function pauses(work: () => Promise<unknown>): Promise<number[]> {
  const seen: number[] = [];
  let running = true;
  let last = performance.now();
  const watch = () => {
    const now = performance.now();
    seen.push(now - last);
    last = now;
    if (running) setImmediate(watch);
  };
  setImmediate(watch);
  await work();
  running = false;
  return seen.sort((a, b) => b - a);
}

describe('asynchronous work on the calling thread', () => {
  test('is cut into slices of a few milliseconds', async () => {
    const turns = new Turns(turn);
    const slices: number[] = [];
    const seen = await pauses(() => turns.run(workOf(4000, 0.05, slices), new Pace({ ms: 0 })));
    expect(slices.reduce((a, b) => a + b)).toBe(4000);
    expect(slices[0]).toBe(1);
    // 200 ms of work; a busy machine may stretch single pauses, but not most of them.
    expect(seen.filter((ms) => ms > 1).length).toBeGreaterThan(20);
    expect(seen[5]).toBeLessThan(8);
  });

  test('shares the thread: many small works do not add up to a long pause', async () => {
    const turns = new Turns(turn);
    const seen = await pauses(() =>
      Promise.all(Array.from({ length: 300 }, () => turns.run(workOf(1, 1), new Pace({ ms: 0 })))),
    );
    expect(seen.filter((ms) => ms > 1).length).toBeGreaterThan(30);
    expect(seen[5]).toBeLessThan(10);
  });

  test('lets the event loop go on even when every call is awaited at once', async () => {
    const turns = new Turns(turn);
    let ticks = 0;
    const timer = setInterval(() => ticks++, 1);
    for (let i = 0; i < 100; i++) await turns.run(workOf(1, 0.5), new Pace({ ms: 0 }));
    clearInterval(timer);
    expect(ticks).toBeGreaterThan(5);
  });

  test('stops at an abort, ends once, and leaves other work alone', async () => {
    const turns = new Turns(turn);
    const controller = new AbortController();
    const stopped = workOf(1_000_000, 0.1);
    const other = workOf(500, 0.1);
    const first = turns.run(stopped, new Pace({ ms: 0 }), controller.signal);
    const second = turns.run(other, new Pace({ ms: 0 }));
    setTimeout(() => controller.abort(new Error('enough')), 10);
    await expect(first).rejects.toMatchObject({ code: 'ABORTED', cause: { message: 'enough' } });
    await second;
    expect([stopped.ended(), other.ended()]).toEqual([1, 1]);
    expect(stopped.left()).toBeGreaterThan(0);
  });

  test('refuses what is aborted before it starts, without a step', async () => {
    const work = workOf(10, 0);
    const run = new Turns(turn).run(work, new Pace({ ms: 0 }), AbortSignal.abort());
    await expect(run).rejects.toMatchObject({ code: 'ABORTED' });
    expect([work.left(), work.ended()]).toEqual([10, 1]);
  });

  test('passes on what a step throws', async () => {
    const work = { ...workOf(10, 0), step: () => fail() };
    await expect(new Turns(turn).run(work, new Pace({ ms: 0 }))).rejects.toThrow('step');
    expect(work.ended()).toBe(1);
  });

  test('slices are whole grains', async () => {
    const slices: number[] = [];
    await new Turns(turn).run(workOf(1000, 0.001, slices), new Pace({ ms: 0 }, 64));
    expect(slices.slice(0, -1).every((units) => units % 64 === 0)).toBe(true);
    expect(slices.reduce((a, b) => a + b)).toBe(1000);
  });
});

function fail(): never {
  throw new Error('step');
}
