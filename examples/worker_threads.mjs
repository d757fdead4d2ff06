// One index, several worker threads of Node.js: a worker attaches to it by a token, and no vector is copied.
// (Searches run off the JavaScript thread anyway. This is for programs whose own work needs workers.)
import { once } from 'node:events';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { attach, engineInfo, FlatIndex } from 'annex';

if (!isMainThread) {
  const index = /** @type {import('annex').FlatIndex} */ (attach(workerData.token));
  parentPort?.postMessage([...(await index.search(workerData.query, 3)).ids]);
  index.close();
} else if (engineInfo().backend === 'wasm') {
  console.log('the WebAssembly core cannot share an index between threads');
} else {
  const dim = 8;
  const index = await FlatIndex.create({ dim });
  await index.add(Float32Array.from({ length: 1000 * dim }, (_, i) => Math.sin(i)));
  const jobs = [0, 10, 20].map(async (row) => {
    const worker = new Worker(new URL(import.meta.url), {
      workerData: { token: index.share(), query: index.get(row) },
    });
    const [ids] = await once(worker, 'message');
    console.log(`near row ${row}: ${ids.join(', ')}`);
  });
  await Promise.all(jobs);
  index.close();
}
