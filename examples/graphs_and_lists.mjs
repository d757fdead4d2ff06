// Approximate search: a graph where speed counts, coded lists where memory counts, both measured against exact search.
import { FlatIndex, HnswIndex, IvfIndex } from 'annex';
import { evaluate, exactNeighbors } from 'annex/eval';
import { loadSample } from './demo/sample.mjs';

const { dim, vectors, queryMatrix: queries } = loadSample();
const metric = 'cosine';
const truth = await exactNeighbors(vectors, queries, 10, { FlatIndex, dim, metric });

/** @param {string} name @param {HnswIndex | IvfIndex} index @param {object} parameters */
async function tell(name, index, parameters) {
  const { recall, latency } = await evaluate(index, queries, truth, { k: 10, ...parameters });
  const bytes = Math.round(index.stats().bytesTotal / index.size);
  console.log(`${name}: recall ${recall.mean.toFixed(3)}, ${latency?.p50.toFixed(3)} ms, ${bytes} bytes a vector`);
}

const graph = await HnswIndex.create({ dim, metric });
await graph.add(vectors);
for (const efSearch of [32, 64, 256]) await tell(`graph, efSearch ${efSearch}`, graph, { efSearch });

// 64 bytes of codes a row choose the candidates, 512 bytes of half floats decide.
const storage = /** @type {const} */ ({ codec: 'pq', m: 128, bits: 4, rotation: 'opq' });
const lists = await IvfIndex.build(vectors, { dim, metric, storage, rerank: 'f16' });
for (const nprobe of [8, 32, 128]) await tell(`lists, nprobe ${nprobe}`, lists, { nprobe, rerankFactor: 4 });

// Training by hand: on a sample, before rows come, with progress.
const byHand = await IvfIndex.create({ dim, metric, nlist: 100, storage: 'rabitq' });
const seen = new Set();
await byHand.train(vectors.subarray(0, 5000 * dim), { onProgress: ({ phase }) => seen.add(phase) });
await byHand.add(vectors);
console.log(`training went through ${[...seen].join(', ')}`);
await tell('lists of one bit a dimension', byHand, { nprobe: 100 });
for (const index of [graph, lists, byHand]) index.close();
