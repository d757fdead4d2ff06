/** Median and range of repeated measurements. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export function spread(values: readonly number[]): Spread {
  if (values.length === 0) throw new Error('expected at least one value');
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { median, min: sorted[0]!, max: sorted.at(-1)! };
}

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

/** Runs the collector, where Node was started with --expose-gc, so that what came before is not charged to what comes. */
export function collectGarbage(): void {
  (globalThis as { gc?: () => void }).gc?.();
}
