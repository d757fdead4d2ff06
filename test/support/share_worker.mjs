// Uses an index that the parent thread shares, through the TypeScript sources.
import { parentPort, workerData } from 'node:worker_threads';
import { register } from 'tsx/esm/api';

register();
const { attach } = await import('../../ts/index.js');
const index = attach(workerData.token);
const size = index.size;
const added = [...(await index.add([7, 8]))];
const hit = [...(await index.search([3, 4], 1))];
index.close();
parentPort?.postMessage({ size, added, hit, code: 'OK' });
