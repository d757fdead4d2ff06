// Writes the table of what is measured into README.md, from the reference run of the benches (bench/reference):
//   node scripts/readme-table.mjs [--check]
// Without a reference run README.md stays as it is.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fail, node, root } from './lib/shell.mjs';

const MARKS = /(<!-- measured:[^\n]*-->\n)([\s\S]*?)(<!-- \/measured -->)/;

/** README.md as it is and as it should be; undefined without a reference run. */
async function texts() {
  if (!existsSync(join(root, 'bench/reference'))) return undefined;
  const is = readFileSync(join(root, 'README.md'), 'utf8');
  if (!MARKS.test(is)) throw new Error('README.md has lost the marks around its table of measurements');
  const table = await node(['--import', 'tsx', 'bench/claims.ts', '--reference', '--markdown']);
  return { is, should: is.replace(MARKS, (_, begin, __, end) => `${begin}\n${table.trim()}\n\n${end}`) };
}

/** Throws when README.md shows other figures than the reference run. @returns whether there is a reference run */
export async function checkReadmeTable() {
  const both = await texts();
  if (both !== undefined && both.is !== both.should) {
    throw new Error('README.md shows other figures than bench/reference: run node scripts/readme-table.mjs');
  }
  return both !== undefined;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    if (process.argv.includes('--check')) await checkReadmeTable();
    else {
      const both = await texts();
      if (both === undefined) console.log('no bench/reference: README.md stays as it is');
      else writeFileSync(join(root, 'README.md'), both.should);
    }
  } catch (error) {
    fail(error);
  }
}
