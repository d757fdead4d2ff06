import { AnnexError } from './errors.js';
import { ByteReader } from './import_bytes.js';
import type { ImportedGraph } from './import_graph.js';
import { MAX_DIM, type Metric } from './spec.js';

/** What a FAISS file holds, as far as annex has the like. */
export type FaissIndex =
  | {
      readonly kind: 'flat';
      readonly dim: number;
      readonly metric: Metric;
      readonly rows: Float32Array;
      readonly ids: Float64Array | null;
    }
  | ({ readonly kind: 'hnsw' } & ImportedGraph)
  | {
      readonly kind: 'ivf';
      readonly dim: number;
      readonly metric: Metric;
      readonly centroids: Float32Array;
      /** Rows of all lists, and their ids. */
      readonly lists: readonly { readonly rows: Float32Array; readonly ids: Float64Array }[];
    };

interface Head {
  readonly dim: number;
  readonly total: number;
  readonly metric: Metric;
}

const MOST_ROWS = 2 ** 32 - 32;

/** Reads an index as faiss.write_index writes it (index_write.cpp): IndexFlat, IndexHNSWFlat, IndexIVFFlat, IDMap. */
export function parseFaiss(bytes: Uint8Array): FaissIndex {
  const reader = new ByteReader(bytes);
  const index = readIndex(reader, 0);
  if (reader.left !== 0) throw reader.fail(`${reader.left} bytes follow the end of the index`);
  return index;
}

function readHead(reader: ByteReader): Head {
  const dim = reader.i32();
  if (dim < 1 || dim > MAX_DIM) throw reader.fail(`expected a dimension from 1 to ${MAX_DIM}, got ${dim}`);
  const total = reader.count('a number of rows', MOST_ROWS);
  reader.bytes(17); // two unused numbers, and whether it is trained
  const code = reader.i32();
  const metric = (['ip', 'l2', 'l1'] as const)[code];
  if (metric === undefined) throw new AnnexError('UNSUPPORTED', `annex has no metric like FAISS's number ${code}`);
  if (code > 1) reader.f32();
  return { dim, total, metric };
}

function readIndex(reader: ByteReader, depth: number): FaissIndex {
  const tag = reader.tag();
  switch (tag) {
    case 'IxF2':
    case 'IxFI':
    case 'IxFl':
      return readFlat(reader);
    case 'IHNf':
      return readHnsw(reader, depth);
    case 'IwFl':
      return readIvf(reader, depth);
    case 'IxMp':
    case 'IxM2':
      return readIdMap(reader, depth);
    default:
      if (!/^[ -~]{4}$/.test(tag)) throw reader.fail('expected a file of faiss.write_index');
      throw new AnnexError(
        'UNSUPPORTED',
        `the FAISS index "${tag}" has no import: annex reads IndexFlat, IndexHNSWFlat, IndexIVFFlat and IndexIDMap of those`,
      );
  }
}

function readFlat(reader: ByteReader): FaissIndex & { kind: 'flat' } {
  const { dim, total, metric } = readHead(reader);
  const floats = reader.count('a number of values', 2 ** 48);
  if (floats !== total * dim) throw reader.fail(`expected ${total} × ${dim} values, got ${floats}`);
  return { kind: 'flat', dim, metric, rows: reader.f32s(floats), ids: null };
}

function readIdMap(reader: ByteReader, depth: number): FaissIndex {
  const { total } = readHead(reader);
  if (depth > 0) throw reader.fail('an IndexIDMap inside another index');
  const inner = readIndex(reader, depth + 1);
  const n = reader.count('a number of ids', MOST_ROWS);
  const ids = reader.i64s(n);
  if (n !== total) throw reader.fail(`expected ${total} ids, got ${n}`);
  if (inner.kind === 'ivf')
    throw new AnnexError('UNSUPPORTED', 'an IndexIDMap of an IndexIVF: add its ids to the IndexIVF itself');
  return { ...inner, ids };
}

function readHnsw(reader: ByteReader, depth: number): FaissIndex {
  const { dim, total, metric } = readHead(reader);
  reader.bytes(8 * reader.count('levels', 64));
  const cumulative = reader.i32s(reader.count('levels', 64));
  const levelCounts = reader.i32s(reader.count('nodes', MOST_ROWS));
  const offsets = reader.i64s(reader.count('nodes', MOST_ROWS + 1));
  const neighbors = reader.i32s(reader.count('links', 2 ** 40));
  const entry = reader.i32();
  reader.i32(); // the greatest level
  const efConstruction = reader.i32();
  reader.i32();
  reader.i32();
  if (depth > 1) throw reader.fail('an IndexHNSW inside another index');
  const storage = readIndex(reader, depth + 2);
  if (storage.kind !== 'flat' || storage.ids !== null) {
    throw new AnnexError('UNSUPPORTED', 'an IndexHNSW over coded vectors has no import: only IndexHNSWFlat');
  }
  const bottom = cumulative[1] ?? 0;
  const m = bottom / 2;
  if (
    !Number.isInteger(m) ||
    levelCounts.length !== total ||
    offsets.length !== total + 1 ||
    storage.rows.length !== total * dim
  ) {
    throw reader.fail('its numbers contradict each other');
  }
  const levels = Uint8Array.from(levelCounts, (count) => count - 1);
  const links = (node: number, layer: number): ArrayLike<number> => {
    const base = offsets[node] as number;
    const begin = base + (cumulative[layer] ?? 0);
    const end = base + (cumulative[layer + 1] ?? 0);
    if (!(begin >= 0 && begin <= end && end <= neighbors.length && end - begin === (layer === 0 ? 2 * m : m))) {
      throw reader.fail(`the links of node ${node} on layer ${layer} are out of bounds`);
    }
    const list = neighbors.subarray(begin, end);
    const n = list.indexOf(-1);
    return n < 0 ? list : list.subarray(0, n);
  };
  if (levelCounts.some((count) => count < 1 || count > 16)) throw reader.fail('a node is on no level that can be');
  return { kind: 'hnsw', dim, metric, rows: storage.rows, ids: null, m, efConstruction, entry, levels, links };
}

function readIvf(reader: ByteReader, depth: number): FaissIndex {
  const { dim, total, metric } = readHead(reader);
  const nlist = reader.count('a number of lists', 2 ** 24);
  reader.count('nprobe', 2 ** 53);
  if (depth > 1) throw reader.fail('an IndexIVF inside another index');
  const quantizer = readIndex(reader, depth + 2);
  if (quantizer.kind === 'ivf' || quantizer.rows.length !== nlist * dim || quantizer.ids !== null) {
    throw new AnnexError('UNSUPPORTED', 'an IndexIVF whose centroids are no IndexFlat or IndexHNSWFlat has no import');
  }
  const direct = reader.u8();
  reader.bytes(8 * reader.count('a direct map', MOST_ROWS));
  if (direct === 2) reader.bytes(16 * reader.count('a direct map', MOST_ROWS));
  const tag = reader.tag();
  if (tag !== 'ilar')
    throw new AnnexError('UNSUPPORTED', `inverted lists of kind "${tag}" have no import: only those in the file`);
  const listCount = reader.count('a number of lists', 2 ** 24);
  const codeSize = reader.count('a code size', 2 ** 32);
  if (listCount !== nlist || codeSize !== 4 * dim) throw reader.fail('the lists are of another index');
  const form = reader.tag();
  const sizes = new Float64Array(nlist);
  const numbers = reader.i64s(reader.count('lengths', 2 ** 25));
  if (form === 'full' && numbers.length === nlist) sizes.set(numbers);
  else if (form === 'sprs' && numbers.length % 2 === 0) {
    for (let i = 0; i < numbers.length; i += 2) {
      if (!((numbers[i] as number) < nlist)) throw reader.fail('a list that there is not');
      sizes[numbers[i] as number] = numbers[i + 1] as number;
    }
  } else throw reader.fail('the lengths of the lists cannot be read');
  const lists = Array.from(sizes, (n) => {
    if (!(n >= 0 && n <= total)) throw reader.fail(`a list of ${n} rows`);
    return { rows: reader.f32s(n * dim), ids: reader.i64s(n) };
  });
  return { kind: 'ivf', dim, metric, centroids: quantizer.rows, lists };
}
