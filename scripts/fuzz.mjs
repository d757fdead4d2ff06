// A long run of the fuzzers under ASan and UBSan: in turns, each going on from what it has found, until they have run so
// many inputs in total or the time is over. The first finding ends it; its input lies beside the fuzzer, in build/asan.
//   node scripts/fuzz.mjs [--runs 10000000] [--minutes 120] [--turn 120] [fuzz_open …]
import { appendFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { buildFuzzers, runFuzzer } from './lib/fuzzers.mjs';
import { endAll, fail } from './lib/shell.mjs';

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: 'string', default: '10000000' },
    minutes: { type: 'string', default: '120' },
    turn: { type: 'string', default: '120' }, // seconds
    log: { type: 'string' },
  },
});
for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM'])) {
  process.on(signal, () => {
    endAll();
    process.exit(1);
  });
}
/** @param {string} line */
const say = (line) => {
  console.log(line);
  if (values.log !== undefined) appendFileSync(values.log, `${new Date().toISOString()} ${line}\n`);
};

try {
  const wanted = Number(values.runs);
  const end = performance.now() + Number(values.minutes) * 60_000;
  const all = await buildFuzzers();
  const fuzzers = positionals.length === 0 ? all : all.filter(({ name }) => positionals.includes(name));
  if (fuzzers.length === 0) throw new Error(`expected names of ${all.map(({ name }) => name).join(', ')}`);
  let total = 0;
  for (let turn = 1; total < wanted && performance.now() < end; turn++) {
    for (const { name, path, corpus } of fuzzers) {
      const seconds = Math.ceil(Math.min(Number(values.turn), Math.max(1, (end - performance.now()) / 1000)));
      const runs = await runFuzzer(path, [`-max_total_time=${seconds}`, corpus], seconds + 600);
      total += runs;
      say(`turn ${turn}: ${name} ${runs}, total ${total}`);
    }
  }
  say(`${total} inputs without a finding`);
} catch (error) {
  fail(error);
}
