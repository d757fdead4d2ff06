// `npm test`: sets up, then runs every check there is. The only command that a fresh clone needs.
//   node scripts/test.mjs [word …]   runs the steps whose names hold one of the words (and what they need, unless built)
// The first failing step ends the run; its output is shown. The last line is `N passed, N failed`.
import { bold, CommandError, dim, endAll, fail, green, red, seconds, TestsFailed, yellow } from './lib/shell.mjs';
import { setup } from './setup.mjs';
import { buildSteps } from './steps/build.mjs';
import { checkSteps } from './steps/checks.mjs';
import { javascriptSteps } from './steps/javascript.mjs';
import { nativeSteps } from './steps/native.mjs';
import { packageSteps } from './steps/package.mjs';

/**
 * What a step tells: how many tests it ran (a step that is one check says nothing), a remark for its line, or why it was
 * skipped.
 * @typedef {{ passed?: number, failed?: number, note?: string, skipped?: string }} Outcome
 * @typedef {{ name: string, run: () => Promise<Outcome | void> }} Step
 */

/** @type {Step[]} */
const steps = [...checkSteps, ...buildSteps, ...javascriptSteps, ...nativeSteps, ...packageSteps];

const words = process.argv.slice(2);
const chosen = words.length === 0 ? steps : steps.filter(({ name }) => words.some((word) => name.includes(word)));
if (chosen.length === 0) {
  fail(
    new Error(
      `no step is named like ${words.join(' ')}; there are:\n${steps.map(({ name }) => `  ${name}`).join('\n')}`,
    ),
  );
}
for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM'])) {
  process.on(signal, () => {
    endAll();
    process.exit(1);
  });
}

const begin = performance.now();
const width = Math.max(...steps.map(({ name }) => name.length));
let passed = 0;
let failed = 0;
/** @type {string[]} */
const skipped = [];

/** @param {string} mark @param {string} name @param {number} start @param {string} note */
const line = (mark, name, start, note) =>
  console.log(`${mark}  ${name.padEnd(width)}  ${seconds(start).padStart(8)}  ${dim(note)}`.trimEnd());

/** @param {Step} step @returns {Promise<boolean>} whether to go on */
async function runStep({ name, run }) {
  const start = performance.now();
  try {
    const { passed: count = 1, note = '', skipped: why } = (await run()) ?? {};
    if (why !== undefined) {
      skipped.push(`${name}: ${why}`);
      line(yellow('skip'), name, start, why);
      return true;
    }
    passed += count;
    line(green('ok  '), name, start, [count === 1 ? '' : `${count} tests`, note].filter(Boolean).join(', '));
    return true;
  } catch (error) {
    const counts = error instanceof TestsFailed ? error.counts : { passed: 0, failed: 1 };
    passed += counts.passed;
    failed += Math.max(1, counts.failed);
    line(red('FAIL'), name, start, '');
    if (error instanceof CommandError) console.log(error.output);
    console.log(error instanceof CommandError ? red(error.message) : error);
    console.log(`\nstopped at the step ${bold(name)}; to run it alone: npm test -- ${name.split(' ')[0]}`);
    return false;
  }
}

try {
  await setup('test', (text) => console.log(dim(text)));
} catch (error) {
  console.log(
    error instanceof CommandError
      ? `${error.output}\n${error.message}`
      : error instanceof Error
        ? error.message
        : error,
  );
  console.log('0 passed, 1 failed');
  process.exit(1);
}
for (const step of chosen) if (!(await runStep(step))) break;
for (const text of skipped) console.log(yellow(`skipped: ${text}`));
console.log(`${chosen.length} steps in ${seconds(begin)}`);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
