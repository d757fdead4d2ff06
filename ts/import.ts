import type { AnyIndex } from './api.js';
import type { BoundClass } from './bind.js';
import { buildFile } from './container.js';
import { describe } from './describe.js';
import { AnnexError } from './errors.js';
import { type FaissIndex, parseFaiss } from './import_faiss.js';
import { fileOfGraph } from './import_graph.js';
import { fileOfHnswlib, type HnswlibOptions } from './import_hnswlib.js';
import { checkOptions } from './names.js';
import { located } from './open.js';
import { parseSource, slicesOf } from './source.js';
import { KEY, METRICS } from './spec.js';

/** The classes that imports make. */
export interface ImportClasses {
  readonly flat: BoundClass;
  readonly hnsw: BoundClass;
  readonly ivf: BoundClass;
}

/** All bytes of a source. */
async function bytesOf(source: unknown): Promise<{ bytes: Uint8Array; path: string | undefined }> {
  const parsed = parseSource(source);
  const parts: Uint8Array[] = [];
  let n = 0;
  for await (const part of slicesOf(parsed).slices()) {
    parts.push(part);
    n += part.length;
  }
  const bytes = new Uint8Array(n);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return { bytes, path: 'path' in parsed ? parsed.path : undefined };
}

export async function importHnswlib(classes: ImportClasses, source: unknown, options: unknown): Promise<AnyIndex> {
  const { dim, metric } = checkOptions<HnswlibOptions>('importHnswlib', options, ['dim', 'metric']);
  const { bytes, path } = await bytesOf(source);
  try {
    return (await classes.hnsw.open(fileOfHnswlib(bytes, { dim, metric }))) as AnyIndex;
  } catch (error) {
    throw located(error, path);
  }
}

export async function importFaiss(classes: ImportClasses, source: unknown): Promise<AnyIndex> {
  const { bytes, path } = await bytesOf(source);
  try {
    return await indexOf(classes, parseFaiss(bytes));
  } catch (error) {
    throw located(error, path);
  }
}

async function indexOf(classes: ImportClasses, parsed: FaissIndex): Promise<AnyIndex> {
  const { dim, metric } = parsed;
  switch (parsed.kind) {
    case 'flat': {
      const index = await classes.flat.create({ dim, metric });
      await index.add(parsed.rows, { ids: checkedIds(parsed.ids) });
      return index as AnyIndex;
    }
    case 'hnsw':
      return (await classes.hnsw.open(fileOfGraph({ ...parsed, ids: checkedIds(parsed.ids) ?? null }))) as AnyIndex;
    case 'ivf': {
      const index = await classes.ivf.open(fileOfLists(parsed));
      for (const { rows, ids } of parsed.lists) {
        if (ids.length > 0) await index.add(rows, { ids: checkedIds(ids) });
      }
      return index as AnyIndex;
    }
  }
}

function checkedIds(ids: Float64Array | null): Float64Array | undefined {
  const bad = ids?.findIndex((id) => !(id >= 0)) ?? -1;
  if (bad < 0) return ids ?? undefined;
  throw new AnnexError(
    'UNSUPPORTED',
    `row ${bad} has no id from 0 to 2^53 - 1 (${describe(ids?.[bad])}): give it another one`,
  );
}

/** The file of an ivf index that has these centroids, and no rows yet. */
function fileOfLists({ dim, metric, centroids }: FaissIndex & { kind: 'ivf' }): Uint8Array {
  const nlist = centroids.length / dim;
  const pairs = [KEY.kind, 2, KEY.dim, dim, KEY.metric, METRICS.indexOf(metric), KEY.storage, 0, KEY.nlist, nlist];
  return buildFile([
    { tag: 'OPTS', content: Float64Array.from(pairs) },
    { tag: 'INFO', content: BigInt64Array.of(0n, 0n) },
    { tag: 'IVF ', content: Uint32Array.of(1, 0, 0, 0) },
    { tag: 'CENT', content: centroids },
    { tag: 'LTAB', content: new Uint8Array(16 * nlist) },
    { tag: 'LIST', content: new Uint8Array(0) },
    // Rows apart from the lists, where there are such: none yet.
    ...['ROWS', 'NORM'].map((tag) => ({ tag, content: new Uint8Array(0), critical: false })),
  ]);
}
