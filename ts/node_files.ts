import type { Addon, IndexHandle, OpenerHandle, SaverHandle } from './addon.js';
import type { BackendIndex, BackendOpener, BackendSaver, StepProgress } from './backend.js';
import { progressOf } from './fields.js';
import type { Tasks } from './node_tasks.js';

export class NodeSaver implements BackendSaver {
  readonly #addon: Addon;
  readonly #tasks: Tasks;
  readonly #handle: SaverHandle;

  constructor(addon: Addon, tasks: Tasks, handle: SaverHandle) {
    this.#addon = addon;
    this.#tasks = tasks;
    this.#handle = handle;
  }

  size(): number {
    return this.#addon.saverSize(this.#handle);
  }

  read(out: Uint8Array): number {
    return this.#addon.saverRead(this.#handle, out);
  }

  step(): StepProgress {
    return progressOf(...this.#addon.saverStep(this.#handle));
  }

  async stepAsync(signal?: AbortSignal): Promise<StepProgress> {
    const step = (key: number) => this.#addon.saverStepAsync(this.#handle, key);
    return progressOf(...(await this.#tasks.cancellable(signal, step)));
  }

  close(): void {
    this.#addon.closeSaver(this.#handle);
  }
}

export class NodeOpener implements BackendOpener {
  readonly #addon: Addon;
  readonly #tasks: Tasks;
  readonly #handle: OpenerHandle;
  readonly #indexOf: (handle: IndexHandle) => BackendIndex;

  constructor(addon: Addon, tasks: Tasks, handle: OpenerHandle, indexOf: (handle: IndexHandle) => BackendIndex) {
    this.#addon = addon;
    this.#tasks = tasks;
    this.#handle = handle;
    this.#indexOf = indexOf;
  }

  append(bytes: Uint8Array): void {
    this.#addon.openerAppend(this.#handle, bytes);
  }

  step(): StepProgress {
    return progressOf(...this.#addon.openerStep(this.#handle));
  }

  async stepAsync(signal?: AbortSignal): Promise<StepProgress> {
    const step = (key: number) => this.#addon.openerStepAsync(this.#handle, key);
    return progressOf(...(await this.#tasks.cancellable(signal, step)));
  }

  metadata(): Uint8Array {
    return this.#addon.openerMetadata(this.#handle);
  }

  finish(): BackendIndex {
    return this.#indexOf(this.#addon.openerFinish(this.#handle));
  }

  close(): void {
    this.#addon.closeOpener(this.#handle);
  }
}
