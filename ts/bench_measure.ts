// Numbers out of repeated measurements.

/** Median and range of repeated measurements. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export function spread(values: readonly number[]): Spread {
  if (values.length === 0) throw new Error('expected at least one value');
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { median, min: sorted[0]!, max: sorted.at(-1)! };
}

/** Runs the collector, where Node was started with --expose-gc, so that what came before is not charged to what comes. */
export function collectGarbage(): void {
  (globalThis as { gc?: () => void }).gc?.();
}

/**
 * Mean share of the first k true ids that were found, k of them a query. `width` is the length of a row of `truth`; where
 * it has fewer rows than there are queries, the queries repeat.
 */
export function recall(ids: ArrayLike<number>, truth: ArrayLike<number>, k: number, width = k): number {
  const queries = ids.length / k;
  const distinct = truth.length / width;
  let hits = 0;
  for (let q = 0; q < queries; q++) {
    const start = (q % distinct) * width;
    const row = new Set<number>();
    for (let j = 0; j < k; j++) row.add(truth[start + j]!);
    for (let j = 0; j < k; j++) if (row.has(ids[q * k + j]!)) hits++;
  }
  return hits / (queries * k);
}
