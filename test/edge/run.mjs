// Runs annex in workerd, the engine of Cloudflare Workers: node test/edge/run.mjs. workerd is 160 MB, so it is no
// dependency of this package: install it anywhere (npm install workerd) and name its binary in WORKERD.
import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const workerd = process.env.WORKERD;
if (workerd === undefined) {
  console.log('edge: skipped, for WORKERD does not name a workerd binary');
  process.exit(0);
}
const root = fileURLToPath(new URL('../..', import.meta.url));
const build = join(root, 'build/edge');
const PORT = 8787 + (process.pid % 1000);

const scripts = readdirSync(join(root, 'dist')).filter((name) => name.endsWith('.js'));
const modules = ['test/edge/worker.mjs', 'test/browser/cases.mjs', ...scripts.map((name) => `dist/${name}`)];
/** @param {string} name */
const embed = (name) => `embed ${JSON.stringify(relative(build, join(root, name)))}`;
mkdirSync(build, { recursive: true });
writeFileSync(
  join(build, 'config.capnp'),
  `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = .worker)],
  sockets = [(name = "http", address = "127.0.0.1:${PORT}", http = (), service = "main")],
);
const worker :Workerd.Worker = (
  modules = [
${modules.map((name) => `    (name = "${name}", esModule = ${embed(name)}),`).join('\n')}
    (name = "dist/annex.wasm", wasm = ${embed('dist/annex.wasm')}),
  ],
  compatibilityDate = "2025-01-01",
);
`,
);

const child = spawn(workerd, ['serve', join(build, 'config.capnp')], { stdio: 'inherit' });
/** @returns {Promise<{ ran: number, failures: string[] }>} */
async function ask() {
  for (let i = 0; i < 100 && child.exitCode === null; i++) {
    try {
      return /** @type {any} */ (await (await fetch(`http://127.0.0.1:${PORT}/`)).json());
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
  return { ran: 0, failures: ['workerd did not answer'] };
}
const { ran, failures } = await ask();
child.kill();
console.log(`edge: ${ran} cases in workerd`);
for (const failure of failures) console.error(`edge: ${failure}`);
process.exitCode = failures.length === 0 ? 0 : 1;
