import { describe } from './describe.js';
import { AnnexError } from './errors.js';
import { KINDS, type KindName } from './kind.js';
import type { Json } from './options.js';

/**
 * By this another worker thread of the process attaches to an index: a plain object, to be sent with `postMessage` or
 * as `workerData`. It stays good while at least one handle of the index is open.
 */
export interface ShareToken<Kind extends KindName = KindName> {
  /** The kind of the index. */
  readonly annex: Kind;
  readonly token: number;
  readonly metadata?: Json | undefined;
}

export function checkToken(value: unknown): ShareToken {
  const token = value as ShareToken;
  if (
    typeof value !== 'object' ||
    value === null ||
    typeof token.token !== 'number' ||
    !KINDS.some(({ name }) => name === token.annex)
  ) {
    throw new AnnexError('INVALID_TYPE', `expected what index.share() returned, got ${describe(value)}`);
  }
  return token;
}
