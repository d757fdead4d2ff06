#!/usr/bin/env node
// The command annex: files of indexes and of vectors from the shell.
import { parseArgs } from 'node:util';
import { benchCommand } from './cli_bench.js';
import { type Context, UsageError } from './cli_context.js';
import { convertCommand } from './cli_convert.js';
import { buildCommand, inspectCommand, searchCommand, verifyCommand } from './cli_index.js';
import { EXTENSIONS } from './data_open.js';
import { WRITABLE } from './data_write.js';
import { AnnexError } from './errors.js';

const HELP = `annex: vector indexes from the shell

  annex inspect INDEX             what a file holds, without loading it
  annex verify INDEX…             compare everything in files with its checksums, and check it
  annex build VECTORS INDEX       build an index and save it
      --factory TEXT              structure and codec, as in FAISS: Flat, HNSW32, "IVF1024,PQ32x4fs,RFlat" (default HNSW16)
      --metric NAME               l2 (default), ip, cosine, l1
      --metadata JSON             kept in the file
      --limit N                   the first N rows only
  annex search INDEX VECTORS      the nearest rows of each query
      -k N                        how many (default 10)
      --ef-search N, --nprobe N, --rerank-factor X, --threads N
      --out FILE                  write the ids there (.ivecs, .ibin, .npy, .jsonl)
  annex convert VECTORS VECTORS   from one format to another; also --limit N
  annex convert INDEX INDEX       from .annex to .faiss (of FAISS), and from .faiss or .bin to .annex
      --dim N, --metric NAME      of .bin, the files of hnswlib, which do not tell them
  annex bench [VECTORS]           recall, speed, memory and size of indexes over these rows
      --query VECTORS             queries; default the dataset test of HDF5
      --truth FILE                true neighbours (.ivecs, .ibin, .npy, HDF5); default neighbors of HDF5, or found and kept
      --generate NAME             instead of VECTORS: clustered, uniform, adversarial
      --rows N, --queries N       at most so many; of generated ones, so many (default 50000, 1000)
      --dim N, --seed N           of generated rows (default 128, 1)
      --metric NAME               l2, ip, cosine (default: as HDF5 tells, l2 for generated rows, else ip)
      --factory TEXT              may be repeated; default flat, HNSW, and IVF with two codecs
      --ef-search, --nprobe, --rerank-factor N,N,…
      -k N, --threads N, --repetitions N (5), --ms N (of a repetition of one point, 300)
      --quick                     fewer points and repetitions
      --out FILE                  .html: a page with all curves (needs echarts); .json
      --fresh                     does not go on where the same command was interrupted
  annex --version

VECTORS ends in .${EXTENSIONS.join(', .')},
and is read in slices; .${WRITABLE.join(', .')} are written as well.
  --dataset NAME    of HDF5, also written FILE.hdf5:NAME (default train; for queries test)
  --column NAME     of Parquet and JSON lines: where the vectors are (default: the only lists of numbers)
  --id-column NAME  of Parquet and JSON lines: where ids are (default: id of JSON lines that have one, else 0, 1, 2 …)

  --json            print JSON, one object
  --quiet           no progress
`;

interface Command {
  readonly run: (context: Context, args: never) => Promise<void>;
  readonly least: number;
  readonly most: number;
}

const COMMANDS: Readonly<Record<string, Command>> = {
  inspect: { run: inspectCommand, least: 1, most: 1 },
  verify: { run: verifyCommand, least: 1, most: Number.POSITIVE_INFINITY },
  build: { run: buildCommand, least: 2, most: 2 },
  search: { run: searchCommand, least: 2, most: 2 },
  convert: { run: convertCommand, least: 2, most: 2 },
  bench: { run: benchCommand, least: 0, most: 1 },
};

function expected({ least, most }: Command): string {
  const count = most === least ? String(least) : least === 0 ? `at most ${most}` : `at least ${least}`;
  return `${count} argument${count.endsWith('1') ? '' : 's'}`;
}

async function main(): Promise<void> {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean' } as const;
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      json: flag,
      quiet: flag,
      help: { ...flag, short: 'h' },
      version: flag,
      factory: { ...text, multiple: true },
      metric: text,
      metadata: text,
      limit: text,
      dataset: text,
      column: text,
      'id-column': text,
      k: { ...text, short: 'k' },
      'ef-search': text,
      nprobe: text,
      'rerank-factor': text,
      threads: text,
      out: text,
      query: text,
      truth: text,
      generate: text,
      rows: text,
      queries: text,
      dim: text,
      seed: text,
      repetitions: text,
      ms: text,
      quick: flag,
      fresh: flag,
    },
  });
  const [name, ...args] = positionals;
  if (values.version === true) {
    const { engineInfo } = await import('./index.js');
    process.stdout.write(`${engineInfo().version}\n`);
    return;
  }
  if (values.help === true || name === undefined) {
    process.stdout.write(HELP);
    return;
  }
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (command === undefined) throw new UsageError(`no command "${name}": expected ${Object.keys(COMMANDS).join(', ')}`);
  if (args.length < command.least || args.length > command.most) {
    throw new UsageError(`annex ${name} takes ${expected(command)}, got ${args.length}`);
  }
  await command.run({ json: values.json === true, quiet: values.quiet === true, values }, args as never);
}

// Who reads no further, such as head, has what it wanted.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit();
});

try {
  await main();
} catch (error) {
  const usage = error instanceof UsageError || (error as { code?: string }).code?.startsWith('ERR_PARSE_ARGS') === true;
  if (!usage && !(error instanceof AnnexError)) throw error;
  const { message } = error as Error;
  process.stderr.write(`annex: ${message}${usage ? '\nannex --help tells how' : ''}\n`);
  process.exitCode = usage ? 2 : 1;
}
