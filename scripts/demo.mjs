// `npm run demo`: sets up, builds what is out of date, runs examples/demo. The only command that a fresh clone needs.
import { build } from './build.mjs';
import { fail, run, which } from './lib/shell.mjs';
import { setup } from './setup.mjs';

try {
  await setup('demo');
  await build(which('emcmake') === undefined ? ['native', 'ts'] : ['native', 'wasm', 'ts']);
  await run(process.execPath, ['examples/demo/main.mjs'], { live: true });
} catch (error) {
  fail(error);
}
