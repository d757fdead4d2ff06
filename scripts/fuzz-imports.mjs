// Imports and inspect on files that may be anything: those of test/golden with changes, again and again. Every one must
// open to an index that can be searched, changed and saved, or fail with an AnnexError.
//   node scripts/fuzz-imports.mjs [--runs 20000] [--seconds 3600] [--seed 1]
// It needs the built package (npm run build). A finding is told by its seed and run, and lies in build/fuzz-import-finding.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { AnnexError, exportFaiss, importFaiss, importHnswlib, inspect } from '../dist/index.js';
import { uniforms } from '../dist/random.js';
import { root } from './lib/shell.mjs';

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '20000' },
    seconds: { type: 'string', default: '3600' },
    seed: { type: 'string', default: '1' },
  },
});

const files = ['faiss', 'imports', 'v1'].flatMap((folder) => {
  const path = join(root, 'test/golden', folder);
  const names = readdirSync(path).filter((name) => !name.endsWith('.json'));
  return names.map((name) => ({ name, bytes: new Uint8Array(readFileSync(join(path, name))) }));
});

const EDGES = [0, 1, -1, 2, 15, 16, 127, 255, 65536, 2 ** 24, 2 ** 31 - 1, -(2 ** 31), 0x7fc00000, 0x7f800000];

/** @param {Uint8Array<ArrayBuffer>} whole @param {(n: number) => number} below */
function changed(whole, below) {
  let bytes = whole.slice();
  for (let change = below(4); change >= 0 && bytes.length > 8; change--) {
    // Most of what steers stands at the beginning.
    const at = below(below(2) === 0 ? Math.min(bytes.length, 400) : bytes.length);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const word = Math.min(at, bytes.length - 8);
    const edge = EDGES[below(EDGES.length)] ?? 0;
    switch (below(8)) {
      case 0:
        bytes[at] = below(256);
        break;
      case 1:
        bytes[at] = (bytes[at] ?? 0) ^ (1 << below(8));
        break;
      case 2:
        view.setInt32(word, edge, true);
        break;
      case 3:
        view.setInt32(word, view.getInt32(word, true) + below(5) - 2, true);
        break;
      case 4:
        view.setBigInt64(word, BigInt(edge), true);
        break;
      case 5:
        view.setInt32(word, below(100), true);
        break;
      case 6: {
        // A stretch of another file.
        const { bytes: other } = files[below(files.length)] ?? { bytes };
        const from = below(other.length);
        bytes.set(other.subarray(from, from + Math.min(below(64), bytes.length - at)), at);
        break;
      }
      default:
        if (below(4) === 0) bytes = bytes.slice(0, at);
    }
  }
  return bytes;
}

/** @param {string} name @param {Uint8Array<ArrayBuffer>} bytes @param {(n: number) => number} below */
async function use(name, bytes, below) {
  if (name.endsWith('.annex')) {
    await inspect(bytes);
    return;
  }
  const metric = /** @type {const} */ (['l2', 'ip', 'cosine'])[below(3)] ?? 'l2';
  const index = await (name.endsWith('.bin') ? importHnswlib(bytes, { dim: 16, metric }) : importFaiss(bytes));
  try {
    const query = new Float32Array(index.dim).fill(0.5);
    index.searchSync(query, 5);
    await index.upsert([3, 10 ** 9], new Float32Array(2 * index.dim).fill(0.25));
    await index.remove([0, 1]);
    index.searchSync(query, 5);
    await exportFaiss(index);
  } finally {
    index.close();
  }
}

const end = performance.now() + Number(values.seconds) * 1000;
/** @type {Map<string, number>} */
const outcomes = new Map();
let run = 0;
for (; run < Number(values.runs) && performance.now() < end; run++) {
  const random = uniforms(Number(values.seed) * 1_000_003 + run);
  const below = (/** @type {number} */ n) => Math.floor(random() * n);
  const { name, bytes: whole } = files[below(files.length)] ?? { name: '', bytes: new Uint8Array(0) };
  const bytes = changed(whole, below);
  let outcome = 'opened';
  try {
    await use(name, bytes, below);
  } catch (error) {
    if (!(error instanceof AnnexError) || error.code === 'INTERNAL') {
      mkdirSync(join(root, 'build'), { recursive: true });
      writeFileSync(join(root, 'build/fuzz-import-finding'), bytes);
      console.error(`${name}, seed ${values.seed}, run ${run}`);
      throw error;
    }
    outcome = error.code;
  }
  outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
}
const counts = [...outcomes].sort().map(([code, n]) => `${n} ${code}`);
console.log(`${run} files without a finding: ${counts.join(', ')}`);
