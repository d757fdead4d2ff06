// The entry point annex/eval: how good, how fast, and how stable. It has no core of its own and works with any index.
export {
  type ChangedQuery,
  type CompareOptions,
  type Comparison,
  compareRuns,
  type RecallChange,
  type RecallDrift,
} from './eval_compare.js';
export { type ExactOptions, type ExactProgress, type ExactSearchOptions, exactNeighbors } from './eval_exact.js';
export type { Ranked, Run, RunTable, Truth, Truths } from './eval_lists.js';
export { type Measured, type MeasureOptions, measure, type Quality } from './eval_measure.js';
export {
  averagePrecision,
  type GainOptions,
  ndcgAtK,
  precisionAtK,
  type RecallOptions,
  recallAtK,
  reciprocalRank,
  topKHit,
} from './eval_metrics.js';
export {
  type EvaluateOptions,
  type EvaluateProgress,
  type Evaluation,
  evaluate,
  type Latency,
  type SearchableIndex,
  type Throughput,
} from './eval_run.js';
export {
  type BootstrapOptions,
  confidenceInterval,
  type Interval,
  type LatencySummary,
  latencySummary,
  percentile,
} from './eval_stats.js';
export { type Plan, type PlanOptions, type Predicted, type PredictedRecall, type Proposal, plan } from './plan.js';
export {
  type Trial,
  type TunableIndex,
  type Tuned,
  type TunedParams,
  type TuneOptions,
  type TuneProgress,
  tune,
} from './tune.js';
