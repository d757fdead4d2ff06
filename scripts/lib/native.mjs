// Native builds of the tests, plain and under sanitizers.
import { run } from './shell.mjs';

/** @param {string} folder @param {string[]} options @param {string[]} targets */
export async function compile(folder, options, targets) {
  const build = `build/${folder}`;
  await run('cmake', ['-S', '.', '-B', build, '-DANNEX_TESTS=ON', '-DCMAKE_BUILD_TYPE=Release', ...options]);
  await run('cmake', ['--build', build, '-j', '2', ...targets.flatMap((target) => ['--target', target])]);
  return build;
}

/** Sanitizers make optimizing the kernels several times as slow, and what they run faster by hardly anything. */
export const LIGHT = '-DCMAKE_CXX_FLAGS_RELEASE=-O1 -DNDEBUG';

/**
 * One build under ASan and UBSan for the native tests and the fuzzers; clang takes half of GCC's time for it. Fuzzers are
 * guided by counters alone: with comparisons traced as well, everything would take twice as long.
 */
export const CLANG = [
  '-DCMAKE_CXX_COMPILER=clang++',
  '-DANNEX_SANITIZE=address,undefined',
  '-DCMAKE_CXX_FLAGS=-fsanitize-coverage=inline-8bit-counters,pc-table',
  LIGHT,
];

export const SANITIZER = {
  ASAN_OPTIONS: 'detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1:allocator_may_return_null=1',
  UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1',
  TSAN_OPTIONS: 'halt_on_error=1:second_deadlock_stack=1',
};
