import type { Trial, TunedParams } from './tune.js';

/** The searches of a tuning, as its strategies see them. */
export interface Search {
  /** The recall that the lower end of the interval must reach. */
  readonly target: number;
  /** Whether the budget is spent. */
  isOver(): boolean;
  /** Measures parameters; those measured before cost nothing. */
  try(params: TunedParams): Promise<Trial>;
  /** Queries a second, measured again. */
  time(params: TunedParams): Promise<number>;
}

/** Values closer than this share are not told apart: what lies between costs less than the clock's noise. */
const STEP = 1.02;

/** Rounds in which candidates are timed by turns. */
const ROUNDS = 7;

/** A candidate that another outran by so much in every round has no further part. */
const BEATEN = 1.5;

const passes = (search: Search, trial: Trial): boolean => trial.recall.low >= search.target;
const better = (a: Trial, b: Trial): Trial => (b.recall.mean > a.recall.mean ? b : a);

/**
 * The smallest value from `low` to `most` whose parameters reach the recall, recall growing with the value: doubling, then
 * halving the gap. Where none does, the trial with the best recall.
 */
export async function smallest(
  search: Search,
  low: number,
  most: number,
  params: (value: number) => TunedParams,
): Promise<Trial> {
  let failed = low - 1;
  let value = Math.min(low, most);
  let best = await search.try(params(value));
  let passed: Trial | undefined = passes(search, best) ? best : undefined;
  while (passed === undefined && value < most && !search.isOver()) {
    failed = value;
    value = Math.min(most, Math.max(value + 1, value * 2));
    const trial = await search.try(params(value));
    best = better(best, trial);
    if (passes(search, trial)) passed = trial;
  }
  if (passed === undefined) return best;
  while (value - failed > 1 && value > failed * STEP && !search.isOver()) {
    const middle = Math.ceil((value + failed) / 2);
    if (middle === value) break;
    const trial = await search.try(params(middle));
    if (passes(search, trial)) {
      value = middle;
      passed = trial;
    } else failed = middle;
  }
  return passed;
}

/** Factors that are told apart; the last stands for as much as there is to gain. */
const FACTORS = [1, 1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128];

/** How many times as many lists as must be looked into are worth a smaller factor. */
const WIDER = [1, 1.1, 1.25, 1.5, 2, 3];

/**
 * Pairs of nprobe and rerankFactor that just reach the recall: few lists with much reranking, to more lists with little.
 * Where none does, the best trial alone.
 */
export async function lists(search: Search, nlist: number, mostFactor: number): Promise<Trial[]> {
  const factors = FACTORS.filter((factor) => factor <= Math.max(1, mostFactor));
  const top = factors.at(-1) as number;
  const narrow = await smallest(search, 1, nlist, (nprobe) => ({ nprobe, rerankFactor: top }));
  if (!passes(search, narrow)) return [narrow];
  const least = narrow.params.nprobe as number;
  const found: Trial[] = [];
  for (const nprobe of new Set(WIDER.map((times) => Math.min(nlist, Math.ceil(least * times))))) {
    if (search.isOver() && found.length > 0) break;
    const trial = await smallest(search, 0, factors.length - 1, (at) => ({
      nprobe,
      rerankFactor: factors[at] as number,
    }));
    if (passes(search, trial)) found.push(trial);
  }
  return found.length > 0 ? found : [narrow];
}

/** As few lists as will do with the factor of a pair: {@link lists} takes wide steps. */
export async function narrowed(search: Search, trial: Trial): Promise<Trial> {
  const { nprobe = 1, rerankFactor } = trial.params;
  if (rerankFactor === undefined || !passes(search, trial)) return trial;
  const fewest = Math.max(1, Math.ceil(nprobe / 2));
  const less = await smallest(search, fewest, nprobe, (lists) => ({ nprobe: lists, rerankFactor }));
  return less.params.nprobe === nprobe || !passes(search, less) ? trial : less;
}

/** The fastest of some trials, timed by turns, so that a slow spell of the machine hits all alike. */
export async function fastest(search: Search, trials: readonly Trial[]): Promise<Trial> {
  if (trials.length === 1) return trials[0] as Trial;
  let running = trials.map((trial) => ({ trial, rate: 0 }));
  for (let round = 0; round < ROUNDS; round++) {
    // What disturbs a search makes it slower, never faster: the best of its times is nearest to what it costs.
    for (const one of running) one.rate = Math.max(one.rate, await search.time(one.trial.params));
    const top = Math.max(...running.map(({ rate }) => rate));
    running = running.filter(({ rate }) => rate * BEATEN >= top);
    if (search.isOver() || running.length === 1) break;
  }
  const { trial, rate } = running.reduce((a, b) => (b.rate > a.rate ? b : a));
  return { ...trial, queriesPerSecond: rate };
}
