// Cuts the sample in test/data/wordnet out of the whole set: node scripts/make-sample.mjs <folder of wordnet-lsa-256.*>
// Rows are taken evenly: row floor(i * all / wanted) for i = 0 … wanted - 1.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { fail, root } from './lib/shell.mjs';

/** Rows of an .npy file of format 1.0 holding a C-ordered matrix of float16. @param {string} path */
function readNpy(path) {
  const file = readFileSync(path);
  const headerLength = file.readUInt16LE(8);
  const header = file.toString('latin1', 10, 10 + headerLength);
  const shape = /'descr': '<f2'.*'fortran_order': False.*'shape': \((\d+), (\d+)\)/.exec(header);
  if (file.toString('latin1', 1, 6) !== 'NUMPY' || file[6] !== 1 || shape === null) {
    throw new Error(`${path}: expected a float16 matrix in .npy format 1.0, got ${header.trim()}`);
  }
  return { rows: Number(shape[1]), dim: Number(shape[2]), data: file.subarray(10 + headerLength) };
}

/** @param {Buffer} data @param {number} rows @param {number} dim */
function npy(data, rows, dim) {
  const text = `{'descr': '<f2', 'fortran_order': False, 'shape': (${rows}, ${dim}), }`;
  const header = `${text.padEnd(128 - 10 - 1)}\n`;
  const start = Buffer.alloc(10);
  start.write('\x93NUMPY\x01\x00', 'latin1');
  start.writeUInt16LE(header.length, 8);
  return Buffer.concat([start, Buffer.from(header, 'latin1'), data]);
}

/** @param {string} from @param {string} part @param {number} wanted */
function cut(from, part, wanted) {
  const { rows, dim, data } = readNpy(join(from, `wordnet-lsa-256.${part}.f16.npy`));
  const lines = readFileSync(join(from, `wordnet-lsa-256.${part}.txt`), 'utf8').split('\n');
  const picked = Array.from({ length: wanted }, (_, i) => Math.floor((i * rows) / wanted));
  const bytes = Buffer.concat(picked.map((row) => data.subarray(row * dim * 2, (row + 1) * dim * 2)));
  const to = join(root, 'test/data/wordnet');
  writeFileSync(join(to, `${part}.f16.npy`), npy(bytes, wanted, dim));
  writeFileSync(join(to, `${part}.txt.gz`), gzipSync(`${picked.map((row) => lines[row]).join('\n')}\n`, { level: 9 }));
}

const from = process.argv[2];
if (from === undefined) fail(new Error('usage: node scripts/make-sample.mjs <folder of wordnet-lsa-256.*>'));
cut(from, 'base', 10_000);
cut(from, 'query', 200);
