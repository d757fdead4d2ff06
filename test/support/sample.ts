import { type BatchResult, FlatIndex, type VectorIndex } from 'annex';
import { loadSample } from '../../examples/demo/sample.mjs';

const K = 10;
const { dim, vectors, queryMatrix } = loadSample();

/** The WordNet sample: 10,000 unit vectors and 200 queries, with the 10 true neighbours of each under cosine. */
export const sample = {
  dim,
  vectors,
  queries: queryMatrix,
  n: vectors.length / dim,
  nq: queryMatrix.length / dim,
  k: K,
};

const truths = new Map<number, BatchResult>();

/** The true neighbours in the first rows of the sample, or in all of it. */
export function truthOfSample(n = sample.n): BatchResult {
  let truth = truths.get(n);
  if (truth === undefined) {
    const index = FlatIndex.createSync({ dim, metric: 'cosine' });
    index.addSync(vectors.subarray(0, n * dim));
    truth = index.searchBatchSync(queryMatrix, K);
    index.close();
    truths.set(n, truth);
  }
  return truth;
}

/** Share of the true neighbours that are among what was found. */
export function recallOf(found: BatchResult, wanted: BatchResult): number {
  let hits = 0;
  let all = 0;
  for (let q = 0; q < wanted.length; q++) {
    const ids = new Set(found.at(q).ids);
    for (const id of wanted.at(q).ids) if (ids.has(id)) hits++;
    all += wanted.at(q).length;
  }
  return all === 0 ? 1 : hits / all;
}

/** Recall@10 of an index that holds the first rows of the sample, or all of it. */
export function recallOfSample<Search extends object>(
  index: VectorIndex<Float32Array, Search>,
  options?: Search,
): number {
  return recallOf(index.searchBatchSync(queryMatrix, K, options), truthOfSample(index.size));
}
