import { describe } from './describe.js';
import { AnnexError } from './errors.js';
import { ByteReader } from './import_bytes.js';
import { fileOfGraph } from './import_graph.js';
import { plainRows } from './import_rows.js';
import { MAX_DIM, type Metric } from './spec.js';

/** What hnswlib's files leave out. */
export interface HnswlibOptions {
  /** Length of every vector. */
  dim: number;
  /** The space that the index was made for: `l2`, `ip` or `cosine`. */
  metric: 'l2' | 'ip' | 'cosine';
}

const MOST = 2 ** 31 - 17;

export function checkHnswlib({ dim, metric }: HnswlibOptions): void {
  if (!(Number.isInteger(dim) && dim >= 1 && dim <= MAX_DIM)) {
    throw new AnnexError(
      'INVALID_ARGUMENT',
      `expected dim, the length of a vector, from 1 to ${MAX_DIM}, got ${describe(dim)}`,
    );
  }
  if (!['l2', 'ip', 'cosine'].includes(metric)) {
    throw new AnnexError('INVALID_ARGUMENT', `expected metric "l2", "ip" or "cosine", got ${describe(metric)}`);
  }
}

/** The annex file of an index that hnswlib has saved (hnswalg.h, saveIndex): floats under l2, ip or cosine. */
export function fileOfHnswlib(bytes: Uint8Array, { dim, metric }: HnswlibOptions): Uint8Array {
  const reader = new ByteReader(bytes);
  const linksAt = reader.count('an offset', 2 ** 32);
  reader.count('a capacity', 2 ** 53);
  const count = reader.count('a number of elements', MOST);
  const stride = reader.count('a size', 2 ** 32);
  const labelAt = reader.count('an offset', 2 ** 32);
  const dataAt = reader.count('an offset', 2 ** 32);
  reader.i32(); // the greatest level: that of the entry
  const entry = reader.u32();
  const mUpper = reader.count('M', 2 ** 16);
  const mBottom = reader.count('M', 2 ** 16);
  reader.count('M', 2 ** 16);
  reader.f64();
  const efConstruction = reader.count('efConstruction', 2 ** 53);
  const linkBytes = 4 + 4 * mBottom;
  if (linksAt !== 0 || dataAt !== linkBytes || labelAt !== linkBytes + 4 * dim || stride !== labelAt + 8) {
    throw new AnnexError(
      'CORRUPT',
      `an element takes ${stride} bytes, and with dim ${dim} it would be ${linkBytes + 4 * dim + 8}: expected a file that ` +
        'hnswlib has saved, of floats of this dim',
    );
  }
  if (mBottom !== 2 * mUpper)
    throw reader.fail(`expected twice as many links at the bottom as above, got ${mBottom} and ${mUpper}`);
  if (count * stride > reader.left)
    throw reader.fail(`expected ${count} elements of ${stride} bytes, got ${reader.left} bytes`);
  const elements = reader.bytes(count * stride);
  const view = new DataView(elements.buffer);
  const rows = new Float32Array(count * dim);
  const rowBytes = new Uint8Array(rows.buffer);
  const ids = new Float64Array(count);
  const levels = new Uint8Array(count);
  const upper: Uint32Array[] = [];
  const perLevel = 1 + mUpper;
  for (let node = 0; node < count; node++) {
    rowBytes.set(elements.subarray(node * stride + dataAt, node * stride + labelAt), node * 4 * dim);
    const removed = (view.getUint8(node * stride + 2) & 1) !== 0;
    const label = view.getBigUint64(node * stride + labelAt, true);
    if (label > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw new AnnexError('UNSUPPORTED', `element ${node} has the label ${label}: ids go up to 2^53 - 1`);
    }
    ids[node] = removed ? -1 : Number(label);
    const size = reader.u32();
    const level = size / (4 * perLevel);
    if (!Number.isInteger(level) || level > 15) throw reader.fail(`the lists of element ${node} take ${size} bytes`);
    levels[node] = level;
    upper.push(size === 0 ? EMPTY : new Uint32Array(reader.bytes(size).buffer));
  }
  if (reader.left !== 0) throw reader.fail(`${reader.left} bytes follow the end`);
  const links = (node: number, layer: number): ArrayLike<number> => {
    if (layer > 0) {
      const list = (upper[node] as Uint32Array).subarray((layer - 1) * perLevel, layer * perLevel);
      return list.subarray(1, 1 + Math.min(mUpper, (list[0] as number) & 0xffff));
    }
    const n = Math.min(mBottom, view.getUint16(node * stride, true));
    return Array.from({ length: n }, (_, i) => view.getUint32(node * stride + 4 + 4 * i, true));
  };
  const graph = {
    dim,
    metric: metric as Metric,
    rows: plainRows(rows),
    ids,
    m: mUpper,
    efConstruction,
    entry,
    levels,
    links,
  };
  return fileOfGraph(graph);
}

const EMPTY = new Uint32Array(0);
