#!/usr/bin/env node
// The command annex: files of indexes and of vectors from the shell.
import { parseArgs } from 'node:util';
import { EXTENSIONS, VectorFile, VectorWriter } from './cli_vectors.js';
import { AnnexError } from './errors.js';
import { type AnyIndex, createIndex, inspect, open, type SearchSyncOptions } from './index.js';

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
      --out FILE.ivecs            write the ids there
  annex convert VECTORS VECTORS   from one format to another
  annex --version

  --json      print JSON, one object
  --quiet     no progress
VECTORS ends in .${EXTENSIONS.join(', .')}; they are read in slices.
`;

interface Context {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly values: Readonly<Record<string, string | boolean | undefined>>;
}

class UsageError extends Error {}

/** Progress on a terminal's error stream, at most ten times a second. */
class Bar {
  readonly #shown: boolean;
  readonly #what: string;
  readonly #start = performance.now();
  #last = 0;

  constructor(what: string, { quiet }: Context) {
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

function print({ json }: Context, value: object, lines: () => string[]): void {
  process.stdout.write(json ? `${JSON.stringify(value)}\n` : `${lines().join('\n')}\n`);
}

function numberOf({ values }: Context, name: string, least = 1): number | undefined {
  const given = values[name];
  if (given === undefined) return undefined;
  const number = Number(given);
  if (!Number.isFinite(number) || number < least)
    throw new UsageError(`--${name} takes a number from ${least} on, got ${given}`);
  return number;
}

async function inspectCommand(context: Context, [path]: string[]): Promise<void> {
  const info = await inspect(path as string);
  print(context, info, () => {
    const { kind, options, size, bytes, creator, format, metadata, sections } = info;
    const given = Object.entries(options).filter(([name]) => name !== 'metadata');
    return [
      `${kind}, ${size} rows, ${bytes} bytes, format ${format}, written by ${creator}`,
      ...given.map(([name, value]) => `  ${name}: ${typeof value === 'object' ? JSON.stringify(value) : value}`),
      ...(metadata === undefined ? [] : [`  metadata: ${JSON.stringify(metadata)}`]),
      'sections:',
      ...sections.map(
        ({ tag, version, critical, offset, length }) =>
          `  ${tag} v${version} ${critical ? 'critical' : '        '} ${String(length).padStart(14)} bytes at ${offset}`,
      ),
    ];
  });
}

async function verifyCommand(context: Context, paths: string[]): Promise<void> {
  const results: { path: string; ok: boolean; error?: string; code?: string }[] = [];
  for (const path of paths) {
    const bar = new Bar(path, context);
    try {
      const index = await open(path, { verify: 'full', onProgress: ({ done, total }) => bar.at(done, total) });
      index.close();
      results.push({ path, ok: true });
    } catch (error) {
      if (!(error instanceof AnnexError)) throw error;
      results.push({ path, ok: false, code: error.code, error: error.message });
    } finally {
      bar.end();
    }
  }
  print(context, { files: results }, () => results.map(({ path, ok, error }) => (ok ? `${path}: sound` : `${error}`)));
  if (results.some(({ ok }) => !ok)) process.exitCode = 1;
}

/** Rows that an index is trained on: what k-means looks at for each of its lists, and a start for a codec. */
const TRAIN_ROWS = 262144;

async function buildCommand(context: Context, [from, to]: string[]): Promise<void> {
  const { values } = context;
  const file = VectorFile.open(from as string);
  try {
    const rows = Math.min(file.rows, numberOf(context, 'limit') ?? file.rows);
    const metadata = values.metadata === undefined ? undefined : JSON.parse(String(values.metadata));
    const metric = (values.metric ?? 'l2') as 'l2';
    const index = await createIndex(String(values.factory ?? 'HNSW16'), { dim: file.dim, metric, metadata });
    const start = performance.now();
    const bar = new Bar('build', context);
    if (!index.trained) {
      await index.train(floatsOf(file.sample(Math.min(rows, TRAIN_ROWS))), {
        onProgress: ({ done, total }) => bar.at(done / 10, total),
      });
    }
    for (const { start: first, n, values: slice } of file.slices(64 << 20)) {
      const count = Math.min(n, rows - first);
      if (count <= 0) break;
      await index.add(floatsOf(slice.subarray(0, count * file.dim)), {
        onProgress: ({ done, total }) => bar.at(first + (count * done) / total, rows),
      });
    }
    bar.end();
    const seconds = (performance.now() - start) / 1000;
    await index.save(to as string);
    const { bytes } = await inspect(to as string);
    print(context, { path: to, rows: index.size, bytes, seconds }, () => [
      `${to}: ${index.size} rows, ${bytes} bytes, built in ${seconds.toFixed(1)} s`,
    ]);
    index.close();
  } finally {
    file.close();
  }
}

function floatsOf(values: Float32Array | Uint8Array | Int8Array): Float32Array {
  return values instanceof Float32Array ? values : Float32Array.from(values);
}

/** Rows as the index takes them: bytes for byte storages, floats for the others. */
function rowsFor(index: AnyIndex, values: Float32Array | Uint8Array | Int8Array): Float32Array {
  const { storage } = index;
  const bytes = storage === 'i8' || storage === 'u8' || storage === 'bits';
  return bytes ? (values as Float32Array) : floatsOf(values);
}

async function searchCommand(context: Context, [indexPath, queriesPath]: string[]): Promise<void> {
  const { values } = context;
  const k = numberOf(context, 'k') ?? 10;
  const params: Record<string, number | undefined> = {
    efSearch: numberOf(context, 'ef-search'),
    nprobe: numberOf(context, 'nprobe'),
    rerankFactor: numberOf(context, 'rerank-factor'),
    threads: numberOf(context, 'threads'),
  };
  const given = Object.fromEntries(Object.entries(params).filter(([, value]) => value !== undefined));
  const bar = new Bar('search', context);
  const index = await open(indexPath as string);
  const queries = VectorFile.open(queriesPath as string);
  const out = values.out === undefined ? undefined : new VectorWriter(String(values.out), queries.rows, k, 'i32');
  const all: { ids: number[]; distances: number[] }[] = [];
  let ms = 0;
  try {
    for (const { start, n, values: slice } of queries.slices(4 << 20)) {
      const before = performance.now();
      const batch = await index.searchBatch(rowsFor(index, slice), k, given as SearchSyncOptions);
      ms += performance.now() - before;
      bar.at(start + n, queries.rows);
      if (out !== undefined) {
        const padded = new Int32Array(n * k).fill(-1);
        for (let q = 0; q < n; q++) padded.set(Int32Array.from(batch.at(q).ids), q * k);
        out.write(padded);
        continue;
      }
      for (let q = 0; q < n; q++) {
        const { ids, distances } = batch.at(q);
        if (context.json) all.push({ ids: [...ids], distances: [...distances] });
        else process.stdout.write(`${[...ids].map((id, i) => `${id}:${distances[i]}`).join(' ')}\n`);
      }
    }
  } finally {
    bar.end();
    out?.close();
    queries.close();
    index.close();
  }
  if (context.json)
    print(context, { queries: queries.rows, k, ms, ...(out === undefined ? { results: all } : {}) }, () => []);
  else process.stderr.write(`${queries.rows} queries in ${ms.toFixed(1)} ms\n`);
}

async function convertCommand(context: Context, [from, to]: string[]): Promise<void> {
  const file = VectorFile.open(from as string);
  const bar = new Bar('convert', context);
  const type = file.type === 'f16' || file.type === 'i32' ? 'f32' : file.type;
  try {
    const bytes = /\.(bvecs|u8bin|i8bin)$/.test(to as string);
    const floats = /\.(fvecs|fbin)$/.test(to as string);
    const out = new VectorWriter(to as string, file.rows, file.dim, floats && !bytes ? 'f32' : type);
    try {
      for (const { start, n, values } of file.slices()) {
        out.write(floats ? floatsOf(values) : values);
        bar.at(start + n, file.rows);
      }
    } finally {
      out.close();
    }
  } finally {
    bar.end();
    file.close();
  }
  print(context, { path: to, rows: file.rows, dim: file.dim }, () => [`${to}: ${file.rows} × ${file.dim}`]);
}

const COMMANDS: Readonly<
  Record<string, { run: (context: Context, args: string[]) => Promise<void>; least: number; most: number }>
> = {
  inspect: { run: inspectCommand, least: 1, most: 1 },
  verify: { run: verifyCommand, least: 1, most: Number.POSITIVE_INFINITY },
  build: { run: buildCommand, least: 2, most: 2 },
  search: { run: searchCommand, least: 2, most: 2 },
  convert: { run: convertCommand, least: 2, most: 2 },
};

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
      factory: text,
      metric: text,
      metadata: text,
      limit: text,
      k: { ...text, short: 'k' },
      'ef-search': text,
      nprobe: text,
      'rerank-factor': text,
      threads: text,
      out: text,
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
  const command = COMMANDS[name];
  if (command === undefined) throw new UsageError(`no command "${name}": expected ${Object.keys(COMMANDS).join(', ')}`);
  if (args.length < command.least || args.length > command.most) {
    throw new UsageError(
      `annex ${name} takes ${command.least} argument${command.least > 1 ? 's' : ''}, got ${args.length}`,
    );
  }
  await command.run({ json: values.json === true, quiet: values.quiet === true, values }, args);
}

try {
  await main();
} catch (error) {
  const usage = error instanceof UsageError || (error as { code?: string }).code?.startsWith('ERR_PARSE_ARGS') === true;
  if (!usage && !(error instanceof AnnexError) && !(error instanceof SyntaxError)) throw error;
  const { message } = error as Error;
  process.stderr.write(`annex: ${message}${usage ? '\nannex --help tells how' : ''}\n`);
  process.exitCode = usage ? 2 : 1;
}
