// Judges the latest results, or the committed reference: pass, short or not measured, line by line.
import { existsSync, readFileSync } from 'node:fs';
import { markdownTable } from '../ts/bench_table.js';
import { claims, claimTables, judge, printClaims } from './lib/claims.js';
import { parse } from './lib/cli.js';
import { COMMANDS, type Machine, REFERENCE, RESULTS, readParts } from './lib/results.js';

const options = parse('bench:claims', 'Judges what the benches wrote last against the targets of the project.', {
  reference: { type: 'boolean', help: 'judge the committed reference run instead' },
  markdown: { type: 'boolean', help: 'print tables for a README' },
  strict: { type: 'boolean', help: 'exit with 1 unless every line passes' },
});

const folder = options.reference ? REFERENCE : RESULTS;
const parts = readParts(folder);
const list = claims(parts);

/** Where the figures come from: without a date, so that the same run gives the same text. */
function origin(): string {
  const { sweeps = [], ...others } = parts;
  const all = [...sweeps, ...Object.values(others)].map(({ machine }) => describe(machine));
  const kept = options.reference && existsSync(COMMANDS);
  const commands: string[] = kept ? Object.values(JSON.parse(readFileSync(COMMANDS, 'utf8'))) : ['npm run bench'];
  const shown = [...new Set(commands)].sort().map((command) => `\`${command}\``);
  return `${[...new Set(all)].join('; ')}. ${shown.join(', ')}`;
}

const describe = ({ cpu, cores, memoryGiB, platform, node }: Machine): string =>
  `${cpu}, ${cores} cores, ${memoryGiB} GiB, ${platform}, Node ${node}`;

/** Lines that the run did not measure are no business of a README. */
const tables = (): string[] =>
  claimTables(list.filter((claim) => judge(claim) !== 'not measured')).map(({ head, rows }) =>
    markdownTable(head, rows),
  );

process.stdout.write(`${options.markdown ? [origin(), ...tables()].join('\n\n') : printClaims(list)}\n`);
if (options.strict && list.some((claim) => judge(claim) !== 'pass')) process.exitCode = 1;
