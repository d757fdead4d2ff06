import type { AnyIndex } from './api.js';
import { describe } from './describe.js';
import { AnnexError } from './errors.js';
import { ByteWriter } from './export_bytes.js';
import {
  floatsOf,
  type ListShape,
  type Section,
  type StoredList,
  sectionsOf,
  storedLists,
  unblocked,
  wordsOf,
} from './export_lists.js';
import { NO_LINK, readLinks } from './graph_links.js';
import type { HnswCreatedWith } from './hnsw.js';
import { turn } from './import_faiss_turn.js';
import type { IvfCreatedWith } from './ivf.js';
import type { CreatedWith } from './options.js';
import type { PqStorage } from './storage.js';
import { VectorIndex } from './vector_index.js';

/** FAISS's numbers of its metrics. */
const METRIC = { ip: 0, l2: 1, l1: 2 } as const;
type FaissMetric = keyof typeof METRIC;

const RERANK_FACTOR = 10;
const EF_SEARCH = 96;
const ROWS_AT_ONCE = 4096;

/** Writes an index of FAISS's. */
type Part = (to: ByteWriter) => void;

function refuse(what: string): AnnexError {
  return new AnnexError('UNSUPPORTED', `${what} has no counterpart in FAISS`);
}

/**
 * The bytes of a file that FAISS's `read_index` takes, with the same answers: IndexFlat, IndexHNSWFlat, IndexIVFFlat or
 * IndexIVFPQ (of `residual: false` by_residual false) as the index is; behind an IndexPreTransform for OPQ and for the
 * metric `cosine`, under an IndexRefineFlat for rerank, and under an IndexIDMap2 where ids are not 0, 1, 2 …. Narrow storages
 * become floats. nprobe, efSearch and the rerank factor are set to annex's defaults. Under `cosine` codes are compared by
 * l2, twice annex's distance; under `ip` with option `lengths`, which have no place there, distances are those of the codes
 * alone, and so they are of lists of pq under the other metrics, where annex counts a share of each row's error besides.
 * The index is to be left as it is meanwhile.
 *
 * @throws AnnexError UNSUPPORTED for what FAISS has not (rabitq, spill, packed bits, removed rows in a graph), NOT_TRAINED,
 * CLOSED, INVALID_TYPE, OUT_OF_MEMORY
 */
export async function exportFaiss(index: AnyIndex): Promise<Uint8Array<ArrayBuffer>> {
  if (!((index as unknown) instanceof VectorIndex)) {
    throw new AnnexError('INVALID_TYPE', `expected an index to export, got ${describe(index)}`);
  }
  const options = index.options() as CreatedWith;
  const { metric, storage } = options;
  if (metric === 'hamming' || metric === 'jaccard') throw refuse(`metric ${metric}`);
  if (typeof storage === 'object' && storage.codec === 'rabitq') throw refuse('storage rabitq as annex codes it');
  if (!index.trained)
    throw new AnnexError('NOT_TRAINED', 'an index that is not trained has nothing to export: train it');
  const section = sectionsOf(await index.toBytes());
  const ids = Float64Array.from(index.ids());
  const given = { index, options, ids, section };
  const kind = index.constructor.name;
  const to = new ByteWriter();
  if (kind === 'FlatIndex') writeFlat(to, given);
  else if (kind === 'HnswIndex') writeHnsw(to, given);
  else writeIvf(to, given);
  return to.finish();
}

interface Given {
  readonly index: AnyIndex;
  readonly options: CreatedWith;
  /** By slot. */
  readonly ids: Float64Array;
  readonly section: Section;
}

/** Rows as floats by slot; under cosine of length 1. */
function rowsOf({ index, ids, options }: Given): Float32Array {
  const { dim, metric } = options;
  const rows = new Float32Array(ids.length * dim);
  for (let first = 0; first < ids.length; first += ROWS_AT_ONCE) {
    for (const [i, row] of index.getMany(ids.subarray(first, first + ROWS_AT_ONCE)).entries()) {
      if (row !== undefined) rows.set(row, (first + i) * dim);
    }
  }
  return metric === 'cosine' ? units(rows, dim) : rows;
}

function units(rows: Float32Array, dim: number): Float32Array {
  const out = rows.slice();
  for (let at = 0; at < rows.length; at += dim) {
    let sum = 0;
    for (let d = at; d < at + dim; d++) sum += (rows[d] as number) ** 2;
    for (let d = at; d < at + dim; d++) out[d] = (rows[d] as number) / Math.sqrt(sum);
  }
  return out;
}

// ---- what several kinds share ----

function head(to: ByteWriter, tag: string, dim: number, n: number, metric: FaissMetric): void {
  to.tag(tag);
  to.i32(dim);
  to.i64(n, 1 << 20, 1 << 20);
  to.u8(1);
  to.i32(METRIC[metric]);
  if (METRIC[metric] > 1) to.f32(0);
}

function flat(to: ByteWriter, rows: Float32Array, dim: number, metric: FaissMetric): void {
  head(to, { ip: 'IxFI', l2: 'IxF2', l1: 'IxFl' }[metric], dim, rows.length / dim, metric);
  to.vector(rows);
}

/** `part` under the ids of the index, where these are not 0, 1, 2 … */
function mapped(to: ByteWriter, { ids, options }: Given, metric: FaissMetric, part: Part): void {
  if (ids.every((id, slot) => id === slot)) {
    part(to);
    return;
  }
  head(to, 'IxM2', options.dim, ids.length, metric);
  part(to);
  to.vector(BigInt64Array.from(ids, BigInt));
}

/** `part` behind transforms: of queries under cosine to length 1, then by a matrix. */
function transformed(to: ByteWriter, given: Given, metric: FaissMetric, matrix: Float32Array | null, part: Part): void {
  const { dim } = given.options;
  const unit = given.options.metric === 'cosine';
  if (!unit && matrix === null) {
    part(to);
    return;
  }
  head(to, 'IxPT', dim, given.ids.length, metric);
  to.i32((unit ? 1 : 0) + (matrix === null ? 0 : 1));
  if (unit) {
    to.tag('VNrm');
    to.f32(2);
    to.i32(dim, dim);
    to.u8(1);
  }
  if (matrix !== null) {
    to.tag('LTra');
    to.u8(0);
    to.vector(matrix);
    to.vector(new Float32Array(0));
    to.i32(dim, matrix.length / dim);
    to.u8(1);
  }
  part(to);
}

const plainMetric = ({ metric }: CreatedWith): FaissMetric => (metric === 'cosine' ? 'ip' : (metric as FaissMetric));

// ---- kinds ----

function writeFlat(to: ByteWriter, given: Given): void {
  const metric = plainMetric(given.options);
  mapped(to, given, metric, () => {
    transformed(to, given, metric, null, () => flat(to, rowsOf(given), given.options.dim, metric));
  });
}

function writeHnsw(to: ByteWriter, given: Given): void {
  const { options, section, ids } = given;
  const { M, efConstruction } = options as HnswCreatedWith;
  const facts = new DataView(section('HNSW').slice().buffer);
  const n = Number(facts.getBigUint64(0, true));
  if (n !== ids.length) throw refuse(`a graph with ${n - ids.length} removed rows (compact() drops them)`);
  const metric = plainMetric(options);
  mapped(to, given, metric, () => {
    transformed(to, given, metric, null, () => {
      head(to, 'IHNf', options.dim, n, metric);
      writeGraph(to, section, n, M);
      to.i32(n === 0 ? -1 : facts.getUint32(16, true), facts.getInt32(20, true), efConstruction, EF_SEARCH, 1);
      flat(to, rowsOf(given), options.dim, metric);
    });
  });
}

function writeGraph(to: ByteWriter, section: Section, n: number, M: number): void {
  const levels = section('LEVL');
  const bottom = readLinks(section('LNK3', 'LNK0'), n * 2 * M);
  const upper = wordsOf(section('LNKU'));
  const lists = levels.reduce((sum, level) => sum + level, 0);
  const highest = levels.reduce((most, level) => Math.max(most, level), 0);
  const probabilities: number[] = [];
  for (let level = 0; ; level++) {
    const p = Math.exp(-level * Math.log(M)) * (1 - 1 / M);
    if (p < 1e-9 && level > highest) break;
    probabilities.push(p);
  }
  const offsets = new BigInt64Array(n + 1);
  const neighbors = new Int32Array(n * 2 * M + lists * M);
  let at = 0;
  let list = 0;
  const put = (link: number): void => {
    neighbors[at++] = link === NO_LINK ? -1 : link;
  };
  for (let node = 0; node < n; node++) {
    for (let i = 0; i < 2 * M; i++) put(bottom[node * 2 * M + i] as number);
    for (let i = 0; i < (levels[node] as number) * M; i++) put(upper[list * M + i] as number);
    list += levels[node] as number;
    offsets[node + 1] = BigInt(at);
  }
  to.vector(Float64Array.from(probabilities));
  to.vector(Int32Array.from({ length: probabilities.length + 1 }, (_, level) => (level === 0 ? 0 : (level + 1) * M)));
  to.vector(Int32Array.from(levels, (level) => level + 1));
  to.vector(offsets);
  to.vector(neighbors);
}

function writeIvf(to: ByteWriter, given: Given): void {
  const { options, section } = given;
  const { spill, storage, dim } = options as IvfCreatedWith;
  if (spill > 0) throw refuse('a row in two lists (option spill)');
  if (options.metric === 'l1') throw refuse('an ivf index under l1');
  if (typeof storage === 'object') {
    writeIvfPq(to, given, storage as Required<PqStorage>);
    return;
  }
  const metric = plainMetric(options);
  const rows = rowsOf(given);
  const lists = storedLists(section, shapeOf(options as IvfCreatedWith));
  transformed(to, given, metric, null, () => {
    ivfHead(to, given, 'IwFl', metric, centroidsOf(given), dim);
    writeLists(to, lists, 4 * dim, given.ids, ({ slots }) => {
      const own = new Float32Array(slots.length * dim);
      for (const [i, slot] of slots.entries()) own.set(rows.subarray(slot * dim, (slot + 1) * dim), i * dim);
      return own;
    });
  });
}

/** Lists of rows or narrow copies. Files of imports leave options out that have their default. */
function shapeOf({ dim, metric, storage, rerank = 'none' }: IvfCreatedWith): ListShape {
  const align = (n: number): number => Math.ceil(n / 64) * 64;
  const narrow = (storage === 'f32' && dim >= 32) || rerank !== 'none';
  if (narrow) return { group: 16, codeBytes: (room) => room * 4 * Math.ceil(dim / 4), terms: 4 };
  const bytes =
    { f32: 4 * dim, f16: 2 * dim, bf16: 2 * dim, sq8: 4 * Math.ceil((dim + 8) / 4) }[storage as string] ?? dim;
  return { group: 16, codeBytes: (room) => align(room * bytes), terms: metric === 'l1' ? 0 : 1 };
}

function centroidsOf({ options, section }: Given): Float32Array {
  const centroids = floatsOf(section('CROW'));
  return options.metric === 'cosine' ? units(centroids, options.dim) : centroids;
}

function ivfHead(
  to: ByteWriter,
  { ids }: Given,
  tag: string,
  metric: FaissMetric,
  centroids: Float32Array,
  dim: number,
) {
  const nlist = centroids.length / dim;
  head(to, tag, dim, ids.length, metric);
  to.i64(nlist, Math.ceil(Math.sqrt(nlist)));
  flat(to, centroids, dim, metric);
  to.u8(0); // no direct map
  to.i64(0);
}

function writeLists(
  to: ByteWriter,
  lists: readonly StoredList[],
  codeBytes: number,
  ids: Float64Array | null,
  codesOf: (list: StoredList) => ArrayBufferView,
): void {
  to.tag('ilar');
  to.i64(lists.length, codeBytes);
  to.tag('full');
  to.vector(BigInt64Array.from(lists, ({ slots }) => BigInt(slots.length)));
  for (const list of lists) {
    if (list.slots.length === 0) continue;
    to.bytes(codesOf(list));
    to.bytes(BigInt64Array.from(list.slots, (slot) => BigInt(ids === null ? slot : (ids[slot] as number))));
  }
}

function writeIvfPq(to: ByteWriter, given: Given, { m, bits, rotation, anisotropic }: Required<PqStorage>): void {
  const { options, section, ids } = given;
  const { dim, rerank = 'none', residual, lengths } = options as IvfCreatedWith;
  // Under cosine codes are compared by l2, as between rows of length 1.
  const metric = options.metric === 'cosine' && anisotropic === 1 ? 'l2' : plainMetric(options);
  const matrix = rotation === 'none' ? null : floatsOf(section('ROTM'));
  const inner = matrix === null ? dim : matrix.length / dim;
  const turned = (rows: Float32Array): Float32Array =>
    matrix === null ? rows : turn({ matrix, shift: null, from: dim, to: inner, random: false }, rows);
  const blockBytes = 32 * ((m * bits) / 8 + (metric === 'l2' || lengths === true ? 4 : 0));
  const codeBytes = (room: number): number => Math.ceil(((room / 32) * blockBytes) / 64) * 64;
  const lists = storedLists(section, { group: 32, codeBytes, terms: 0 });
  const refines = rerank !== 'none';
  const base = (): void => {
    transformed(to, given, metric, matrix, () => {
      ivfHead(to, given, 'IwPQ', metric, turned(centroidsOf(given)), inner);
      to.u8(residual === false ? 0 : 1);
      to.i64(Math.ceil((m * bits) / 8));
      to.i64(inner, m, bits);
      to.vector(floatsOf(section('CBOK')));
      const own = (list: StoredList) => unblocked(list.codes, list.slots.length, m, bits, blockBytes);
      writeLists(to, lists, Math.ceil((m * bits) / 8), refines ? null : ids, own);
    });
  };
  if (!refines) {
    base();
    return;
  }
  if (options.metric === 'cosine') throw refuse('rerank of codes under cosine');
  mapped(to, given, metric, () => {
    head(to, 'IxRF', dim, ids.length, metric);
    base();
    flat(to, rowsOf(given), dim, metric);
    to.f32(RERANK_FACTOR);
  });
}
