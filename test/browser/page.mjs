// Runs the cases in the page, then in a module Worker, and leaves the outcome in `window.outcome`.
import { runCases } from './cases.mjs';

const annex = await import(/** @type {string} */ ('/dist/wasm.js'));

/** A page must be able to go on drawing: the longest time between two frames while a large search runs. */
async function longestPause() {
  const dim = 256;
  const index = await annex.FlatIndex.create({ dim });
  await index.add(Float32Array.from({ length: 10_000 * dim }, (_, i) => Math.sin(i * i)));
  const queries = Float32Array.from({ length: 500 * dim }, (_, i) => Math.cos(i * i));
  const { port1, port2 } = new MessageChannel();
  let last = performance.now();
  let longest = 0;
  let running = true;
  port1.onmessage = () => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
    if (running) port2.postMessage(0);
  };
  port2.postMessage(0);
  await new Promise((resolve) => setTimeout(resolve, 20));
  longest = 0;
  await index.searchBatch(queries, 10);
  running = false;
  index.close();
  return longest;
}

const inPage = await runCases(annex);
const pause = await longestPause();
const worker = new Worker('./worker.mjs', { type: 'module' });
const inWorker = await new Promise((resolve) => {
  worker.onmessage = ({ data }) => resolve(data);
  worker.onerror = ({ message }) => resolve({ ran: 0, failures: [`the worker failed: ${message}`] });
});
Object.assign(window, { outcome: { page: inPage, worker: inWorker, pause } });
