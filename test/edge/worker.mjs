// A worker that answers every request with the outcome of the cases.
import * as annex from '../../dist/wasm_edge.js';
import { runCases } from '../browser/cases.mjs';

// The synchronous methods work from the first line on: the core comes with the import.
const early = annex.FlatIndex.createSync({ dim: 2 });
early.addSync(Float32Array.of(1, 2));

export default {
  async fetch() {
    const outcome = await runCases(/** @type {any} */ (annex));
    if (early.size !== 1) outcome.failures.push('the index made at start-up lost its row');
    return Response.json(outcome);
  },
};
