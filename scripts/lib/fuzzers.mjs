// The libFuzzer targets: fuzz_*.cpp of test/native under ASan and UBSan.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CLANG, compile, SANITIZER } from './native.mjs';
import { CommandError, root, run } from './shell.mjs';

const NAMES = ['fuzz_api', 'fuzz_open'];

/**
 * What a fuzzer starts from: inputs that reached something new in long runs, and those that once failed; a line of
 * hexadecimal digits each. @param {string} name
 */
const corpusFile = (name) => join(root, 'test/native', `${name}.corpus`);

/** Builds all fuzzers, each with a folder of inputs to start from. */
export async function buildFuzzers() {
  const build = await compile('asan', CLANG, ['annex_core']);
  // Comparisons are not traced: most of them are the test's own checksums, and take a third of the time.
  const coverage = ['-fsanitize=fuzzer,address,undefined', '-fno-sanitize-coverage=trace-cmp'];
  const flags = ['-std=c++20', '-O1', '-g', ...coverage, '-fno-sanitize-recover=all', '-DANNEX_LIBFUZZER'];
  const fuzzers = [];
  for (const name of NAMES) {
    const path = join(root, build, `${name}_libfuzzer`);
    const source = ['-Inative', '-Itest/native', `test/native/${name}.cpp`, join(build, 'libannex_core.a')];
    await run('clang++', [...flags, ...source, '-pthread', '-o', path]);
    const corpus = join(root, build, `${name}_corpus`);
    mkdirSync(corpus, { recursive: true });
    if (existsSync(corpusFile(name))) {
      const inputs = readFileSync(corpusFile(name), 'utf8').split('\n').filter(Boolean);
      for (const [i, input] of inputs.entries()) writeFileSync(join(corpus, `kept-${i}`), Buffer.from(input, 'hex'));
    }
    fuzzers.push({ name, path, corpus });
  }
  return fuzzers;
}

/**
 * Runs a fuzzer; how many inputs it ran. A finding throws, and lies as a file beside the fuzzer. Without entropic
 * scheduling, which with so many counters takes most of the time, five times as many inputs run.
 * @param {string} path @param {string[]} flags @param {number} [timeout] seconds
 */
export async function runFuzzer(path, flags, timeout) {
  const fixed = ['-entropic=0', '-max_len=600', '-print_final_stats=1', `-artifact_prefix=${path}-`];
  const output = await run(path, [...fixed, ...flags], { env: SANITIZER, ...(timeout && { timeout }) });
  const units = /number_of_executed_units:\s*(\d+)/.exec(output)?.[1];
  if (units === undefined) throw new CommandError(`${path} did not tell how many inputs it ran`, output);
  return Number(units);
}
