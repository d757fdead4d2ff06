import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
// The addon and the native tests are built there, too: the core is compiled once for all.
const folder = `${root}build/addon`;

/** Runs a program, whose output goes to standard error unless it is wanted. */
export function run(command: string, args: readonly string[], capture = false): string {
  const stdio = capture ? (['ignore', 'pipe', 'inherit'] as const) : (['ignore', 2, 2] as const);
  const { status, error, stdout } = spawnSync(command, args, { cwd: root, stdio: [...stdio], encoding: 'utf8' });
  if (error) throw new Error(`${command} could not be run: ${error.message}; install cmake and a C++20 compiler`);
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with status ${status}`);
  return stdout ?? '';
}

/** Builds a program of bench/native with cmake, and returns its path. */
export function buildBench(name: string): string {
  run('cmake', ['-S', '.', '-B', folder, '-DCMAKE_BUILD_TYPE=Release', '-DANNEX_TESTS=ON', '--log-level=WARNING']);
  run('cmake', ['--build', folder, '--target', name, '--config', 'Release', '--parallel', '2']);
  const names = process.platform === 'win32' ? [`Release/${name}.exe`, `${name}.exe`] : [name];
  const program = names.map((file) => `${folder}/bench/native/${file}`).find(existsSync);
  if (program === undefined) throw new Error(`cmake made no ${name} in ${folder}/bench/native`);
  return program;
}
