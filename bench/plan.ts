// What plan predicts beside what an index of all rows then measures: memory, file, recall.
import { FlatIndex, HnswIndex, IvfIndex } from 'annex';
import { type Proposal, plan } from 'annex/eval';
import { table } from '../ts/bench_table.js';
import { type Dataset, openDataset } from './data/dataset.js';
import { pick, type Split, shuffled, split } from './data/split.js';
import { DATASET_FLAGS, orExit, parse, QUICK } from './lib/cli.js';
import { recall as share } from './lib/exactness.js';
import { machine, writeResult } from './lib/results.js';

const options = parse(
  'bench -- plan',
  `Plans indexes from a sample of the rows, then builds each over all of them: predicted memory, file size and recall
beside measured. Without files: the WordNet sample, clustered and uniform rows.`,
  {
    ...DATASET_FLAGS,
    ...QUICK,
    sample: { type: 'number', help: 'rows of the sample, default 10000, or a third of the rows where they are fewer' },
    recall: { type: 'string', help: 'to reach, default 0.95' },
    only: { type: 'string', help: 'proposals whose name contains one of these, with commas' },
  },
);

const K = 10;
const QUERIES = 1000;
const SIZE_WITHIN = 0.05;
const RECALL_WITHIN = 0.03;
const target = Number(options.recall ?? 0.95);
const classes = { FlatIndex, HnswIndex, IvfIndex };

interface Line {
  readonly dataset: string;
  readonly index: string;
  readonly predicted: { ram: number; file: number | undefined; recall: number; low: number; high: number };
  readonly measured: { ram: number; file: number; recall: number };
  readonly pass: boolean;
  /** Whether the recall lies in the interval that was promised. */
  readonly within: boolean;
}

function nameOf({ structure, options: { nlist: _, ...rest }, search }: Proposal): string {
  const words = [...Object.values(rest), ...Object.entries(search).map((pair) => pair.join(' '))];
  const text = words.map((word) => (typeof word === 'object' && word !== null ? Object.values(word).join(' ') : word));
  return [structure.replace('Index', ''), ...text].join(', ');
}

async function measure(
  proposal: Proposal,
  { rows, pool, dim, metric }: Split,
  truth: Float64Array,
): Promise<Line['measured']> {
  const Class = classes[proposal.structure];
  const create = Class.create.bind(Class) as (options: object) => Promise<FlatIndex>;
  const index = await create({ ...proposal.options, dim, metric });
  try {
    if (!index.trained) await index.train(rows);
    await index.add(rows);
    const found = await index.searchBatch(pool, K, proposal.search as object);
    const { bytesTotal } = index.stats();
    return { ram: bytesTotal, file: (await index.toBytes()).byteLength, recall: share(found, truth, K) };
  } finally {
    index.close();
  }
}

const near = (a: number, b: number): boolean => Math.abs(a / b - 1) <= SIZE_WITHIN;

function datasets(): Dataset[] {
  const given = { ...options, queries: options.queries ?? QUERIES };
  if (options.base !== undefined || options.generate !== undefined) return [openDataset(given)];
  const rows = options.quick ? 10_000 : 50_000;
  return [
    openDataset({}),
    openDataset({ generate: 'clustered', rows, dim: 64, queries: QUERIES }),
    openDataset({ generate: 'uniform', rows, dim: 8, queries: QUERIES }),
  ];
}

const words = options.only?.split(',');
const lines: Line[] = [];
for (const dataset of orExit(datasets)) {
  const data = split(dataset, QUERIES);
  const { n, dim, metric, name } = data;
  const count = Math.min(options.sample ?? 10_000, Math.floor(n / 3));
  const sample = pick(data.rows, dim, shuffled(n, 2).subarray(0, count));
  const flat = FlatIndex.createSync({ dim, metric });
  flat.addSync(data.rows);
  const truth = flat.searchBatchSync(data.pool, K).ids;
  flat.close();
  process.stderr.write(`${name}, ${n} × ${dim}: planning from ${count} rows\n`);
  const { proposals } = await plan({ n, dim, metric, recall: target, k: K, sample, ...classes });
  for (const proposal of proposals) {
    const index = nameOf(proposal);
    if (words !== undefined && !words.some((word) => index.includes(word))) continue;
    process.stderr.write(`${name}: ${index}\n`);
    const measured = await measure(proposal, data, truth);
    const { value: recall, low, high } = proposal.recall;
    const predicted = { ram: proposal.ram.value, file: proposal.file?.value, recall, low, high };
    const sizes =
      near(predicted.ram, measured.ram) && (predicted.file === undefined || near(predicted.file, measured.file));
    const pass = sizes && Math.abs(recall - measured.recall) <= RECALL_WITHIN;
    const within = measured.recall >= low && measured.recall <= high;
    lines.push({ dataset: name, index, predicted, measured, pass, within });
    writeResult('plan', { machine: machine(), target, k: K, lines });
  }
}

const percent = (predicted: number | undefined, measured: number): string =>
  predicted === undefined ? '–' : `${(100 * (predicted / measured - 1)).toFixed(1)} %`;
const head = [
  'rows',
  'index',
  'memory off by',
  'file off by',
  'recall predicted',
  'promised',
  'measured',
  '',
  'in promise',
];
const cells = lines.map(({ dataset, index, predicted, measured, pass, within }) => [
  dataset,
  index,
  percent(predicted.ram, measured.ram),
  percent(predicted.file, measured.file),
  predicted.recall.toFixed(3),
  `${predicted.low.toFixed(3)} … ${predicted.high.toFixed(3)}`,
  measured.recall.toFixed(3),
  pass ? 'pass' : 'short',
  within ? 'yes' : 'no',
]);
process.stdout.write(`sizes within 5 %, recall within ${RECALL_WITHIN}\n\n${table(head, cells)}\n`);
