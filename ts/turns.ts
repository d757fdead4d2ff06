import { aborted } from './abort.js';

/** How long, in milliseconds, work may hold the thread before the event loop gets a turn. */
const HOLD = 3;

/** Long work that can be done in pieces. */
export interface Work {
  /** Units (rows, queries) still to be done. */
  left(): number;
  /** Does the next `units`, in one go. What it throws rejects the promise of the work. */
  step(units: number): void;
  /** Called once, when the work is done, has failed or was aborted. Must not throw. */
  end(): void;
}

/** Milliseconds that a unit of some kind of work took when last seen; 0 while unknown. */
export interface Cost {
  ms: number;
}

/** Sizes the slices of one piece of work. */
export class Pace {
  readonly #cost: Cost;
  readonly #grain: number;
  #ms = 0; // per unit, 0 while unknown
  #units = 0; // of the last slice

  /**
   * Slices are multiples of `grain` units. `cost` carries over from one piece of work to the next, but only to tell
   * whether a first slice still fits: what a unit costs differs between searches.
   */
  constructor(cost: Cost, grain = 1) {
    this.#cost = cost;
    this.#grain = grain;
  }

  /** How many units fit into `ms`: at least one grain, at most four times the slice before. */
  units(ms: number): number {
    const cap = Math.max(this.#units * 4, this.#grain);
    const fit = this.#ms > 0 ? Math.min(ms / this.#ms, cap) : cap;
    return Math.max(1, Math.floor(fit / this.#grain)) * this.#grain;
  }

  /** Milliseconds of the smallest slice, as far as known. */
  least(): number {
    return (this.#ms > 0 ? this.#ms : this.#cost.ms) * this.#grain;
  }

  saw(units: number, ms: number): void {
    this.#units = units;
    // Clocks are coarse in browsers and stand still in some workers: without a reading slices go on growing.
    this.#ms = ms / units;
    this.#cost.ms = this.#ms;
  }
}

interface Job {
  readonly work: Work;
  readonly pace: Pace;
  readonly signal: AbortSignal | undefined;
  readonly onAbort: (() => void) | undefined;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

/**
 * Runs pieces of work on the calling thread, in slices, by turns, and lets the event loop have a turn whenever they
 * have held the thread for {@link HOLD} ms together. A slice is longer only where a single unit is.
 */
export class Turns {
  readonly #turn: () => Promise<void>;
  readonly #jobs = new Set<Job>();
  #held = 0; // ms since the last turn
  #end = 0; // when the last slice ended
  #running = false;

  constructor(turn: () => Promise<void>) {
    this.#turn = turn;
  }

  run(work: Work, pace: Pace, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = signal === undefined ? undefined : () => this.#finish(job, { reason: aborted(signal) });
      const job: Job = { work, pace, signal, onAbort, resolve, reject };
      this.#jobs.add(job);
      if (signal !== undefined && onAbort !== undefined) {
        if (signal.aborted) {
          onAbort();
          return;
        }
        signal.addEventListener('abort', onAbort, { once: true });
      }
      if (!this.#running) {
        this.#running = true;
        queueMicrotask(() => void this.#pump());
      }
    });
  }

  async #pump(): Promise<void> {
    while (this.#jobs.size > 0) {
      for (const job of this.#jobs) {
        this.#countGap();
        if (this.#held >= HOLD || (this.#held > 0 && this.#held + job.pace.least() > HOLD)) {
          this.#held = 0;
          await this.#turn();
          this.#end = performance.now();
          if (!this.#jobs.has(job)) continue; // aborted meanwhile
        }
        this.#slice(job);
      }
    }
    this.#running = false;
  }

  /** What the caller did since the last slice, preparing the next, holds the thread as well. */
  #countGap(): void {
    const now = performance.now();
    const gap = now - this.#end;
    if (gap < HOLD) this.#held += gap;
    this.#end = now;
  }

  #slice(job: Job): void {
    const { work, pace } = job;
    const units = Math.min(pace.units(HOLD - this.#held), work.left());
    const start = performance.now();
    let failure: { reason: unknown } | undefined;
    try {
      if (units > 0) work.step(units);
    } catch (reason) {
      failure = { reason };
    }
    this.#end = performance.now();
    const ms = this.#end - start;
    this.#held += ms;
    if (units > 0) pace.saw(units, ms);
    if (failure !== undefined || work.left() === 0) this.#finish(job, failure);
  }

  #finish(job: Job, failure: { reason: unknown } | undefined): void {
    if (!this.#jobs.delete(job)) return;
    if (job.onAbort !== undefined) job.signal?.removeEventListener('abort', job.onAbort);
    job.work.end();
    if (failure === undefined) job.resolve();
    else job.reject(failure.reason);
  }
}

/** Makes one call when its turn has come. */
export async function inTurn<T>(turns: Turns, call: () => T, signal?: AbortSignal): Promise<T> {
  const results: T[] = [];
  const work = {
    left: () => 1 - results.length,
    step: () => {
      results.push(call());
    },
    end: () => {},
  };
  await turns.run(work, new Pace({ ms: 0 }), signal);
  return results[0] as T;
}

/** One turn of the event loop, without the 4 ms that nested timers wait in browsers. */
export const turn: () => Promise<void> = chooseTurn();

function chooseTurn(): () => Promise<void> {
  if (typeof setImmediate === 'function') {
    return () =>
      new Promise((resolve) => {
        setImmediate(resolve);
      });
  }
  if (typeof MessageChannel === 'function') return channelTurn();
  return () =>
    new Promise((resolve) => {
      setTimeout(resolve, 0);
    });
}

function channelTurn(): () => Promise<void> {
  let channel: MessageChannel | undefined;
  const waiting: (() => void)[] = [];
  return () =>
    new Promise((resolve) => {
      if (channel === undefined) {
        channel = new MessageChannel();
        channel.port1.onmessage = () => waiting.shift()?.();
      }
      waiting.push(resolve);
      channel.port2.postMessage(0);
    });
}
