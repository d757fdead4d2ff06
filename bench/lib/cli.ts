import { type ParseArgsConfig, parseArgs } from 'node:util';

export interface Flag {
  /** `strings`: may be given several times. */
  readonly type: 'string' | 'strings' | 'boolean' | 'number';
  readonly help: string;
}

interface Types {
  string: string;
  strings: string[];
  number: number;
  boolean: boolean;
}
type Value<F extends Flag> = Types[F['type']];
export type Values<F extends Record<string, Flag>> = { [K in keyof F]?: Value<F[K]> };

/** Options of every bench that takes a dataset. */
export const DATASET_FLAGS = {
  base: { type: 'string', help: 'rows: .npy (f2, f4, u1, i1), .fvecs or .bvecs; default: the sample in test/data' },
  query: { type: 'string', help: 'queries, of the same dim' },
  generate: { type: 'string', help: 'instead of files: clustered, uniform or adversarial' },
  metric: { type: 'string', help: 'l2, ip or cosine; default ip, for generated rows l2' },
  rows: { type: 'number', help: 'at most so many rows' },
  queries: { type: 'number', help: 'at most so many queries' },
  dim: { type: 'number', help: 'dim of generated rows, default 128' },
  seed: { type: 'number', help: 'seed of generated rows, default 1' },
} as const satisfies Record<string, Flag>;

export const QUICK = { quick: { type: 'boolean', help: 'fewer rows and repetitions, for a first look' } } as const;

/** Parses the command line by node:util; prints the help, or what is wrong, and ends the process where that is due. */
export function parse<const F extends Record<string, Flag>>(name: string, about: string, flags: F): Values<F> {
  const options: NonNullable<ParseArgsConfig['options']> = { help: { type: 'boolean', short: 'h' } };
  for (const [flag, { type }] of Object.entries(flags))
    options[flag] = { type: type === 'boolean' ? type : 'string', multiple: type === 'strings' };

  try {
    const { values } = parseArgs({ options, strict: true });
    if (values.help) {
      process.stdout.write(`npm run ${name} -- [options]\n${about}\n\n${help(flags)}\n`);
      process.exit(0);
    }
    for (const [flag, { type }] of Object.entries(flags)) {
      if (type !== 'number' || values[flag] === undefined) continue;
      const number = Number(values[flag]);
      if (!Number.isSafeInteger(number) || number < 1) {
        throw new Error(`--${flag} must be a positive integer, got ${String(values[flag])}`);
      }
      (values as Record<string, unknown>)[flag] = number;
    }
    return values as Values<F>;
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\nnpm run ${name} -- --help lists the options.\n`);
    process.exit(2);
  }
}

export async function orExitAsync<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    process.exit(2);
  }
}

/** For what depends on the command line: tells what is wrong without a stack, and ends the process. */
export function orExit<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    process.exit(2);
  }
}

function help(flags: Record<string, Flag>): string {
  const names = Object.entries(flags).map(
    ([flag, { type }]) => `--${flag}${type === 'boolean' ? '' : ` <${type.replace(/s$/, '')}>`}`,
  );
  const width = Math.max(...names.map((name) => name.length));
  return Object.values(flags)
    .map(({ help }, i) => `  ${names[i]!.padEnd(width)}  ${help}`)
    .join('\n');
}
