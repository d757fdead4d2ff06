// The best point that a dense grid of search parameters has at a recall.
import type { TunedParams } from 'annex/eval';

/** Recall of parameters over all queries; asked for the same twice, it should not search twice. */
export type RecallOf = (params: TunedParams) => number;

/** Every whole number up to 24, then steps of 4 %. */
function values(low: number, high: number): number[] {
  const list: number[] = [];
  for (let x = low; x <= high; x = Math.max(x + 1, x < 24 ? x + 1 : Math.round(x * 1.04))) list.push(x);
  if (list.at(-1) !== high) list.push(high);
  return list;
}

const FACTORS = [
  1, 1.25, 1.5, 1.75, 2, 2.5, 3, 3.5, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 64, 80, 96, 128,
];

/** The position of the first value that does, of values in ascending order; their number where none does. */
function first(list: readonly number[], does: (value: number) => boolean): number {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (does(list[middle]!)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** The least value of one parameter that reaches the recall. */
export function leastOf(
  name: 'efSearch' | 'nprobe',
  low: number,
  high: number,
  target: number,
  recall: RecallOf,
): TunedParams[] {
  const list = values(low, high);
  const at = first(list, (value) => recall({ [name]: value }) >= target);
  return at < list.length ? [{ [name]: list[at]! }] : [];
}

/**
 * The front of the grid of both parameters: of every factor the fewest lists that reach the recall. Recall and cost grow with
 * either, so the cheapest point of the whole grid is one of these.
 */
export function front(nlist: number, target: number, recall: RecallOf): TunedParams[] {
  const found: TunedParams[] = [];
  let list = values(1, nlist);
  for (const rerankFactor of FACTORS.toReversed()) {
    const at = first(list, (nprobe) => recall({ nprobe, rerankFactor }) >= target);
    if (at === list.length) break;
    found.push({ nprobe: list[at]!, rerankFactor });
    // A smaller factor never needs fewer lists.
    list = list.slice(at);
  }
  // Of those with as many lists the smallest factor.
  return found.filter(({ nprobe }, i) => found[i + 1]?.nprobe !== nprobe);
}
