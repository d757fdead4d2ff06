import { expect, it } from 'vitest';
import { LineProcess } from '../../ts/bench_lines.js';

const program = (text: string): LineProcess => new LineProcess('it', process.execPath, ['-e', text]);

it('answers line by line', async () => {
  const lines = program(
    'process.stdin.on("data", (text) => console.log(JSON.stringify({ ok: true, n: JSON.parse(text).n + 1 })))',
  );
  for (const n of [1, 5]) expect(await lines.ask('add', { n })).toEqual({ ok: true, n: n + 1 });
  await lines.close();
});

it('says how a program ended that does not answer', async () => {
  await expect(program('process.kill(process.pid, "SIGKILL")').ask('wait')).rejects.toThrow(
    'the process of it ended by SIGKILL: no message',
  );
  await expect(
    program('console.error("first\\nsome Error: what\\nlast"); process.exit(3)').ask('wait'),
  ).rejects.toThrow('the process of it ended with status 3: some Error: what');
  await expect(program('').ask('wait')).rejects.toThrow('the process of it ended: no message');
});
