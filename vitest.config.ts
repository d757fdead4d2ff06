import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const source = (name: string): string => fileURLToPath(new URL(`./ts/${name}.ts`, import.meta.url));

// Tests import `annex` as a user would and get the sources. ANNEX_BACKEND (native or wasm) chooses the core.
export default defineConfig({
  resolve: {
    alias: [
      { find: /^annex$/, replacement: source('index') },
      { find: /^annex\/native$/, replacement: source('native') },
      { find: /^annex\/wasm$/, replacement: source('wasm') },
      { find: /^annex\/eval$/, replacement: source('eval') },
    ],
  },
  test: {
    include: ['test/**/*.test.ts'],
    // The benches of the repository are no part of what both backends have in common: once is enough.
    exclude: [
      'test/browser/**',
      '**/node_modules/**',
      ...(process.env.ANNEX_BACKEND === 'wasm' ? ['test/bench/**'] : []),
    ],
    pool: 'forks',
    testTimeout: 60_000,
    hookTimeout: 60_000,
    execArgv: ['--expose-gc'],
    // By default one worker for two cores.
    maxWorkers: 2,
  },
});
