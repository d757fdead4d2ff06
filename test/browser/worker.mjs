import { runCases } from './cases.mjs';

postMessage(await runCases(await import(/** @type {string} */ ('/dist/wasm.js'))));
