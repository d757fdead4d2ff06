import type { Metric } from './spec.js';

/** An index that a plan considers: what to create it with for n rows, and which search parameters there are to choose from. */
export interface Candidate {
  readonly structure: 'FlatIndex' | 'HnswIndex' | 'IvfIndex';
  /** Options of create, without dim and metric; for lists with `nlist` lists. */
  readonly options: (nlist: number) => Readonly<Record<string, unknown>>;
  /** Rows that lie in blocks, of which the last is seldom full; the others grow with n alone. */
  readonly blocks: Blocks | undefined;
  /** Search parameters in ascending order of cost and recall. */
  readonly searches: (k: number) => readonly Readonly<Record<string, number>>[];
}

interface Blocks {
  readonly codec: 'f32' | 'sq8';
  /** Beside the rows, an int8 copy. */
  readonly sidecar?: boolean;
}

/** From so many dimensions on lists hold narrow copies, and the rows lie apart. */
const NARROW = 32;

const BLOCK_BYTES = 2 ** 21;
const BLOCK_ROWS = 65536;

/** Rows of a block, a power of two, so that they take up to 2 MiB; and the bytes of one with all that lies beside it. */
function blockShape(
  { codec, sidecar = false }: Blocks,
  dim: number,
  metric: Metric,
): { rows: number; rowBytes: number } {
  const stride = codec === 'f32' ? 4 * dim : Math.ceil((dim + 8) / 4) * 4;
  let rows = 16;
  while (rows < BLOCK_ROWS && rows * 2 * stride <= BLOCK_BYTES) rows *= 2;
  const beside = sidecar && metric !== 'l1' ? dim + 16 : 0;
  return { rows, rowBytes: stride + beside + (metric === 'l1' ? 0 : 4) };
}

/** What is empty in the last of the blocks of n items, which grows by quarters (native/base/blocks.h). */
function emptyItems(n: number, block: number): number {
  const last = ((n - 1) % block) + 1;
  const step = Math.max(16, 2 ** Math.floor(Math.log2(last)) / 4);
  return Math.min(block, Math.ceil(last / step) * step) - last;
}

/** What is empty in the last blocks of n rows, and of their links and codes. */
export function emptyBytes({ structure, blocks, options }: Candidate, dim: number, metric: Metric, n: number): number {
  let bytes = 0;
  if (blocks !== undefined) {
    const { rows, rowBytes } = blockShape(blocks, dim, metric);
    bytes += emptyItems(n, rows) * rowBytes;
  }
  if (structure === 'HnswIndex') {
    const { M, layout } = options(0) as { M: number; layout?: string };
    const strides = [8 * M, 4 * M];
    if (layout !== 'plain') strides.push(64 * Math.ceil(dim / 128));
    for (const [i, stride] of strides.entries()) {
      // One node in M has links above the bottom, and one in M of those again.
      const items = i === 1 ? Math.ceil(n / (M - 1)) : n;
      bytes += emptyItems(items, 2 ** Math.floor(Math.log2(BLOCK_BYTES / stride))) * stride;
    }
  }
  return bytes;
}

/** Growing by about a third: steps that a recall can be told apart by. */
function ladder(low: number, high: number): number[] {
  const values: number[] = [];
  for (let x = low; x <= high; x = Math.max(x + 1, Math.ceil(x * 1.35))) values.push(x);
  return values;
}

const flat = (options: object, codec: Blocks['codec'] = 'f32'): Candidate => ({
  structure: 'FlatIndex',
  blocks: { codec, sidecar: codec === 'f32' },
  options: () => ({ ...options }),
  searches: () => [{}],
});

const graph = (options: object, codec: Blocks['codec'] = 'f32'): Candidate => ({
  structure: 'HnswIndex',
  blocks: { codec },
  options: () => ({ M: 16, efConstruction: 200, ...options }),
  searches: (k) => ladder(Math.max(k, 10), 1500).map((efSearch) => ({ efSearch })),
});

const lists = (options: object, blocks?: Blocks, rerankFactor?: number): Candidate => ({
  structure: 'IvfIndex',
  blocks,
  options: (nlist) => ({ nlist, ...options }),
  searches: () =>
    ladder(1, 256).map(
      (nprobe): Record<string, number> => (rerankFactor === undefined ? { nprobe } : { nprobe, rerankFactor }),
    ),
});

/** The number of sub-quantizers next to dim / share that divides dim. */
function subQuantizers(dim: number, share: number): number {
  const wanted = Math.max(1, dim / share);
  let best = 1;
  for (let m = 1; m <= dim; m++) if (dim % m === 0 && Math.abs(m - wanted) < Math.abs(best - wanted)) best = m;
  return best;
}

/** What is considered for floats, from the most memory to the least. */
export function candidates(dim: number, metric: Metric): Candidate[] {
  const coded: Candidate[] = [];
  if (metric !== 'l1' && dim >= 8) {
    const m = subQuantizers(dim, 2);
    const reranked: Blocks = { codec: 'sq8' };
    coded.push(
      lists({ storage: { codec: 'rabitq', bits: 1 }, rerank: 'sq8' }, reranked),
      lists({ storage: { codec: 'pq', m, bits: 4 }, rerank: 'sq8' }, reranked, 10),
      lists({ storage: { codec: 'rabitq', bits: 4 } }),
      lists({ storage: { codec: 'pq', m, bits: 4 } }),
    );
  }
  return [
    flat({}),
    flat({ storage: 'sq8' }, 'sq8'),
    graph({}),
    graph({ layout: 'plain' }),
    graph({ storage: 'sq8', layout: 'plain' }, 'sq8'),
    // Short rows, and those under l1, lie in the lists themselves.
    dim < NARROW || metric === 'l1' ? lists({}) : lists({}, { codec: 'f32' }),
    lists({ storage: 'sq8' }),
    ...coded,
  ];
}

/** Rows to a list below which a good part of it would be padding: codes lie in blocks of 32. */
const LIST_ROWS = 78;

/** Lists for n rows: some 4 · √n, and no more than leaves enough rows to each. */
export function listsFor(n: number): number {
  return Math.max(1, Math.min(Math.round(4 * Math.sqrt(n)), Math.floor(n / LIST_ROWS)));
}
