// Serves the page: node examples/browser/serve.mjs, then open the address that it prints. With --check it opens the
// page in headless Chromium itself and fails unless the page works.
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname } from 'node:path';

const TYPES = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.wasm': 'application/wasm',
};

const server = createServer(async (request, response) => {
  const path = new URL(request.url ?? '/', 'http://localhost').pathname; // normalized: it cannot climb out
  const file = new URL(`../..${path === '/' ? '/examples/browser/index.html' : path}`, import.meta.url);
  try {
    if (!/^\/(|(dist|examples\/browser)\/[\w.]+)$/.test(path)) throw new Error('not served');
    const type = TYPES[/** @type {keyof typeof TYPES} */ (extname(file.pathname))] ?? 'text/plain';
    response.writeHead(200, { 'content-type': type }).end(await readFile(file));
  } catch {
    response.writeHead(404).end('not found');
  }
});
server.listen(process.argv.includes('--check') ? 0 : 8080, '127.0.0.1', async () => {
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  const address = `http://127.0.0.1:${port}/examples/browser/index.html`;
  if (!process.argv.includes('--check')) {
    console.log(address);
    return;
  }
  const { chromium } = await import('playwright-core');
  const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
  try {
    const page = await browser.newPage();
    await page.goto(address);
    await page.waitForFunction("document.getElementById('nearest').textContent.startsWith('royalblue')");
    await page.fill('#colour', '#fa6040');
    await page.waitForFunction("document.getElementById('nearest').textContent.startsWith('tomato')");
    console.log('the page works');
  } finally {
    await browser.close();
    server.close();
  }
});
