import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { LineProcess } from '../../ts/bench_lines.js';
import { AnnProcess } from '../../ts/bench_process.js';
import { PYTHON } from './process.js';

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** A system of the sweeps, a peer or ours, in a process of its own. `more`: variables of its environment. */
export function annProcess(
  runner: 'python' | 'node',
  system: string,
  threads: number,
  more: Readonly<Record<string, string>> = {},
): AnnProcess {
  if (runner === 'python' && !existsSync(PYTHON)) throw new Error('no virtual environment in bench/.venv');
  const env = { OMP_NUM_THREADS: String(threads), ANNEX_THREADS: String(threads), ...more };
  const [command, args]: [string, string[]] =
    runner === 'python'
      ? [PYTHON, ['-IB', here('ann_runner.py'), system]]
      : [process.execPath, ['--expose-gc', '--import', 'tsx', here('ann_runner.ts'), system]];
  return new AnnProcess(new LineProcess(system, command, args, env));
}
