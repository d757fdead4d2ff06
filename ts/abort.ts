import { describe } from './describe.js';
import { AnnexError } from './errors.js';

/** Checks an option `signal`; throws ABORTED when it is aborted already. */
export function checkSignal(value: unknown): AbortSignal | undefined {
  if (value === undefined || value === null) return undefined;
  const signal = value as AbortSignal;
  if (
    typeof value !== 'object' ||
    typeof signal.aborted !== 'boolean' ||
    typeof signal.addEventListener !== 'function' ||
    typeof signal.removeEventListener !== 'function'
  ) {
    throw new AnnexError('INVALID_TYPE', `expected signal to be an AbortSignal, got ${describe(value)}`);
  }
  if (signal.aborted) throw aborted(signal);
  return signal;
}

export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw aborted(signal);
}

/** The error of an aborted call; its `cause` is the signal's reason. */
export function aborted(signal: AbortSignal): AnnexError {
  return new AnnexError('ABORTED', "aborted by the caller's signal; the index is as it was", {
    cause: signal.reason,
  });
}

/**
 * `work`, or ABORTED as soon as the signal fires while `applies()`. The work itself goes on until it sees the signal;
 * what it then rejects with is of no further interest.
 */
export function orAborted<T>(work: Promise<T>, signal: AbortSignal, applies: () => boolean): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const onAbort = (): void => {
      if (applies()) reject(aborted(signal));
    };
    signal.addEventListener('abort', onAbort, { once: true });
    const done = (): void => signal.removeEventListener('abort', onAbort);
    work.then(resolve, reject).finally(done);
  });
}
