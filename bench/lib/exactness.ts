import { recall as share } from '../../ts/bench_measure.js';
import type { Dataset } from '../data/dataset.js';
import type { Found } from '../peers/peer.js';

export interface Agreement {
  /** Result slots compared. */
  readonly slots: number;
  /** Slots with the same id. */
  readonly same: number;
  /** Slots whose ids differ though both rows are equally far, up to the rounding of an f32 sum. */
  readonly ties: number;
  /** Slots that one of the two got wrong; the first is described in `example`. */
  readonly wrong: number;
  readonly example: string | undefined;
}

/**
 * Compares two exact answers slot by slot. Systems round differently, so ids may swap where the true distances (in f64)
 * differ by less than both f32 sums may be off: dim · 2^-23 times the sum of the magnitudes that were added.
 */
export function compareExact(dataset: Dataset, k: number, ours: Found, theirs: Found): Agreement {
  let same = 0;
  let ties = 0;
  let example: string | undefined;
  const slots = Math.min(ours.ids.length, theirs.ids.length);
  for (let slot = 0; slot < slots; slot++) {
    const [our, their] = [ours.ids[slot]!, theirs.ids[slot]!];
    if (our === their) {
      same++;
      continue;
    }
    const query = Math.floor(slot / k);
    if (our >= 0 && their >= 0 && equallyFar(dataset, query, our, their)) ties++;
    else example ??= `query ${query}, rank ${slot % k}: id ${our} here, ${their} there`;
  }
  return { slots, same, ties, wrong: slots - same - ties, example };
}

function equallyFar(dataset: Dataset, query: number, a: number, b: number): boolean {
  const [first, second] = [distance(dataset, query, a), distance(dataset, query, b)];
  const rounding = dataset.dim * 2 ** -23 * (first.magnitude + second.magnitude);
  return Math.abs(first.value - second.value) <= rounding;
}

/** The distance in f64, and the sum of the magnitudes of what is added up on the way. */
function distance(dataset: Dataset, query: number, id: number): { value: number; magnitude: number } {
  const { base, query: queries, dim, metric } = dataset;
  let dot = 0;
  let absolute = 0;
  let normQ = 0;
  let normX = 0;
  for (let d = 0; d < dim; d++) {
    const q = queries[query * dim + d]!;
    const x = base[id * dim + d]!;
    dot += q * x;
    absolute += Math.abs(q * x);
    normQ += q * q;
    normX += x * x;
  }
  if (metric === 'l2') return { value: normQ + normX - 2 * dot, magnitude: normQ + normX + 2 * absolute };
  if (metric === 'ip') return { value: -dot, magnitude: absolute };
  const scale = 1 / Math.sqrt(normQ * normX);
  return { value: 1 - dot * scale, magnitude: 1 + absolute * scale };
}

/** Whether two answers are equal to the bit, ids and distances. */
export function sameBits(a: Found, b: Found): boolean {
  const bytes = (array: Float64Array | Float32Array): Uint8Array =>
    new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  return (
    Buffer.compare(bytes(a.ids), bytes(b.ids)) === 0 && Buffer.compare(bytes(a.distances), bytes(b.distances)) === 0
  );
}

/** Mean share of the first k true ids that were found. */
export const recall = (found: Found, truth: ArrayLike<number>, k: number, width = k): number =>
  share(found.ids, truth, k, width);
