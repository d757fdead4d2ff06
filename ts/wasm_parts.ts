import type { SearchJob } from './backend.js';
import type { Work } from './turns.js';
import type { Core } from './wasm_core.js';
import { quietly } from './wasm_held.js';
import { type SearchPart, searchSlice } from './wasm_marshal.js';

/** Rows of the smallest part: a unit of the work. */
const PART_ROWS = 64;
const ALL_ROWS = 0xffff_ffff;

/**
 * A search that looks at every row, in parts: some queries go through all rows together, a part of the rows at a time,
 * then the next. So a slice may be much shorter than a single query on a large index takes, and no query goes alone.
 */
export class PartedSearch implements Work {
  readonly #core: Core;
  readonly #index: number;
  readonly #job: SearchJob;
  readonly #together: number;
  #query = 0;
  #part: SearchPart = { first: 0, rows: 0, changes: 0 };

  /** Keeps the index until the end. Of the job's arrays nothing but the results may change meanwhile. */
  constructor(core: Core, index: number, job: SearchJob, together: number) {
    this.#core = core;
    this.#index = index;
    this.#job = job;
    this.#together = together;
    core.abi.annex_retain(index);
  }

  left(): number {
    const groups = Math.ceil((this.#job.nq - this.#query) / this.#together);
    if (groups === 0) return 0;
    const rows = this.#rows();
    const ahead = groups * Math.ceil(rows / PART_ROWS) - Math.floor(this.#part.first / PART_ROWS);
    return Math.max(1, ahead);
  }

  step(units: number): void {
    const { nq } = this.#job;
    for (let left = units; left > 0 && this.#query < nq; ) {
      const to = Math.min(nq, this.#query + this.#together);
      const before = this.#part;
      const part = { ...before, rows: Math.min(left * PART_ROWS, ALL_ROWS) };
      searchSlice(this.#core, this.#index, this.#job, this.#query, to, part);
      if (before.first !== 0 && part.changes !== before.changes && part.first !== 0) {
        // Rows have moved, so the search began anew: whoever writes in every turn shall not keep it from ending.
        part.rows = ALL_ROWS;
        searchSlice(this.#core, this.#index, this.#job, this.#query, to, part);
      }
      const end = part.first === 0 ? this.#rows() : part.first;
      left -= Math.max(1, Math.ceil((end - before.first) / PART_ROWS));
      this.#part = part;
      if (part.first === 0) this.#query = to;
    }
    this.#core.trim();
  }

  end(): void {
    quietly(() => this.#core.abi.annex_release(this.#index));
  }

  #rows(): number {
    return this.#core.abi.annex_size(this.#index) >>> 0;
  }
}
