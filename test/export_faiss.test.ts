import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AnyIndex, exportFaiss, FlatIndex, HnswIndex, IvfIndex, type IvfIndexOptions, importFaiss } from 'annex';
import { afterAll, describe, expect, test } from 'vitest';
import { floats } from './support/data.js';
import { expectFailure } from './support/expect.js';

/** A python3 that has faiss: of the benches, or the system's. */
const python = [new URL('../bench/.venv/bin/python', import.meta.url).pathname, 'python3'].find((name) => {
  if (name.startsWith('/') && !existsSync(name)) return false;
  try {
    execFileSync(name, ['-c', 'import faiss'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
});

const DIM = 40;
const N = 700;
const rows = floats(N, DIM, 3);
const queries = floats(6, DIM, 4);
const ids = Float64Array.from({ length: N }, (_, i) => 5 * i + 2);
const directory = mkdtempSync(join(tmpdir(), 'annex-export-'));
afterAll(() => rmSync(directory, { recursive: true }));

const pq = (bits: number, more: object = {}) => ({ nlist: 8, storage: { codec: 'pq', m: 10, bits, ...more } });
const probes = { nprobe: 3 };
type Class = { create(options: never): Promise<AnyIndex> };
type Case = readonly [name: string, Class: Class, options: object, search: object, tolerance?: number];
const CASES: readonly Case[] = [
  ['flat', FlatIndex as Class, {}, {}],
  ['flat ip', FlatIndex as Class, { metric: 'ip' }, {}],
  ['flat l1', FlatIndex as Class, { metric: 'l1' }, {}],
  ['flat cosine', FlatIndex as Class, { metric: 'cosine' }, {}],
  ['flat sq8', FlatIndex as Class, { storage: 'sq8' }, {}],
  ['hnsw', HnswIndex as Class, { M: 6 }, { efSearch: 700 }],
  ['hnsw ip f16', HnswIndex as Class, { M: 6, metric: 'ip', storage: 'f16' }, { efSearch: 700 }],
  ['hnsw cosine', HnswIndex as Class, { M: 6, metric: 'cosine' }, { efSearch: 700 }],
  ['hnsw sq8', HnswIndex as Class, { M: 6, storage: 'sq8' }, { efSearch: 700 }],
  ['ivf', IvfIndex as Class, { nlist: 8 }, probes],
  ['ivf ip f16', IvfIndex as Class, { nlist: 8, metric: 'ip', storage: 'f16' }, probes],
  ['ivf cosine sq8', IvfIndex as Class, { nlist: 8, metric: 'cosine', storage: 'sq8' }, probes],
  ['ivf pq', IvfIndex as Class, pq(8), probes],
  ['ivf pq ip', IvfIndex as Class, { metric: 'ip', lengths: false, ...pq(8) }, probes],
  ['ivf pq cosine', IvfIndex as Class, { metric: 'cosine', ...pq(8) }, probes],
  ['ivf opq', IvfIndex as Class, pq(8, { rotation: 'opq' }), probes],
  ['ivf opq, not of residuals', IvfIndex as Class, { residual: false, ...pq(8, { rotation: 'opq' }) }, probes],
  ['ivf pq of 4 bits', IvfIndex as Class, pq(4), { nprobe: 8 }, 0.05],
  [
    'ivf pq rerank',
    IvfIndex as Class,
    { rerank: 'f32', ...pq(8, { rotation: 'random' }) },
    { ...probes, rerankFactor: 10 },
  ],
];

/** What an index finds, as FAISS tells it. */
const SCRIPT = `
import sys, json, faiss, numpy as np
index = faiss.read_index(sys.argv[1])
queries = np.array(json.load(open(sys.argv[2])), dtype="float32")
options = json.loads(sys.argv[3])
inner = faiss.try_extract_index_ivf(index)
if inner is not None:
    inner.nprobe = options["nprobe"]
if "efSearch" in options:
    at = faiss.downcast_index(index)
    while not hasattr(at, "hnsw"):
        at = faiss.downcast_index(at.index)
    at.hnsw.efSearch = options["efSearch"]
distances, ids = index.search(queries, 5)
print(json.dumps({"ids": ids.tolist(), "distances": distances.astype("float64").tolist()}))
`;

/**
 * The five nearest by the codes alone, as FAISS finds them: under l2 and cosine lists of pq count a share of the square of each
 * row's error besides, which FAISS does not know.
 */
function withoutShares(
  index: AnyIndex,
  query: Float32Array,
  search: object,
  own: boolean,
): { ids: number[]; distances: number[] } {
  const { storage, rerank = 'none', nlist } = index.options() as IvfIndexOptions;
  const codes = nlist !== undefined && (storage as { codec?: string }).codec === 'pq' && rerank === 'none';
  if (!codes || index.metric === 'ip') {
    const found = index.searchSync(query, 5, search);
    return { ids: [...found.ids], distances: [...found.distances] };
  }
  const near = [...index.searchSync(query, 100, search)].map(({ id, distance }) => {
    const at = own ? (id - 2) / 5 : id;
    const row = rows.slice(at * DIM, (at + 1) * DIM);
    const norm = index.metric === 'cosine' ? Math.hypot(...row) : 1;
    const coded = index.get(id) as Float32Array;
    const error = row.reduce((sum, x, d) => sum + (x / norm - (coded[d] as number)) ** 2, 0);
    return { id, distance: distance - (index.metric === 'cosine' ? 0.5 : 1) * 0.15 * error };
  });
  const first = near.sort((a, b) => a.distance - b.distance).slice(0, 5);
  return { ids: first.map(({ id }) => id), distances: first.map(({ distance }) => distance) };
}

describe.each(CASES.map((row) => ({ name: row[0], row })))('$name', ({ name, row }) => {
  const [, Class, options, search, tolerance = 1e-4] = row;
  const make = async (own: boolean): Promise<AnyIndex> => {
    const index = await Class.create({ dim: DIM, ...options } as never);
    if (!index.trained) await index.train(rows);
    await index.add(rows, own ? { ids } : {});
    return index;
  };

  test.each([false, true])('what is exported is imported again; own ids: %s', async (own) => {
    const index = await make(own);
    const again = await importFaiss(await exportFaiss(index));
    expect([again.size, again.metric]).toEqual([N, index.metric]);
    for (let q = 0; q < 6; q++) {
      const query = queries.slice(q * DIM, (q + 1) * DIM);
      const [found, wanted] = [again.searchSync(query, 5, search), withoutShares(index, query, search, own)];
      for (let i = 0; i < 5; i++) {
        const far = Math.abs((found.distances[i] as number) - (wanted.distances[i] as number));
        expect(far).toBeLessThan(tolerance * Math.max(1, Math.abs(wanted.distances[i] as number)));
      }
      if (tolerance < 1e-3) expect([...found.ids]).toEqual(wanted.ids);
    }
  });

  test.skipIf(python === undefined)(
    'FAISS reads it and finds the same (skipped where python has no faiss)',
    async () => {
      const index = await make(true);
      const [path, questions] = [join(directory, 'x.faiss'), join(directory, 'q.json')];
      writeFileSync(path, await exportFaiss(index));
      writeFileSync(
        questions,
        JSON.stringify(Array.from({ length: 6 }, (_, q) => [...queries.slice(q * DIM, q * DIM + DIM)])),
      );
      const out = execFileSync(python as string, ['-c', SCRIPT, path, questions, JSON.stringify(search)]).toString();
      const theirs = JSON.parse(out) as { ids: number[][]; distances: number[][] };
      for (let q = 0; q < 6; q++) {
        const found = withoutShares(index, queries.slice(q * DIM, (q + 1) * DIM), search, true);
        if (tolerance < 1e-3) expect(found.ids).toEqual(theirs.ids[q]);
        for (let i = 0; i < 5; i++) {
          const their = (theirs.distances[q] as number[])[i] as number;
          const codes = name.includes('pq');
          const ours =
            index.metric === 'ip' ? -their : index.metric === 'cosine' ? (codes ? their / 2 : 1 - their) : their;
          const far = Math.abs((found.distances[i] as number) - ours);
          expect(far).toBeLessThan(tolerance * Math.max(1, Math.abs(ours)));
        }
      }
    },
  );
});

test('lengths, which FAISS does not know, are left out', async () => {
  const make = async (lengths: boolean): Promise<Uint8Array> => {
    const index = await IvfIndex.create({ dim: DIM, metric: 'ip', lengths, ...pq(4) } as IvfIndexOptions);
    await index.train(rows);
    await index.add(rows);
    return exportFaiss(index);
  };
  expect(await make(true)).toEqual(await make(false));
});

test('an empty index', async () => {
  expect((await importFaiss(await exportFaiss(await FlatIndex.create({ dim: 3 })))).size).toBe(0);
  expect((await importFaiss(await exportFaiss(await HnswIndex.create({ dim: 3 })))).size).toBe(0);
});

test('what FAISS has not is refused', async () => {
  const make = async (Class: Class, options: object) => {
    const index = await Class.create({ dim: 16, ...options } as never);
    if (!index.trained) await index.train(floats(400, 16));
    return index;
  };
  const refused = async (index: AnyIndex, message: RegExp) =>
    void (await expectFailure(() => exportFaiss(index), 'UNSUPPORTED', message));
  await refused(await make(IvfIndex as Class, { nlist: 4, storage: 'rabitq' }), /rabitq/);
  await refused(await make(IvfIndex as Class, { nlist: 4, spill: 1 }), /spill/);
  await refused(await make(FlatIndex as Class, { storage: 'bits' }), /hamming/);
  const graph = await make(HnswIndex as Class, {});
  await graph.add(floats(10, 16));
  await graph.remove([3]);
  await refused(graph, /compact/);
  const index = await IvfIndex.create({ dim: 4, nlist: 2 });
  await expectFailure(() => exportFaiss(index), 'NOT_TRAINED', /train/);
  await expectFailure(() => exportFaiss({} as never), 'INVALID_TYPE', /index/);
});
