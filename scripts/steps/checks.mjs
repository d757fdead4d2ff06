// What needs no build: format, lint, types, layers.
import { clangFormat } from '../clang-format.mjs';
import { checkLayering } from '../layering.mjs';
import { bin, node } from '../lib/shell.mjs';

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
      await node([bin('typescript/bin/tsc'), '--noEmit']);
    },
  },
];
