// annex convert
import { Bar, type Context, countOf, print, textOf } from './cli_context.js';
import { checkWritable, openOptions } from './cli_index.js';
import { openRows } from './data_open.js';
import { slices } from './data_source.js';
import { VectorWriter } from './data_write.js';

export async function convertCommand(context: Context, [from, to]: [string, string]): Promise<void> {
  const limit = countOf(context, 'limit');
  checkWritable(to);
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
