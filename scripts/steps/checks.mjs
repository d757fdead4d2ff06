// Format, lint, layers and types.
import { buildTs } from '../build.mjs';
import { clangFormat } from '../clang-format.mjs';
import { checkLayering } from '../layering.mjs';
import { bin, node } from '../lib/shell.mjs';
import { checkReadmeTable } from '../readme-table.mjs';

/** @type {import('../test.mjs').Step[]} */
export const checkSteps = [
  {
    name: 'biome: lint and format',
    run: async () => {
      await node([bin('@biomejs/biome/bin/biome'), 'ci', '.']);
    },
  },
  { name: 'clang-format', run: async () => ({ note: `${await clangFormat(false)} files` }) },
  { name: 'layering', run: async () => ({ note: `${checkLayering()} files` }) },
  {
    name: 'types: tsc --noEmit',
    run: async () => {
      await buildTs(); // the tests of built files take their types from there
      await node([bin('typescript/bin/tsc'), '--noEmit']);
    },
  },
  {
    name: 'readme: table of measurements',
    run: async () => ({ note: (await checkReadmeTable()) ? '' : 'no reference run yet' }),
  },
];
