import { buildFile } from './container.js';
import { type ImportedRows, idSections, normsOf, storageCode } from './import_rows.js';
import { KEY, METRICS, type Metric } from './spec.js';

/** Lists of rows as other libraries keep them. */
export interface ImportedLists {
  readonly dim: number;
  readonly metric: Metric;
  readonly centroids: Float32Array;
  /** The rows of all lists, list by list. */
  readonly rows: ImportedRows;
  readonly sizes: ArrayLike<number>;
  /** Ids in the order of the rows. */
  readonly ids: Float64Array;
}

const NARROW = 32; // dimensions from which on f32 rows lie apart, and the lists hold narrow copies (native/file/FORMAT.md)
const GROUP = 16; // rows that a list has room for come in this many
const align = (n: number): number => Math.ceil(n / 64) * 64;

/** The file of an ivf index of these rows. What is wrong with them is found when the file is opened. */
export function fileOfLists(given: ImportedLists): Uint8Array {
  const { dim, metric, centroids, rows, ids } = given;
  const nlist = centroids.length / dim;
  const pairs = [KEY.kind, 2, KEY.dim, dim, KEY.metric, METRICS.indexOf(metric), KEY.storage, storageCode(rows)];
  pairs.push(KEY.nlist, nlist);
  const facts = new DataView(new ArrayBuffer(16));
  facts.setUint32(0, 1, true);
  facts.setBigUint64(8, BigInt(ids.length), true);
  const apart = rows.storage === 'f32' && dim >= NARROW && metric !== 'l1';
  return buildFile([
    { tag: 'OPTS', content: Float64Array.from(pairs) },
    ...idSections(ids, ids.length),
    { tag: 'IVF ', content: facts },
    { tag: 'CENT', content: centroids },
    ...(apart ? rowsApart(given) : rowsWithin(given, nlist)),
  ]);
}

/** Rows, and of each the list: the core makes the narrow copies. */
function rowsApart({ dim, rows, sizes, ids }: ImportedLists) {
  const lists = new Uint32Array(ids.length);
  let at = 0;
  for (let l = 0; l < sizes.length; l++) {
    lists.fill(l, at, at + (sizes[l] as number));
    at += sizes[l] as number;
  }
  return [
    { tag: 'ASGN', content: lists },
    { tag: 'ROWS', content: rows.coded },
    { tag: 'NORM', content: normsOf(rows.values, dim) },
  ];
}

/** The lists as they are: rows, norms, slots. */
function rowsWithin({ dim, metric, rows, sizes }: ImportedLists, nlist: number) {
  const coded = new Uint8Array(rows.coded.buffer, rows.coded.byteOffset, rows.coded.byteLength);
  const stride = (rows.storage === 'f32' ? 4 : 2) * dim;
  const norms = metric === 'l1' ? null : normsOf(rows.values, dim);
  const table = new DataView(new ArrayBuffer(16 * nlist));
  let length = 0;
  for (let l = 0; l < nlist; l++) {
    const n = sizes[l] as number;
    const room = Math.ceil(n / GROUP) * GROUP;
    table.setBigUint64(16 * l, BigInt(length), true);
    table.setUint32(16 * l + 8, n, true);
    length += align(align(room * stride) + (norms === null ? 4 : 8) * room);
  }
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  let slot = 0;
  for (let l = 0; l < nlist; l++) {
    const n = sizes[l] as number;
    const base = Number(table.getBigUint64(16 * l, true));
    const room = Math.ceil(n / GROUP) * GROUP;
    const normsAt = base + align(room * stride);
    const slotsAt = normsAt + (norms === null ? 0 : 4 * room);
    bytes.set(coded.subarray(slot * stride, (slot + n) * stride), base);
    for (let i = 0; i < n; i++, slot++) {
      if (norms !== null) view.setFloat32(normsAt + 4 * i, norms[slot] as number, true);
      view.setUint32(slotsAt + 4 * i, slot, true);
    }
  }
  return [
    { tag: 'LTAB', content: table },
    { tag: 'LIST', content: bytes },
  ];
}
