// Small helpers that the scripts share. Plain JavaScript without dependencies: most of it runs before `npm ci`.
import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository, without a slash at its end. */
export const root = fileURLToPath(new URL('../..', import.meta.url)).replace(/[\\/]$/, '');

/** @param {string} path of an entry in node_modules/.bin or a script there */
export const bin = (path) => join(root, 'node_modules', path);

/** Processes under way, so that a failing run can end them. @type {Set<import('node:child_process').ChildProcess>} */
const running = new Set();

/** Ends every process that run() started and that has not ended by itself. */
export function endAll() {
  for (const child of running) {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    } catch {
      child.kill('SIGKILL');
    }
  }
}

/** A command that failed; `output` holds what it wrote. */
export class CommandError extends Error {
  /** @param {string} message @param {string} output */
  constructor(message, output) {
    super(message);
    this.name = 'CommandError';
    this.output = output;
  }
}

/** A step in which some tests failed and others passed. */
export class TestsFailed extends CommandError {
  /** @param {string} message @param {string} output @param {{ passed: number, failed: number }} counts */
  constructor(message, output, counts) {
    super(message, output);
    this.counts = counts;
  }
}

/** Finds a command on PATH without starting it. @param {string} name @returns {string | undefined} */
export function which(name) {
  const suffixes = process.platform === 'win32' ? ['.exe', '.cmd', ''] : [''];
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    for (const suffix of suffixes) {
      const path = join(folder, name + suffix);
      try {
        accessSync(path, constants.X_OK);
        return path;
      } catch {}
    }
  }
  return undefined;
}

/**
 * @typedef {object} RunOptions
 * @property {string} [cwd] default: the repository
 * @property {Record<string, string | undefined>} [env] added to the environment; undefined removes
 * @property {boolean} [live] write to the terminal instead of collecting
 * @property {number} [timeout] seconds, default 900
 * @property {number[]} [accept] exit codes that count as success, default [0]
 */

/**
 * Runs a command without standard input and resolves with what it wrote (both streams, in order of arrival).
 * @param {string} command @param {string[]} args @param {RunOptions} [options] @returns {Promise<string>}
 */
export function run(command, args, options = {}) {
  const { cwd = root, live = false, timeout = 900, accept = [0] } = options;
  const env = { ...process.env, ...options.env };
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      env,
      detached: process.platform !== 'win32',
      stdio: ['ignore', live ? 'inherit' : 'pipe', live ? 'inherit' : 'pipe'],
    });
    running.add(child);
    let output = '';
    let late = false;
    const collect = (/** @type {Buffer} */ chunk) => {
      output += chunk;
    };
    child.stdout?.on('data', collect);
    child.stderr?.on('data', collect);
    const timer = setTimeout(() => {
      late = true;
      try {
        process.kill(-(child.pid ?? 0), 'SIGKILL');
      } catch {
        child.kill('SIGKILL');
      }
    }, timeout * 1000);
    const shown = [command, ...args].join(' ').replaceAll(`${root}/`, '');
    child.on('error', (error) => {
      clearTimeout(timer);
      running.delete(child);
      reject(new CommandError(`${shown}: ${error.message}`, output));
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      running.delete(child);
      if (late) reject(new CommandError(`${shown}: stopped after ${timeout} s`, output));
      else if (code !== null && accept.includes(code)) resolve(output);
      else reject(new CommandError(`${shown}: ended with ${signal ?? `exit code ${code}`}`, output));
    });
  });
}

/** Runs a JavaScript file with this Node. @param {string[]} args @param {RunOptions} [options] */
export const node = (args, options) => run(process.execPath, args, options);

const coloured = process.stdout.isTTY && !process.env.NO_COLOR;
/** @param {number} code @returns {(text: string) => string} */
const paint = (code) => (text) => (coloured ? `\x1b[${code}m${text}\x1b[0m` : text);
export const bold = paint(1);
export const dim = paint(2);
export const red = paint(31);
export const green = paint(32);
export const yellow = paint(33);

/** @param {number} since from performance.now() */
export const seconds = (since) => `${((performance.now() - since) / 1000).toFixed(1)} s`;

/** Ends the process after an error, with what is known about it. @param {unknown} error @returns {never} */
export function fail(error) {
  if (error instanceof CommandError) console.error(`${error.output}\n${red(error.message)}`);
  else if (error instanceof Error && error.name === 'SetupError') console.error(error.message);
  else console.error(error);
  process.exit(1);
}
