// The built package, used once: node scripts/steps/smoke.mjs <native|wasm>. Fails unless that backend gives right answers.
import assert from 'node:assert/strict';
import { engineInfo, FlatIndex } from 'annex';

const wanted = process.argv[2];
assert.equal(engineInfo().backend, wanted);
const index = await FlatIndex.create({ dim: 2, metric: 'l2' });
await index.add(Float32Array.of(0, 0, 3, 4, 1, 0), { ids: [10, 20, 30] });
const result = await index.search(Float32Array.of(0, 0), 5);
assert.deepEqual([...result.ids], [10, 30, 20]);
assert.deepEqual([...result.distances], [0, 1, 25]);
assert.deepEqual([...index.searchSync(Float32Array.of(3, 4), 1).ids], [20]);
await assert.rejects(index.search(Float32Array.of(1), 1), { name: 'AnnexError', code: 'DIMENSION_MISMATCH' });
assert.equal(await index.remove(20), 1);
assert.equal(index.size, 2);
index.close();
console.log(`smoke: ${wanted}, ${engineInfo().isa}`);
