// Graphs under filters, and with removed rows: recall and rates beside an exact search of the same rows, in one process, by
// turns. Rates are by processor time on one thread.
import { FlatIndex, HnswIndex, type HnswIndexOptions } from 'annex';
import { readNpy } from './data/npy.js';
import { prepare } from './data/prepare.js';
import { deletions } from './filters/deletions.js';
import { type FilterLine, type FiltersReport, printFilters } from './filters/report.js';
import { type FilterKind, idsFor, nearestQueries } from './filters/rows.js';
import { DATASET_FLAGS, orExitAsync, parse, QUICK } from './lib/cli.js';
import { interleave, spread } from './lib/measure.js';
import { machine, writeResult } from './lib/results.js';

const options = parse('bench -- filters', 'Graphs under filters, and with removed rows, beside exact search.', {
  ...DATASET_FLAGS,
  ...QUICK,
  repetitions: { type: 'number', help: 'default 5, with --quick 3' },
  hnsw: { type: 'string', help: 'options of HnswIndex as JSON, default {}' },
  only: { type: 'string', help: 'filters or deletions' },
});

const K = 10;
const SHARES = [0.5, 0.1, 0.01, 0.001];
const KINDS: readonly FilterKind[] = ['random', 'near', 'far'];
/** Queries a measurement; single ones are fewer, for exact search is slow. */
const BATCH = 200;
const SINGLE = options.quick ? 10 : 30;
/** The least processor time of a measurement in microseconds: 30 queries among 116 rows take 400. */
const LEAST_US = options.quick ? 2_000 : 50_000;
const one = { threads: 1 };

/** Queries a second of processor time: `work`, which asks `queries`, is repeated until it has taken long enough to be told. */
function cpuRate(queries: number, work: () => void): number {
  const before = process.cpuUsage();
  for (let asked = queries; ; asked += queries) {
    work();
    const { user, system } = process.cpuUsage(before);
    if (user + system >= LEAST_US) return (1e6 * asked) / (user + system);
  }
}

type Searcher = Pick<HnswIndex, 'searchSync' | 'searchBatchSync'>;

async function main(): Promise<void> {
  const data = await prepare(options, K, (text) => process.stderr.write(`${text}\n`));
  const { dim, metric } = data;
  const rows = readNpy(data.base).data as Float32Array;
  const queries = readNpy(data.query).data as Float32Array;
  const given = JSON.parse(options.hnsw ?? '{}') as HnswIndexOptions;
  const report: FiltersReport = {
    machine: machine(),
    dataset: { name: data.name, rows: data.rows, dim, metric },
    options: given as object,
    filters: [],
    deletions: [],
  };
  const make = (): HnswIndex => HnswIndex.createSync({ ...given, dim, metric } as { dim: number });
  if (options.only !== 'deletions') report.filters.push(...(await filters(make(), rows, queries, dim, metric)));
  if (options.only !== 'filters') report.deletions.push(...deletions(make, rows, queries, { dim, metric, k: K }));
  process.stdout.write(`${printFilters(report)}\nwritten to ${writeResult('filters', report)}\n`);
}

async function filters(
  graph: HnswIndex,
  rows: Float32Array,
  queries: Float32Array,
  dim: number,
  metric: 'l2' | 'ip' | 'cosine',
): Promise<FilterLine[]> {
  const flat = FlatIndex.createSync({ dim, metric });
  flat.addSync(rows);
  graph.addSync(rows);
  const pivot = queries.subarray(0, dim);
  const lines: FilterLine[] = [];
  for (const kind of KINDS) {
    const asked = kind === 'random' ? queries.subarray(0, BATCH * dim) : nearestQueries(queries, pivot, dim, BATCH);
    const n = asked.length / dim;
    for (const share of SHARES) {
      const filter = idsFor(kind, share, rows, pivot, dim);
      const search = { ...one, filter };
      const wanted = flat.searchBatchSync(asked, K, search);
      const before = graph.stats();
      const found = graph.searchBatchSync(asked, K, search);
      const after = graph.stats();
      let hits = 0;
      for (let q = 0; q < n; q++) {
        const ids = new Set(found.at(q).ids);
        for (const id of wanted.at(q).ids) hits += Number(ids.has(id));
      }
      const batch = (index: Searcher) => async (): Promise<number> =>
        cpuRate(n, () => index.searchBatchSync(asked, K, search));
      const single = (index: Searcher) => async (): Promise<number> =>
        cpuRate(SINGLE, () => {
          for (let q = 0; q < SINGLE; q++) index.searchSync(asked.subarray(q * dim, (q + 1) * dim), K, search);
        });
      const tasks = [
        batch(graph as Searcher),
        batch(flat as Searcher),
        single(graph as Searcher),
        single(flat as Searcher),
      ];
      const rates = await interleave(tasks, options.repetitions ?? (options.quick ? 3 : 5));
      const [graphBatch, flatBatch, graphSingle, flatSingle] = rates.map((values) => spread(values).median);
      lines.push({
        kind,
        share,
        recall: hits / (n * K),
        codes: (after.codeSearches - before.codeSearches) / n,
        exact: (after.exactSearches - before.exactSearches) / n,
        batch: { graph: graphBatch!, flat: flatBatch! },
        single: { graph: graphSingle!, flat: flatSingle! },
      });
      process.stderr.write(`${kind} ${share}\n`);
    }
  }
  flat.close();
  graph.close();
  return lines;
}

await orExitAsync(main);
