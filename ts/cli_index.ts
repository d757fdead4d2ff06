// annex inspect | verify | build | search
import { accessSync, constants } from 'node:fs';
import { dirname } from 'node:path';
import { Bar, type Context, countOf, emit, jsonOf, numberOf, oneOf, print, textOf } from './cli_context.js';
import { type OpenOptions, openRows } from './data_open.js';
import { floatsOf, ioError, sample, slices, type Values } from './data_source.js';
import { castTo, VectorWriter } from './data_write.js';
import { AnnexError } from './errors.js';
import { type AnyIndex, createIndex, inspect, type Json, open, type SearchSyncOptions } from './index.js';

export async function inspectCommand(context: Context, [path]: string[]): Promise<void> {
  const info = await inspect(path as string);
  await print(context, info, () => {
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

export async function verifyCommand(context: Context, paths: string[]): Promise<void> {
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
  await print(context, { files: results }, () =>
    results.map(({ path, ok, error }) => (ok ? `${path}: sound` : `${error}`)),
  );
  if (results.some(({ ok }) => !ok)) process.exitCode = 1;
}

/** Where a file with rows has them, as the command line says. */
export function openOptions(context: Context): OpenOptions {
  return {
    dataset: textOf(context, 'dataset'),
    column: textOf(context, 'column'),
    idColumn: textOf(context, 'id-column'),
  };
}

/** A result that cannot be written is told before the work that it would have taken. */
export function checkWritable(path: string): void {
  try {
    accessSync(dirname(path), constants.W_OK);
  } catch (cause) {
    throw ioError(path, cause);
  }
}

/** Rows that an index is trained on: what k-means looks at for each of its lists, and a start for a codec. */
const TRAIN_ROWS = 262144;

export async function buildCommand(context: Context, [from, to]: [string, string]): Promise<void> {
  const limit = countOf(context, 'limit');
  const metadata = jsonOf(context, 'metadata');
  const metric = oneOf(context, 'metric', ['l2', 'ip', 'cosine', 'l1']) ?? 'l2';
  checkWritable(to);
  const source = await openRows(from, openOptions(context));
  try {
    const rows = Math.min(source.rows, limit ?? source.rows);
    const index = await createIndex(textOf(context, 'factory') ?? 'HNSW16', {
      dim: source.dim,
      metric,
      metadata: metadata as Json,
    });
    const start = performance.now();
    const bar = new Bar('build', context);
    try {
      if (!index.trained) {
        await index.train(floatsOf(await sample(source, Math.min(rows, TRAIN_ROWS), rows)), {
          onProgress: ({ done, total }) => bar.at(done / 10, total),
        });
      }
      for await (const { start: first, n, values, ids } of slices(source, { limit: rows, bytes: 64 << 20 })) {
        await index.add(floatsOf(values), {
          ...(ids && { ids }),
          onProgress: ({ done, total }) => bar.at(first + (n * done) / total, rows),
        });
      }
    } finally {
      bar.end();
    }
    const seconds = (performance.now() - start) / 1000;
    await index.save(to);
    const { bytes } = await inspect(to);
    await print(context, { path: to, rows: index.size, dim: source.dim, bytes, seconds }, () => [
      `${to}: ${index.size} × ${source.dim}, ${bytes} bytes, built in ${seconds.toFixed(1)} s`,
    ]);
    index.close();
  } finally {
    source.close();
  }
}

/** Rows as the index takes them: bytes for byte storages, floats for the others. */
function rowsFor(index: AnyIndex, path: string, values: Values): Float32Array {
  const { storage } = index;
  if (storage !== 'i8' && storage !== 'u8' && storage !== 'bits') return floatsOf(values);
  return castTo(path, values, storage === 'i8' ? 'i8' : 'u8', index.dim) as Float32Array;
}

/** Values of a row of queries to an index. */
const widthOf = ({ dim, storage }: AnyIndex): number => (storage === 'bits' ? Math.ceil(dim / 8) : dim);

export async function searchCommand(context: Context, [indexPath, queriesPath]: [string, string]): Promise<void> {
  const k = countOf(context, 'k') ?? 10;
  const params: Record<string, number | undefined> = {
    efSearch: countOf(context, 'ef-search'),
    nprobe: countOf(context, 'nprobe'),
    rerankFactor: numberOf(context, 'rerank-factor'),
    threads: countOf(context, 'threads'),
  };
  const given = Object.fromEntries(Object.entries(params).filter(([, value]) => value !== undefined));
  const outPath = textOf(context, 'out');
  if (outPath !== undefined) checkWritable(outPath);
  const queries = await openRows(queriesPath, { ...openOptions(context), datasets: ['test'] });
  let index: AnyIndex | undefined;
  let out: VectorWriter | undefined;
  const bar = new Bar('search', context);
  const start = performance.now();
  let ms = 0;
  try {
    index = await open(indexPath, { onProgress: ({ done, total }) => bar.at(done, total) });
    const width = widthOf(index);
    if (queries.dim !== width) {
      const message = `${queriesPath}: it has ${queries.dim} columns, expected ${width} as ${indexPath} has`;
      throw new AnnexError('DIMENSION_MISMATCH', message);
    }
    if (outPath !== undefined) out = new VectorWriter(outPath, queries.rows, k, 'i32');
    if (context.json) await emit(`{"queries":${queries.rows},"k":${k}${out === undefined ? ',"results":[' : ''}`);
    for await (const { start: first, n, values } of slices(queries, { bytes: 4 << 20 })) {
      const rows = rowsFor(index, queriesPath, values);
      const before = performance.now();
      const batch = await index.searchBatch(rows, k, given as SearchSyncOptions);
      ms += performance.now() - before;
      bar.at(first + n, queries.rows);
      const padded = new Int32Array(out === undefined ? 0 : n * k).fill(-1);
      const texts: string[] = [];
      for (let q = 0; q < n; q++) {
        const { ids, distances } = batch.at(q);
        if (out !== undefined) padded.set(castTo(out.path, ids, 'i32', k), q * k);
        else if (context.json) {
          const comma = first + q === 0 ? '' : ',';
          texts.push(`${comma}${JSON.stringify({ ids: [...ids], distances: [...distances] })}`);
        } else texts.push(`${[...ids].map((id, i) => `${id}:${distances[i]}`).join(' ')}\n`);
      }
      if (out === undefined) await emit(texts.join(''));
      else out.write(padded);
    }
    out?.close();
    if (context.json) await emit(`${out === undefined ? ']' : ''},"ms":${ms}}\n`);
  } finally {
    bar.end();
    out?.discard();
    queries.close();
    index?.close();
  }
  if (context.json || context.quiet) return;
  const all = ((performance.now() - start) / 1000).toFixed(1);
  process.stderr.write(`${queries.rows} queries in ${ms.toFixed(1)} ms, ${all} s with all that is read and written\n`);
}
