// Runs the cases in the page, then in a module Worker, and leaves the outcome in `window.outcome`, and a search to be watched
// in `window.searchLarge`.
import { runCases } from './cases.mjs';

const annex = await import(/** @type {string} */ ('/dist/wasm.js'));

const inPage = await runCases(annex);

const dim = 256;
const large = await annex.FlatIndex.create({ dim });
await large.add(Float32Array.from({ length: 10_000 * dim }, (_, i) => Math.sin(i * i)));
const queries = Float32Array.from({ length: 500 * dim }, (_, i) => Math.cos(i * i));
/** A search that takes long: meanwhile a page must be able to go on drawing. */
const searchLarge = async () => {
  await large.searchBatch(queries, 10);
  large.close();
};

const worker = new Worker('./worker.mjs', { type: 'module' });
const inWorker = await new Promise((resolve) => {
  worker.onmessage = ({ data }) => resolve(data);
  worker.onerror = ({ message }) => resolve({ ran: 0, failures: [`the worker failed: ${message}`] });
});
Object.assign(window, { searchLarge, outcome: { page: inPage, worker: inWorker } });
