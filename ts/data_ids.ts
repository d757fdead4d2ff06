import { bad } from './data_source.js';
import { describe } from './describe.js';

/** An id that stands in a file. */
export function idOf(path: string, where: string, value: unknown): number {
  const id = typeof value === 'bigint' ? Number(value) : value;
  if (typeof id === 'number' && Number.isSafeInteger(id) && id >= 0) return id;
  throw bad(path, `${where} has the id ${describe(id)}, expected a whole number from 0 to 2^53 − 1`);
}
