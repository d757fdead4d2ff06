// Judges the latest results, or the committed reference: pass, short or not measured, line by line.
import { CLAIM_HEAD, claimRow, claims, judge, type Parts, printClaims } from './lib/claims.js';
import { parse } from './lib/cli.js';
import { PARTS, REFERENCE, RESULTS, readResult, readSweeps } from './lib/results.js';
import { markdownTable } from './lib/table.js';
import type { SweepState } from './sweep/state.js';

const options = parse('bench:claims', 'Judges what the benches wrote last against the targets of the project.', {
  reference: { type: 'boolean', help: 'judge the committed reference run instead' },
  markdown: { type: 'boolean', help: 'print a table for a README' },
  strict: { type: 'boolean', help: 'exit with 1 unless every line passes' },
});

const folder = options.reference ? REFERENCE : RESULTS;
const sweeps = readSweeps<SweepState>(folder);
const parts: Parts = { ...Object.fromEntries(PARTS.map((part) => [part, readResult(part, folder)])), sweeps };
const list = claims(parts);
const text = options.markdown ? markdownTable(CLAIM_HEAD, list.map(claimRow)) : printClaims(list);
process.stdout.write(`${text}\n`);
if (options.strict && list.some((claim) => judge(claim) !== 'pass')) process.exitCode = 1;
