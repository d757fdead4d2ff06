// Indexes of a whole data set out of FAISS into annex, and back, and out of hnswlib: how many answers are the same.
//   node scripts/round-trip.mjs BASE.npy QUERIES.npy [--python python3] [--metric ip] [FACTORY … | hnswlib]
// It needs a python3 that has faiss and hnswlib, and the built package (npm run build).
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { exportFaiss, importFaiss, importHnswlib } from '../dist/index.js';

const K = 10;
const FACTORIES = [
  'Flat',
  'SQ8',
  'HNSW32',
  'IVF1024,Flat',
  'IVF1024,PQ32',
  'OPQ32,IVF1024,PQ32',
  'OPQ32,IVF1024,PQ32,RFlat',
  'hnswlib',
];
const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { python: { type: 'string', default: 'python3' }, metric: { type: 'string', default: 'ip' } },
});
const [base, queries, ...given] = positionals;
if (base === undefined || queries === undefined) throw new Error('expected BASE.npy QUERIES.npy [FACTORY …]');
const OPTIONS = { nprobe: 16, efSearch: 128, rerankFactor: 4 };

// Each makes an index of argv[1] unless it is there, and writes what it finds.
const BEGIN = `
import sys, os, numpy as np
path, factory, metric, base, queries, k = sys.argv[1:7]
q = np.load(queries).astype("float32")
x = None if os.path.exists(path) else np.load(base).astype("float32")
`;
const END = `
ids.astype("float64").tofile(path + ".ids")
distances.astype("float32").tofile(path + ".distances")
np.ascontiguousarray(q).tofile(path + ".queries")
`;
const FAISS = `${BEGIN}
import faiss
if x is None:
    index = faiss.read_index(path)
else:
    index = faiss.index_factory(x.shape[1], factory, faiss.METRIC_INNER_PRODUCT if metric == "ip" else faiss.METRIC_L2)
    ivf = faiss.try_extract_index_ivf(index)
    if ivf is not None and hasattr(faiss.downcast_index(ivf), "do_polysemous_training"):
        faiss.downcast_index(ivf).do_polysemous_training = False
    index.train(x[:65536])
    index.add(x)
    faiss.write_index(index, path)
ivf = faiss.try_extract_index_ivf(index)
if ivf is not None:
    ivf.nprobe = ${OPTIONS.nprobe}
if hasattr(index, "hnsw"):
    index.hnsw.efSearch = ${OPTIONS.efSearch}
if hasattr(index, "k_factor"):
    index.k_factor = ${OPTIONS.rerankFactor}
distances, ids = index.search(q, int(k))
${END}`;
const HNSWLIB = `${BEGIN}
import hnswlib
index = hnswlib.Index(space=metric, dim=x.shape[1])
index.init_index(max_elements=len(x), ef_construction=200, M=16)
index.add_items(x)
index.save_index(path)
index.set_ef(${OPTIONS.efSearch})
ids, distances = index.knn_query(q, k=int(k))
if metric == "ip":
    distances = 1 - distances # similarities, as FAISS gives them
${END}`;

const directory = mkdtempSync(join(tmpdir(), 'round-trip-'));
/** @param {string} path @param {string} factory */
const ask = (path, factory) => {
  const script = factory === 'hnswlib' ? HNSWLIB : FAISS;
  execFileSync(values.python, ['-c', script, path, factory, values.metric, base, queries, String(K)], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const read = (/** @type {string} */ what) => new Uint8Array(readFileSync(`${path}.${what}`)).buffer;
  return {
    ids: new Float64Array(read('ids')),
    distances: new Float32Array(read('distances')),
    queries: read('queries'),
  };
};
/** @param {any} answers @param {number} q @returns {number[]} */
const listOf = ({ ids }, q) => [...ids.subarray(q * K, (q + 1) * K)];
/** Answers as lists of ids, and as sets; the greatest difference of distances. @param {any} ours @param {any} theirs */
const compare = (ours, theirs) => {
  const n = theirs.ids.length / K;
  let [lists, sets, slots, tied, far] = [0, 0, 0, 0, 0];
  for (let q = 0; q < n; q++) {
    const [a, b] = [listOf(ours, q), listOf(theirs, q)];
    const common = a.filter((id) => b.includes(id)).length;
    lists += a.every((id, i) => id === b[i]) ? 1 : 0;
    sets += common === K ? 1 : 0;
    slots += common;
    // Of rows that are as far as the last one, to rounding, either may have taken any.
    const last = ours.distances[q * K + K - 1];
    tied += a.filter((id, i) => !b.includes(id) && last - ours.distances[q * K + i] <= 1e-6 * Math.max(1, last)).length;
    for (let i = q * K; i < (q + 1) * K; i++) {
      const their = values.metric === 'ip' ? -theirs.distances[i] : theirs.distances[i];
      if (Number.isFinite(ours.distances[i])) far = Math.max(far, Math.abs(ours.distances[i] - their));
    }
  }
  const ids = `${slots} of ${n * K} ids, ${tied} more tie, ${n * K - slots - tied} differ`;
  return `${lists} of ${n} lists, ${sets} sets, ${ids}; distances differ by ${far.toExponential(1)} at most`;
};
try {
  for (const factory of given.length > 0 ? given : FACTORIES) {
    const path = join(directory, 'index.faiss');
    rmSync(path, { force: true });
    const theirs = ask(path, factory);
    const dim = new Float32Array(theirs.queries).length / (theirs.ids.length / K);
    const metric = values.metric === 'ip' ? 'ip' : 'l2';
    const index = await (factory === 'hnswlib' ? importHnswlib(path, { dim, metric }) : importFaiss(path));
    /** @type {string[]} */
    const names =
      { HnswIndex: ['efSearch'], IvfIndex: factory.includes('RFlat') ? ['nprobe', 'rerankFactor'] : ['nprobe'] }[
        index.constructor.name
      ] ?? [];
    const options = Object.fromEntries(Object.entries(OPTIONS).filter(([name]) => names.includes(name)));
    const ours = await index.searchBatch(new Float32Array(theirs.queries), K, options);
    console.log(`${factory}\n  imported: ${compare(ours, theirs)}`);
    writeFileSync(path, await exportFaiss(index));
    console.log(`  exported to FAISS: ${compare(ours, ask(path, 'as exported'))}`);
    index.close();
  }
} finally {
  rmSync(directory, { recursive: true });
}
