import { describe } from './describe.js';
import { AnnexError } from './errors.js';

/** Edit distance between two short words (Levenshtein 1966), case ignored. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substitution, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

/** ` (did you mean "cosine"?)` when a choice is near enough to what was written, else ''. */
export function didYouMean(word: string, choices: readonly string[]): string {
  const wanted = word.slice(0, 40).toLowerCase();
  let best: string | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const choice of choices) {
    const lower = choice.toLowerCase();
    const d = wanted.length >= 3 && lower.startsWith(wanted) ? 1 : distance(wanted, lower);
    if (d < least) [best, least] = [choice, d];
  }
  return best !== undefined && least <= Math.max(1, Math.floor(best.length / 3)) ? ` (did you mean "${best}"?)` : '';
}

/** Options, of whatever names. `where` names in messages what takes them. */
export function checkObject(where: string, options: unknown): object {
  if (typeof options !== 'object' || options === null || Array.isArray(options) || ArrayBuffer.isView(options)) {
    throw new AnnexError('INVALID_TYPE', `${where} expects an options object, got ${describe(options)}`);
  }
  return options;
}

/** The options of a method as an object whose every key is known. `where` names the method in messages. */
export function checkOptions<T extends object>(
  where: string,
  options: unknown,
  known: readonly (keyof T & string)[],
): T {
  for (const key in checkObject(where, options)) {
    if (!(known as readonly string[]).includes(key)) {
      const hint = didYouMean(key, known);
      const takes = known.length > 0 ? `it takes ${known.join(', ')}` : 'it takes none';
      throw new AnnexError('INVALID_ARGUMENT', `${where} has no option "${key}"${hint}; ${takes}`);
    }
  }
  return options as T;
}

/** Checks that a value is one of a few words; its position is the code in the C ABI. */
export function checkChoice<T extends string>(what: string, value: unknown, choices: readonly T[]): T {
  if (typeof value !== 'string') {
    throw new AnnexError('INVALID_TYPE', `expected ${what} to be ${listed(choices)}, got ${describe(value)}`);
  }
  if (!(choices as readonly string[]).includes(value)) {
    throw new AnnexError(
      'INVALID_ARGUMENT',
      `expected ${what} to be ${listed(choices)}, got "${value.slice(0, 40)}"${didYouMean(value, choices)}`,
    );
  }
  return value as T;
}

function listed(choices: readonly string[]): string {
  return choices.map((choice) => `"${choice}"`).join(', ');
}
