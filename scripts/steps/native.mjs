// The native tests (test/native): plain, under sanitizers, cross-compiled for NEON, and fuzzed.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildNative, buildTs } from '../build.mjs';
import { buildFuzzers, runFuzzer } from '../lib/fuzzers.mjs';
import { CLANG, compile, LIGHT, SANITIZER } from '../lib/native.mjs';
import { CommandError, node, root, run, TestsFailed } from '../lib/shell.mjs';

/** Names of the native tests, from the one place that lists them. */
function tests() {
  const list = readFileSync(join(root, 'test/native/CMakeLists.txt'), 'utf8');
  return [...list.matchAll(/^annex_test\((\w+)/gm)].map((match) => match[1] ?? '');
}

/** Runs tests by name under ctest. @param {string} build @param {string[]} names @param {Record<string, string>} [env] */
async function ctest(build, names, env = {}) {
  const args = [
    '--test-dir',
    build,
    '-j',
    '2',
    '--output-on-failure',
    '--no-tests=error',
    '-R',
    `^(${names.join('|')})$`,
  ];
  /** @param {string} output */
  const counts = (output) => {
    const match = /(\d+) tests failed out of (\d+)/.exec(output);
    const failed = Number(match?.[1] ?? 1);
    return { failed, passed: Number(match?.[2] ?? failed) - failed };
  };
  try {
    const { passed } = counts(await run('ctest', args, { env }));
    if (passed !== names.length) throw new Error(`ctest ran ${passed} of ${names.length} tests in ${build}`);
    return { passed };
  } catch (error) {
    if (error instanceof CommandError) throw new TestsFailed(error.message, error.output, counts(error.output));
    throw error;
  }
}

/** @type {import('../test.mjs').Step[]} */
export const nativeSteps = [
  {
    name: 'native tests',
    run: async () => {
      await buildNative(); // configures the folder for the addon as well
      const names = tests();
      return ctest(await compile('addon', [], names), names);
    },
  },
  {
    name: 'native tests: ASan and UBSan',
    run: async () => {
      const names = tests();
      return ctest(await compile('asan', CLANG, names), names, SANITIZER);
    },
  },
  {
    name: 'native tests: TSan',
    run: async () => {
      // The others run on one thread.
      const names = ['threads_test'];
      return ctest(await compile('tsan', ['-DANNEX_SANITIZE=thread', LIGHT], names), names, SANITIZER);
    },
  },
  {
    name: 'native tests: NEON under qemu',
    run: async () => {
      const cross = ['-DCMAKE_SYSTEM_NAME=Linux', '-DCMAKE_SYSTEM_PROCESSOR=aarch64'];
      const tool = ['-DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++', '-DCMAKE_EXE_LINKER_FLAGS=-static'];
      const build = await compile('aarch64', [...cross, ...tool], ['kernels_test', 'codes_test']);
      for (const test of ['kernels_test', 'codes_test']) {
        await run('qemu-aarch64', [join(build, 'test/native', test), '--quick']);
      }
    },
  },
  {
    name: 'native tests: WebAssembly kernels',
    run: async () => {
      await node(['test/wasm/kernels.mjs']);
    },
  },
  {
    name: 'fuzz: libFuzzer, 10 s each',
    run: async () => {
      const fuzzers = await buildFuzzers();
      const notes = [];
      for (const { name, path, corpus } of fuzzers) {
        const runs = await runFuzzer(path, ['-max_total_time=10', '-seed=1', corpus]);
        notes.push(`${name} ${runs} inputs`);
      }
      return { note: notes.join(', ') };
    },
  },
  {
    name: 'fuzz: imports',
    run: async () => {
      await buildNative();
      await buildTs();
      return { note: (await node(['scripts/fuzz-imports.mjs', '--runs', '10000'])).trim() };
    },
  },
];
