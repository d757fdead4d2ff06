// Opens a report in headless Chromium, checks that it draws and loads nothing, and takes a picture of its first curves:
//   node bench/screenshot.mjs <report.html> [<picture.png>]
// CHROMIUM names the browser; the default is Debian's.
import { fileURLToPath, pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';

/**
 * @param {string} path of the report @param {{ picture?: string, dark?: boolean }} [options]
 * @returns {Promise<{ points: number, titles: string[], problems: string[] }>} points that are drawn and visible, what
 * they say when pointed at, and what was wrong: errors on the console, requests, points out of sight
 */
export async function openReport(path, { picture, dark = false } = {}) {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox'], // CI runs as root
  });
  /** @type {string[]} */
  const problems = [];
  try {
    const page = await browser.newPage({
      viewport: { width: 1000, height: 800 },
      colorScheme: dark ? 'dark' : 'light',
      deviceScaleFactor: 1.4,
    });
    const url = pathToFileURL(path).href;
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') problems.push(`console: ${message.text()}`);
    });
    page.on('pageerror', (error) => problems.push(`page: ${error.message}`));
    page.on('request', (request) => {
      if (request.url() !== url && !request.url().startsWith('data:')) problems.push(`request: ${request.url()}`);
    });
    await page.goto(url);
    const { titles, hidden } = await page.evaluate(() => {
      const points = [...document.querySelectorAll('svg [ecmeta_ssr_type="chart"]:has(> title)')];
      const outside = points.filter((point) => {
        const [box, frame] = [point, point.closest('svg')].map((element) => element?.getBoundingClientRect());
        if (box === undefined || frame === undefined || box.width === 0) return true;
        return box.left < frame.left || box.right > frame.right || box.top < frame.top || box.bottom > frame.bottom;
      });
      return { titles: points.map((point) => point.textContent ?? ''), hidden: outside.length };
    });
    if (titles.length === 0) problems.push('no point is drawn');
    if (hidden > 0) problems.push(`${hidden} of ${titles.length} points are out of sight`);
    if (picture !== undefined) await page.locator('figure').first().screenshot({ path: picture });
    return { points: titles.length, titles, problems };
  } finally {
    await browser.close();
  }
}

const [report, picture = 'report.png'] = process.argv.slice(2);
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (report === undefined) throw new Error('expected the path of a report: npm run bench -- sweep writes one');
  const { points, problems } = await openReport(report, { picture });
  for (const problem of problems) console.error(problem);
  console.log(`${points} points, written to ${picture}`);
  if (problems.length > 0) process.exitCode = 1;
}
