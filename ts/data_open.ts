// Opens files of vectors by their names.
import { FIXED, openFixed } from './data_fixed.js';
import { HDF5, Hdf5File } from './data_hdf5.js';
import { JSONL, openJsonl } from './data_jsonl.js';
import { openParquet } from './data_parquet.js';
import { type RowSource, unfit } from './data_source.js';

export const EXTENSIONS = [...FIXED, ...JSONL, 'parquet', ...HDF5];

export interface OpenOptions {
  /** Of HDF5: the dataset; also written `file.hdf5:dataset`. */
  readonly dataset?: string | undefined;
  /** Where HDF5 names no dataset: the first of these that it has. Without one of them, its only table. */
  readonly datasets?: readonly string[] | undefined;
  /** Of Parquet and JSON lines: the column with the vectors. */
  readonly column?: string | undefined;
  /** Of Parquet and JSON lines: the column with the ids; JSON lines take `id` where it is there. */
  readonly idColumn?: string | undefined;
}

/** The extension of a path, in small letters, and the dataset of HDF5 that may follow it. */
export function nameOf(path: string): { file: string; extension: string; dataset?: string | undefined } {
  const [, file = path, dataset] = /^(.*\.(?:hdf5|h5)):([^:]+)$/i.exec(path) ?? [];
  const extension = /\.([a-z0-9]+)$/i.exec(file)?.[1]?.toLowerCase() ?? '';
  if (EXTENSIONS.includes(extension)) return { file, extension, dataset };
  throw unfit(path, `expected a file of vectors that ends in .${EXTENSIONS.join(', .')}, got ".${extension}"`);
}

export const isHdf5 = (path: string): boolean => HDF5.includes(nameOf(path).extension);

/**
 * Opens rows of vectors.
 *
 * @throws AnnexError IO, CORRUPT, or UNSUPPORTED where the file is of another kind, or its reader is not installed
 */
export async function openRows(path: string, options: OpenOptions = {}): Promise<RowSource> {
  const { file, extension, dataset } = nameOf(path);
  const { column, idColumn } = options;
  if (FIXED.includes(extension)) return openFixed(file, extension);
  if (JSONL.includes(extension)) return openJsonl(file, { column, idColumn });
  if (extension === 'parquet') return openParquet(file, { column, idColumn });
  const hdf5 = await Hdf5File.open(file);
  try {
    return hdf5.table(dataset ?? options.dataset ?? standard(hdf5, options.datasets ?? ['train']));
  } catch (error) {
    hdf5.close();
    throw error;
  }
}

function standard(file: Hdf5File, wanted: readonly string[]): string {
  const tables = file.tables();
  const found = wanted.find((name) => tables.includes(name)) ?? (tables.length === 1 ? tables[0] : undefined);
  if (found !== undefined) return found;
  throw unfit(
    file.path,
    `it has no dataset ${wanted.map((name) => `"${name}"`).join(' or ')}; name one, as in ${file.path}:${tables[0] ?? 'name'}; ` +
      `it has ${tables.join(', ') || 'no rows of numbers'}`,
  );
}
