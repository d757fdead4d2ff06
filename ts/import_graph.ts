import { buildFile } from './container.js';
import { AnnexError } from './errors.js';
import { type ImportedRows, idSections, normsOf, storageCode } from './import_rows.js';
import { METRICS, type Metric } from './spec.js';

/** A graph as other libraries keep it. */
export interface ImportedGraph {
  readonly dim: number;
  readonly metric: Metric;
  readonly rows: ImportedRows;
  /** Ids by node; -1 for nodes that are removed. Null: 0, 1, 2 … */
  readonly ids: Float64Array | null;
  readonly m: number;
  readonly efConstruction: number;
  readonly entry: number;
  /** Level of each node. */
  readonly levels: Uint8Array;
  /** The links of a node on a layer. */
  readonly links: (node: number, layer: number) => ArrayLike<number>;
}

const KEYS = { kind: 0, dim: 1, metric: 2, storage: 3, m: 5, efConstruction: 6, seed: 7, rerank: 8, layout: 9 };
const NONE = 0xffffffff;

/** The file of an hnsw index with this graph. What is wrong with it is found when the file is opened. */
export function fileOfGraph(graph: ImportedGraph): Uint8Array {
  const { dim, metric, rows, ids, m, levels } = graph;
  const nodes = levels.length;
  if (m < 2 || m > 512) throw new AnnexError('UNSUPPORTED', `an hnsw index takes M from 2 to 512, got ${m}`);
  const options = {
    ...{
      kind: 1,
      dim,
      metric: METRICS.indexOf(metric),
      storage: storageCode(rows),
      m,
      efConstruction: Math.max(1, graph.efConstruction),
    },
    ...{ seed: 0, rerank: -1, layout: 1 },
  };
  const pairs = Object.entries(options).flatMap(([name, value]) => [KEYS[name as keyof typeof KEYS], value]);
  const lists = levels.reduce((sum, level) => sum + level, 0);
  const bottom = new Uint32Array(nodes * 2 * m).fill(NONE);
  const upper = new Uint32Array(lists * m).fill(NONE);
  const first = new Uint32Array(nodes).fill(NONE);
  let list = 0;
  for (let node = 0; node < nodes; node++) {
    const level = levels[node] as number;
    if (level > 0) first[node] = list;
    for (let layer = 0; layer <= level; layer++) {
      const links = graph.links(node, layer);
      const room = layer === 0 ? 2 * m : m;
      if (links.length > room)
        throw new AnnexError('CORRUPT', `node ${node} has ${links.length} links, more than ${room}`);
      const into = layer === 0 ? bottom : upper;
      const base = layer === 0 ? node * room : (list + layer - 1) * room;
      for (let i = 0; i < links.length; i++) into[base + i] = links[i] as number;
    }
    list += level;
  }
  if (ids?.some((id) => !Number.isSafeInteger(id + 1))) throw new AnnexError('CORRUPT', 'an id is no safe integer');
  const facts = new DataView(new ArrayBuffer(32));
  facts.setBigUint64(0, BigInt(nodes), true);
  facts.setBigUint64(8, BigInt(lists), true);
  facts.setUint32(16, nodes === 0 ? NONE : graph.entry, true);
  facts.setInt32(20, nodes === 0 ? -1 : (levels[graph.entry] ?? -1), true);
  return buildFile([
    { tag: 'OPTS', content: Float64Array.from(pairs) },
    ...idSections(ids, nodes),
    { tag: 'HNSW', content: facts },
    { tag: 'LNK0', content: bottom },
    { tag: 'LNKU', content: upper },
    { tag: 'FRST', content: first },
    { tag: 'LEVL', content: levels },
    { tag: 'ROWS', content: rows.coded },
    ...(metric === 'l2' || metric === 'ip' || metric === 'cosine'
      ? [{ tag: 'NORM', content: normsOf(rows.values, dim) }]
      : []),
  ]);
}
