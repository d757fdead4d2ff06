import { checkSameCount, type List, listsOf, type Run, type Truths, truthsOf } from './eval_lists.js';
import { type Measured, summarise } from './eval_measure.js';
import { caseOf, checkTolerance, type RecallOptions, recall } from './eval_metrics.js';
import { type BootstrapOptions, bootstrapOf } from './eval_stats.js';
import { checkOptions } from './names.js';
import { checkK } from './search.js';

/** Options of {@link compareRuns}. */
export interface CompareOptions extends RecallOptions {
  /** How many of each list to compare. Default: the length of the longest one in either run. */
  k?: number | undefined;
  /** How confidence intervals are computed. */
  bootstrap?: BootstrapOptions | undefined;
}

/** A query whose first k ids differ between two runs. */
export interface ChangedQuery {
  /** Position of the query. */
  readonly query: number;
  /** Share of ids in common. */
  readonly overlap: number;
  /** Ids of the first run that are missing from the second, best first. */
  readonly lost: Float64Array;
  /** Ids of the second run that were not in the first, best first. */
  readonly gained: Float64Array;
}

/** A query whose recall differs between two runs. */
export interface RecallChange {
  /** Position of the query. */
  readonly query: number;
  readonly before: number;
  readonly after: number;
  /** after − before. */
  readonly change: number;
}

/** Recall@k of two runs against one truth. */
export interface RecallDrift {
  readonly before: Measured;
  readonly after: Measured;
  /** after − before of each query. When its interval does not hold 0 the runs differ by more than chance. */
  readonly change: Measured;
  /** The queries that got worse, the worst first. */
  readonly worse: readonly RecallChange[];
  /** The queries that got better, the best first. */
  readonly better: readonly RecallChange[];
}

/** How two runs differ. */
export interface Comparison {
  readonly k: number;
  readonly queries: number;
  /**
   * Overlap@k of each query: ids that both have among their first k, divided by the longer list's number of them; 1
   * when both are empty.
   */
  readonly overlap: Measured;
  /** The queries whose ids differ, the least overlap first. Order within the first k does not count. */
  readonly changed: readonly ChangedQuery[];
  /** Undefined without a truth. */
  readonly recall: RecallDrift | undefined;
}

/**
 * Compares what two indexes, or one index at two times, found for the same queries: how much they have in common and,
 * with a truth, which queries got worse and by how much.
 *
 * @param a the run before: a BatchResult, or a list of search results.
 * @param b the run after.
 * @param truth what ought to be found, as for {@link evaluate}.
 * @throws AnnexError INVALID_TYPE, INVALID_ARGUMENT (runs of different sizes), INVALID_ID, DUPLICATE_ID,
 * DIMENSION_MISMATCH
 */
export function compareRuns(a: Run, b: Run, truth?: Truths, options: CompareOptions = {}): Comparison {
  const given = checkOptions<CompareOptions>('compareRuns', options, ['k', 'tolerance', 'bootstrap']);
  const bootstrap = bootstrapOf('bootstrap of compareRuns', given.bootstrap);
  const tolerance = checkTolerance(given.tolerance);
  const first = listsOf(a, 'run a');
  const second = listsOf(b, 'run b');
  checkSameCount('run b', second.length, 'run a', first.length);
  const k = given.k === undefined ? longest(first, second) : checkK(given.k);
  const overlaps = new Float64Array(first.length);
  const changed: ChangedQuery[] = [];
  first.forEach((list, query) => {
    const one = compareLists(list, second[query] as List, query, k);
    overlaps[query] = one.overlap;
    if (one.overlap < 1) changed.push(one);
  });
  changed.sort((x, y) => x.overlap - y.overlap || x.query - y.query);
  const over = (values: Float64Array): Measured => finish(summarise(values, bootstrap));

  let drift: RecallDrift | undefined;
  if (truth !== undefined) {
    const truths = truthsOf(truth);
    checkSameCount('truth', truths.length, 'the runs', first.length);
    const recalls = (lists: readonly List[]): Float64Array =>
      Float64Array.from(truths, (one, i) => recall(caseOf(lists[i] as List, one, k), tolerance));
    const before = recalls(first);
    const after = recalls(second);
    const change = after.map((x, i) => x - (before[i] as number));
    const all = Array.from(change, (x, query) => ({
      query,
      before: before[query] as number,
      after: after[query] as number,
      change: x,
    }));
    drift = {
      before: over(before),
      after: over(after),
      change: over(change),
      worse: all.filter((x) => x.change < 0).sort((x, y) => x.change - y.change || x.query - y.query),
      better: all.filter((x) => x.change > 0).sort((x, y) => y.change - x.change || x.query - y.query),
    };
  }
  return { k, queries: first.length, overlap: over(overlaps), changed, recall: drift };
}

function compareLists(a: List, b: List, query: number, k: number): ChangedQuery {
  const before = a.ids.subarray(0, Math.min(k, a.ids.length));
  const after = b.ids.subarray(0, Math.min(k, b.ids.length));
  const [inBefore, inAfter] = [new Set(before), new Set(after)];
  const lost = before.filter((id) => !inAfter.has(id));
  const gained = after.filter((id) => !inBefore.has(id));
  const most = Math.max(before.length, after.length);
  const overlap = most === 0 ? 1 : (before.length - lost.length) / most;
  return { query, overlap, lost, gained };
}

/** The default k; at least 1. */
function longest(a: readonly List[], b: readonly List[]): number {
  let k = 1;
  for (const lists of [a, b]) for (const { ids } of lists) k = Math.max(k, ids.length);
  return k;
}

function finish(work: Generator<void, Measured, void>): Measured {
  for (;;) {
    const { done, value } = work.next();
    if (done === true) return value;
  }
}
