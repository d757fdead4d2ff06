// Builds bench/native/kernels_bench with cmake and runs it: floor, measured and ratio of every kernel and ISA.
import { parse, QUICK } from './lib/cli.js';
import { printKernels, readKernels } from './lib/kernels_report.js';
import { buildBench, run } from './lib/native_build.js';
import { machine, writeResult } from './lib/results.js';

const options = parse('bench:kernels', 'Floor, measured and ratio of every kernel and instruction set.', {
  ...QUICK,
  table: { type: 'string', help: 'one instruction set alone, such as avx2' },
  only: { type: 'string', help: 'only kernels whose name contains this; with --quick f32' },
});

const program = buildBench('kernels_bench');
const args = ['--json'];
if (options.quick) args.push('--quick');
const only = options.only ?? (options.quick ? 'f32' : undefined);
if (only !== undefined) args.push('--only', only);
if (options.table !== undefined) args.push('--table', options.table);
const report = { machine: machine(), ...readKernels(run(program, args, true)) };
process.stdout.write(`${printKernels(report.lines)}\n\nwritten to ${writeResult('kernels', report)}\n`);
