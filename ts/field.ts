import { describe } from './describe.js';
import { AnnexError } from './errors.js';
import { checkChoice } from './names.js';

/** An option that is one number in the C ABI: its key, and what its values are called. Ranges are the core's to check. */
export interface Field {
  readonly key: number;
  readonly encode: (name: string, value: unknown) => number;
  readonly decode: (code: number) => unknown;
}

export type Fields = Readonly<Record<string, Field>>;

export function checkNumber(name: string, value: unknown): number {
  if (typeof value === 'number') return value;
  throw new AnnexError('INVALID_TYPE', `expected ${name} as a number, got ${describe(value)}`);
}

export function numeric(key: number): Field {
  return { key, encode: checkNumber, decode: (code) => code };
}

export function flag(key: number): Field {
  return {
    key,
    encode(name, value) {
      if (typeof value === 'boolean') return value ? 1 : 0;
      throw new AnnexError('INVALID_TYPE', `expected ${name} as a boolean, got ${describe(value)}`);
    },
    decode: (code) => code !== 0,
  };
}

/** One of a few words; `first` is the code of the first of them. */
export function choice(key: number, words: readonly string[], first = 0): Field {
  return {
    key,
    encode: (name, value) => words.indexOf(checkChoice(name, value, words)) + first,
    decode: (code) => words[code - first],
  };
}

/** Appends the (key, value) pairs of those fields that `options` gives. `prefix` stands before their names in messages. */
export function encodeFields(fields: Fields, options: object, pairs: number[], prefix = ''): void {
  for (const [name, field] of Object.entries(fields)) {
    const value = (options as Record<string, unknown>)[name];
    if (value !== undefined) pairs.push(field.key, field.encode(prefix + name, value));
  }
}

/** Those of the fields that an index tells of, by name. */
export function decodeFields(fields: Fields, codes: ReadonlyMap<number, number>): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(fields)) {
    const code = codes.get(field.key);
    if (code !== undefined) out[name] = field.decode(code);
  }
  return out;
}
