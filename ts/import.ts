import type { AnyIndex } from './api.js';
import type { BoundClass } from './bind.js';
import { describe } from './describe.js';
import { AnnexError } from './errors.js';
import { fileOfCodes } from './import_codes.js';
import { parseFaiss } from './import_faiss.js';
import type { FaissIndex } from './import_faiss_turned.js';
import { fileOfGraph } from './import_graph.js';
import { checkHnswlib, fileOfHnswlib, type HnswlibOptions } from './import_hnswlib.js';
import { fileOfLists } from './import_lists.js';
import { checkOptions } from './names.js';
import { located } from './open.js';
import { parseSource, slicesOf } from './source.js';

const GIVEN: readonly string[] = ['INVALID_ARGUMENT', 'DIMENSION_MISMATCH', 'NOT_FINITE', 'INVALID_ID', 'DUPLICATE_ID'];

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
  const given = checkOptions<HnswlibOptions>('importHnswlib', options, ['dim', 'metric']);
  checkHnswlib(given);
  const { bytes, path } = await bytesOf(source);
  try {
    return (await classes.hnsw.open(fileOfHnswlib(bytes, given))) as AnyIndex;
  } catch (error) {
    throw located(asDamage(error), path);
  }
}

export async function importFaiss(classes: ImportClasses, source: unknown): Promise<AnyIndex> {
  const { bytes, path } = await bytesOf(source);
  try {
    return await indexOf(classes, parseFaiss(bytes));
  } catch (error) {
    throw located(asDamage(error), path);
  }
}

async function indexOf(classes: ImportClasses, parsed: FaissIndex): Promise<AnyIndex> {
  const ids = checkedIds(parsed.ids);
  switch (parsed.kind) {
    case 'flat': {
      const { dim, metric, rows } = parsed;
      const index = await classes.flat.create({ dim, metric, storage: rows.storage });
      await index.add(rows.values, { ids: ids ?? undefined });
      return index as AnyIndex;
    }
    case 'hnsw':
      return (await classes.hnsw.open(fileOfGraph(parsed))) as AnyIndex;
    case 'ivf':
      return (await classes.ivf.open(fileOfLists(parsed))) as AnyIndex;
    case 'codes':
      for (const list of parsed.lists) checkedIds(list.ids);
      return (await classes.ivf.open(fileOfCodes(parsed))) as AnyIndex;
  }
}

/** What the core says of rows and options that a caller gave is damage where a file brought them. */
function asDamage(error: unknown): unknown {
  if (!(error instanceof AnnexError) || !GIVEN.includes(error.code)) return error;
  return new AnnexError('CORRUPT', `what the file holds makes no index: ${error.message}`, { cause: error });
}

/** Ids as annex has them: from 0 to 2^53 - 1, each once. */
function checkedIds(ids: Float64Array | null): Float64Array | null {
  if (ids === null) return null;
  const bad = ids.findIndex((id) => !(id >= 0));
  if (bad >= 0) {
    throw new AnnexError(
      'UNSUPPORTED',
      `row ${bad} has no id from 0 to 2^53 - 1 (${describe(ids[bad])}): give it another one`,
    );
  }
  const sorted = ids.slice().sort();
  const twice = sorted.findIndex((id, i) => id === sorted[i + 1]);
  if (twice < 0) return ids;
  throw new AnnexError('UNSUPPORTED', `the id ${sorted[twice]} occurs twice: ids of annex are all different`);
}
