// What the commands share: their options, how they print, and how they show that they are at work.

export interface Context {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly values: Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>;
}

/** What was typed is wrong; the help would have told. */
export class UsageError extends Error {}

/** Progress on a terminal's error stream, at most ten times a second. */
export class Bar {
  readonly #shown: boolean;
  readonly #what: string;
  readonly #start = performance.now();
  #last = 0;

  constructor(what: string, { quiet = false }: { quiet?: boolean } = {}) {
    this.#what = what;
    this.#shown = !quiet && process.stderr.isTTY === true;
  }

  at(done: number, total: number): void {
    const now = performance.now();
    if (!this.#shown || (now - this.#last < 100 && done < total)) return;
    this.#last = now;
    const part = total > 0 ? Math.min(1, done / total) : 1;
    const filled = Math.round(24 * part);
    const left = part > 0 ? Math.round(((now - this.#start) / 1000) * (1 / part - 1)) : 0;
    const bar = '█'.repeat(filled) + '░'.repeat(24 - filled);
    process.stderr.write(`\r${this.#what} ${bar} ${Math.floor(100 * part)} %  ${left} s left   `);
  }

  end(): void {
    if (this.#shown) process.stderr.write('\r\x1b[K');
  }
}

/** Writes to standard output, at the pace of who reads it. */
export async function emit(text: string): Promise<void> {
  if (process.stdout.write(text)) return;
  await new Promise((resolve) => process.stdout.once('drain', resolve));
}

export async function print({ json }: Context, value: object, lines: () => readonly string[]): Promise<void> {
  await emit(json ? `${JSON.stringify(value)}\n` : `${lines().join('\n')}\n`);
}

export function textOf({ values }: Context, name: string): string | undefined {
  const given = values[name];
  const last = Array.isArray(given) ? given.at(-1) : given;
  return last === undefined ? undefined : String(last);
}

/** An option that may be given several times. */
export function listOf({ values }: Context, name: string): string[] {
  const given = values[name];
  return given === undefined ? [] : [given].flat().map(String);
}

export function numberOf(context: Context, name: string, least = 1): number | undefined {
  const given = textOf(context, name);
  if (given === undefined) return undefined;
  const number = Number(given);
  if (given.trim() !== '' && Number.isFinite(number) && number >= least) return number;
  throw new UsageError(`--${name} takes a number from ${least} on, got ${given}`);
}

/** A number of things. */
export function countOf(context: Context, name: string, least = 1): number | undefined {
  const number = numberOf(context, name, least);
  if (number === undefined || Number.isSafeInteger(number)) return number;
  throw new UsageError(`--${name} takes a whole number from ${least} on, got ${number}`);
}

/** Numbers with commas between them. */
export function countsOf(context: Context, name: string): number[] | undefined {
  const given = textOf(context, name);
  const list = given?.split(',').map(Number);
  if (list?.every((x) => Number.isSafeInteger(x) && x >= 1) ?? true) return list;
  throw new UsageError(`--${name} takes whole numbers from 1 on with commas between them, got ${given}`);
}

export function jsonOf(context: Context, name: string): unknown {
  const given = textOf(context, name);
  if (given === undefined) return undefined;
  try {
    return JSON.parse(given);
  } catch (cause) {
    throw new UsageError(`--${name} takes JSON, got ${given}: ${(cause as Error).message}`);
  }
}

export function oneOf<T extends string>(context: Context, name: string, allowed: readonly T[]): T | undefined {
  const given = textOf(context, name);
  if (given === undefined) return undefined;
  const found = allowed.find((one) => one === given);
  if (found !== undefined) return found;
  throw new UsageError(`--${name} takes one of ${allowed.join(', ')}, got ${given}`);
}
