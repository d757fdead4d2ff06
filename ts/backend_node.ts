import { aborted } from './abort.js';
import type { Addon, IndexHandle, WriterHandle } from './addon.js';
import type { Backend, BackendIndex, BackendWriter, EngineInfo, InputCode, Rows, SearchJob, Stats } from './backend.js';
import { errorOfStatus } from './errors.js';

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

  turn(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve));
  }
}

class NodeIndex implements BackendIndex {
  readonly #addon: Addon;
  readonly #tasks: Tasks;
  readonly #handle: IndexHandle;

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
    const fields = new Float64Array(8);
    this.#addon.stats(this.#handle, fields);
    const [size, bytesVectors, bytesSidecar, bytesIds, bytesNorms, bytesTotal, scanned, rescored] =
      fields as unknown as [number, number, number, number, number, number, number, number];
    return { size, bytesVectors, bytesSidecar, bytesIds, bytesNorms, bytesTotal, scanned, rescored };
  }

  options(): Float64Array {
    const pairs = new Float64Array(2 * MAX_OPTIONS);
    return pairs.slice(0, 2 * this.#addon.options(this.#handle, pairs));
  }

  openWriter(mode: 0 | 1): BackendWriter {
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
    this.#addon.search(
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
    );
  }

  searchAsync(job: SearchJob, signal?: AbortSignal): Promise<void> {
    return this.#tasks.cancellable(signal, (key) =>
      this.#addon.searchAsync(
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
        key,
      ),
    );
  }

  share(): number {
    return this.#addon.share(this.#handle);
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

/** The asynchronous side of the addon: sees promises through, and signals to their calls. */
class Tasks {
  readonly #addon: Addon;
  readonly #look = (): void => {
    this.#looking = this.#addon.poll();
    if (this.#looking) setImmediate(this.#look);
  };
  #looking = false;
  #lastKey = 0;

  constructor(addon: Addon) {
    this.#addon = addon;
  }

  /** Starts a call that cannot be cancelled. */
  start<T>(call: () => Promise<T>): Promise<T> {
    const promise = call();
    if (!this.#looking) {
      this.#looking = true;
      setImmediate(this.#look);
    }
    return promise;
  }

  /** Starts a call that the signal, if there is one, cancels while it is pending. */
  cancellable<T>(signal: AbortSignal | undefined, call: (key: number) => Promise<T>): Promise<T> {
    if (signal === undefined) return this.start(() => call(0));
    if (signal.aborted) return Promise.reject(aborted(signal));
    const key = ++this.#lastKey;
    const cancel = (): void => this.#addon.cancel(key);
    signal.addEventListener('abort', cancel, { once: true });
    return this.start(() => call(key)).finally(() => signal.removeEventListener('abort', cancel));
  }
}
