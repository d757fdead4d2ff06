// The native tests (test/native): plain, under sanitizers, cross-compiled for NEON, and fuzzed.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildNative } from '../build.mjs';
import { CommandError, node, root, run, TestsFailed } from '../lib/shell.mjs';

/** Names of the native tests, from the one place that lists them. */
function tests() {
  const list = readFileSync(join(root, 'test/native/CMakeLists.txt'), 'utf8');
  return [...list.matchAll(/^annex_test\((\w+)/gm)].map((match) => match[1] ?? '');
}

/** @param {string} folder @param {string[]} options @param {string[]} targets */
async function compile(folder, options, targets) {
  const build = `build/${folder}`;
  await run('cmake', ['-S', '.', '-B', build, '-DANNEX_TESTS=ON', '-DCMAKE_BUILD_TYPE=Release', ...options]);
  await run('cmake', ['--build', build, '-j', '2', ...targets.flatMap((target) => ['--target', target])]);
  return build;
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

/** Sanitizers make optimizing the kernels several times as slow, and what they run faster by hardly anything. */
const LIGHT = '-DCMAKE_CXX_FLAGS_RELEASE=-O1 -DNDEBUG';

/**
 * One build under ASan and UBSan for the native tests and the fuzzers; clang takes half of GCC's time for it. Fuzzers are
 * guided by counters alone: with comparisons traced as well, everything would take twice as long.
 */
const CLANG = [
  '-DCMAKE_CXX_COMPILER=clang++',
  '-DANNEX_SANITIZE=address,undefined',
  '-DCMAKE_CXX_FLAGS=-fsanitize-coverage=inline-8bit-counters,pc-table',
  LIGHT,
];

const SANITIZER = {
  ASAN_OPTIONS: 'detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1:allocator_may_return_null=1',
  UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1',
  TSAN_OPTIONS: 'halt_on_error=1:second_deadlock_stack=1',
};

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
      const build = await compile('asan', CLANG, ['annex_core']);
      const flags = ['-std=c++20', '-O1', '-g', '-fsanitize=fuzzer,address,undefined', '-fno-sanitize-recover=all'];
      const notes = [];
      for (const name of ['fuzz_api', 'fuzz_open']) {
        const fuzzer = join(build, `${name}_libfuzzer`);
        const source = ['-DANNEX_LIBFUZZER', '-Inative', '-Itest/native', `test/native/${name}.cpp`];
        await run('clang++', [...flags, ...source, join(build, 'libannex_core.a'), '-pthread', '-o', fuzzer]);
        const output = await run(
          join(root, fuzzer),
          ['-max_total_time=10', '-seed=1', '-max_len=600', '-print_final_stats=1'],
          { cwd: join(root, build), env: SANITIZER },
        );
        notes.push(`${name} ${/number_of_executed_units:\s*(\d+)/.exec(output)?.[1] ?? 'no'} inputs`);
      }
      return { note: notes.join(', ') };
    },
  },
];
