// Runs annex in headless Chromium from a page: node test/browser/run.mjs. The page and the built package are served on
// localhost, unbundled. CHROMIUM names the browser; the default is Debian's.
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const root = fileURLToPath(new URL('../..', import.meta.url));
const MOST_PAUSE = 25; // ms; far above the 5 ms aimed at, since the machine may be slow, far below an unsliced search

/** @type {Record<string, string>} */
const TYPES = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.wasm': 'application/wasm',
  '.map': 'application/json',
};

const server = createServer(async (request, response) => {
  const path = normalize(decodeURIComponent(new URL(request.url ?? '/', 'http://localhost').pathname));
  try {
    if (!/^\/(dist|test\/browser)\//.test(path)) throw new Error('outside');
    const body = await readFile(join(root, path));
    response.writeHead(200, { 'content-type': TYPES[extname(path)] ?? 'application/octet-stream' }).end(body);
  } catch {
    response.writeHead(404, { 'content-type': 'text/plain' }).end('not found');
  }
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());

/**
 * The longest time that a task of a page takes of the processor while `work` is done there: as long the page cannot draw.
 * By the clock it would be longer now and then, where the machine has other work.
 * @param {import('playwright-core').Page} page
 * @param {string} work
 */
async function longestTask(page, work) {
  await browser.startTracing(page, { categories: ['__metadata', 'toplevel', 'disabled-by-default-devtools.timeline'] });
  await page.evaluate(work);
  const { traceEvents } = JSON.parse((await browser.stopTracing()).toString());
  /** @type {{ name: string, pid: number, tid: number, tdur?: number, args?: { name?: string } }[]} */
  const events = traceEvents;
  const place = (/** @type {{ pid: number, tid: number }} */ { pid, tid }) => `${pid}:${tid}`;
  const main = new Set(
    events.filter(({ name, args }) => name === 'thread_name' && args?.name === 'CrRendererMain').map(place),
  );
  const tasks = events.filter((event) => /RunTask$/.test(event.name) && main.has(place(event)));
  const times = tasks.flatMap(({ tdur }) => (tdur === undefined ? [] : [tdur / 1000]));
  if (times.length === 0) throw new Error(`no task of ${tasks.length} was timed while the page did ${work}`);
  return Math.max(...times);
}

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox'], // CI runs as root
});
/** @type {string[]} */
const problems = [];
try {
  const page = await browser.newPage();
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') problems.push(`console: ${message.text()}`);
  });
  page.on('pageerror', (error) => problems.push(`page: ${error.stack ?? error}`));
  await page.goto(`http://127.0.0.1:${port}/test/browser/page.html`);
  await page.waitForFunction('window.outcome !== undefined', undefined, { timeout: 120_000 });
  const outcome = await page.evaluate('window.outcome');
  const { page: inPage, worker } = /** @type {Record<'page' | 'worker', { ran: number, failures: string[] }>} */ (
    outcome
  );
  for (const failure of inPage.failures) problems.push(`in the page: ${failure}`);
  for (const failure of worker.failures) problems.push(`in the worker: ${failure}`);
  const pause = await longestTask(page, 'window.searchLarge()');
  if (pause > MOST_PAUSE) problems.push(`an asynchronous batch held the page for ${pause} ms, over ${MOST_PAUSE}`);
  const ran = inPage.ran + worker.ran;
  console.log(`browser: Chromium ${browser.version()}, ${ran} cases, longest pause ${pause.toFixed(1)} ms`);
} catch (error) {
  problems.push(String(error));
} finally {
  await browser.close();
  server.close();
}
for (const problem of problems) console.error(`browser: ${problem}`);
process.exitCode = problems.length === 0 ? 0 : 1;
