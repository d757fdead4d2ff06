// The WordNet sample of test/data/wordnet: 10,000 texts with their vectors, and 200 queries.
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';

const folder = new URL('../../test/data/wordnet/', import.meta.url);

/** IEEE binary16 to float. @param {number} half */
function widen(half) {
  const exponent = (half >> 10) & 31;
  const fraction = half & 1023;
  const size = exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25);
  return half & 0x8000 ? -size : size;
}

/** A float16 matrix in NumPy's format, as floats. @param {string} name @returns {{ rows: number, dim: number, data: Float32Array }} */
function readNpy(name) {
  const file = readFileSync(new URL(name, folder));
  const start = 10 + file.readUInt16LE(8);
  const shape = /'descr': '<f2'.*'shape': \((\d+), (\d+)\)/.exec(file.toString('latin1', 10, start));
  if (shape === null) throw new Error(`${name} is not a float16 matrix in .npy format`);
  const [rows, dim] = [Number(shape[1]), Number(shape[2])];
  const table = Float32Array.from({ length: 65536 }, (_, half) => widen(half));
  const data = Float32Array.from({ length: rows * dim }, (_, i) => table[file.readUInt16LE(start + 2 * i)] ?? 0);
  return { rows, dim, data };
}

/** @param {string} name */
const readText = (name) =>
  gunzipSync(readFileSync(new URL(name, folder)))
    .toString('utf8')
    .trimEnd()
    .split('\n');

export function loadSample() {
  const base = readNpy('base.f16.npy');
  const query = readNpy('query.f16.npy');
  return {
    dim: base.dim,
    vectors: base.data,
    texts: readText('base.txt.gz'),
    queries: Array.from({ length: query.rows }, (_, i) => query.data.subarray(i * query.dim, (i + 1) * query.dim)),
    queryMatrix: query.data,
    queryTexts: readText('query.txt.gz'),
  };
}
