// Runs annex in headless Chromium from a page: node test/browser/run.mjs. The page and the built package are served on
// localhost, unbundled. CHROMIUM names the browser; the default is Debian's.
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const root = fileURLToPath(new URL('../..', import.meta.url));
const MOST_PAUSE = 50; // ms; far above the 5 ms aimed at, since the machine may be busy, far below an unsliced search

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
  const {
    page: inPage,
    worker,
    pause,
  } = /** @type {Record<'page' | 'worker', { ran: number, failures: string[] }> & { pause: number }} */ (outcome);
  for (const failure of inPage.failures) problems.push(`in the page: ${failure}`);
  for (const failure of worker.failures) problems.push(`in the worker: ${failure}`);
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
