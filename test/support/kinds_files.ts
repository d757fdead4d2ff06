import type { AnyIndex, FlatIndex, HnswIndex, IvfIndex, Rows } from 'annex';
import { floats, integers } from './data.js';

/** The classes of one entry point. */
export interface Classes {
  readonly FlatIndex: typeof FlatIndex;
  readonly HnswIndex: typeof HnswIndex;
  readonly IvfIndex: typeof IvfIndex;
}

const LIST_DATA = { iterations: 2, maxPointsPerCentroid: 256 };

/** Options of a small index for every structure with every codec that it takes. */
export const RECIPES: Readonly<Record<string, { readonly kind: keyof Classes; readonly options: object }>> = {
  flat: { kind: 'FlatIndex', options: { dim: 40 } },
  flat_f16: { kind: 'FlatIndex', options: { dim: 9, storage: 'f16', metric: 'ip' } },
  flat_bf16: { kind: 'FlatIndex', options: { dim: 9, storage: 'bf16', metric: 'l1' } },
  flat_sq8: { kind: 'FlatIndex', options: { dim: 9, storage: 'sq8', metric: 'cosine' } },
  flat_i8: { kind: 'FlatIndex', options: { dim: 9, storage: 'i8' } },
  flat_u8: { kind: 'FlatIndex', options: { dim: 9, storage: 'u8' } },
  flat_bits: { kind: 'FlatIndex', options: { dim: 64, storage: 'bits' } },
  flat_pq8: { kind: 'FlatIndex', options: { dim: 12, storage: { codec: 'pq', m: 3, bits: 8 }, rerank: 'sq8' } },
  flat_pq4: { kind: 'FlatIndex', options: { dim: 8, metric: 'cosine', storage: { codec: 'pq', m: 4, bits: 4 } } },
  flat_opq4: {
    kind: 'FlatIndex',
    options: { dim: 8, metric: 'ip', storage: { codec: 'pq', m: 3, bits: 4, rotation: 'opq', dim: 6 }, rerank: 'f16' },
  },
  flat_rabitq: { kind: 'FlatIndex', options: { dim: 64, storage: 'rabitq' } },
  flat_rabitq3: {
    kind: 'FlatIndex',
    options: { dim: 16, metric: 'cosine', storage: { codec: 'rabitq', bits: 3 }, rerank: 'f32', seed: 3 },
  },
  hnsw: { kind: 'HnswIndex', options: { dim: 20, M: 6 } },
  hnsw_axes: { kind: 'HnswIndex', options: { dim: 12, M: 4, metric: 'cosine' } },
  hnsw_plain: { kind: 'HnswIndex', options: { dim: 8, M: 4, layout: 'plain', metric: 'cosine' } },
  hnsw_f16: { kind: 'HnswIndex', options: { dim: 8, M: 4, storage: 'f16', rerank: 'f32' } },
  hnsw_bf16: { kind: 'HnswIndex', options: { dim: 8, M: 4, storage: 'bf16', metric: 'l1' } },
  hnsw_sq8: { kind: 'HnswIndex', options: { dim: 8, M: 4, storage: 'sq8', metric: 'ip' } },
  hnsw_i8: { kind: 'HnswIndex', options: { dim: 8, M: 4, storage: 'i8' } },
  hnsw_u8: { kind: 'HnswIndex', options: { dim: 8, M: 4, storage: 'u8', metric: 'ip' } },
  hnsw_sq8_links: { kind: 'HnswIndex', options: { dim: 20, M: 6, storage: 'sq8', rerank: 'f32' } },
  hnsw_bits: { kind: 'HnswIndex', options: { dim: 64, M: 4, storage: 'bits' } },
  ivf: { kind: 'IvfIndex', options: { dim: 40, nlist: 4, ...LIST_DATA } },
  ivf_short: { kind: 'IvfIndex', options: { dim: 8, nlist: 4, metric: 'l1', ...LIST_DATA } },
  ivf_bf16: { kind: 'IvfIndex', options: { dim: 8, nlist: 4, storage: 'bf16', ...LIST_DATA } },
  ivf_f16: { kind: 'IvfIndex', options: { dim: 8, nlist: 4, storage: 'f16', metric: 'cosine', ...LIST_DATA } },
  ivf_sq8: { kind: 'IvfIndex', options: { dim: 8, nlist: 4, storage: 'sq8', spill: 1, ...LIST_DATA } },
  ivf_i8: { kind: 'IvfIndex', options: { dim: 8, nlist: 4, storage: 'i8', metric: 'cosine', ...LIST_DATA } },
  ivf_u8: { kind: 'IvfIndex', options: { dim: 8, nlist: 4, storage: 'u8', ...LIST_DATA } },
  ivf_pq4: { kind: 'IvfIndex', options: { dim: 8, nlist: 4, storage: { codec: 'pq', m: 4, bits: 4 }, ...LIST_DATA } },
  ivf_pq4_ip: {
    kind: 'IvfIndex',
    options: { dim: 8, nlist: 4, metric: 'ip', storage: { codec: 'pq', m: 4, bits: 4 }, ...LIST_DATA },
  },
  ivf_pq8: { kind: 'IvfIndex', options: { dim: 8, nlist: 4, storage: { codec: 'pq', m: 4 }, ...LIST_DATA } },
  ivf_pq8_plain: {
    kind: 'IvfIndex',
    options: { dim: 8, nlist: 4, storage: { codec: 'pq', m: 4 }, residual: false, ...LIST_DATA },
  },
  ivf_opq4: {
    kind: 'IvfIndex',
    options: {
      dim: 8,
      nlist: 4,
      metric: 'ip',
      storage: { codec: 'pq', m: 4, bits: 4, rotation: 'opq' },
      rerank: 'f16',
      ...LIST_DATA,
    },
  },
  ivf_rabitq: { kind: 'IvfIndex', options: { dim: 64, nlist: 4, storage: 'rabitq', ...LIST_DATA } },
  ivf_rabitq4: {
    kind: 'IvfIndex',
    options: {
      dim: 16,
      nlist: 4,
      metric: 'cosine',
      storage: { codec: 'rabitq', bits: 4 },
      rerank: 'f32',
      ...LIST_DATA,
    },
  },
};

const N = 120;

function recipeOf(name: string): (typeof RECIPES)[string] {
  const recipe = RECIPES[name];
  if (recipe === undefined) throw new Error(`no recipe ${name}`);
  return recipe;
}

/** Rows or queries as the index of a recipe takes them. */
export function rowsFor(name: string, n: number, seed: number): Rows {
  const { dim, storage } = recipeOf(name).options as { dim: number; storage?: unknown };
  if (storage === 'i8') return integers(new Int8Array(n * dim), -128, 127, seed);
  if (storage === 'u8') return integers(new Uint8Array(n * dim), 0, 255, seed);
  if (storage === 'bits') return integers(new Uint8Array((n * dim) / 8), 0, 255, seed);
  return floats(n, dim, seed);
}

/** The index of a recipe, with ids of its own and a few rows removed. */
export async function makeIndex(name: string, classes: Classes): Promise<AnyIndex> {
  const recipe = recipeOf(name);
  const Class = classes[recipe.kind] as { create(options: object): Promise<AnyIndex> };
  const index = await Class.create({ ...recipe.options, metadata: { name } });
  const rows = rowsFor(name, N, 1) as Float32Array;
  if (!index.trained) await index.train(rows);
  await index.add(rows, { ids: Float64Array.from({ length: N }, (_, i) => 3 * i + 7) });
  await index.remove([7, 10, 3 * N + 4]);
  return index;
}

/** What an index answers to queries that look at everything. */
export function answers(name: string, index: AnyIndex): { ids: number[]; distances: number[] } {
  const options =
    RECIPES[name]?.kind === 'HnswIndex' ? { efSearch: 200 } : RECIPES[name]?.kind === 'IvfIndex' ? { nprobe: 4 } : {};
  const queries = rowsFor(name, 5, 2) as Float32Array;
  const result = index.searchBatchSync(queries, 6, options as object);
  return { ids: [...result.ids], distances: [...result.distances] };
}
