// Curves of recall against queries a second: Pareto fronts, and what they come to at a given recall.
import { spread } from './bench_measure.js';
import type { Point, Sample, SweepMode, SweepState, SystemState } from './bench_state.js';

/** Which clock queries a second are counted by: the wall's, or processor time (on one thread the same, undisturbed). */
export type Clock = 'wall' | 'cpu';

export interface CurvePoint {
  readonly recall: number;
  /** Queries a second, the median of the repetitions. */
  readonly rate: number;
  readonly system: SystemState;
  readonly point: Point;
}

export const rateOf = (samples: readonly Sample[], clock: Clock): number =>
  spread(samples.map((sample) => (clock === 'wall' ? sample.queriesPerSecond : sample.queriesPerCpuSecond))).median;

export function pointsOf(systems: readonly SystemState[], mode: SweepMode, clock: Clock = 'wall'): CurvePoint[] {
  return systems.flatMap((system) =>
    system.points.flatMap((point) => {
      const samples = point.samples[mode];
      if (point.recall === undefined || samples.length === 0) return [];
      return [{ recall: point.recall, rate: rateOf(samples, clock), system, point }];
    }),
  );
}

/** Points that no other beats in both recall and rate, by ascending recall (so by descending rate). */
export function pareto<P extends { readonly recall: number; readonly rate: number }>(points: readonly P[]): P[] {
  const front: P[] = [];
  let best = Number.NEGATIVE_INFINITY;
  for (const point of points.toSorted((a, b) => b.recall - a.recall || b.rate - a.rate)) {
    if (point.rate > best) {
      front.push(point);
      best = point.rate;
    }
  }
  return front.reverse();
}

export interface AtRecall {
  readonly rate: number;
  /** The curve starts above the recall that was asked for: at that recall the system may be faster than this. */
  readonly atLeast: boolean;
}

/**
 * Queries a second at a recall: on the Pareto front, between its neighbours linear in the logarithm of the rate. Undefined
 * where the curve does not reach the recall.
 */
export function rateAt(
  points: readonly { readonly recall: number; readonly rate: number }[],
  recall: number,
): AtRecall | undefined {
  const front = pareto(points);
  const above = front.findIndex((point) => point.recall >= recall);
  if (above < 0) return undefined;
  const upper = front[above]!;
  if (above === 0 || upper.recall === recall) return { rate: upper.rate, atLeast: upper.recall > recall };
  const lower = front[above - 1]!;
  const share = (recall - lower.recall) / (upper.recall - lower.recall);
  return { rate: Math.exp(Math.log(lower.rate) + share * Math.log(upper.rate / lower.rate)), atLeast: false };
}

/** Systems that are not skipped, by family in order of appearance. */
export function families(state: SweepState): Map<string, SystemState[]> {
  const all = new Map<string, SystemState[]>();
  for (const system of state.systems) {
    if (system.points.every(({ recall }) => recall === undefined)) continue;
    const of = all.get(system.family);
    if (of === undefined) all.set(system.family, [system]);
    else of.push(system);
  }
  return all;
}
