import { AnnexError } from './errors.js';
import { ByteReader } from './import_bytes.js';
import { decodePq, type FaissPq, readPq, readSq, unpackBits, widenPq } from './import_faiss_codes.js';
import { type FaissList, readBlockLists, readLists, unpackBlocks } from './import_faiss_lists.js';
import { readTransform } from './import_faiss_turn.js';
import { type Codes, type FaissIndex, turnedIndex, unitIndex } from './import_faiss_turned.js';
import { type ImportedRows, plainRows } from './import_rows.js';
import { MAX_DIM, type Metric } from './spec.js';

interface Head {
  readonly dim: number;
  readonly total: number;
  readonly metric: Metric;
}

const MOST_ROWS = 2 ** 32 - 32;
const MOST_DEPTH = 4;

/** Reads an index as faiss.write_index writes it (impl/index_write.cpp). */
export function parseFaiss(bytes: Uint8Array): FaissIndex {
  const reader = new ByteReader(bytes);
  const index = readIndex(reader, 0);
  if (reader.left !== 0) throw reader.fail(`${reader.left} bytes follow the end of the index`);
  return index;
}

/** By the four characters that a kind of index begins with. */
const READERS: Readonly<Record<string, (reader: ByteReader, depth: number, tag: string) => FaissIndex>> = {
  IxF2: readFlat,
  IxFI: readFlat,
  IxFl: readFlat,
  IxSQ: readFlatSq,
  IxPq: readFlatPq,
  IPfs: readFlatFastScan,
  IHNf: readHnsw,
  IHNs: readHnsw,
  IHNp: readHnsw,
  IwFl: readIvfFlat,
  IwSq: readIvfSq,
  IwPQ: readIvfPq,
  IwPf: readIvfFastScan,
  IxPT: readPreTransform,
  IxRF: readRefine,
  IxMp: readIdMap,
  IxM2: readIdMap,
};

function readIndex(reader: ByteReader, depth: number): FaissIndex {
  const tag = reader.tag();
  if (depth > MOST_DEPTH) throw reader.fail('an index inside of too many others');
  const read = Object.hasOwn(READERS, tag) ? READERS[tag] : undefined;
  if (read !== undefined) return read(reader, depth, tag);
  if (!/^[ -~]{4}$/.test(tag)) throw reader.fail('expected a file of faiss.write_index');
  throw new AnnexError(
    'UNSUPPORTED',
    `the FAISS index "${tag}" has no import: annex reads IndexFlat, ScalarQuantizer, PQ, HNSW, IVFFlat, IVFScalarQuantizer, ` +
      'IVFPQ and their fast scans, under IDMap, PreTransform and Refine. Build an annex index of the vectors instead',
  );
}

function refuse(what: string): AnnexError {
  return new AnnexError('UNSUPPORTED', what);
}

function readHead(reader: ByteReader): Head {
  const dim = reader.i32();
  if (dim < 1 || dim > MAX_DIM) throw reader.fail(`expected a dimension from 1 to ${MAX_DIM}, got ${dim}`);
  const total = reader.count('a number of rows', MOST_ROWS);
  reader.bytes(17); // two unused numbers, and whether it is trained
  const code = reader.i32();
  const metric = (['ip', 'l2', 'l1'] as const)[code];
  if (metric === undefined) throw refuse(`annex has no metric like FAISS's number ${code}`);
  if (code > 1) reader.f32();
  return { dim, total, metric };
}

// ---- rows one by one ----

function readFlat(reader: ByteReader): FaissIndex {
  const { dim, total, metric } = readHead(reader);
  const floats = reader.count('a number of values', 2 ** 48);
  if (floats !== total * dim) throw reader.fail(`expected ${total} × ${dim} values, got ${floats}`);
  return { kind: 'flat', dim, metric, rows: plainRows(reader.f32s(floats)), ids: null };
}

function readFlatSq(reader: ByteReader): FaissIndex {
  const { dim, total, metric } = readHead(reader);
  const sq = readSq(reader, dim);
  const codes = readCodes(reader, total * sq.codeBytes);
  return { kind: 'flat', dim, metric, rows: sq.decode(codes, total), ids: null };
}

function readCodes(reader: ByteReader, expected: number): Uint8Array<ArrayBuffer> {
  const bytes = reader.count('bytes of codes', 2 ** 48);
  if (bytes !== expected) throw reader.fail(`expected ${expected} bytes of codes, got ${bytes}`);
  return reader.bytes(bytes);
}

/** One list, around a centroid that nothing depends on. */
function oneList({ dim, total, metric }: Head, codes: Uint8Array, pq: FaissPq): Codes {
  if (metric === 'l1') throw refuse('an IndexPQ under L1 has no import: annex estimates l2 and ip from codes');
  const centroid = new Float32Array(dim);
  centroid[0] = 1;
  const ids = Float64Array.from({ length: total }, (_, i) => i);
  const head = { dim, total, metric, centroids: centroid, nlist: 1 };
  return codesOf(head, pq, false, [{ codes: codes as Uint8Array<ArrayBuffer>, ids }]);
}

function readPqCodes(reader: ByteReader): { head: Head; pq: FaissPq; codes: Uint8Array<ArrayBuffer> } {
  const head = readHead(reader);
  const pq = readPq(reader, head.dim);
  const codes = readCodes(reader, head.total * pq.codeBytes);
  if (reader.i32() !== 0) throw refuse('an IndexPQ of search type other than ST_PQ has no import: set it to ST_PQ');
  reader.u8(); // signs, and the threshold of polysemous search: of other search types
  reader.i32();
  return { head, pq, codes };
}

function readFlatPq(reader: ByteReader): FaissIndex {
  const { head, pq, codes } = readPqCodes(reader);
  const { wide, convert } = widenPq(pq);
  return oneList(head, convert(codes), wide);
}

function readFlatFastScan(reader: ByteReader): FaissIndex {
  const head = readHead(reader);
  const pq = fastScanPq(reader, head.dim);
  reader.i32();
  const rows = reader.i32();
  reader.i32();
  reader.count('a number of rows', MOST_ROWS + rows);
  reader.count('a number of sub-quantizers', MAX_DIM + 1);
  const blocks = reader.bytes(reader.count('bytes of codes', reader.left));
  if (!(rows >= 32 && rows % 32 === 0)) throw reader.fail(`blocks of ${rows} rows`);
  return oneList(head, unpackBlocks(reader, blocks, head.total, rows, pq.m), pq);
}

function fastScanPq(reader: ByteReader, dim: number): FaissPq {
  const pq = readPq(reader, dim);
  if (pq.bits !== 4) throw reader.fail(`a fast scan of ${pq.bits} bits`);
  return pq;
}

// ---- graphs ----

function readHnsw(reader: ByteReader, depth: number, tag: string): FaissIndex {
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
  const rows = tag === 'IHNp' ? readDecodedPq(reader, dim) : rowsOf(readIndex(reader, depth + 1), dim, metric);
  const m = (cumulative[1] ?? 0) / 2;
  if (
    !Number.isInteger(m) ||
    levelCounts.length !== total ||
    offsets.length !== total + 1 ||
    rows.values.length !== total * dim
  ) {
    throw reader.fail('its numbers contradict each other');
  }
  if (levelCounts.some((count) => count < 1 || count > 16)) throw reader.fail('a node is on no level that can be');
  const levels = Uint8Array.from(levelCounts, (count) => count - 1);
  if (neighbors.length !== levels.reduce((sum, level) => sum + (level + 2) * m, 0)) {
    throw reader.fail(`${neighbors.length} links are not those of its nodes`);
  }
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
  return { kind: 'hnsw', dim, metric, rows, ids: null, m, efConstruction, entry, levels, links };
}

/** What the codes under an IndexHNSWPQ stand for: annex keeps graphs of rows. */
function readDecodedPq(reader: ByteReader, dim: number): ImportedRows {
  const tag = reader.tag();
  if (tag !== 'IxPq') throw refuse(`an IndexHNSWPQ over "${tag}" has no import: only over an IndexPQ`);
  const { head, pq, codes } = readPqCodes(reader);
  if (head.dim !== dim) throw reader.fail(`rows of ${head.dim} dimensions, not ${dim}`);
  return plainRows(decodePq(pq, unpackBits(codes, head.total, pq.codeBytes, pq.m, pq.bits), head.total));
}

function rowsOf(index: FaissIndex, dim: number, metric: Metric): ImportedRows {
  if (index.kind === 'flat' && index.ids === null && index.dim === dim && index.metric === metric) return index.rows;
  throw refuse('an IndexHNSW or IndexRefine has an import where its vectors are an IndexFlat or IndexScalarQuantizer');
}

// ---- lists ----

interface IvfHead extends Head {
  readonly nlist: number;
  readonly centroids: Float32Array;
}

function readIvfHead(reader: ByteReader, depth: number): IvfHead {
  const { dim, total, metric } = readHead(reader);
  const nlist = reader.whole('a number of lists', 1, 2 ** 24);
  reader.count('nprobe', 2 ** 53);
  const quantizer = readIndex(reader, depth + 1);
  if ((quantizer.kind !== 'flat' && quantizer.kind !== 'hnsw') || quantizer.ids !== null) {
    throw refuse('an IndexIVF whose centroids are no IndexFlat or IndexHNSWFlat has no import');
  }
  // annex looks for the lists next to a query by l2 under l1.
  if (quantizer.metric !== (metric === 'l1' ? 'l2' : metric)) {
    throw refuse(`an IndexIVF of metric ${metric} whose lists are found by ${quantizer.metric} has no import`);
  }
  const centroids = quantizer.rows.values;
  if (quantizer.dim !== dim || centroids.length !== nlist * dim)
    throw reader.fail('the centroids are of another index');
  const direct = reader.u8();
  reader.bytes(8 * reader.count('a direct map', MOST_ROWS));
  if (direct === 2) reader.bytes(16 * reader.count('a direct map', MOST_ROWS));
  return { dim, total, metric, nlist, centroids };
}

function readIvfFlat(reader: ByteReader, depth: number): FaissIndex {
  const head = readIvfHead(reader, depth);
  const lists = readLists(reader, head.nlist, 4 * head.dim, head.total);
  return listsOf(head, lists, (codes) => plainRows(new Float32Array(codes.buffer)));
}

function readIvfSq(reader: ByteReader, depth: number): FaissIndex {
  const head = readIvfHead(reader, depth);
  const sq = readSq(reader, head.dim);
  const codeBytes = reader.count('a code size', 2 ** 32);
  const residual = reader.u8() !== 0;
  if (codeBytes !== sq.codeBytes) throw reader.fail('the lists are of another index');
  const lists = readLists(reader, head.nlist, codeBytes, head.total);
  const index = listsOf(head, lists, sq.decode);
  if (!residual) return index;
  const values = index.rows.values.slice();
  let at = 0;
  for (let l = 0; l < head.nlist; l++) {
    const centroid = head.centroids.subarray(l * head.dim, (l + 1) * head.dim);
    for (const end = at + (index.sizes[l] as number) * head.dim; at < end; at++) {
      values[at] = (values[at] as number) + (centroid[at % head.dim] as number);
    }
  }
  return { ...index, rows: plainRows(values) };
}

function listsOf(
  { dim, metric, centroids }: IvfHead,
  lists: readonly FaissList[],
  decode: (codes: Uint8Array<ArrayBuffer>, n: number) => ImportedRows,
): FaissIndex & { kind: 'ivf' } {
  const sizes = lists.map(({ ids }) => ids.length);
  const ids = joined(
    Float64Array,
    lists.map((list) => list.ids),
  );
  const codes = joined(
    Uint8Array,
    lists.map((list) => list.codes),
  );
  return { kind: 'ivf', dim, metric, centroids, rows: decode(codes, ids.length), sizes, ids };
}

function joined<Item extends Float64Array<ArrayBuffer> | Uint8Array<ArrayBuffer>>(
  Class: new (length: number) => Item,
  parts: readonly (ArrayLike<number> & { readonly length: number })[],
): Item {
  const all = new Class(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function readIvfPq(reader: ByteReader, depth: number): FaissIndex {
  const head = readIvfHead(reader, depth);
  const residual = reader.u8() !== 0;
  const codeBytes = reader.count('a code size', 2 ** 32);
  const pq = readPq(reader, head.dim);
  if (codeBytes !== pq.codeBytes) throw reader.fail('the lists are of another index');
  const lists = readLists(reader, head.nlist, codeBytes, head.total);
  const { wide, convert } = widenPq(pq);
  return codesOf(
    head,
    wide,
    residual,
    lists.map(({ codes, ids }) => ({ codes: convert(codes), ids })),
  );
}

function readIvfFastScan(reader: ByteReader, depth: number): FaissIndex {
  const head = readIvfHead(reader, depth);
  const residual = reader.u8() !== 0;
  reader.bytes(8); // the code size,
  reader.bytes(4 + 8 + 4 + 8); // rows a block, sub-quantizers with padding: told by the lists; ways to scan
  const pq = fastScanPq(reader, head.dim);
  return codesOf(head, pq, residual, readBlockLists(reader, head.nlist, pq.m, head.total));
}

function codesOf(head: IvfHead, pq: FaissPq, residual: boolean, lists: Codes['lists']): Codes {
  const { dim, metric, centroids } = head;
  const { m, codebooks } = pq;
  if (metric === 'l1') throw refuse('an IndexIVFPQ under L1 has no import: annex estimates l2 and ip from codes');
  const bits = pq.bits as 4 | 8;
  const plain = { rotation: 'none', matrix: null, ids: null, rerank: null, turned: centroids } as const;
  return { kind: 'codes', dim, metric, centroids, residual, m, bits, codebooks, lists, ...plain };
}

// ---- indexes around others ----

function readIdMap(reader: ByteReader, depth: number): FaissIndex {
  const { total } = readHead(reader);
  const inner = readIndex(reader, depth + 1);
  const n = reader.count('a number of ids', MOST_ROWS);
  const ids = reader.i64s(n);
  if (n !== total) throw reader.fail(`expected ${total} ids, got ${n}`);
  if (inner.kind === 'ivf') return { ...inner, ids: inner.ids.map((position) => ids[position] ?? Number.NaN) };
  if (inner.ids !== null) throw refuse('an IndexIDMap of another one has no import: one of them suffices');
  return { ...inner, ids };
}

function readRefine(reader: ByteReader, depth: number): FaissIndex {
  const { dim, metric, total } = readHead(reader);
  const base = readIndex(reader, depth + 1);
  const rows = rowsOf(readIndex(reader, depth + 1), dim, metric);
  reader.f32(); // the rerank factor: an option of searches
  if (base.dim !== dim || base.metric !== metric || rows.values.length !== total * dim) {
    throw reader.fail('what is refined is of another index');
  }
  if (base.kind === 'codes' && base.ids === null && base.rerank === null) return { ...base, rerank: rows };
  throw refuse(
    'an IndexRefine has an import over IndexPQ and IndexIVFPQ (with PreTransform or not): write base_index, whose ' +
      'distances are finer, alone',
  );
}

function readPreTransform(reader: ByteReader, depth: number): FaissIndex {
  const { dim, metric } = readHead(reader);
  const count = reader.i32();
  if (!(count >= 0 && count <= 16)) throw reader.fail(`${count} transforms`);
  const transforms = Array.from({ length: count }, () => readTransform(reader));
  const unit = transforms[0] === 'unit';
  const [turn, ...more] = transforms.slice(unit ? 1 : 0);
  if (turn === 'unit' || more.length > 0) {
    throw refuse('an IndexPreTransform has an import with L2norm, one linear transform, or one after the other');
  }
  const inner = readIndex(reader, depth + 1);
  if (inner.metric !== metric || inner.dim !== (turn === undefined ? dim : turn.to) || (turn?.from ?? dim) !== dim) {
    throw reader.fail('the transforms do not fit the index behind them');
  }
  const turned = turn === undefined ? inner : turnedIndex(turn, inner);
  return unit ? unitIndex(turned) : turned;
}
