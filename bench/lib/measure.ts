import { type Spread, spread } from '../../ts/bench_measure.js';

export { collectGarbage, type Spread, spread } from '../../ts/bench_measure.js';

/**
 * Runs every task once per repetition, in turn (A B C A B C …), so that a machine that is slower for a while is
 * slower for all. The first round warms up and is not counted. Returns each task's values in order of repetition.
 */
export async function interleave<T>(
  tasks: readonly (() => Promise<T>)[],
  repetitions: number,
  onDone: () => void = () => undefined,
): Promise<T[][]> {
  const values = tasks.map((): T[] => []);
  for (let round = -1; round < repetitions; round++) {
    for (const [i, task] of tasks.entries()) {
      const value = await task();
      if (round >= 0) values[i]!.push(value);
      onDone();
    }
  }
  return values;
}

/** Spread of a / b, repetition by repetition: what both share of the machine's moods cancels out. */
export function ratio(a: readonly number[], b: readonly number[]): Spread {
  return spread(a.map((value, i) => value / b[i]!));
}
