import type {
  Backend,
  BackendIndex,
  BackendOpener,
  BackendSaver,
  BackendWriter,
  CoreFilter,
  EngineInfo,
  FoundOne,
  InputCode,
  Rows,
  SearchJob,
  Stats,
  StepProgress,
  WriteMode,
} from './backend.js';
import { AnnexError } from './errors.js';
import { STATS_FIELDS, statsOf } from './fields.js';
import { type Cost, inTurn, Pace, Turns, turn } from './turns.js';
import type { Core } from './wasm_core.js';
import { openOpener, openSaver } from './wasm_files.js';
import { finalizer, quietly } from './wasm_held.js';
import { bytesPerQuery, copyIn, copyOut, progressAt, searchSlice } from './wasm_marshal.js';
import { PartedSearch } from './wasm_parts.js';

/** Rows, ids and results pass through linear memory in portions of about this many bytes. */
const PORTION = 4 << 20;
/** Rows of a slice: whole panels of the core (16 rows). */
const ROW_GRAIN = 64;
/** Queries that go through the rows together: enough for tiles to pay. */
const TOGETHER = 64;

/** The core in WebAssembly. Everything runs on the calling thread, asynchronous work in slices. */
export class WasmBackend implements Backend {
  readonly name = 'wasm';
  readonly turn = turn;
  readonly #core: Core;
  readonly #turns = new Turns(turn);

  constructor(core: Core) {
    this.#core = core;
  }

  engineInfo(): EngineInfo {
    const { abi } = this.#core;
    return {
      backend: 'wasm',
      isa: this.#core.string(abi.annex_isa()),
      threads: abi.annex_threads(),
      version: this.#core.string(abi.annex_version()),
      note: this.#core.string(abi.annex_isa_note()),
    };
  }

  create(options: Float64Array): BackendIndex {
    const core = this.#core;
    const at = core.reserve(8 + options.byteLength);
    core.f64.set(options, (at + 8) >>> 3);
    core.check(core.abi.annex_create(at + 8, options.length >>> 1, at));
    return new WasmIndex(core, this.#turns, core.u32[at >>> 2]!);
  }

  attach(): BackendIndex {
    throw unshared('attach');
  }

  readonly files = false;

  openOpener(flags: number, _path: string | null, bytes: number): BackendOpener {
    return openOpener(this.#core, this.#turns, flags, bytes, (at) => new WasmIndex(this.#core, this.#turns, at));
  }
}

function unshared(what: string): AnnexError {
  return new AnnexError(
    'UNSUPPORTED',
    `${what}: an index in WebAssembly lives in the memory of one thread, so no other can attach to it: create one ` +
      'in each worker, or use the native backend (Node.js)',
  );
}

function columnsOfOne(k: number): Pick<SearchJob, 'ids' | 'distances' | 'counts'> {
  return { ids: new Float64Array(k), distances: new Float32Array(k), counts: new Uint32Array(1) };
}

const lostIndexes = finalizer(({ core, pointer }) => core.abi.annex_release(pointer));
const lostWriters = finalizer(({ core, pointer }) => core.abi.annex_writer_abort(pointer));

class WasmIndex implements BackendIndex {
  readonly #core: Core;
  readonly #turns: Turns;
  readonly #searchCost: Cost = { ms: 0 };
  readonly #partCost: Cost = { ms: 0 };
  readonly #writeCost: Cost = { ms: 0 };
  #one = columnsOfOne(0);
  #pointer: number;

  constructor(core: Core, turns: Turns, pointer: number) {
    this.#core = core;
    this.#turns = turns;
    this.#pointer = pointer;
    lostIndexes?.register(this, { core, pointer }, this);
  }

  close(): void {
    const pointer = this.#pointer;
    if (pointer === 0) return;
    this.#pointer = 0;
    lostIndexes?.unregister(this);
    quietly(() => this.#core.abi.annex_release(pointer));
  }

  size(): number {
    return this.#core.abi.annex_size(this.#open()) >>> 0;
  }

  nextId(): number {
    return this.#core.abi.annex_next_id(this.#open());
  }

  stats(): Stats {
    const core = this.#core;
    const index = this.#open();
    const at = core.reserve(8 * STATS_FIELDS);
    core.abi.annex_stats(index, at);
    return statsOf(core.f64.subarray(at >>> 3, (at >>> 3) + STATS_FIELDS));
  }

  options(): Float64Array {
    const core = this.#core;
    const index = this.#open();
    const pairs = core.abi.annex_options(index, 0, 0) >>> 0;
    const at = core.reserve(pairs * 16);
    core.abi.annex_options(index, at, pairs);
    return core.f64.slice(at >>> 3, (at >>> 3) + pairs * 2);
  }

  openWriter(mode: WriteMode): BackendWriter {
    const core = this.#core;
    const index = this.#open();
    const at = core.reserve(8);
    core.check(core.abi.annex_writer_open(index, mode, at));
    return new WasmWriter(core, this.#turns, this.#writeCost, core.u32[at >>> 2]!);
  }

  remove(ids: Float64Array): number {
    return removeIds(this.#core, this.#open(), ids);
  }

  async removeAsync(ids: Float64Array): Promise<number> {
    const copy = ids.slice();
    let removed = 0;
    await this.#later(1, new Pace({ ms: 0 }), (index) => {
      removed = removeIds(this.#core, index, copy);
    });
    return removed;
  }

  has(ids: Float64Array, found: Uint8Array): void {
    const core = this.#core;
    const index = this.#open();
    for (const [from, to] of portions(ids.length, 9)) {
      const n = to - from;
      const at = core.reserve(n * 9);
      core.f64.set(ids.subarray(from, to), at >>> 3);
      core.check(core.abi.annex_has(index, at, n, at + n * 8));
      copyOut(core, at + n * 8, found, from, to);
    }
  }

  get(ids: Float64Array, rows: Rows, found: Uint8Array): void {
    const core = this.#core;
    const index = this.#open();
    if (ids.length === 0) return;
    const elements = rows.length / ids.length;
    const rowBytes = elements * rows.BYTES_PER_ELEMENT;
    for (const [from, to] of portions(ids.length, rowBytes + 9)) {
      const n = to - from;
      const at = core.reserve(n * (rowBytes + 9));
      const atRows = at + n * 8;
      const atFound = atRows + n * rowBytes;
      core.f64.set(ids.subarray(from, to), at >>> 3);
      core.check(core.abi.annex_get(index, at, n, atRows, atFound));
      copyOut(core, atRows, rows, from * elements, to * elements);
      copyOut(core, atFound, found, from, to);
    }
  }

  ids(start: number, out: Float64Array): number {
    const core = this.#core;
    const index = this.#open();
    let written = 0;
    for (const [from, to] of portions(out.length, 8)) {
      const at = core.reserve((to - from) * 8);
      const n = core.abi.annex_ids(index, start + from, to - from, at) >>> 0;
      out.set(core.f64.subarray(at >>> 3, (at >>> 3) + n), from);
      written += n;
      if (n < to - from) break;
    }
    return written;
  }

  search(job: SearchJob): void {
    const core = this.#core;
    const index = this.#open();
    const portion = queriesPerPortion(job);
    for (let from = 0; from < job.nq; from += portion) {
      searchSlice(core, index, job, from, Math.min(job.nq, from + portion));
    }
    core.trim();
  }

  searchOne(query: Rows, type: InputCode, k: number, filter: CoreFilter, options: Float64Array): FoundOne {
    if (this.#one.ids.length !== k) this.#one = columnsOfOne(k);
    const { ids, distances, counts } = this.#one;
    const { kind: filterKind, data, count: filterCount } = filter;
    const job = {
      queries: query,
      type,
      nq: 1,
      k,
      options,
      filterKind,
      filter: data,
      filterCount,
      ids,
      distances,
      counts,
    };
    this.search(job);
    return { ids, distances, count: counts[0]! };
  }

  async searchAsync(job: SearchJob, signal?: AbortSignal): Promise<void> {
    const core = this.#core;
    const copy: SearchJob = {
      ...job,
      queries: job.queries.slice(),
      options: job.options.slice(),
      filter: job.filter?.slice() ?? null,
    };
    const portion = queriesPerPortion(job);
    const index = this.#open();
    if (job.filterKind === 0 && core.abi.annex_divisible(index) !== 0) {
      const pace = new Pace(this.#partCost);
      await this.#turns.run(new PartedSearch(core, index, copy, Math.min(portion, TOGETHER)), pace, signal);
      return;
    }
    await this.#later(
      job.nq,
      new Pace(this.#searchCost),
      (index, from, to) => {
        for (let at = from; at < to; at += portion) searchSlice(core, index, copy, at, Math.min(to, at + portion));
        core.trim();
      },
      signal,
    );
  }

  share(): number {
    throw unshared('share');
  }

  openSaver(metadata: Uint8Array | null): BackendSaver {
    return openSaver(this.#core, this.#open(), metadata);
  }

  #open(): number {
    if (this.#pointer === 0) throw new AnnexError('CLOSED', 'the index is closed: create or open another one');
    return this.#pointer;
  }

  /** Runs `step` over [0, total) in slices, holding a reference of its own to the core's index. */
  #later(
    total: number,
    pace: Pace,
    step: (index: number, from: number, to: number) => void,
    signal?: AbortSignal,
  ): Promise<void> {
    const { abi } = this.#core;
    const index = this.#open();
    abi.annex_retain(index);
    let done = 0;
    const work = {
      left: () => total - done,
      step: (units: number) => {
        step(index, done, done + units);
        done += units;
      },
      end: () => quietly(() => abi.annex_release(index)),
    };
    return this.#turns.run(work, pace, signal);
  }
}

class WasmWriter implements BackendWriter {
  readonly #core: Core;
  readonly #turns: Turns;
  readonly #cost: Cost;
  #copy: Rows | undefined;
  #pointer: number;

  constructor(core: Core, turns: Turns, cost: Cost, pointer: number) {
    this.#core = core;
    this.#turns = turns;
    this.#cost = cost;
    this.#pointer = pointer;
    lostWriters?.register(this, { core, pointer }, this);
  }

  append(type: InputCode, rows: Rows, n: number, ids: Float64Array | null): void {
    this.#append(type, rows, n, ids, 0, n);
  }

  async appendAsync(
    type: InputCode,
    rows: Rows,
    n: number,
    ids: Float64Array | null,
    signal?: AbortSignal,
  ): Promise<void> {
    const copy = this.#copied(rows);
    const idsCopy = ids?.slice() ?? null;
    let done = 0;
    const work = {
      left: () => n - done,
      step: (units: number) => {
        this.#append(type, copy, n, idsCopy, done, done + units);
        done += units;
      },
      end: () => {},
    };
    await this.#turns.run(work, new Pace(this.#cost, ROW_GRAIN), signal);
  }

  /** A copy of rows that lasts until the next: one array serves all slices of a write, so that none becomes garbage. */
  #copied(rows: Rows): Rows {
    const { length } = rows;
    if (this.#copy?.constructor !== rows.constructor || this.#copy.length < length) this.#copy = rows.slice();
    else this.#copy.set(rows);
    return this.#copy.length === length ? this.#copy : this.#copy.subarray(0, length);
  }

  step(): StepProgress {
    const core = this.#core;
    const writer = this.#open();
    return progressAt(core, (at) => core.abi.annex_writer_step(writer, 0, at));
  }

  async stepAsync(signal?: AbortSignal): Promise<StepProgress> {
    return inTurn(this.#turns, () => this.step(), signal);
  }

  commit(): void {
    const pointer = this.#open();
    this.#pointer = 0;
    lostWriters?.unregister(this);
    this.#core.check(this.#core.abi.annex_writer_commit(pointer));
  }

  async commitAsync(): Promise<void> {
    await inTurn(this.#turns, () => this.commit());
  }

  abort(): void {
    const pointer = this.#pointer;
    if (pointer === 0) return;
    this.#pointer = 0;
    lostWriters?.unregister(this);
    quietly(() => this.#core.abi.annex_writer_abort(pointer));
  }

  #open(): number {
    if (this.#pointer === 0) throw new AnnexError('ABORTED', 'the write was aborted or committed before');
    return this.#pointer;
  }

  /** Appends rows `begin` … `end` of `rows`, which holds n. */
  #append(type: InputCode, rows: Rows, n: number, ids: Float64Array | null, begin: number, end: number): void {
    const core = this.#core;
    const writer = this.#open();
    if (n === 0) return;
    const elements = rows.length / n;
    const rowBytes = elements * rows.BYTES_PER_ELEMENT;
    for (const [first, last] of portions(end - begin, rowBytes + 8, ROW_GRAIN)) {
      const count = last - first;
      const from = begin + first;
      const at = core.reserve(count * (rowBytes + 8));
      const atRows = at + count * 8;
      if (ids !== null) core.f64.set(ids.subarray(from, from + count), at >>> 3);
      copyIn(core, atRows, rows, from * elements, (from + count) * elements);
      core.check(core.abi.annex_writer_append(writer, type, atRows, count, ids === null ? 0 : at, 0));
    }
    core.trim();
  }
}

function removeIds(core: Core, index: number, ids: Float64Array): number {
  // In one call, since either all of the ids are good or nothing is removed.
  const at = core.reserve(8 + ids.byteLength);
  try {
    core.f64.set(ids, (at + 8) >>> 3);
    core.check(core.abi.annex_remove(index, at + 8, ids.length, at));
    return core.u32[at >>> 2]!;
  } finally {
    quietly(() => core.trim());
  }
}

function queriesPerPortion(job: SearchJob): number {
  return Math.max(1, Math.floor(PORTION / bytesPerQuery(job)));
}

/** Cuts [0, n) into ranges of about PORTION bytes, each but the last a multiple of `grain` items. */
function* portions(n: number, bytes: number, grain = 1): Generator<[from: number, to: number]> {
  const step = Math.max(1, Math.floor(PORTION / bytes / grain)) * grain;
  for (let from = 0; from < n; from += step) yield [from, Math.min(n, from + step)];
}
