import { aborted } from './abort.js';
import type { Addon } from './addon.js';

/** The asynchronous side of the addon: sees promises through, and signals to their calls. */
export class Tasks {
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
