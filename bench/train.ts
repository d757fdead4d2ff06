// Training of k-means, PQ and OPQ beside FAISS, by turns: bench/native/train_bench and peers/train.py.
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { prepare } from './data/prepare.js';
import { DATASET_FLAGS, orExitAsync, parse, QUICK } from './lib/cli.js';
import { buildBench, run } from './lib/native_build.js';
import { machine, writeResult } from './lib/results.js';
import { printTrain, type TrainLine, type TrainReport } from './lib/train_report.js';
import { PYTHON } from './peers/process.js';

const options = parse('bench -- train', 'Training beside FAISS: processor time, and the error of what was trained.', {
  ...DATASET_FLAGS,
  ...QUICK,
  threads: { type: 'number', help: 'default all there are' },
  rounds: { type: 'number', help: 'by turns; default 1' },
  only: { type: 'string', help: 'of kmeans, pq, opq, with commas; default all, with --quick kmeans and pq' },
});

await orExitAsync(async () => {
  if (!existsSync(PYTHON)) throw new Error('FAISS is not there: no virtual environment in bench/.venv');
  const say = (text: string): void => void process.stderr.write(`${text}\n`);
  const { base, name, rows, dim } = await prepare(options, 1, say);
  const threads = options.threads ?? availableParallelism();
  const script = fileURLToPath(new URL('peers/train.py', import.meta.url));
  const args = [script, buildBench('train_bench'), base, '--threads', String(threads)];
  args.push(
    '--rounds',
    String(options.rounds ?? 1),
    '--only',
    options.only ?? (options.quick ? 'kmeans,pq' : 'kmeans,pq,opq'),
  );
  const lines = JSON.parse(run(PYTHON, args, true)) as TrainLine[];
  const report: TrainReport = { machine: machine(), dataset: name, rows, dim, threads, lines };
  process.stdout.write(`${printTrain(report)}\nwritten to ${writeResult('train', report)}\n`);
});
