// Builds bench/native/kernels_bench with cmake and runs it: floor, measured and ratio of every kernel and ISA.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse, QUICK } from './lib/cli.js';
import { printKernels, readKernels } from './lib/kernels_report.js';
import { machine, writeResult } from './lib/results.js';

const options = parse('bench:kernels', 'Floor, measured and ratio of every kernel and instruction set.', {
  ...QUICK,
  table: { type: 'string', help: 'one instruction set alone, such as avx2' },
  only: { type: 'string', help: 'only kernels whose name contains this; with --quick f32' },
});

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = `${root}build/bench-native`;

function run(command: string, args: readonly string[], capture = false): string {
  const stdio = capture ? (['ignore', 'pipe', 'inherit'] as const) : (['ignore', 2, 2] as const);
  const { status, error, stdout } = spawnSync(command, args, { cwd: root, stdio: [...stdio], encoding: 'utf8' });
  if (error) throw new Error(`${command} could not be run: ${error.message}; install cmake and a C++20 compiler`);
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with status ${status}`);
  return stdout ?? '';
}

run('cmake', ['-S', '.', '-B', folder, '-DCMAKE_BUILD_TYPE=Release', '-DANNEX_TESTS=ON', '--log-level=WARNING']);
run('cmake', ['--build', folder, '--target', 'kernels_bench', '--config', 'Release', '--parallel', '2']);
const names = process.platform === 'win32' ? ['Release/kernels_bench.exe', 'kernels_bench.exe'] : ['kernels_bench'];
const program = names.map((name) => `${folder}/bench/native/${name}`).find(existsSync);
if (program === undefined) throw new Error(`cmake made no kernels_bench in ${folder}/bench/native`);
const args = ['--json'];
if (options.quick) args.push('--quick');
const only = options.only ?? (options.quick ? 'f32' : undefined);
if (only !== undefined) args.push('--only', only);
if (options.table !== undefined) args.push('--table', options.table);
const report = { machine: machine(), ...readKernels(run(program, args, true)) };
process.stdout.write(`${printKernels(report.lines)}\n\nwritten to ${writeResult('kernels', report)}\n`);
