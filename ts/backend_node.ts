import { type Addon, type IndexHandle, ONE, type SearchArguments, type SearchOne, type WriterHandle } from './addon.js';
import {
  type Backend,
  type BackendIndex,
  type BackendOpener,
  type BackendSaver,
  type BackendWriter,
  type CoreFilter,
  type EngineInfo,
  type FoundOne,
  type InputCode,
  MOST_COLUMNS,
  type Rows,
  type SearchJob,
  type Stats,
  type StepProgress,
  type WriteMode,
} from './backend.js';
import { errorOfStatus } from './errors.js';
import { progressOf, STATS_FIELDS, statsOf } from './fields.js';
import { NodeOpener, NodeSaver } from './node_files.js';
import { Tasks } from './node_tasks.js';

/** Room for the options of any kind of index, as (key, value) pairs. */
const MAX_OPTIONS = 64;

/** The backend over the native addon: work runs on the core's threads. */
export class NodeBackend implements Backend {
  readonly name = 'native';
  readonly #addon: Addon;
  readonly #tasks: Tasks;

  constructor(addon: Addon) {
    addon.init(errorOfStatus);
    this.#addon = addon;
    this.#tasks = new Tasks(addon);
  }

  engineInfo(): EngineInfo {
    const [version, isa, note, threads] = this.#addon.engine();
    return { backend: this.name, isa, threads, version, note };
  }

  create(options: Float64Array): BackendIndex {
    return new NodeIndex(this.#addon, this.#tasks, this.#addon.create(options));
  }

  attach(token: number): BackendIndex {
    return new NodeIndex(this.#addon, this.#tasks, this.#addon.attach(token));
  }

  readonly files = true;

  openOpener(flags: number, path: string | null, bytes: number): BackendOpener {
    const handle = this.#addon.openOpener(flags, path, bytes);
    return new NodeOpener(this.#addon, this.#tasks, handle, (index) => new NodeIndex(this.#addon, this.#tasks, index));
  }

  turn(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve));
  }
}

class NodeIndex implements BackendIndex {
  readonly #addon: Addon;
  readonly #tasks: Tasks;
  readonly #handle: IndexHandle;
  #one: NodeOne | undefined;

  constructor(addon: Addon, tasks: Tasks, handle: IndexHandle) {
    this.#addon = addon;
    this.#tasks = tasks;
    this.#handle = handle;
  }

  close(): void {
    this.#addon.close(this.#handle);
  }

  size(): number {
    return this.#addon.size(this.#handle);
  }

  nextId(): number {
    return this.#addon.nextId(this.#handle);
  }

  stats(): Stats {
    const fields = new Float64Array(STATS_FIELDS);
    this.#addon.stats(this.#handle, fields);
    return statsOf(fields);
  }

  options(): Float64Array {
    const pairs = new Float64Array(2 * MAX_OPTIONS);
    return pairs.slice(0, 2 * this.#addon.options(this.#handle, pairs));
  }

  openWriter(mode: WriteMode): BackendWriter {
    return new NodeWriter(this.#addon, this.#tasks, this.#addon.openWriter(this.#handle, mode));
  }

  remove(ids: Float64Array): number {
    return this.#addon.remove(this.#handle, ids);
  }

  removeAsync(ids: Float64Array): Promise<number> {
    return this.#tasks.start(() => this.#addon.removeAsync(this.#handle, ids));
  }

  has(ids: Float64Array, found: Uint8Array): void {
    this.#addon.has(this.#handle, ids, found);
  }

  get(ids: Float64Array, rows: Rows, found: Uint8Array): void {
    this.#addon.get(this.#handle, ids, rows, found);
  }

  ids(start: number, out: Float64Array): number {
    return this.#addon.ids(this.#handle, start, out);
  }

  search(job: SearchJob): void {
    this.#addon.search(...this.#arguments(job));
  }

  searchOne(query: Rows, _type: InputCode, k: number, filter: CoreFilter, options: Float64Array): FoundOne {
    this.#one ??= new NodeOne(this.#addon.bindSearch(this.#handle));
    return this.#one.search(query, k, filter, options);
  }

  searchAsync(job: SearchJob, signal?: AbortSignal): Promise<void> {
    return this.#tasks.cancellable(signal, (key) => this.#addon.searchAsync(...this.#arguments(job), key));
  }

  share(): number {
    return this.#addon.share(this.#handle);
  }

  openSaver(metadata: Uint8Array | null, path: string | null): BackendSaver {
    return new NodeSaver(this.#addon, this.#tasks, this.#addon.openSaver(this.#handle, metadata, path));
  }

  #arguments(job: SearchJob): SearchArguments {
    return [
      this.#handle,
      job.queries,
      job.type,
      job.nq,
      job.k,
      job.options,
      job.filterKind,
      job.filter,
      job.filterCount,
      job.ids,
      job.distances,
      job.counts,
    ];
  }
}

/** Searches of one index for one query at a time. */
class NodeOne implements FoundOne {
  readonly ids: Float64Array;
  readonly distances: Float32Array;
  readonly #search: SearchOne;
  readonly #block = new Float64Array(ONE.length);
  #options: Float64Array | undefined;

  constructor(search: SearchOne) {
    const { buffer } = this.#block;
    this.#search = search;
    this.ids = new Float64Array(buffer, 8 * ONE.ids, MOST_COLUMNS);
    this.distances = new Float32Array(buffer, 8 * ONE.distances, MOST_COLUMNS);
  }

  get count(): number {
    return this.#block[ONE.found]!;
  }

  search(query: Rows, k: number, filter: CoreFilter, options: Float64Array): this {
    const block = this.#block;
    block[ONE.k] = k;
    block[ONE.filterKind] = filter.kind;
    block[ONE.filterCount] = filter.count;
    if (options !== this.#options) {
      block[ONE.pairs] = options.length / 2;
      block.set(options, ONE.options);
      this.#options = options;
    }
    this.#search(query, block, filter.data);
    return this;
  }
}

class NodeWriter implements BackendWriter {
  readonly #addon: Addon;
  readonly #tasks: Tasks;
  readonly #handle: WriterHandle;

  constructor(addon: Addon, tasks: Tasks, handle: WriterHandle) {
    this.#addon = addon;
    this.#tasks = tasks;
    this.#handle = handle;
  }

  append(type: InputCode, rows: Rows, n: number, ids: Float64Array | null): void {
    this.#addon.append(this.#handle, type, rows, n, ids);
  }

  appendAsync(type: InputCode, rows: Rows, n: number, ids: Float64Array | null, signal?: AbortSignal): Promise<void> {
    return this.#tasks.cancellable(signal, (key) => this.#addon.appendAsync(this.#handle, type, rows, n, ids, key));
  }

  step(): StepProgress {
    return progressOf(...this.#addon.step(this.#handle));
  }

  async stepAsync(signal?: AbortSignal): Promise<StepProgress> {
    return progressOf(...(await this.#tasks.cancellable(signal, (key) => this.#addon.stepAsync(this.#handle, key))));
  }

  commit(): void {
    this.#addon.commit(this.#handle);
  }

  commitAsync(): Promise<void> {
    return this.#tasks.start(() => this.#addon.commitAsync(this.#handle));
  }

  abort(): void {
    this.#addon.abort(this.#handle);
  }
}
