import { checkSignal } from './abort.js';
import { type Backend, type BackendIndex, type CoreFilter, MOST_COLUMNS } from './backend.js';
import { Coalescer } from './coalesce.js';
import { evaluate, evaluateSync } from './filter.js';
import { findNotFinite } from './finite.js';
import type { Kind } from './kind.js';
import { type BatchResult, SearchResult } from './results.js';
import {
  allocateFound,
  batchResult,
  checkK,
  columns,
  jobOf,
  NO_PARAMS,
  type Params,
  SearchGrammar,
  searchRows,
  searchRowsSync,
  singleResult,
  type Task,
} from './search.js';
import type { Shape } from './spec.js';
import { queryOf, rowsOf } from './vectors.js';

/** The searches of one index: what callers pass is checked here, and handed to the core. */
export class Searcher {
  readonly #backend: Backend;
  readonly #open: () => BackendIndex;
  readonly #shape: Shape;
  readonly #grammar: SearchGrammar;
  readonly #coalescer: Coalescer;

  /** `open` throws CLOSED once the index is closed. */
  constructor(backend: Backend, open: () => BackendIndex, kind: Kind, shape: Shape) {
    this.#backend = backend;
    this.#open = open;
    this.#shape = shape;
    this.#grammar = new SearchGrammar(kind);
    this.#coalescer = new Coalescer(open, shape, shape);
  }

  /** Hands over what has been collected: before the index is closed. */
  flush(): void {
    this.#coalescer.flush();
  }

  search(query: unknown, k: number, options: unknown): Promise<SearchResult> {
    try {
      this.#open();
      const shape = this.#shape;
      const rows = queryOf(query, shape);
      checkK(k);
      const params = options === undefined ? NO_PARAMS : this.#grammar.parse('search', options, true);
      if (shape.rowBytes > shape.width) {
        // Floats are checked here: one bad query must not fail the batch in which it would run.
        const bad = findNotFinite(rows, shape.width, shape.width, 'query', 0);
        if (bad !== undefined) throw bad;
      }
      const { filter, options: tuning, signal } = params;
      if (typeof filter !== 'function') return this.#coalescer.search(rows, k, filter, tuning, signal);
      const copy = rows.slice();
      return this.#evaluated(params).then((allowed) => this.#coalescer.search(copy, k, allowed, tuning, signal));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  searchSync(query: unknown, k: number, options: unknown): SearchResult {
    this.#open();
    const shape = this.#shape;
    const row = queryOf(query, shape);
    checkK(k);
    const params = options === undefined ? NO_PARAMS : this.#grammar.parse('searchSync', options, false);
    const filter = this.#evaluatedSync(params);
    if (k <= MOST_COLUMNS) {
      const { ids, distances, count } = this.#open().searchOne(row, shape.type, k, filter, params.options);
      return new SearchResult(ids.slice(0, count), distances.slice(0, count), shape);
    }
    const task = this.#task(k, filter, params.options);
    const found = allocateFound(1, task.k);
    task.index.search(jobOf(task, row, 1, found));
    return singleResult(found, shape);
  }

  async searchBatch(queries: unknown, k: number, options: unknown): Promise<BatchResult> {
    this.#open();
    const rows = rowsOf(queries, this.#shape, 'query');
    checkK(k);
    const params = this.#grammar.parse('searchBatch', options, true);
    const filter = typeof params.filter === 'function' ? await this.#evaluated(params) : params.filter;
    const task = this.#task(k, filter, params.options);
    const empty = task.index.size() === 0;
    return batchResult(await searchRows(task, rows, params.signal), task.k, empty, this.#shape);
  }

  searchBatchSync(queries: unknown, k: number, options: unknown): BatchResult {
    this.#open();
    const rows = rowsOf(queries, this.#shape, 'query');
    checkK(k);
    const params = this.#grammar.parse('searchBatchSync', options, false);
    const task = this.#task(k, this.#evaluatedSync(params), params.options);
    const empty = task.index.size() === 0;
    return batchResult(searchRowsSync(task, rows), task.k, empty, this.#shape);
  }

  #task(k: number, filter: CoreFilter, options: Float64Array): Task {
    const index = this.#open();
    return { index, shape: this.#shape, k: columns(k, index, filter), filter, options };
  }

  #evaluatedSync({ filter }: Params): CoreFilter {
    return typeof filter === 'function' ? evaluateSync(this.#open, filter) : filter;
  }

  async #evaluated({ filter, signal }: Params): Promise<CoreFilter> {
    if (typeof filter !== 'function') return filter;
    return evaluate(this.#backend, this.#open, filter, () => {
      checkSignal(signal);
    });
  }
}
