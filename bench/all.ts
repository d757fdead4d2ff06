// Runs every bench, joins what they wrote and draws the page.
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { claims, type Parts, printClaims } from './lib/claims.js';
import { DATASET_FLAGS, parse, QUICK } from './lib/cli.js';
import { page } from './lib/page.js';
import { COMMANDS, REFERENCE, RESULTS, readParts, resultFiles, writeResult } from './lib/results.js';
import { openReport } from './screenshot.mjs';

const options = parse(
  'bench',
  `Runs all benches, judges them and draws bench/results/bench.html. --quick leaves out what has to be compiled for it.
The reference run, whose figures README shows:

  npm run bench -- --reference --large --base wordnet-lsa-256.base.f16.npy --query wordnet-lsa-256.query.f16.npy`,
  {
    ...DATASET_FLAGS,
    ...QUICK,
    large: {
      type: 'boolean',
      help: 'also graphs and lists over 1,000,000 × 128 generated rows, and growth up to them',
    },
    alone: { type: 'boolean', help: 'without peers' },
    only: { type: 'string', help: 'of the benches, with commas; default all' },
    reference: { type: 'boolean', help: 'keep this run, and its picture, as the committed reference' },
  },
);

const quick = options.quick ? ['--quick'] : [];
const alone = options.alone ? ['--alone'] : [];
const dataset = (Object.keys(DATASET_FLAGS) as (keyof typeof DATASET_FLAGS)[]).flatMap((flag) =>
  options[flag] === undefined ? [] : [`--${flag}`, String(options[flag])],
);
/** Enough for curves to be read at a recall, in a third of the time of a sweep by itself. */
const GRID = ['--repetitions', '3', '--ms', '100', '--modes', 'single,batch', '--rerank', '4,16'];
const grid = options.quick ? ['--modes', 'single,batch'] : [...GRID, '--nprobe', '1,2,4,8,16,24,32,48,64,96'];
const large = ['--generate', 'clustered', '--rows', '1000000', '--dim', '128', ...alone, ...grid];

interface Step {
  readonly name: string;
  readonly script: string;
  readonly args: readonly string[];
  /** Default true. */
  readonly when?: boolean;
}
const STEPS: readonly Step[] = [
  { name: 'sweep', script: 'sweep', args: [...quick, ...dataset, ...alone, ...grid] },
  { name: 'large-graphs', script: 'sweep', args: ['--preset', 'graphs', ...large], when: options.large ?? false },
  { name: 'large-lists', script: 'sweep', args: ['--preset', 'lists', ...large], when: options.large ?? false },
  {
    name: 'growth',
    script: 'growth',
    args: [...quick, ...(options.large ? [] : ['--most', quick[0] ? '30000' : '100000'])],
  },
  { name: 'wasm-peers', script: 'sweep', args: ['--preset', 'wasm-peers', ...quick, ...dataset], when: !options.alone },
  { name: 'flat', script: 'flat', args: [...quick, ...dataset, ...alone] },
  { name: 'calls', script: 'calls', args: [...quick, ...dataset] },
  { name: 'wasm', script: 'wasm', args: [...quick, ...dataset] },
  { name: 'matryoshka', script: 'matryoshka', args: [...quick, ...dataset] },
  { name: 'file', script: 'file', args: quick, when: (options.quick || options.large) ?? false },
  { name: 'kernels', script: 'kernels', args: [], when: !options.quick },
  { name: 'train', script: 'train', args: dataset, when: !options.quick && !options.alone },
];

const wanted = options.only?.split(',');
const steps = STEPS.filter(({ name, when = true }) => when && (wanted === undefined || wanted.includes(name)));
const began = Date.now();
const times: string[] = [];
const failed: string[] = [];
for (const { name, script, args } of steps) {
  process.stdout.write(`\n── ${name}\n`);
  const start = performance.now();
  const path = fileURLToPath(new URL(`${script}.ts`, import.meta.url));
  const flags = ['--expose-gc', '--import', 'tsx', path, ...args];
  if (spawnSync(process.execPath, flags, { stdio: 'inherit' }).status !== 0) failed.push(name);
  times.push(`${name} ${((performance.now() - start) / 1000).toFixed(0)} s`);
}

const parts: Parts = readParts(RESULTS, began);
const list = claims(parts);
writeResult('bench', { ...parts, claims: list });
const html = `${RESULTS}bench.html`;
writeFileSync(html, page(parts));
process.stdout.write(
  `\n── targets\n${printClaims(list)}\n\n${times.join(', ')}\nwritten to ${RESULTS}bench.json and ${html}\n`,
);
if (options.reference) await keep();
if (failed.length > 0) {
  process.stderr.write(`failed: ${failed.join(', ')}\n`);
  process.exitCode = 1;
}

/** A part that this run did not measure stays as an earlier one left it; each is kept with the command that measured it. */
async function keep(): Promise<void> {
  mkdirSync(REFERENCE, { recursive: true });
  // Names of files, not where they lie: the paths are this machine's.
  const command = ['npm run bench --', ...process.argv.slice(2).map((word) => basename(word))].join(' ');
  const commands = existsSync(COMMANDS) ? JSON.parse(readFileSync(COMMANDS, 'utf8')) : {};
  for (const name of resultFiles(RESULTS, began)) {
    copyFileSync(`${RESULTS}${name}`, `${REFERENCE}${name}`);
    commands[name] = command;
  }
  writeFileSync(COMMANDS, `${JSON.stringify(commands, undefined, 2)}\n`);
  const whole = `${RESULTS}reference.html`;
  writeFileSync(whole, page(readParts(REFERENCE)));
  const picture = `${REFERENCE}recall.png`;
  try {
    const { points, problems } = await openReport(whole, { picture });
    if (problems.length > 0) throw new Error(problems.join('\n'));
    process.stdout.write(`${points} points, the first curves in ${picture}\n`);
  } catch (error) {
    rmSync(picture, { force: true });
    process.stderr.write(`no picture: ${(error as Error).message}\n`);
    process.exitCode = 1;
  }
}
