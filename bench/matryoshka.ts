// Two-stage search over truncated vectors: recall against queries a second, beside exact search of the full ones.
import { FlatIndex, truncate, twoStageSearch } from 'annex';
import { readNpy } from './data/npy.js';
import { prepare } from './data/prepare.js';
import { DATASET_FLAGS, orExitAsync, parse, QUICK } from './lib/cli.js';
import { recall } from './lib/exactness.js';
import { type MatryoshkaReport, printMatryoshka } from './lib/matryoshka_report.js';
import { interleave, spread } from './lib/measure.js';
import { machine, writeResult } from './lib/results.js';

const options = parse(
  'bench -- matryoshka',
  `Short vectors find candidates, full ones decide. Prefixes of rows that were not trained for it tell little; those of
the WordNet sample are ordered by what they say.`,
  { ...DATASET_FLAGS, ...QUICK, repetitions: { type: 'number', help: 'default 5, with --quick 3' } },
);

const K = 10;
const CANDIDATES = [10, 20, 50, 100, 200, 500];

await orExitAsync(async () => {
  const queries = options.queries ?? (options.quick ? 50 : 200);
  const data = await prepare({ ...options, queries }, K, (text) => void process.stderr.write(`${text}\n`));
  const { dim } = data;
  const rows = readNpy(data.unitBase).data as Float32Array;
  const all = readNpy(data.unitQuery).data as Float32Array;
  const each = Array.from({ length: data.queries }, (_, q) => all.slice(q * dim, (q + 1) * dim));
  const full = await FlatIndex.create({ dim, metric: data.metric });
  await full.add(rows);
  /** Asks every query and says how many a second. */
  const ask = async (search: (query: Float32Array, q: number) => Promise<unknown>): Promise<number> => {
    const start = performance.now();
    for (const [q, query] of each.entries()) await search(query, q);
    return (1000 * each.length) / (performance.now() - start);
  };
  const shorts = [dim / 8, dim / 4, dim / 2].filter((short) => Number.isInteger(short));
  const points = [];
  for (const prefix of shorts) {
    const short = await FlatIndex.create({ dim: prefix, metric: data.metric });
    await short.add(truncate(rows, dim, prefix));
    for (const candidates of CANDIDATES.filter((n) => n <= data.rows)) points.push({ prefix, candidates, short });
  }
  const tasks = points.map(
    ({ short, candidates }) =>
      () =>
        ask((query) => twoStageSearch(short, full, query, K, { candidates })),
  );
  const exact = (): Promise<number> => ask((query) => full.search(query, K));
  const [base = [], ...rates] = await interleave([exact, ...tasks], options.repetitions ?? (options.quick ? 3 : 5));
  const lines = [];
  for (const [i, { prefix, candidates, short }] of points.entries()) {
    const ids = new Float64Array(each.length * K).fill(-1);
    await ask(async (query, q) => ids.set((await twoStageSearch(short, full, query, K, { candidates })).ids, q * K));
    const found = recall({ ids, distances: new Float32Array(0) }, data.truth, K, data.width);
    lines.push({ prefix, candidates, recall: found, queriesPerSecond: spread(rates[i]!).median });
  }
  const { name, metric, rows: count } = data;
  const dataset = { name, metric, rows: count, dim, queries: data.queries };
  const report: MatryoshkaReport = { machine: machine(), dataset, k: K, exact: spread(base).median, lines };
  process.stdout.write(`${printMatryoshka(report)}\nwritten to ${writeResult('matryoshka', report)}\n`);
});
