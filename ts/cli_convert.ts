// annex convert
import { Bar, type Context, countOf, oneOf, print, textOf, UsageError } from './cli_context.js';
import { checkWritable, openOptions } from './cli_index.js';
import { openRows } from './data_open.js';
import { slices } from './data_source.js';
import { VectorWriter } from './data_write.js';
import { disk } from './disk.js';
import { type AnyIndex, exportFaiss, importFaiss, importHnswlib, open } from './index.js';

export async function convertCommand(context: Context, [from, to]: [string, string]): Promise<void> {
  checkWritable(to);
  const [indexed, wanted] = [indexFormat(from), indexFormat(to)];
  if (indexed !== undefined && wanted !== undefined) await convertIndex(context, { from, indexed, to, wanted });
  else await convertRows(context, from, to);
}

// ---- indexes ----

const INDEX_FORMATS = { annex: 'annex', faiss: 'faiss', bin: 'hnswlib' } as const;
type IndexFormat = (typeof INDEX_FORMATS)[keyof typeof INDEX_FORMATS];

function indexFormat(path: string): IndexFormat | undefined {
  const extension = path.slice(path.lastIndexOf('.') + 1).toLowerCase();
  return Object.hasOwn(INDEX_FORMATS, extension) ? INDEX_FORMATS[extension as keyof typeof INDEX_FORMATS] : undefined;
}

async function readIndex(context: Context, path: string, format: IndexFormat): Promise<AnyIndex> {
  if (format === 'annex') return open(path);
  if (format === 'faiss') return importFaiss(path);
  const dim = countOf(context, 'dim');
  const metric = oneOf(context, 'metric', ['l2', 'ip', 'cosine']);
  if (dim !== undefined && metric !== undefined) return importHnswlib(path, { dim, metric });
  throw new UsageError(`${path}: a file of hnswlib does not tell its --dim and --metric: say them`);
}

interface IndexPaths {
  readonly from: string;
  readonly indexed: IndexFormat;
  readonly to: string;
  readonly wanted: IndexFormat;
}

async function convertIndex(context: Context, { from, indexed, to, wanted }: IndexPaths): Promise<void> {
  if (wanted === 'hnswlib') throw new UsageError(`${to}: no file of hnswlib is written; .annex and .faiss are`);
  const index = await readIndex(context, from, indexed);
  try {
    if (wanted === 'annex') await index.save(to);
    else {
      const out = disk()?.create(to);
      try {
        await out?.writeAsync(await exportFaiss(index));
        await out?.commitAsync();
      } finally {
        out?.discard();
      }
    }
    const { size: rows, dim, metric } = index;
    await print(context, { path: to, format: wanted, rows, dim, metric }, () => [`${to}: ${rows} × ${dim}, ${metric}`]);
  } finally {
    index.close();
  }
}

// ---- rows ----

async function convertRows(context: Context, from: string, to: string): Promise<void> {
  const limit = countOf(context, 'limit');
  const source = await openRows(from, openOptions(context));
  const bar = new Bar('convert', context);
  let out: VectorWriter | undefined;
  try {
    const rows = Math.min(source.rows, limit ?? source.rows);
    out = new VectorWriter(to, rows, source.dim, source.type, textOf(context, 'column'));
    if (source.hasIds && !out.keepsIds && !context.quiet) {
      process.stderr.write(`annex: ${to} cannot hold the ids of ${from}; .jsonl can\n`);
    }
    for await (const { start, n, values, ids } of slices(source, { limit: rows })) {
      out.write(values, ids);
      bar.at(start + n, rows);
    }
    out.close();
    await print(context, { path: to, rows, dim: source.dim, type: out.type }, () => [
      `${to}: ${rows} × ${source.dim}, ${out?.type}`,
    ]);
  } finally {
    bar.end();
    out?.discard();
    source.close();
  }
}
