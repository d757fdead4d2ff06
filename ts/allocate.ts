import { AnnexError } from './errors.js';

/** What `make` allocates, or OUT_OF_MEMORY. */
export function allocate<T>(make: () => T, bytes: number): T {
  try {
    return make();
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new AnnexError('OUT_OF_MEMORY', `no memory for ${bytes} bytes of results: ask for less at a time`, { cause });
  }
}
